//! A spend from the pool is bounded twice: by what the pool has, and by what the
//! caller may take of it in a period. Both are decided under lock.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::{CreditTransactionId, OrganizationId};
use shared::organizations;
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::operations::PoolSpend;
use crate::queries;

pub async fn consume(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id: OrganizationId = request.named("id", organizations::not_found)?;
    let (spend, body) = request.json::<PoolSpend>().await?;
    let idempotency = request.idempotency(&body)?;
    let id = CreditTransactionId::new(context.now_millis(), &context.random()?);
    let scopes = [Scope::Pool(organization_id)];
    let write = queries::consume(
        context,
        token.digest,
        &idempotency,
        id,
        organization_id,
        spend,
    );
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
        let table = [
            (json!({"amount": "1.25", "currency": "USD"}), vec![]),
            (
                json!({"amount": "1", "currency": "JPY", "description": "call", "service": "chat", "model": "m"}),
                vec![],
            ),
            (json!({}), vec!["amount", "currency"]),
            (json!({"amount": "0", "currency": "USD"}), vec!["amount"]),
            (json!({"amount": "1", "currency": "XYZ"}), vec!["currency"]),
            (
                json!({"amount": "1", "currency": "USD", "service": "", "model": "m\n"}),
                vec!["service", "model"],
            ),
            (
                json!({"amount": "1", "currency": "USD", "user_id": "usr_x"}),
                vec!["user_id"],
            ),
        ];
        for (body, expected) in table {
            let errors = input::value_at::<PoolSpend>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
