use serde::Deserialize;
use serde_json::value::RawValue;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::time::Time;
use shared::ids::OrganizationId;
use shared::metering::{Aggregation, MeterName, UsageBound, UsageQuantity};
use shared::organizations::TimeZone;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::canonical::DEFAULT_INTERVAL;
use crate::operations::UsageSummaryQuery;

/// Most buckets of a range: a leap year of days, or 31 days of hours and a few more.
const MAX_BUCKETS: i32 = 800;

/// Most buckets of all groups together: at about 120 bytes each an answer of 1.2 MB.
const MAX_CELLS: i32 = 10_000;

/// Most distinct values, or changes of levels, that an answer is computed from when no
/// sums can be kept: reading 100,000 takes some 200 ms.
const MAX_EVENTS: i32 = 100_000;

/// Most series of levels that are looked up: with keys of a kilobyte, and as many levels as
/// may be, 10,000 take 0.65 of the 1.5 seconds that a statement has.
const MAX_SERIES: i32 = 10_000;

/// A group: its values, as the JSON that they are, and its cells. A number would be a float
/// as a value of JSON.
#[derive(Debug, Deserialize)]
pub struct FoundGroup(pub Vec<Box<RawValue>>, pub Vec<Cell>);

/// What a group amounts to in a bucket: the bucket's number from 1, or 0 for the
/// whole range, the events, and the value.
#[derive(Debug, Deserialize)]
pub struct Cell(pub usize, pub u64, pub Option<UsageQuantity>);

/// What the statement found.
#[derive(Debug, Deserialize)]
pub struct Found {
    pub organization_id: OrganizationId,
    pub token_expires_millis: u64,
    /// The next quarter of an hour: a range that ends today, or begins with the month,
    /// may be another then.
    pub valid_until_millis: u64,
    pub meter: MeterName,
    pub aggregation: Aggregation,
    pub time_zone: TimeZone,
    pub since: Time,
    pub until: Time,
    /// Where each bucket begins; it ends where the next one begins.
    pub starts: Vec<Time>,
    /// Those of all groups together.
    pub events: u64,
    /// No two have equal values.
    pub groups: Vec<FoundGroup>,
}

fn refuse(refused: &Refused) -> Option<Problem> {
    let invalid = |name: &'static str, code, message: &'static str| {
        Problem::invalid_parameter(name, code, message)
    };
    Some(match refused.code.as_str() {
        "not_found" => Problem::not_found("The organization has no meter with this name."),
        "time_zone_unknown" => invalid(
            "timezone",
            "unknown",
            "must be the name of a zone, such as Europe/Berlin",
        ),
        "range_empty" => invalid("until", "too_early", "must be later than since"),
        "range_too_long" => Problem::invalid_parameter(
            "until",
            "too_many_intervals",
            format!("must be less than {MAX_BUCKETS} intervals after since"),
        ),
        "group_unknown" => invalid(
            "group_by",
            "unknown",
            "must be among the properties that the meter groups by",
        ),
        "too_many_events" => Problem::invalid_parameter(
            "until",
            "too_many_events",
            format!(
                "the range has more than {MAX_EVENTS} events, from which this meter is computed: ask for a shorter one, or for one subject"
            ),
        ),
        "too_many_series" => Problem::invalid_parameter(
            "subject",
            "too_many_series",
            format!(
                "the meter has levels of more than {MAX_SERIES} subjects and groups: ask for one subject"
            ),
        ),
        "too_many_cells" => Problem::invalid_parameter(
            "group_by",
            "too_many_buckets",
            format!(
                "the answer would have more than {MAX_CELLS} buckets: ask for fewer, or for less time"
            ),
        ),
        _ => return None,
    })
}

/// What the meter counted.
pub async fn summary(
    context: &Context,
    digest: TokenDigest,
    query: UsageSummaryQuery,
) -> Result<Found, Problem> {
    let is_local = |bound: Option<UsageBound>| bound.is_some_and(|bound| bound.is_local);
    let group_by = query.group_by.map(|names| names.0).unwrap_or_default();
    let parameters = [
        digest.0.to_vec().into(),
        String::from(query.meter).into(),
        query.since.map(|bound| bound.time).into(),
        query.until.map(|bound| bound.time).into(),
        is_local(query.since).into(),
        is_local(query.until).into(),
        query
            .interval
            .unwrap_or(DEFAULT_INTERVAL)
            .name()
            .to_owned()
            .into(),
        query.timezone.map(String::from).into(),
        query.subject.map(String::from).into(),
        group_by.into(),
        MAX_BUCKETS.into(),
        MAX_CELLS.into(),
        MAX_EVENTS.into(),
        MAX_SERIES.into(),
    ];
    let sql =
        "SELECT usage_summary($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)::text";
    db::call(context, sql, &parameters, refuse).await
}
