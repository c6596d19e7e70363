use shared::billing::account;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::BillingAccountId;
use shared::store::db;
use shared::token::TokenDigest;

use crate::facts::Facts;

/// Most values of a charge with a price for each: as many as its prices can have.
const MAX_CELLS: i32 = 1_000;

/// Most rows of usage that one charge is computed from, where sums do not do.
const MAX_EVENTS: i32 = 100_000;

/// Most series of levels that one charge is computed from.
const MAX_SERIES: i32 = 10_000;

/// What the account's subscriptions have of their open periods.
pub async fn read(
    context: &Context,
    digest: TokenDigest,
    id: BillingAccountId,
) -> Result<Facts, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        MAX_CELLS.into(),
        MAX_EVENTS.into(),
        MAX_SERIES.into(),
    ];
    let sql = "SELECT account_spend_read($1, $2, $3, $4, $5)::text";
    db::call(context, sql, &parameters, account::refuse).await
}
