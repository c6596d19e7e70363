use serde::Serialize;
use shared::cache;
use shared::cache_key::Scope;
use shared::context::Context;
use shared::credits::{self, Transaction};
use shared::fields::{self, Fields};
use shared::http::{Reply, Request};
use shared::ids::{CreditAccountId, CreditTransactionId, UserId};
use shared::money::Money;
use shared::problem::Problem;

use crate::queries;

/// A grant, as asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Input {
    pub user_id: UserId,
    pub money: Money,
    pub description: String,
}

#[derive(Serialize)]
struct Output {
    user_id: UserId,
    transaction: Transaction,
}

/// Why nothing was granted.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    Unauthenticated,
    Forbidden,
    UserNotFound,
    BalanceLimit,
    IdempotencyKeyReused,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthenticated => Self::unauthenticated(),
            Refusal::Forbidden => Self::forbidden("credits:grant"),
            Refusal::UserNotFound => Self::not_found("There is no user with this user_id."),
            Refusal::BalanceLimit => Self::invalid_field(
                "amount",
                "balance_limit",
                "would raise the account above the largest balance",
            ),
            Refusal::IdempotencyKeyReused => Self::idempotency_key_reused(),
        }
    }
}

fn read(mut fields: Fields) -> Result<Input, Problem> {
    let user_id = fields.required("user_id", fields::parsed);
    let money = fields::positive_money(&mut fields);
    let description = fields.optional("description", credits::description);
    fields.finish(|| {
        Some(Input {
            user_id: user_id?,
            money: money?,
            description: description?.unwrap_or_default(),
        })
    })
}

pub async fn grant(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (fields, body) = request.json_fields().await?;
    let input = read(fields)?;
    let idempotency = request.idempotency(&body)?;
    let ids = queries::NewIds {
        transaction: CreditTransactionId::new(context.now_millis(), &context.random()?),
        account: CreditAccountId::new(context.now_millis(), &context.random()?),
    };
    let scopes = [Scope::Credits(input.user_id)];
    let write = queries::grant(context, token.digest, &idempotency, ids, &input);
    let transaction = cache::during_write(context, &scopes, write).await?;
    Reply::json(
        201,
        &Output {
            user_id: input.user_id,
            transaction,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        let user = UserId::new(1, &[1; 10]).to_string();
        let table = [
            (
                json!({"user_id": user, "amount": "1.25", "currency": "USD"}),
                vec![],
            ),
            (json!({}), vec!["user_id", "amount", "currency"]),
            (
                json!({"user_id": "usr_1", "amount": "1", "currency": "USD"}),
                vec!["user_id"],
            ),
            (
                json!({"user_id": user.replace("usr", "org"), "amount": "1", "currency": "USD"}),
                vec!["user_id"],
            ),
            (
                json!({"user_id": user, "amount": "0", "currency": "USD"}),
                vec!["amount"],
            ),
            (
                json!({"user_id": user, "amount": 5, "currency": "USD"}),
                vec!["amount"],
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
