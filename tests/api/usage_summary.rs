use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde_json::{Value, json};
use shared::store::cache_entry::Entry;
use turnpike_tests::personas::{LOGOUT, ORGANIZATIONS, SESSION_ORGANIZATION, decimal};
use turnpike_tests::{Random, TestHost, User, api_tests};

use crate::metering::{
    EVENTS, SUMMARY, count_every_quarter, groups, meter, now_micros, rfc3339, send, send_call,
    sum_up_hours, total,
};
use crate::refusals::refuse;

const AGGREGATIONS: [&str; 8] = [
    "count",
    "sum",
    "min",
    "max",
    "average",
    "unique_count",
    "latest",
    "time_weighted_sum",
];

/// An event as the naive model has it.
#[derive(Debug, Clone)]
struct Event {
    micros: i64,
    n: Decimal,
    /// Whether it is sent as a text, which is added up like a number and is equal to none.
    is_text: bool,
    model: u64,
    subject: u64,
}

/// What an aggregation of some events is, by its definition.
fn naive(aggregation: &str, events: &[&Event], since: i64, until: i64) -> Option<Decimal> {
    let values = || {
        events
            .iter()
            .filter(|e| e.micros >= since && e.micros < until)
    };
    let count = Decimal::from(values().count());
    let sum: Decimal = values().map(|e| e.n).sum();
    match aggregation {
        "count" => Some(count),
        "sum" => Some(sum),
        "min" => values().map(|e| e.n).min(),
        "max" => values().map(|e| e.n).max(),
        // Nine digits are asked for, and the sums have few.
        "average" => (count > Decimal::ZERO).then(|| {
            (sum / count)
                .round_dp_with_strategy(9, rust_decimal::RoundingStrategy::MidpointAwayFromZero)
        }),
        "unique_count" => Some(Decimal::from(
            values()
                .map(|e| (e.is_text, e.n))
                .collect::<BTreeSet<_>>()
                .len(),
        )),
        "latest" => values().map(|e| (e.micros, e.n)).max().map(|(_, n)| n),
        _ => {
            // Each value until the next of its series, and no further than until.
            let mut series: BTreeMap<(u64, u64), Vec<(i64, Decimal)>> = BTreeMap::new();
            for event in events.iter().filter(|e| e.micros < until) {
                series
                    .entry((event.subject, event.model))
                    .or_default()
                    .push((event.micros, event.n));
            }
            let mut product = Decimal::ZERO;
            for values in series.values_mut() {
                values.sort();
                for (at, (begin, n)) in values.iter().enumerate() {
                    let end = values.get(at + 1).map_or(until, |next| next.0);
                    let micros = (end.min(until) - (*begin).max(since)).max(0);
                    product += *n * Decimal::new(micros, 6);
                }
            }
            Some(product)
        }
    }
}

fn value(json: &Value) -> Option<Decimal> {
    json.as_str().map(decimal)
}

async fn insert_rollup(host: &TestHost, user: &User, time: &str, events: i64) {
    let organization = host.organization_of(user).await.as_uuid();
    host.execute(&format!(
        "INSERT INTO usage_rollups (organization_id, meter_id, slot_at, group_key, events, latest_at)
         SELECT organization_id, id, '{time}', '', {events}, '{time}' FROM meters
          WHERE organization_id = '{organization}' AND slug = 'calls'"
    ))
    .await;
    sum_up_hours(host).await;
}

api_tests![
    every_aggregation_is_what_a_naive_model_says,
    fills_the_buckets_between,
    days_are_those_of_the_zone,
    ranges_begin_and_end_within_hours,
    groups_are_told_apart,
    is_bounded,
    refuses,
];

api_tests![
    fresh_too:
    is_exact_to_the_last_acknowledged_event,
    is_cached_until_anything_is_acknowledged,
    is_cached_for_all_who_may_see_it,
    what_is_cached_ends_with_the_quarter,
];

