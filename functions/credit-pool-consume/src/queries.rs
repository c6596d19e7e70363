use serde::Deserialize;
use shared::billing::org_billing::AllocationRow;
use shared::credits::TransactionRow;
use shared::http::Idempotency;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{CreditTransactionId, OrganizationId};
use shared::money::Money;
use shared::money::decimal_text::DecimalText;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{Input, Output, Refusal};

#[derive(Deserialize)]
struct Consumed {
    transaction: TransactionRow,
    allocation: AllocationRow,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Consumed(Box<Consumed>),
    AllocationRequired,
    AllocationExceeded { remaining: DecimalText },
    InsufficientCredits { available: DecimalText },
    TooManyUsageNames,
    IdempotencyKeyReused,
    NotFound,
    Unauthenticated,
    Forbidden,
}

pub async fn consume(
    context: &Context,
    digest: TokenDigest,
    idempotency: &Idempotency,
    id: CreditTransactionId,
    organization_id: OrganizationId,
    input: &Input,
) -> Result<Output, Problem> {
    let currency = input.money.currency();
    let parameters = [
        digest.0.to_vec().into(),
        idempotency.key.clone().into(),
        idempotency.request_digest.to_vec().into(),
        id.as_uuid().into(),
        organization_id.as_uuid().into(),
        currency.code().to_owned().into(),
        input.money.amount().into(),
        input.description.clone().into(),
        input.names.service.clone().into(),
        input.names.model.clone().into(),
    ];
    let sql = "SELECT credit_pool_consume($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)::text";
    let refusal = match db::call(context, sql, &parameters).await? {
        Answer::Consumed(consumed) => {
            return Ok(Output {
                transaction: consumed.transaction.into(),
                allocation: consumed.allocation.into(),
            });
        }
        Answer::AllocationRequired => Refusal::AllocationRequired,
        Answer::AllocationExceeded { remaining } => Refusal::AllocationExceeded {
            remaining: Money::new(remaining.0, currency),
        },
        Answer::InsufficientCredits { available } => Refusal::InsufficientCredits {
            available: Money::new(available.0, currency),
        },
        Answer::TooManyUsageNames => Refusal::TooManyUsageNames,
        Answer::IdempotencyKeyReused => Refusal::IdempotencyKeyReused,
        Answer::NotFound => Refusal::NotFound,
        Answer::Unauthenticated => Refusal::Unauthenticated,
        Answer::Forbidden => Refusal::Forbidden,
    };
    Err(refusal.into())
}
