use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db;
use shared::token::TokenDigest;

/// Months ahead whose partitions are made, the current one aside: the scheduler may
/// fail for as long, and no event goes to the default partition.
const MONTHS_AHEAD: i32 = 4;

/// Months that events are kept beyond the current one: a year to compare with, and
/// the month that is being invoiced.
const RETENTION_MONTHS: i32 = 13;

/// What upkeep did.
#[derive(Debug, Default, Deserialize)]
pub struct Upkeep {
    pub created: Vec<String>,
    pub dropped: Vec<String>,
    pub missing: Vec<String>,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Done(Upkeep),
    Busy,
    Unauthenticated,
    Forbidden,
}

/// Does what is to be done; `None` when another call is doing it.
pub async fn run(context: &Context, digest: TokenDigest) -> Result<Option<Upkeep>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        MONTHS_AHEAD.into(),
        RETENTION_MONTHS.into(),
    ];
    match db::call(
        context,
        "SELECT usage_upkeep($1, $2, $3)::text",
        &parameters,
    )
    .await?
    {
        Answer::Done(upkeep) => Ok(Some(upkeep)),
        Answer::Busy => Ok(None),
        Answer::Unauthenticated => Err(Problem::unauthenticated()),
        Answer::Forbidden => Err(Problem::forbidden("usage:upkeep")),
    }
}
