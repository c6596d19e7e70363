use serde::Deserialize;
use shared::credits::{Transaction, TransactionRow};
use shared::http::Idempotency;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::CreditTransactionId;
use shared::money::Money;
use shared::money::decimal_text::DecimalText;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{Input, Refusal};

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    // It is larger than all that the other answers have.
    Consumed { transaction: Box<TransactionRow> },
    InsufficientCredits { available: DecimalText },
    TooManyUsageNames,
    IdempotencyKeyReused,
    Unauthenticated,
    Forbidden,
}

pub async fn consume(
    context: &Context,
    digest: TokenDigest,
    idempotency: &Idempotency,
    id: CreditTransactionId,
    input: &Input,
) -> Result<Transaction, Problem> {
    let currency = input.money.currency();
    let parameters = [
        digest.0.to_vec().into(),
        idempotency.key.clone().into(),
        idempotency.request_digest.to_vec().into(),
        id.as_uuid().into(),
        currency.code().to_owned().into(),
        input.money.amount().into(),
        input.description.clone().into(),
        input.names.service.clone().into(),
        input.names.model.clone().into(),
    ];
    let answer = db::call(
        context,
        "SELECT credits_consume($1, $2, $3, $4, $5, $6, $7, $8, $9)::text",
        &parameters,
    )
    .await?;
    let refusal = match answer {
        Answer::Consumed { transaction } => return Ok((*transaction).into()),
        Answer::InsufficientCredits { available } => Refusal::InsufficientCredits {
            available: Money::new(available.0, currency),
        },
        Answer::TooManyUsageNames => Refusal::TooManyUsageNames,
        Answer::IdempotencyKeyReused => Refusal::IdempotencyKeyReused,
        Answer::Unauthenticated => Refusal::Unauthenticated,
        Answer::Forbidden => Refusal::Forbidden,
    };
    Err(refusal.into())
}
