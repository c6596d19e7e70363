use serde::Serialize;
use shared::credits::{self, Transaction, UsageNames};
use shared::http::context::Context;
use shared::http::fields::{self, Fields};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::CreditTransactionId;
use shared::money::Money;
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::queries;

/// A spend, as asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Input {
    pub money: Money,
    pub description: String,
    pub names: UsageNames,
}

#[derive(Serialize)]
struct Output {
    transaction: Transaction,
}

/// Why credits were not spent.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    Unauthenticated,
    Forbidden,
    InsufficientCredits { available: Money },
    TooManyUsageNames,
    IdempotencyKeyReused,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthenticated => Self::unauthenticated(),
            Refusal::Forbidden => Self::forbidden("credits:consume"),
            Refusal::IdempotencyKeyReused => Self::idempotency_key_reused(),
            Refusal::InsufficientCredits { available } => credits::insufficient(available),
            Refusal::TooManyUsageNames => credits::too_many_usage_names(),
        }
    }
}

fn read(mut fields: Fields) -> Result<Input, Problem> {
    let money = fields::positive_money(&mut fields);
    let description = fields.optional("description", credits::description);
    let names = UsageNames::read(&mut fields);
    fields.finish(|| {
        Some(Input {
            money: money?,
            description: description?.unwrap_or_default(),
            names: names?,
        })
    })
}

pub async fn consume(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (fields, body) = request.json_fields().await?;
    let input = read(fields)?;
    let idempotency = request.idempotency(&body)?;
    let id = CreditTransactionId::new(context.now_millis(), &context.random()?);
    let scopes = [Scope::Credits(token.owner)];
    let write = queries::consume(context, token.digest, &idempotency, id, &input);
    let transaction = cache::during_write(context, &scopes, write).await?;
    Reply::json(201, &Output { transaction })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        let twenty_nine_digits = "1".repeat(29);
        let table = [
            (json!({"amount": "1.25", "currency": "USD"}), vec![]),
            (
                json!({"amount": "0.000000001", "currency": "JPY", "description": "call"}),
                vec![],
            ),
            (
                json!({"amount": "1", "currency": "USD", "service": "chat", "model": "small"}),
                vec![],
            ),
            (
                json!({"amount": "1", "currency": "USD", "service": "", "model": "a\tb"}),
                vec!["service", "model"],
            ),
            (json!({}), vec!["amount", "currency"]),
            (json!({"amount": "-1", "currency": "USD"}), vec!["amount"]),
            (
                json!({"amount": "0.0000000001", "currency": "USD"}),
                vec!["amount"],
            ),
            (
                json!({"amount": twenty_nine_digits, "currency": "USD"}),
                vec!["amount"],
            ),
            (json!({"amount": "1e3", "currency": "USD"}), vec!["amount"]),
            (json!({"amount": "1", "currency": "XYZ"}), vec!["currency"]),
            (
                json!({"amount": "1", "currency": "USD", "description": "d".repeat(501)}),
                vec!["description"],
            ),
            (
                json!({"amount": "1", "currency": "USD", "user_id": "usr_x"}),
                vec!["user_id"],
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
