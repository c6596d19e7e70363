use shared::credits::{self, HoldState};
use shared::http::Idempotency;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{CreditHoldId, CreditTransactionId};
use shared::money::Money;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{
    HOLD_NOT_OPEN, Held, HoldSettled, HoldShown, NewHold, TOO_MANY_OPEN_HOLDS,
};

/// How long a hold lives when the caller does not say: a quarter of an hour.
const DEFAULT_TTL_SECS: i32 = 15 * 60;

/// Ids for the transactions that settling a hold can come to. They are drawn
/// before the statement, so that sending it twice moves nothing twice.
pub struct SettlementIds {
    pub capture: CreditTransactionId,
    pub release: CreditTransactionId,
    pub excess: CreditTransactionId,
}

/// 404: the caller has no hold with the id.
pub fn not_found() -> Problem {
    Problem::not_found("You have no hold with this id.")
}

fn refuse(refused: &Refused) -> Option<Problem> {
    match refused.code.as_str() {
        "not_found" => Some(not_found()),
        "hold_not_open" => refused.fact("state").map(not_open),
        "too_many_open_holds" => Some(
            TOO_MANY_OPEN_HOLDS
                .because("Nothing was held. Capture or release a hold, or wait until one expires."),
        ),
        "too_many_usage_names" => Some(credits::too_many_usage_names()),
        "insufficient_credits" => refused.fact("available").map(credits::insufficient),
        "currency_mismatch" => refused.fact("currency").map(credits::currency_mismatch),
        _ => None,
    }
}

fn not_open(state: HoldState) -> Problem {
    let state = state.as_str();
    HOLD_NOT_OPEN.because(format!("The hold is {state}; nothing was changed."))
}

pub async fn hold(
    context: &Context,
    digest: TokenDigest,
    idempotency: &Idempotency,
    transaction_id: CreditTransactionId,
    id: CreditHoldId,
    hold: NewHold,
) -> Result<Held, Problem> {
    let ttl_secs = hold.ttl_secs.and_then(|given| i32::try_from(given.0).ok());
    let parameters = [
        digest.0.to_vec().into(),
        idempotency.key.clone().into(),
        idempotency.request_digest.to_vec().into(),
        transaction_id.as_uuid().into(),
        id.as_uuid().into(),
        hold.currency.code().to_owned().into(),
        hold.amount.0.into(),
        hold.description
            .map_or_else(String::new, String::from)
            .into(),
        ttl_secs.unwrap_or(DEFAULT_TTL_SECS).into(),
        hold.service.map(String::from).into(),
        hold.model.map(String::from).into(),
    ];
    let sql = "SELECT credits_hold($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn find(
    context: &Context,
    digest: TokenDigest,
    id: CreditHoldId,
) -> Result<HoldShown, Problem> {
    let parameters = [digest.0.to_vec().into(), id.as_uuid().into()];
    let sql = "SELECT credits_hold_find($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

/// Captures `money` of the hold; releases it whole when there is none.
pub async fn settle(
    context: &Context,
    digest: TokenDigest,
    idempotency: &Idempotency,
    id: CreditHoldId,
    money: Option<Money>,
    ids: SettlementIds,
) -> Result<HoldSettled, Problem> {
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
    db::call(context, sql, &parameters, refuse).await
}