async fn every_aggregation_is_what_a_naive_model_says(host: &TestHost) {
    let mut random = Random::seeded("usage summary");
    let user = host.new_user("ada").await;
    for aggregation in AGGREGATIONS {
        let slug = aggregation.replace('_', "-");
        meter(
            host,
            &user.token,
            &slug,
            aggregation,
            json!({"group_by": ["model"]}),
        )
        .await;
    }
    let quarter = 15 * 60 * 1_000_000;
    let day = 96 * quarter;
    // Five days, of which the last ends in the past, so that now does not matter.
    let until = now_micros() / day * day;
    let since = until - 5 * day;
    let events: Vec<Event> = (0..400)
        .map(|n| Event {
            micros: since + i64::try_from(random.below(5 * 86_400)).unwrap_or(0) * 1_000_000,
            n: Decimal::new(i64::try_from(random.below(4_000)).unwrap_or(0) - 2_000, 2),
            is_text: n % 2 == 0,
            model: random.below(3),
            subject: random.below(3),
        })
        .collect();
    for (chunk_number, chunk) in events.chunks(97).enumerate() {
        let batch = chunk.iter().enumerate().map(|(n, e)| {
            let value = if e.is_text { json!(e.n.normalize().to_string()) } else { serde_json::from_str(&e.n.normalize().to_string()).unwrap_or_default() };
            json!({"id": format!("{chunk_number}-{n}"), "type": "call", "time": rfc3339(e.micros),
                   "subject": format!("cus_{}", e.subject), "properties": {"n": value, "model": e.model}})
        });
        let batch = Value::Array(batch.collect());
        assert_eq!(
            send(host, &user.token, &batch).await,
            [chunk.len() as u64, 0, 0]
        );
    }
    for aggregation in AGGREGATIONS {
        let slug = aggregation.replace('_', "-");
        for subject in [None, Some(1)] {
            for group_by in [None, Some("model")] {
                let mut query = format!(
                    "meter={slug}&since={}&until={}",
                    rfc3339(since),
                    rfc3339(until)
                );
                query += &subject.map_or(String::new(), |s| format!("&subject=cus_{s}"));
                query += &group_by.map_or(String::new(), |g| format!("&group_by={g}"));
                let shown = groups(host, &user.token, &query).await;
                assert_eq!(
                    shown.len(),
                    if group_by.is_some() { 3 } else { 1 },
                    "{query}"
                );
                for group in shown {
                    let model = group["group"]["model"].as_u64();
                    let own: Vec<&Event> = events
                        .iter()
                        .filter(|e| {
                            subject.is_none_or(|s| e.subject == s)
                                && model.is_none_or(|m| e.model == m)
                        })
                        .collect();
                    let expected = naive(aggregation, &own, since, until);
                    assert_eq!(
                        value(&group["value"]),
                        expected,
                        "{query} {}",
                        group["group"]
                    );
                    let buckets = group["buckets"].as_array().cloned().unwrap_or_default();
                    assert_eq!(buckets.len(), 5, "{query}");
                    for (at, bucket) in (0_i64..).zip(&buckets) {
                        let begin = since + at * day;
                        let expected = naive(aggregation, &own, begin, begin + day);
                        assert_eq!(
                            value(&bucket["value"]),
                            expected,
                            "{query} day {at} {}",
                            group["group"]
                        );
                        let count = own
                            .iter()
                            .filter(|e| e.micros >= begin && e.micros < begin + day)
                            .count();
                        assert_eq!(bucket["events"], json!(count), "{query} day {at}");
                    }
                }
            }
        }
    }
}

