//! A refund goes to the grants that the transaction took from, to the last one
//! first.
//!
//! It takes two statements. The first says whose transaction it is, a person's or a
//! pool's, so that their cached balances are marked before the second changes them.
//! If the process died between its commit and its acknowledgement, the mark is what
//! keeps the old balance from being served.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::CreditTransactionId;
use shared::store::cache;

use crate::operations::Refund;
use crate::queries;

pub async fn refund(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (refund, body) = request.json::<Refund>().await?;
    let idempotency = request.idempotency(&body)?;
    let id = CreditTransactionId::new(context.now_millis(), &context.random()?);
    let owner = queries::owner(context, token.digest, refund.transaction_id).await?;
    let scopes = [owner.scope()];
    let write = queries::refund(context, token.digest, &idempotency, id, &refund);
    let refunded = cache::during_write(context, &scopes, write).await?;
    Reply::json(201, &refunded)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input;

    use super::*;

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
            let errors = input::value_at::<Refund>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
