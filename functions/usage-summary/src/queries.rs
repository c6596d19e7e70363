use serde::Deserialize;
use serde_json::Value;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::OrganizationId;
use shared::store::db;
use shared::token::TokenDigest;

use crate::parameters::{Bound, Query};

/// Most buckets of a range: a leap year of days, or 31 days of hours and a few more.
const MAX_BUCKETS: i32 = 800;

/// Most buckets of all groups together: at about 120 bytes each an answer of 1.2 MB.
const MAX_CELLS: i32 = 10_000;

/// Most events, or distinct values, that an answer is computed from when no sums can
/// be kept: reading 100,000 takes some 200 ms.
const MAX_EVENTS: i32 = 100_000;

/// What a group amounts to in a bucket: the bucket's number from 1, or 0 for the
/// whole range, the values of the group, the events, and the value.
#[derive(Debug, Deserialize)]
pub struct Cell(pub usize, pub Vec<Value>, pub u64, pub Option<String>);

/// What the statement found.
#[derive(Debug, Deserialize)]
pub struct Found {
    pub organization_id: OrganizationId,
    pub token_expires_millis: u64,
    /// The next quarter of an hour: a range that ends today, or begins with the month,
    /// may be another then.
    pub valid_until_millis: u64,
    pub aggregation: String,
    pub time_zone: String,
    pub since: String,
    pub until: String,
    /// Where each bucket begins; it ends where the next one begins.
    pub starts: Vec<String>,
    pub cells: Vec<Cell>,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Found(Found),
    MeterNotFound,
    TimeZoneUnknown,
    RangeEmpty,
    RangeTooLong,
    GroupUnknown,
    TooManyEvents,
    TooManyCells,
    Unauthenticated,
    Forbidden,
}

fn refused(name: &'static str, code: &'static str, message: String) -> Problem {
    Problem::invalid_parameter(name, code, message)
}

/// What the meter counted.
pub async fn summary(
    context: &Context,
    digest: TokenDigest,
    query: &Query,
) -> Result<Found, Problem> {
    let is_local = |bound: Option<Bound>| bound.is_some_and(|bound| bound.is_local);
    let parameters = [
        digest.0.to_vec().into(),
        query.meter.clone().into(),
        query.since.map(|bound| bound.time).into(),
        query.until.map(|bound| bound.time).into(),
        is_local(query.since).into(),
        is_local(query.until).into(),
        query.interval.to_owned().into(),
        query.time_zone.clone().into(),
        query.subject.clone().into(),
        query.group_by.clone().into(),
        MAX_BUCKETS.into(),
        MAX_CELLS.into(),
        MAX_EVENTS.into(),
    ];
    let sql = "SELECT usage_summary($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)::text";
    Err(match db::call(context, sql, &parameters).await? {
        Answer::Found(found) => return Ok(found),
        Answer::MeterNotFound => {
            Problem::not_found("The organization has no meter with this name.")
        }
        Answer::TimeZoneUnknown => refused(
            "timezone",
            "unknown",
            "must be the name of a zone, such as Europe/Berlin".to_owned(),
        ),
        Answer::RangeEmpty => refused("until", "too_early", "must be later than since".to_owned()),
        Answer::RangeTooLong => refused(
            "until",
            "range_too_long",
            format!("must be less than {MAX_BUCKETS} intervals after since"),
        ),
        Answer::GroupUnknown => refused(
            "group_by",
            "unknown",
            "must be among the properties that the meter groups by".to_owned(),
        ),
        Answer::TooManyEvents => refused(
            "until",
            "too_many_events",
            format!(
                "the range has more than {MAX_EVENTS} events, from which this meter is computed: ask for a shorter one"
            ),
        ),
        Answer::TooManyCells => refused(
            "group_by",
            "too_many_buckets",
            format!(
                "the answer would have more than {MAX_CELLS} buckets: ask for fewer, or for less time"
            ),
        ),
        Answer::Unauthenticated => Problem::unauthenticated(),
        Answer::Forbidden => Problem::forbidden("usage:read"),
    })
}