async fn fills_the_buckets_between(host: &TestHost) {
    let user = host.new_user("ada").await;
    meter(host, &user.token, "calls", "count", json!({})).await;
    meter(host, &user.token, "most", "max", json!({})).await;
    insert_rollup(host, &user, "2026-03-31T23:45:00Z", 2).await;
    insert_rollup(host, &user, "2026-05-01T00:00:00Z", 3).await;
    let query = "since=2026-03-15&until=2026-06-01&interval=month";
    let months = groups(host, &user.token, &format!("meter=calls&{query}")).await;
    let buckets = &months[0]["buckets"];
    let expected = [
        (
            "2026-03-15T00:00:00.000000Z",
            "2026-04-01T00:00:00.000000Z",
            "2",
        ),
        (
            "2026-04-01T00:00:00.000000Z",
            "2026-05-01T00:00:00.000000Z",
            "0",
        ),
        (
            "2026-05-01T00:00:00.000000Z",
            "2026-06-01T00:00:00.000000Z",
            "3",
        ),
    ];
    for (at, (starts_at, ends_at, value)) in expected.into_iter().enumerate() {
        assert_eq!(
            (
                &buckets[at]["starts_at"],
                &buckets[at]["ends_at"],
                &buckets[at]["value"]
            ),
            (&json!(starts_at), &json!(ends_at), &json!(value))
        );
    }
    assert_eq!(months[0]["value"], "5");
    let empty = groups(host, &user.token, &format!("meter=most&{query}")).await;
    assert_eq!(
        (&empty[0]["value"], &empty[0]["buckets"][2]["value"]),
        (&Value::Null, &Value::Null)
    );
    // Without a range, this month until tonight.
    let response = host
        .get(format!("{SUMMARY}?meter=calls"))
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
    let rows = host
        .query("SELECT rfc3339(date_trunc('month', now(), 'UTC')), rfc3339(date_trunc('day', now(), 'UTC') + interval '1 day')")
        .await;
    assert_eq!(response.text_at("/since"), rows[0].get::<_, String>(0));
    assert_eq!(response.text_at("/until"), rows[0].get::<_, String>(1));
}

async fn days_are_those_of_the_zone(host: &TestHost) {
    let user = host.new_user("ada").await;
    meter(host, &user.token, "calls", "count", json!({})).await;
    // Six days around the end of summer time in Berlin, an event in every quarter.
    count_every_quarter(host, &user, "2026-10-22T00:00Z", "2026-10-28T00:00Z").await;
    let days = [
        ("UTC", [96, 96, 96]),
        ("Europe/Berlin", [96, 100, 96]),
        ("Asia/Kathmandu", [96, 96, 96]),
        ("Australia/Lord_Howe", [96, 96, 96]),
        // Its midnight comes twice, at 00:00 and at 01:00 in UTC: the day has 25 hours.
        ("Atlantic/Azores", [96, 100, 96]),
    ];
    for (zone, expected) in days {
        let query = format!("meter=calls&since=2026-10-24&until=2026-10-27&timezone={zone}");
        let shown = groups(host, &user.token, &query).await;
        let events: Vec<_> = (0..3)
            .map(|at| shown[0]["buckets"][at]["events"].clone())
            .collect();
        assert_eq!(events, expected.map(|n| json!(n)), "{zone}");
    }
    let rows = groups(
        host,
        &user.token,
        "meter=calls&since=2026-10-24&until=2026-10-25&timezone=Asia/Kathmandu",
    )
    .await;
    assert_eq!(
        rows[0]["buckets"][0]["starts_at"],
        "2026-10-23T18:15:00.000000Z"
    );
    let rows = groups(
        host,
        &user.token,
        "meter=calls&since=2026-10-25&until=2026-10-26&timezone=Atlantic/Azores",
    )
    .await;
    assert_eq!(
        (
            &rows[0]["buckets"][0]["starts_at"],
            &rows[0]["buckets"][0]["ends_at"]
        ),
        (
            &json!("2026-10-25T00:00:00.000000Z"),
            &json!("2026-10-26T01:00:00.000000Z")
        )
    );
    // The hour that is there twice is two hours, and those of Nepal begin at a quarter past in UTC.
    for (zone, hours) in [("Europe/Berlin", 25), ("Asia/Kathmandu", 24)] {
        let query =
            format!("meter=calls&since=2026-10-25&until=2026-10-26&interval=hour&timezone={zone}");
        let shown = groups(host, &user.token, &query).await;
        let buckets = shown[0]["buckets"].as_array().cloned().unwrap_or_default();
        assert_eq!(buckets.len(), hours, "{zone}");
        assert!(buckets.iter().all(|bucket| bucket["events"] == 4), "{zone}");
    }
    // Lord Howe Island moved its clocks by half an hour on 2026-10-04.
    let query =
        "meter=calls&since=2026-10-04&until=2026-10-05&interval=hour&timezone=Australia/Lord_Howe";
    let shown = groups(host, &user.token, query).await;
    let buckets = shown[0]["buckets"].as_array().cloned().unwrap_or_default();
    assert_eq!(buckets.len(), 24, "of which one has half an hour");
    // The organization's own zone.
    host.execute("UPDATE organizations SET time_zone = 'America/New_York'")
        .await;
    let response = host.get(format!(
        "{SUMMARY}?meter=calls&since=2026-10-24&until=2026-10-25"
    ));
    let response = response.bearer(&user.token).send().await.expect(200);
    assert_eq!(response.text_at("/time_zone"), "America/New_York");
    assert_eq!(response.text_at("/since"), "2026-10-24T04:00:00.000000Z");
}

