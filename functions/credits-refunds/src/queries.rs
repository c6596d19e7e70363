use serde::Deserialize;
use shared::credits::owner::CreditOwner;
use shared::credits::{Transaction, TransactionRow};
use shared::http::Idempotency;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::CreditTransactionId;
use shared::money::decimal_text::DecimalText;
use shared::money::{Currency, Money};
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{Input, Refusal};

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Refunded {
        // It is larger than all that the other answers have.
        transaction: Box<TransactionRow>,
    },
    Owned(CreditOwner),
    ExceedsRefundable {
        refundable: DecimalText,
        currency: Currency,
    },
    CurrencyMismatch {
        currency: Currency,
    },
    NotFound,
    IdempotencyKeyReused,
    Unauthenticated,
    Forbidden,
}

impl Answer {
    /// The problem that this answer stands for, when it is none of those that
    /// the statement gives on success.
    fn into_problem(self) -> Problem {
        match self {
            Self::ExceedsRefundable {
                refundable,
                currency,
            } => Refusal::ExceedsRefundable(Money::new(refundable.0, currency)).into(),
            Self::CurrencyMismatch { currency } => Refusal::CurrencyMismatch(currency).into(),
            Self::NotFound => Refusal::TransactionNotFound.into(),
            Self::IdempotencyKeyReused => Problem::idempotency_key_reused(),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::Forbidden => Problem::forbidden("credits:grant"),
            Self::Refunded { .. } | Self::Owned(_) => Problem::internal(),
        }
    }
}

/// Whose credits a transaction moved.
pub async fn owner(
    context: &Context,
    digest: TokenDigest,
    id: CreditTransactionId,
) -> Result<CreditOwner, Problem> {
    let parameters = [digest.0.to_vec().into(), id.as_uuid().into()];
    let sql = "SELECT credits_owner($1, NULL, $2)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Owned(owner) => Ok(owner),
        other => Err(other.into_problem()),
    }
}

pub async fn refund(
    context: &Context,
    digest: TokenDigest,
    idempotency: &Idempotency,
    id: CreditTransactionId,
    input: &Input,
) -> Result<Transaction, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        idempotency.key.clone().into(),
        idempotency.request_digest.to_vec().into(),
        id.as_uuid().into(),
        input.transaction_id.as_uuid().into(),
        input.money.map(Money::amount).into(),
        input
            .money
            .map(|money| money.currency().code().to_owned())
            .into(),
    ];
    let sql = "SELECT credits_refund($1, $2, $3, $4, $5, $6, $7)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Refunded { transaction } => Ok((*transaction).into()),
        other => Err(other.into_problem()),
    }
}
