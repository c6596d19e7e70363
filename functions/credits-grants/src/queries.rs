use serde::Deserialize;
use shared::context::Context;
use shared::credits::{Transaction, TransactionRow};
use shared::db;
use shared::http::Idempotency;
use shared::ids::{CreditAccountId, CreditTransactionId};
use shared::problem::Problem;
use shared::token::TokenDigest;

use crate::handler::{Input, Refusal};

/// Ids for the rows that the grant may create. They are drawn before the
/// statement, so that sending it twice creates nothing twice.
pub struct NewIds {
    pub transaction: CreditTransactionId,
    pub account: CreditAccountId,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Granted { transaction: TransactionRow },
    UserNotFound,
    BalanceLimit,
    IdempotencyKeyReused,
    Unauthenticated,
    Forbidden,
}

pub async fn grant(
    context: &Context,
    digest: TokenDigest,
    idempotency: &Idempotency,
    ids: NewIds,
    input: &Input,
) -> Result<Transaction, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        idempotency.key.clone().into(),
        idempotency.request_digest.to_vec().into(),
        ids.transaction.as_uuid().into(),
        ids.account.as_uuid().into(),
        input.user_id.as_uuid().into(),
        input.money.currency().code().to_owned().into(),
        input.money.amount().into(),
        input.description.clone().into(),
    ];
    let answer = db::call(
        context,
        "SELECT credits_grant($1, $2, $3, $4, $5, $6, $7, $8, $9)::text",
        &parameters,
    )
    .await?;
    let refusal = match answer {
        Answer::Granted { transaction } => return Ok(transaction.into()),
        Answer::UserNotFound => Refusal::UserNotFound,
        Answer::BalanceLimit => Refusal::BalanceLimit,
        Answer::IdempotencyKeyReused => Refusal::IdempotencyKeyReused,
        Answer::Unauthenticated => Refusal::Unauthenticated,
        Answer::Forbidden => Refusal::Forbidden,
    };
    Err(refusal.into())
}