/// Sums of hours are read where they are of one bucket, and quarters beside them: whatever a range
/// begins and ends with, each quarter counts once.
async fn ranges_begin_and_end_within_hours(host: &TestHost) {
    let user = host.new_user("ada").await;
    meter(host, &user.token, "calls", "count", json!({})).await;
    count_every_quarter(host, &user, "2026-10-01T00:00Z", "2026-10-06T00:00Z").await;
    let bounds = [
        "02T00:00", "02T00:15", "02T00:30", "02T00:45", "02T01:00", "02T01:30", "02T02:15",
        "03T23:45", "04T00:00",
    ];
    let quarters = |bound: &str| {
        let part = |range: std::ops::Range<usize>| bound[range].parse::<u64>().unwrap_or(0);
        part(0..2) * 96 + part(3..5) * 4 + part(6..8) / 15
    };
    for (at, since) in bounds.iter().enumerate() {
        for until in &bounds[at + 1..] {
            let expected = quarters(until) - quarters(since);
            for zone in ["UTC", "America/New_York", "Asia/Kathmandu"] {
                for interval in ["hour", "day"] {
                    let query = format!(
                        "meter=calls&since=2026-10-{since}:00Z&until=2026-10-{until}:00Z&interval={interval}&timezone={zone}"
                    );
                    let shown = groups(host, &user.token, &query).await;
                    assert_eq!(shown[0]["events"], json!(expected), "{query}");
                    let buckets = shown[0]["buckets"].as_array().cloned().unwrap_or_default();
                    let in_buckets = buckets.iter().map(|bucket| bucket["events"].as_u64());
                    assert_eq!(in_buckets.sum::<Option<u64>>(), Some(expected), "{query}");
                }
            }
        }
    }
}

async fn is_exact_to_the_last_acknowledged_event(host: &TestHost) {
    let user = host.new_user("ada").await;
    meter(host, &user.token, "sum", "sum", json!({})).await;
    for n in 1_u64..=20 {
        let event = json!({"id": n.to_string(), "type": "call", "properties": {"n": 1}});
        assert_eq!(send(host, &user.token, &event).await, [1, 0, 0]);
        let (value, events) = total(host, &user.token, "meter=sum").await;
        assert_eq!((value, events), (Some(n.to_string()), n));
    }
}

