use serde::Deserialize;
use shared::credits::{Hold, HoldRow, Transaction, TransactionRow};
use shared::http::Idempotency;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{CreditHoldId, CreditTransactionId};
use shared::money::decimal_text::DecimalText;
use shared::money::{Currency, Money};
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{Input, Refusal};

/// Ids for the transactions that settling a hold can come to. They are drawn
/// before the statement, so that sending it twice moves nothing twice.
pub struct SettlementIds {
    pub capture: CreditTransactionId,
    pub release: CreditTransactionId,
    pub excess: CreditTransactionId,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Held {
        hold: HoldRow,
        // It is larger than all that the other answers have.
        transaction: Box<TransactionRow>,
    },
    Settled {
        hold: HoldRow,
        transactions: Vec<TransactionRow>,
    },
    Found {
        hold: HoldRow,
    },
    NotFound,
    HoldNotOpen {
        state: String,
    },
    TooManyOpenHolds,
    TooManyUsageNames,
    InsufficientCredits {
        available: DecimalText,
        currency: Currency,
    },
    CurrencyMismatch {
        currency: Currency,
    },
    IdempotencyKeyReused,
    Unauthenticated,
    Forbidden,
}

impl Answer {
    /// The problem that this answer stands for, when it is none of those that
    /// the statement gives on success.
    fn into_problem(self) -> Problem {
        match self {
            Self::NotFound => Refusal::HoldNotFound.into(),
            Self::HoldNotOpen { state } => Refusal::HoldNotOpen { state }.into(),
            Self::TooManyOpenHolds => Refusal::TooManyOpenHolds.into(),
            Self::TooManyUsageNames => Refusal::TooManyUsageNames.into(),
            Self::InsufficientCredits {
                available,
                currency,
            } => Refusal::InsufficientCredits {
                available: Money::new(available.0, currency),
            }
            .into(),
            Self::CurrencyMismatch { currency } => Refusal::CurrencyMismatch(currency).into(),
            Self::IdempotencyKeyReused => Problem::idempotency_key_reused(),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::Forbidden => Problem::forbidden("credits:consume"),
            Self::Held { .. } | Self::Settled { .. } | Self::Found { .. } => Problem::internal(),
        }
    }
}

pub async fn hold(
    context: &Context,
    digest: TokenDigest,
    idempotency: &Idempotency,
    transaction_id: CreditTransactionId,
    id: CreditHoldId,
    input: &Input,
) -> Result<(Hold, Transaction), Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        idempotency.key.clone().into(),
        idempotency.request_digest.to_vec().into(),
        transaction_id.as_uuid().into(),
        id.as_uuid().into(),
        input.money.currency().code().to_owned().into(),
        input.money.amount().into(),
        input.description.clone().into(),
        input.ttl_secs.into(),
        input.names.service.clone().into(),
        input.names.model.clone().into(),
    ];
    let sql = "SELECT credits_hold($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Held { hold, transaction } => Ok((hold.into(), (*transaction).into())),
        other => Err(other.into_problem()),
    }
}

pub async fn find(
    context: &Context,
    digest: TokenDigest,
    id: CreditHoldId,
) -> Result<Hold, Problem> {
    let parameters = [digest.0.to_vec().into(), id.as_uuid().into()];
    let sql = "SELECT credits_hold_find($1, $2)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Found { hold } => Ok(hold.into()),
        other => Err(other.into_problem()),
    }
}

/// Captures `money` of the hold; releases it whole when there is none.
pub async fn settle(
    context: &Context,
    digest: TokenDigest,
    idempotency: &Idempotency,
    id: CreditHoldId,
    money: Option<Money>,
    ids: SettlementIds,
) -> Result<(Hold, Vec<Transaction>), Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        idempotency.key.clone().into(),
        idempotency.request_digest.to_vec().into(),
        id.as_uuid().into(),
        money.map(Money::amount).into(),
        money.map(|money| money.currency().code().to_owned()).into(),
        ids.capture.as_uuid().into(),
        ids.release.as_uuid().into(),
        ids.excess.as_uuid().into(),
    ];
    let sql = "SELECT credits_hold_settle($1, $2, $3, $4, $5, $6, $7, $8, $9)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Settled { hold, transactions } => Ok((
            hold.into(),
            transactions.into_iter().map(Into::into).collect(),
        )),
        other => Err(other.into_problem()),
    }
}
