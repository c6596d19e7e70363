//! A refund goes to the grants that the transaction took from, to the last one
//! first.
//!
//! It takes two statements: the first says whose transaction it is, a user's or a
//! pool's, so that their cached balances are marked before the second changes them. If the process died
//! between its commit and its acknowledgement, the mark is what keeps the old
//! balance from being served.

use rust_decimal::Decimal;
use serde::Serialize;
use shared::credits::owner::CreditOwner;
use shared::credits::{self, Transaction};
use shared::http::context::Context;
use shared::http::fields::{self, Fields};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::CreditTransactionId;
use shared::money::{Currency, Money};
use shared::store::cache;

use crate::queries;

/// A refund, as asked for: of the whole, or of an amount of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Input {
    pub transaction_id: CreditTransactionId,
    pub money: Option<Money>,
}

#[derive(Serialize)]
struct Output {
    #[serde(flatten)]
    owner: CreditOwner,
    transaction: Transaction,
}

/// Why nothing was given back.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    TransactionNotFound,
    CurrencyMismatch(Currency),
    ExceedsRefundable(Money),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TransactionNotFound => Self::not_found(
                "There is no transaction with this transaction_id that spent credits.",
            ),
            Refusal::CurrencyMismatch(currency) => credits::currency_mismatch(currency),
            Refusal::ExceedsRefundable(refundable) => Self::new(
                409,
                "exceeds_refundable",
                "Less is refundable than was to be refunded",
                format!(
                    "{} {} of the transaction is refundable; nothing was refunded.",
                    refundable.format_amount(),
                    refundable.currency()
                ),
            ),
        }
    }
}

/// An amount and its currency, of which a request gives both or none.
fn both_or_none(
    fields: &mut Fields,
    amount: Option<Option<Decimal>>,
    currency: Option<Option<Currency>>,
) -> Option<Option<Money>> {
    match (amount?, currency?) {
        (Some(amount), Some(currency)) => Some(Some(Money::new(amount, currency))),
        (None, None) => Some(None),
        // The one that is not there is refused as missing.
        (Some(_), None) => fields.required("currency", |_| Ok(None)),
        (None, Some(_)) => fields.required("amount", |_| Ok(None)),
    }
}

fn read(mut fields: Fields) -> Result<Input, Problem> {
    let transaction_id = fields.required("transaction_id", fields::parsed);
    let amount = fields.optional("amount", fields::positive_amount);
    let currency = fields.optional("currency", fields::parsed::<Currency>);
    let money = both_or_none(&mut fields, amount, currency);
    fields.finish(|| {
        Some(Input {
            transaction_id: transaction_id?,
            money: money?,
        })
    })
}

pub async fn refund(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (fields, body) = request.json_fields().await?;
    let input = read(fields)?;
    let idempotency = request.idempotency(&body)?;
    let id = CreditTransactionId::new(context.now_millis(), &context.random()?);
    let owner = queries::owner(context, token.digest, input.transaction_id).await?;
    let scopes = owner.scopes();
    let write = queries::refund(context, token.digest, &idempotency, id, &input);
    let transaction = cache::during_write(context, &scopes, write).await?;
    Reply::json(201, &Output { owner, transaction })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        let id = CreditTransactionId::new(1, &[1; 10]).to_string();
        let table = [
            (json!({"transaction_id": id}), vec![]),
            (
                json!({"transaction_id": id, "amount": "1.25", "currency": "USD"}),
                vec![],
            ),
            (
                json!({"transaction_id": id, "amount": null, "currency": null}),
                vec![],
            ),
            (json!({}), vec!["transaction_id"]),
            (
                json!({"transaction_id": id, "amount": "1"}),
                vec!["currency"],
            ),
            (
                json!({"transaction_id": id, "currency": "USD"}),
                vec!["amount"],
            ),
            (
                json!({"transaction_id": id, "amount": "0", "currency": "USD"}),
                vec!["amount"],
            ),
            (
                json!({"transaction_id": id, "amount": "1", "currency": "XYZ"}),
                vec!["currency"],
            ),
            (
                json!({"transaction_id": id.replace("ctx", "cgr")}),
                vec!["transaction_id"],
            ),
            (
                json!({"transaction_id": id, "description": "sorry"}),
                vec!["description"],
            ),
        ];
        for (body, expected) in table {
            let errors = Fields::new(body.clone())
                .and_then(read)
                .err()
                .map(|p| p.errors)
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