async fn groups_are_told_apart(host: &TestHost) {
    let user = host.new_user("ada").await;
    meter(
        host,
        &user.token,
        "sum",
        "sum",
        json!({"group_by": ["model", "at.region"]}),
    )
    .await;
    let models = [
        json!("large"),
        json!("a\"b"),
        json!(null),
        json!(1),
        json!("1"),
        json!(true),
    ];
    let events: Vec<Value> = models
        .iter()
        .enumerate()
        .map(|(n, model)| {
            json!({"id": n.to_string(), "type": "call",
                                 "properties": {"n": 1, "model": model, "at": {"region": n % 2}}})
        })
        .chain([json!({"id": "none", "type": "call", "properties": {"n": 5}})])
        .collect();
    assert_eq!(send(host, &user.token, &json!(events)).await, [7, 0, 0]);
    let shown = groups(host, &user.token, "meter=sum&group_by=model").await;
    let mut found: Vec<String> = shown
        .iter()
        .map(|g| format!("{} {}", g["group"]["model"], g["value"]))
        .collect();
    found.sort();
    let mut expected = vec![
        "\"1\" \"1\"",
        "\"a\\\"b\" \"1\"",
        "\"large\" \"1\"",
        "1 \"1\"",
        "null \"6\"",
        "true \"1\"",
    ];
    expected.sort_unstable();
    assert_eq!(found, expected, "what an event lacks is null");
    let shown = groups(host, &user.token, "meter=sum&group_by=at.region").await;
    assert_eq!(shown.len(), 3);
    let shown = groups(host, &user.token, "meter=sum&group_by=at.region,model").await;
    assert_eq!(shown.len(), 7);
    assert_eq!(
        total(host, &user.token, "meter=sum").await.0.as_deref(),
        Some("11")
    );
    let none = groups(host, &user.token, "meter=sum&group_by=model&subject=nobody").await;
    assert!(none.is_empty());
}

async fn is_bounded(host: &TestHost) {
    let user = host.new_user("ada").await;
    meter(
        host,
        &user.token,
        "calls",
        "count",
        json!({"group_by": ["model"]}),
    )
    .await;
    let organization = host.organization_of(&user).await.as_uuid();
    let get = |query: &str| {
        host.get(format!("{SUMMARY}?meter=calls&{query}"))
            .bearer(&user.token)
    };
    for (query, status) in [
        ("since=2026-01-01&until=2028-03-10", 200),
        ("since=2026-01-01&until=2028-03-11", 400),
        (
            "since=2026-10-01&until=2026-11-01&interval=hour&timezone=Europe/Berlin",
            200,
        ),
        ("since=2026-10-01&until=2026-11-04&interval=hour", 400),
        ("since=1990-01-01&until=2050-01-01&interval=month", 200),
    ] {
        let response = get(query).send().await.expect(status);
        if status == 400 {
            response.expect_fields(400, "invalid_parameter", &["until"]);
        }
    }
    // 401 groups of 25 days are more than 10,000 buckets.
    host.execute(&format!(
        "INSERT INTO usage_rollups (organization_id, meter_id, slot_at, group_key, events, latest_at)
         SELECT organization_id, id, '2026-10-05T00:00Z', '[' || n || ']', 1, now() FROM meters, generate_series(0, 400) n
          WHERE organization_id = '{organization}'"
    ))
    .await;
    sum_up_hours(host).await;
    let days = get("since=2026-10-01&until=2026-10-26&group_by=model");
    refuse(host, days, 400, "invalid_parameter", &["group_by"]).await;
    get("since=2026-10-01&until=2026-10-25&group_by=model")
        .send()
        .await
        .expect(200);
}

