//! What the modules about usage share.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use turnpike_tests::{Api, Call, TestHost, User};

/// The path that takes events.
pub const EVENTS: &str = "/api/v1/usage/events";
/// The path of the organization's meters.
pub const METERS: &str = "/api/v1/meters";
/// The path of what a meter counted.
pub const SUMMARY: &str = "/api/v1/usage/summary";
/// The path of what is closed, before the organization's id.
pub const CLOSED_PERIODS: &str = "/api/v1/usage/closed-periods";
/// The path that makes partitions.
pub const UPKEEP: &str = "/api/v1/usage/upkeep";

/// A request that sends events.
pub fn send_call(api: &Api, token: &str, events: &Value) -> Call {
    api.post(EVENTS).bearer(token).json(events)
}

/// Sends events; returns how many were accepted, duplicates and rejected.
pub async fn send(host: &TestHost, token: &str, events: &Value) -> [u64; 3] {
    let response = send_call(host, token, events).settle().await.expect(200);
    let body = response.json();
    ["accepted", "duplicate", "rejected"].map(|name| body[name].as_u64().unwrap_or(u64::MAX))
}

/// Makes a meter of events of the type `call`.
pub async fn meter(host: &TestHost, token: &str, slug: &str, aggregation: &str, more: Value) {
    let mut body = json!({"slug": slug, "event_type": "call", "aggregation": aggregation});
    if aggregation != "count" {
        body["value_property"] = json!("n");
    }
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let call = host.post(METERS).bearer(token).json(&body);
    call.send().await.expect(201);
}

/// A summary's groups.
pub async fn groups(host: &Api, token: &str, query: &str) -> Vec<Value> {
    let call = host.get(format!("{SUMMARY}?{query}")).bearer(token);
    let body = call.send().await.expect(200).json();
    body["groups"].as_array().cloned().unwrap_or_default()
}

/// What a meter counted in the range without groups: the value, and the events.
pub async fn total(host: &Api, token: &str, query: &str) -> (Option<String>, u64) {
    let groups = groups(host, token, query).await;
    assert_eq!(groups.len(), 1, "without group_by there is one group");
    let value = groups[0]["value"].as_str().map(str::to_owned);
    (value, groups[0]["events"].as_u64().unwrap_or(u64::MAX))
}

/// A range that holds every event that can be sent now.
pub fn whole_range() -> String {
    let quarter = 15 * 60;
    let now = Utc::now().timestamp() / quarter * quarter;
    format!(
        "since={}&until={}",
        rfc3339((now - 36 * 86_400) * 1_000_000),
        rfc3339((now + 3 * 3_600) * 1_000_000)
    )
}

/// Microseconds since 1970 as the API takes them, fit for a query.
pub fn rfc3339(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .expect("the time is of this century")
        .to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Now in microseconds since 1970.
pub fn now_micros() -> i64 {
    Utc::now().timestamp_micros()
}

/// Counts one event in every quarter of an hour from `since` to `until`, both of them included,
/// for every meter of the organization.
pub(crate) async fn count_every_quarter(host: &TestHost, user: &User, since: &str, until: &str) {
    let organization = host.organization_of(user).await.as_uuid();
    host.execute(&format!(
        "INSERT INTO usage_rollups (organization_id, meter_id, slot_at, group_key, events, latest_at)
         SELECT organization_id, id, s, '', 1, s FROM meters,
                generate_series('{since}'::timestamptz, '{until}', '15 minutes') s
          WHERE organization_id = '{organization}'"
    ))
    .await;
    sum_up_hours(host).await;
}

/// Makes the sums of hours from those of quarters, which a test has written.
pub(crate) async fn sum_up_hours(host: &TestHost) {
    host.execute(
        "DELETE FROM usage_hour_rollups;
         INSERT INTO usage_hour_rollups (organization_id, meter_id, hour_at, group_key, events, total, latest_at)
         SELECT organization_id, meter_id, date_trunc('hour', slot_at, 'UTC'), group_key, sum(events), sum(total),
                max(latest_at)
           FROM usage_rollups GROUP BY 1, 2, 3, 4",
    )
    .await;
}
