use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::time::Time;
use shared::store::db;
use shared::token::TokenDigest;

/// What components have counted of the cache.
#[derive(Debug, Deserialize)]
pub struct Counted {
    /// When the last hour and the last day began.
    pub hour_since: Time,
    pub day_since: Time,
    pub counts: Vec<Count>,
}

/// How often something happened to keys of one pattern.
#[derive(Debug, Deserialize)]
pub struct Count {
    /// Such as `cache_hits`.
    pub name: String,
    /// The pattern of the keys, or what else the store was asked for.
    pub label: String,
    pub last_hour: u64,
    pub last_day: u64,
    pub since_start: u64,
}

pub async fn counted(context: &Context, digest: TokenDigest) -> Result<Counted, Problem> {
    let parameters = [digest.0.to_vec().into()];
    let sql = "SELECT cache_stats($1)::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}

/// Nothing but the permission was asked for.
#[derive(Debug, Deserialize)]
struct Permitted {}

pub async fn check_permission(context: &Context, digest: TokenDigest) -> Result<(), Problem> {
    let parameters = [digest.0.to_vec().into()];
    let sql = "SELECT coalesce(refusal(authenticate($1), 'cache:read'), '{}')::text";
    let Permitted {} = db::call(context, sql, &parameters, db::no_refusal_of_its_own).await?;
    Ok(())
}