async fn is_cached_until_anything_is_acknowledged(host: &TestHost) {
    let user = host.new_user("ada").await;
    let organization = host.organization_of(&user).await;
    meter(host, &user.token, "calls", "count", json!({})).await;
    let event = |id: &str| json!({"id": id, "type": "call"});
    let wrong = json!({"id": "x", "type": "call", "time": "never"});
    let get = |query: &str| {
        host.get(format!("{SUMMARY}?meter=calls{query}"))
            .bearer(&user.token)
    };
    let plain = get("");
    for batch in [
        json!([event("a"), wrong]),
        // Its first answer may have been lost.
        json!([event("a")]),
        json!([event("b"), event("a")]),
    ] {
        assert_eq!(host.warm(&plain).await.db_queries(), 0);
        send_call(host, &user.token, &batch)
            .send()
            .await
            .expect(200);
        let read = plain.send().await.expect(200);
        assert_ne!(read.cache(), "hit", "{batch}\n{read}");
    }
    let warm = host.warm(&plain).await;
    assert_eq!(warm.text_at("/groups/0/value"), "2");
    // Nothing was stored, so nothing is old.
    assert_eq!(send(host, &user.token, &wrong).await, [0, 0, 1]);
    let atomic = host.post(format!("{EVENTS}?atomic=true"));
    let atomic = atomic.bearer(&user.token).json(&json!([event("c"), wrong]));
    atomic.send().await.expect(422);
    assert_eq!(host.warm(&plain).await.json(), warm.json());
    // Another question is another entry; two ways to ask one are one.
    host.warm(&get("&since=2026-11-01T00:00:00%2B00:00&until=2026-11-02"))
        .await;
    let same = get("&until=2026-11-02&since=2026-11-01T01:00:00%2B01:00");
    assert_eq!(same.send().await.expect(200).cache(), "hit");
    let other = get("&until=2026-11-02&since=2026-11-01T01:00:00Z");
    assert_eq!(other.send().await.expect(200).cache(), "miss");
    // Another zone cuts the days anew.
    host.warm(&plain).await;
    let zone = json!({"time_zone": "Asia/Kathmandu"});
    for _ in 0..2 {
        let patch = host.patch(format!("{ORGANIZATIONS}/{organization}"));
        let patch = patch.bearer(&user.token).json(&zone);
        patch.send().await.expect(200);
        let read = plain.send().await.expect(200);
        assert_ne!(read.cache(), "hit", "{read}");
        assert_eq!(read.text_at("/time_zone"), "Asia/Kathmandu");
        host.warm(&plain).await;
    }
    // What counts the time until now is never the same.
    meter(host, &user.token, "time", "time_weighted_sum", json!({})).await;
    let time = host
        .get(format!("{SUMMARY}?meter=time"))
        .bearer(&user.token);
    for _ in 0..6 {
        let read = time.send().await.expect(200);
        assert_eq!(read.cache(), "miss", "{read}");
    }
}

async fn is_cached_for_all_who_may_see_it(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let organization = host.organization_of(&ada).await;
    meter(host, &ada.token, "calls", "count", json!({})).await;
    send(host, &ada.token, &json!({"id": "a", "type": "call"})).await;
    let get = |token: &str| host.get(format!("{SUMMARY}?meter=calls")).bearer(token);
    let expected = host.warm(&get(&ada.token)).await.json();
    // The second read of anybody else has both their right and what ada's reads left.
    let admin = host.member_of(organization, "admin").await;
    let key = host.issue_api_key(&ada, &["usage:read"]).await.key;
    for token in [&admin.token, &key] {
        for _ in 0..4 {
            let read = get(token).send().await.expect(200);
            assert_eq!(read.json(), expected);
        }
        assert_eq!(host.warm(&get(token)).await.json(), expected);
    }
    let eve = host.new_user("eve").await;
    let member = host.member_of(organization, "member").await;
    let blind = host.issue_api_key(&ada, &["usage:write"]).await.key;
    for _ in 0..3 {
        refuse(host, get(&eve.token), 404, "not_found", &[]).await;
        refuse(host, get(&member.token), 403, "forbidden", &[]).await;
        refuse(host, get(&blind), 403, "forbidden", &[]).await;
    }
    // Whoever may no longer see it does not, cached or not.
    let role = format!("{ORGANIZATIONS}/{organization}/members/{}", admin.id);
    let change = host.patch(role).bearer(&ada.token);
    let change = change.json(&json!({"role": "member"}));
    change.send().await.expect(200);
    refuse(host, get(&admin.token), 403, "forbidden", &[]).await;
    // A session that moved sees what is there.
    let session = host.issue_token(&ada).await;
    host.warm(&get(&session)).await;
    let made = host.post(ORGANIZATIONS).bearer(&session);
    let made = made.json(&json!({"name": "Looms"})).send().await;
    let elsewhere = json!({"organization_id": made.expect(201).text_at("/id")});
    let moved = host.put(SESSION_ORGANIZATION).bearer(&session);
    let moved = moved.json(&elsewhere).send().await.expect(200);
    refuse(host, get(&session), 401, "unauthenticated", &[]).await;
    let session = moved.text_at("/access_token");
    for _ in 0..3 {
        refuse(host, get(&session), 404, "not_found", &[]).await;
    }
    assert_eq!(host.warm(&get(&ada.token)).await.json(), expected);
    let out = host.post(LOGOUT).bearer(&ada.token);
    out.send().await.expect(200);
    refuse(host, get(&ada.token), 401, "unauthenticated", &[]).await;
}

