//! `GET /api/v1/usage/summary` as a native service would have it: the same SQL function, and
//! answers kept by token and query. Its cache knows nothing of new events, since none come while
//! it is measured.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use chrono::{DateTime, NaiveDateTime};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shared::http::problem::Problem;
use shared::token::TokenDigest;

use super::native_baseline::{Call, Service, access_token, json_bytes, query_parameter};

/// As the component: how long an answer is cached.
const TTL: Duration = Duration::from_secs(300);

/// Bytes of cached answers at most, as many as the host's store has for all.
const MAX_CACHED_BYTES: u64 = 256 * 1024 * 1024;

/// As the component: most buckets of a range, most of all groups together, and most events and
/// most series of levels that an answer is computed from.
const MAX_BUCKETS: i32 = 800;
const MAX_CELLS: i32 = 10_000;
const MAX_EVENTS: i32 = 100_000;
const MAX_SERIES: i32 = 10_000;

/// The answers that are kept.
pub(super) struct Summaries(Cache<(TokenDigest, String), Bytes>);

impl Summaries {
    pub(super) fn new() -> Self {
        let cache = Cache::builder()
            .weigher(|(_, query): &(TokenDigest, String), json: &Bytes| {
                u32::try_from(query.len() + json.len()).unwrap_or(u32::MAX)
            })
            .max_capacity(MAX_CACHED_BYTES)
            .time_to_live(TTL)
            .build();
        Self(cache)
    }
}

/// A group's values and its cells.
#[derive(Deserialize)]
struct FoundGroup(Vec<Box<RawValue>>, Vec<Cell>);

/// A bucket of a group: its number from 1, or 0 for the whole range, the events and the value.
#[derive(Deserialize)]
struct Cell(usize, u64, Option<String>);

#[derive(Deserialize)]
struct Found {
    aggregation: String,
    time_zone: String,
    since: String,
    until: String,
    starts: Vec<String>,
    groups: Vec<FoundGroup>,
}

#[derive(Clone, Serialize)]
struct Bucket<'a> {
    starts_at: &'a str,
    ends_at: &'a str,
    value: Option<&'a str>,
    events: u64,
}

#[derive(Serialize)]
struct Group<'a> {
    group: BTreeMap<&'a str, &'a RawValue>,
    value: Option<&'a str>,
    events: u64,
    buckets: Vec<Bucket<'a>>,
}

#[derive(Serialize)]
struct Output<'a> {
    meter: &'a str,
    aggregation: &'a str,
    interval: &'a str,
    time_zone: &'a str,
    since: &'a str,
    until: &'a str,
    groups: Vec<Group<'a>>,
}

pub(super) async fn summary(
    service: &Service,
    call: &mut Call,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<Response, Problem> {
    let token = access_token(headers)?;
    let key = (token.digest, uri.query().unwrap_or_default().to_owned());
    if let Some(json) = service.summaries.0.get(&key) {
        call.cache = "hit";
        return Ok(json_bytes(json));
    }
    call.cache = "miss";

    let parameter = |name| query_parameter(uri, name);
    let meter = parameter("meter")
        .ok_or_else(|| Problem::invalid_parameter("meter", "required", "is required"))?;
    let interval = parameter("interval").unwrap_or_else(|| "day".to_owned());
    let names: Vec<String> = parameter("group_by")
        .map(|text| text.split(',').map(str::to_owned).collect())
        .unwrap_or_default();
    let (since, until) = (time(uri, "since")?, time(uri, "until")?);
    let found: Found = service
        .ask(
            call,
            "SELECT usage_summary($1, $2, $3::text::timestamp, $4::text::timestamp, false, false,
                                  $5, $6, $7, $8, $9, $10, $11, $12)::text",
            &[
                &token.digest.0.as_slice(),
                &meter,
                &since,
                &until,
                &interval,
                &parameter("timezone"),
                &parameter("subject"),
                &names,
                &MAX_BUCKETS,
                &MAX_CELLS,
                &MAX_EVENTS,
                &MAX_SERIES,
            ],
        )
        .await?;
    let json = serde_json::to_vec(&Output {
        meter: &meter,
        aggregation: &found.aggregation,
        interval: &interval,
        time_zone: &found.time_zone,
        since: &found.since,
        until: &found.until,
        groups: groups(&found, &names),
    });
    let json = Bytes::from(json.map_err(|_| Problem::internal())?);
    service.summaries.0.insert(key, json.clone());
    Ok(json_bytes(json))
}

/// A time as Postgres takes it.
fn time(uri: &Uri, name: &'static str) -> Result<Option<String>, Problem> {
    query_parameter(uri, name)
        .map(|text| {
            DateTime::parse_from_rfc3339(&text)
                .map(|time| NaiveDateTime::to_string(&time.naive_utc()))
                .map_err(|_| {
                    Problem::invalid_parameter(name, "invalid", "must be an RFC 3339 time")
                })
        })
        .transpose()
}

/// The groups in the order of their values, each with every bucket of the range.
fn groups<'a>(found: &'a Found, names: &'a [String]) -> Vec<Group<'a>> {
    let is_sum = matches!(
        found.aggregation.as_str(),
        "count" | "sum" | "unique_count" | "time_weighted_sum"
    );
    let nothing = is_sum.then_some("0");
    let ends = found.starts.iter().skip(1).chain([&found.until]);
    let buckets: Vec<_> = found
        .starts
        .iter()
        .zip(ends)
        .map(|(starts_at, ends_at)| Bucket {
            starts_at,
            ends_at,
            value: nothing,
            events: 0,
        })
        .collect();
    let mut groups: BTreeMap<Vec<&str>, Group<'a>> = BTreeMap::new();
    for FoundGroup(values, cells) in &found.groups {
        let mut group = Group {
            group: names
                .iter()
                .map(String::as_str)
                .zip(values.iter().map(AsRef::as_ref))
                .collect(),
            value: nothing,
            events: 0,
            buckets: buckets.clone(),
        };
        for Cell(number, events, value) in cells {
            let place = match number.checked_sub(1) {
                None => Some((&mut group.value, &mut group.events)),
                Some(at) => group
                    .buckets
                    .get_mut(at)
                    .map(|bucket| (&mut bucket.value, &mut bucket.events)),
            };
            if let Some(place) = place {
                *place.0 = value.as_deref();
                *place.1 = *events;
            }
        }
        let texts = values.iter().map(|value| value.get()).collect();
        groups.insert(texts, group);
    }
    groups.into_values().collect()
}
