use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::CreditTransactionId;
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::operations::Spend;
use crate::queries;

pub async fn consume(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (spend, body) = request.json::<Spend>().await?;
    let idempotency = request.idempotency(&body)?;
    let id = CreditTransactionId::new(context.now_millis(), &context.random()?);
    let scopes = [Scope::Credits(token.owner)];
    let write = queries::consume(context, &token, &idempotency, id, spend);
    let consumed = cache::during_write(context, &scopes, write).await?;
    Reply::json(201, &consumed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input;

    use super::*;

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
            let errors = input::value_at::<Spend>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