async fn what_is_cached_ends_with_the_quarter(host: &TestHost) {
    let user = host.new_user("ada").await;
    meter(host, &user.token, "calls", "count", json!({})).await;
    let get = host.get(format!("{SUMMARY}?meter=calls"));
    host.warm(&get.bearer(&user.token)).await;
    let store = host.key_value();
    let mut entries = 0;
    for key in store.keys().await.expect("the store lists its keys") {
        if !key.starts_with("tp1:usage_summary:org_") {
            continue;
        }
        let bytes = store.get(&key).await.expect("the store reads");
        let entry = Entry::decode(&key, &bytes.unwrap_or_default()).expect("an entry");
        let quarter_millis = 15 * 60 * 1_000;
        // The test may run on into the next one.
        let began_millis = now_micros().unsigned_abs() / 1_000 - 10_000;
        let end_millis = (began_millis / quarter_millis + 1) * quarter_millis;
        assert!(
            entry.expires_at_millis <= end_millis + 10_000
                && entry.expires_at_millis <= began_millis + 320_000,
            "{key} expires at {}",
            entry.expires_at_millis
        );
        entries += 1;
    }
    assert_eq!(entries, 1);
}

async fn refuses(host: &TestHost) {
    let user = host.new_user("ada").await;
    meter(
        host,
        &user.token,
        "calls",
        "count",
        json!({"group_by": ["model"]}),
    )
    .await;
    let long = "x".repeat(129);
    let table = [
        ("", "meter"),
        ("meter=", "meter"),
        ("meter=calls&meter=calls", "meter"),
        (&format!("meter={long}"), "meter"),
        ("meter=calls&since=now", "since"),
        ("meter=calls&since=2026-02-30", "since"),
        // A year that Postgres does not have, in ten characters.
        ("meter=calls&since=-9999-01-1", "since"),
        ("meter=calls&since=%2B12345-1-1", "since"),
        ("meter=calls&since=2026-11-21T10:01:00Z", "since"),
        ("meter=calls&until=2026-11-21T10:00:00", "until"),
        ("meter=calls&since=2026-11-02&until=2026-11-02", "until"),
        ("meter=calls&since=2026-11-02&until=2026-11-01", "until"),
        ("meter=calls&interval=week", "interval"),
        ("meter=calls&subject=", "subject"),
        (&format!("meter=calls&subject={long}"), "subject"),
        ("meter=calls&subject=%00", "subject"),
        ("meter=calls&group_by=region", "group_by"),
        ("meter=calls&group_by=", "group_by"),
        ("meter=calls&group_by=model,model", "group_by"),
        ("meter=calls&timezone=Nowhere5", "timezone"),
        ("meter=calls&timezone=europe/berlin", "timezone"),
        ("meter=calls&timezone=posix/Europe/Berlin", "timezone"),
        ("meter=calls&timezone=", "timezone"),
    ];
    for (query, field) in table {
        let call = host.get(format!("{SUMMARY}?{query}")).bearer(&user.token);
        refuse(host, call, 400, "invalid_parameter", &[field]).await;
    }
    let call = host
        .get(format!("{SUMMARY}?meter=none"))
        .bearer(&user.token);
    refuse(host, call, 404, "not_found", &[]).await;
}
