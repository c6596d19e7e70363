//! What an event takes of the disk, with its key, its share of the sums, and all indexes.

use serde_json::{Value, json};
use turnpike_tests::{TestHost, api_tests};

use crate::metering::{meter, now_micros, rfc3339, send};

/// Bytes of an event at most. Its id has 16 characters, and its properties a number and a name.
const MAX_BYTES_PER_EVENT: i64 = 250;

/// Events of a customer in a quarter of an hour: of a million a day that 300 customers send.
const EVENTS_PER_SUM: i64 = 35;
const SUBJECTS: i64 = 10;
const BATCHES: i64 = 60;
const EVENTS_PER_BATCH: i64 = 1_000;

api_tests![an_event_takes_so_many_bytes, small_batches_are_events_too];

/// Bytes of all tables of usage, with their indexes and what is kept out of line.
async fn bytes(host: &TestHost) -> i64 {
    let rows = host
        .query(
            "SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c
              WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname LIKE 'usage\\_%'",
        )
        .await;
    rows[0].get(0)
}

/// A part of a month, as dense as all of it: batches in the order of time, a sum by customer and a
/// count by customer and model.
async fn an_event_takes_so_many_bytes(host: &TestHost) {
    let user = host.new_user("ada").await;
    meter(host, &user.token, "tokens", "sum", json!({})).await;
    let by_model = json!({"group_by": ["model"]});
    meter(host, &user.token, "calls", "count", by_model).await;
    let empty = bytes(host).await;
    let events_per_quarter = EVENTS_PER_SUM * SUBJECTS;
    let since = now_micros() - BATCHES * EVENTS_PER_BATCH / events_per_quarter * 900_000_000;
    for batch in 0..BATCHES {
        let events: Vec<Value> = (0..EVENTS_PER_BATCH)
            .map(|place| {
                let number = batch * EVENTS_PER_BATCH + place;
                let micros = since + number * 900_000_000 / events_per_quarter;
                json!({"id": format!("{number:016x}"), "type": "call", "time": rfc3339(micros),
                       "subject": format!("cus_{}", number % SUBJECTS),
                       "properties": {"n": number * 37 % 4_096, "model": format!("model-{}", number / SUBJECTS % 4)}})
            })
            .collect();
        let sent = send(host, &user.token, &json!(events)).await;
        assert_eq!(sent, [1_000, 0, 0]);
    }
    host.execute("VACUUM").await;
    let per_event = (bytes(host).await - empty) / (BATCHES * EVENTS_PER_BATCH);
    println!("an event takes {per_event} bytes");
    assert!(
        per_event <= MAX_BYTES_PER_EVENT,
        "it takes {per_event} bytes"
    );
    let stored = host
        .query("SELECT count(*), count(DISTINCT id) FROM usage_events WHERE properties ->> 'model' IS NOT NULL")
        .await;
    let events = BATCHES * EVENTS_PER_BATCH;
    assert_eq!(
        (stored[0].get::<_, i64>(0), stored[0].get::<_, i64>(1)),
        (events, events)
    );
    host.assert_usage_is_sound().await;
}

/// A batch can be of two months, and each part of it is where its month is.
async fn small_batches_are_events_too(host: &TestHost) {
    let user = host.new_user("ada").await;
    let times = [
        "date_trunc('month', now(), 'UTC') - interval '1 microsecond'",
        "date_trunc('month', now(), 'UTC')",
        "now()",
    ];
    let mut events = Vec::new();
    for (n, time) in times.iter().enumerate() {
        let rows = host.query(&format!("SELECT rfc3339({time})")).await;
        let time: String = rows[0].get(0);
        events.push(json!({"id": n.to_string(), "type": "call", "time": time, "properties": {"n": n, "é": [1.50]}}));
    }
    assert_eq!(send(host, &user.token, &json!(events)).await, [3, 0, 0]);
    let rows = host
        .query(
            "SELECT cardinality(b.events), b.time = (SELECT min(e.time) FROM unnest(b.events) e),
                    b.tableoid::regclass::text = usage_partition_name(date_trunc('month', b.time AT TIME ZONE 'UTC'))
               FROM usage_event_batches b ORDER BY b.time",
        )
        .await;
    let found: Vec<(i32, bool, bool)> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    assert_eq!(found, [(1, true, true), (2, true, true)]);
    let rows = host
        .query("SELECT id, properties::text FROM usage_events ORDER BY id")
        .await;
    let found: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let expected = |n: usize| (n.to_string(), format!("{{\"n\": {n}, \"é\": [1.5]}}"));
    assert_eq!(found, [expected(0), expected(1), expected(2)]);
}
