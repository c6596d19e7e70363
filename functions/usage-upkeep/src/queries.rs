use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db;
use shared::token::TokenDigest;

use crate::operations::UsageUpkeep;

/// Months ahead whose partitions are made, the current one aside: the scheduler may
/// fail for as long, and no event goes to the default partition.
const MONTHS_AHEAD: i32 = 4;

/// Months that events are kept beyond the current one: a year to compare with, and
/// the month that is being invoiced.
const RETENTION_MONTHS: i32 = 13;

/// What was posted of credits.
#[derive(Debug, Deserialize)]
pub struct SettledCredits {
    pub settled_accounts: u32,
    pub failed_accounts: u32,
}

/// What was settled of entitlements.
#[derive(Debug, Deserialize)]
pub struct SettledEntitlements {
    pub settled_entitlements: u32,
    pub failed_entitlements: u32,
}

/// Posts what has fallen due of credits, for a second at most.
pub async fn settle_credits(
    context: &Context,
    digest: TokenDigest,
) -> Result<SettledCredits, Problem> {
    let parameters = [digest.0.to_vec().into()];
    let sql = "CALL credits_settle($1, NULL)";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}

/// Adds up what was used of entitlements and is final, for a second at most.
pub async fn settle_entitlements(
    context: &Context,
    digest: TokenDigest,
) -> Result<SettledEntitlements, Problem> {
    let parameters = [digest.0.to_vec().into()];
    let sql = "CALL entitlements_settle($1, NULL)";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}

/// Does what is to be done, unless another call is doing it.
pub async fn run(context: &Context, digest: TokenDigest) -> Result<UsageUpkeep, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        MONTHS_AHEAD.into(),
        RETENTION_MONTHS.into(),
    ];
    let sql = "SELECT usage_upkeep($1, $2, $3)::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}
