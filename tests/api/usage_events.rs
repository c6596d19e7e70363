use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures::future::join_all;
use serde_json::{Value, json};
use turnpike_tests::{Call, Random, Response, TestHost, User, api_tests};

use crate::metering::{
    EVENTS, SUMMARY, meter, now_micros, rfc3339, send, send_call, total, whole_range,
};
use crate::refusals::refuse;

/// Most bytes of a body.
const MAX_BODY_BYTES: usize = 5_120_000;

fn event(id: &str) -> Value {
    json!({"id": id, "type": "call", "properties": {"n": 1}})
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("a Vec takes everything");
    encoder.finish().expect("a Vec takes everything")
}

/// What became of each event.
fn statuses(response: &Response) -> Vec<String> {
    let body = response.json();
    let results = body["results"].as_array().cloned().unwrap_or_default();
    let text = |verdict: &Value| match verdict["reason"].as_str() {
        Some(reason) => reason.to_owned(),
        None => verdict["status"].as_str().unwrap_or_default().to_owned(),
    };
    results.iter().map(text).collect()
}

async fn stored(host: &TestHost, user: &User) -> i64 {
    let organization = host.organization_of(user).await.as_uuid();
    let rows = host
        .query(&format!(
            "SELECT count(*) FROM usage_events WHERE organization_id = '{organization}'"
        ))
        .await;
    rows[0].get(0)
}

api_tests![
    stores_each_event_once,
    takes_every_form,
    takes_gzip_to_a_bound,
    rejects_what_is_wrong_and_keeps_the_rest,
    stores_all_or_nothing_when_asked,
    any_order_and_any_repeats_count_once,
    parallel_senders_count_each_event_once,
    counts_late_events_in_their_hour,
    flags_what_was_closed,
    keeps_tenants_apart,
    stores_what_has_no_partition,
    refuses
];

async fn stores_each_event_once(host: &TestHost) {
    let user = host.new_user("ada").await;
    let batch = json!([event("a"), event("b"), event("a")]);
    let response = send_call(host, &user.token, &batch)
        .send()
        .await
        .expect(200);
    assert_eq!(statuses(&response), ["accepted", "accepted", "duplicate"]);
    assert_eq!(send(host, &user.token, &batch).await, [0, 3, 0]);
    // The key is the id with the source, whatever else there is.
    let other = json!([
        {"id": "a", "source": "eu", "type": "call"},
        {"id": "a", "type": "other", "time": host.time_in("-3 days").await},
        {"id": "c", "type": "other"},
    ]);
    let response = send_call(host, &user.token, &other)
        .send()
        .await
        .expect(200);
    assert_eq!(statuses(&response), ["accepted", "duplicate", "accepted"]);
    assert_eq!(stored(host, &user).await, 4);
    // One object, and one under a name.
    assert_eq!(send(host, &user.token, &event("d")).await, [1, 0, 0]);
    let named = json!({"events": [event("e"), event("d")]});
    assert_eq!(send(host, &user.token, &named).await, [1, 1, 0]);
    assert_eq!(response.db_queries(), 1, "a batch is one statement");
}

async fn takes_every_form(host: &TestHost) {
    let user = host.new_user("ada").await;
    meter(host, &user.token, "sum", "sum", json!({})).await;
    let cloud = |id: &str| {
        json!({"specversion": "1.0", "id": id, "source": "/gateway", "subject": "cus_1", "type": "call",
               "traceparent": "00-1", "datacontenttype": "application/json", "data": {"n": 2}})
    };
    let post = || host.post(EVENTS).bearer(&user.token);
    let binary = || {
        post()
            .header("ce-specversion", "1.0")
            .header("ce-source", "/gateway")
            .header("ce-subject", "cus%20%C3%A9")
            .header("ce-type", "call")
    };
    let lines = format!("{}\r\n\n{}\n", event("l1"), event("l2"));
    let table: [(Call, usize); 7] = [
        (
            post()
                .header("content-type", "application/x-ndjson")
                .body(lines),
            2,
        ),
        (
            post()
                .header(
                    "content-type",
                    "application/cloudevents+json; charset=utf-8",
                )
                .body(cloud("c1").to_string()),
            1,
        ),
        (
            post()
                .header("content-type", "application/cloudevents-batch+json")
                .body(json!([cloud("c2"), cloud("c3")]).to_string()),
            2,
        ),
        (binary().header("ce-id", "c4").json(&json!({"n": 2})), 1),
        (
            binary()
                .header("ce-id", "c5")
                .header("ce-time", rfc3339(now_micros() - 1_000_000))
                .json(&json!({"n": 2})),
            1,
        ),
        (post().json_text(event("j1").to_string()), 1),
        (post().json_text(format!(" [ {} ] ", event("j2"))), 1),
    ];
    for (call, accepted) in table {
        let response = call.send().await.expect(200);
        assert_eq!(
            statuses(&response),
            vec!["accepted"; accepted],
            "{response}"
        );
        let repeated = call.send().await.expect(200);
        assert_eq!(
            statuses(&repeated),
            vec!["duplicate"; accepted],
            "{repeated}"
        );
    }
    let (value, events) = total(host, &user.token, "meter=sum").await;
    assert_eq!(
        (value.as_deref(), events),
        (Some("14"), 9),
        "4 of 1 and 5 of 2"
    );
    let rows = host
        .query("SELECT subject, source FROM usage_events WHERE id = 'c4'")
        .await;
    assert_eq!(
        (rows[0].get::<_, String>(0), rows[0].get::<_, String>(1)),
        ("cus é".to_owned(), "/gateway".to_owned())
    );
    // A CloudEvent that is wrong names its attributes.
    let wrong = binary().header("ce-id", "c6").json(&json!([1]));
    let response = wrong.send().await.expect(200);
    assert_eq!(statuses(&response), ["wrong_type"]);
    assert_eq!(response.text_at("/results/0/errors/0/field"), "data");
    let mut old = cloud("c7");
    old["specversion"] = json!("0.3");
    let call = post().header("content-type", "application/cloudevents+json");
    let response = call.body(old.to_string()).send().await.expect(200);
    assert_eq!(statuses(&response), ["unsupported"]);
}

async fn takes_gzip_to_a_bound(host: &TestHost) {
    let user = host.new_user("ada").await;
    let send = |body: Vec<u8>| {
        host.post(EVENTS)
            .bearer(&user.token)
            .header("content-encoding", "gzip")
            .json_text(body)
    };
    let batch = json!([event("a"), event("b")]).to_string();
    let response = send(gzip(batch.as_bytes())).send().await.expect(200);
    assert_eq!(statuses(&response), ["accepted", "accepted"]);
    let mut padded = batch.into_bytes();
    padded.resize(MAX_BODY_BYTES, b' ');
    send(gzip(&padded)).send().await.expect(200);
    padded.push(b' ');
    let bomb = gzip(&vec![b' '; 64 * 1024 * 1024]);
    assert!(
        bomb.len() < 1024 * 1024,
        "the bomb is small when it is sent"
    );
    for body in [gzip(&padded), bomb] {
        refuse(host, send(body), 413, "body_too_large", &[]).await;
    }
    for body in [b"[]".to_vec(), Vec::new(), gzip(b"[]")[..10].to_vec()] {
        refuse(host, send(body), 400, "malformed_body", &[]).await;
    }
    let brotli = host
        .post(EVENTS)
        .bearer(&user.token)
        .header("content-encoding", "br")
        .json(&event("c"));
    refuse(host, brotli, 415, "unsupported_content_encoding", &[]).await;
}

async fn rejects_what_is_wrong_and_keeps_the_rest(host: &TestHost) {
    let user = host.new_user("ada").await;
    for (slug, aggregation) in [("sum", "sum"), ("unique", "unique_count")] {
        let more = json!({"value_property": if slug == "sum" { "n" } else { "who" },
                          "filters": [{"property": "tier", "op": "ne", "value": "free"}]});
        meter(host, &user.token, slug, aggregation, more).await;
    }
    let with = |properties: Value| json!({"id": "x", "type": "call", "properties": properties});
    let long = "x".repeat(129);
    let table: [(Value, &str, &str); 24] = [
        (json!({"type": "call"}), "required", "id"),
        (json!({"id": "x"}), "required", "type"),
        (json!({"id": long, "type": "call"}), "wrong_length", "id"),
        (json!({"id": "", "type": "call"}), "wrong_length", "id"),
        (json!({"id": 7, "type": "call"}), "wrong_type", "id"),
        (
            json!({"id": "x\0", "type": "call"}),
            "invalid_character",
            "id",
        ),
        (
            json!({"id": "x", "type": "t".repeat(65)}),
            "wrong_length",
            "type",
        ),
        (
            json!({"id": "x", "type": "call", "source": long}),
            "wrong_length",
            "source",
        ),
        (
            json!({"id": "x", "type": "call", "subject": long}),
            "wrong_length",
            "subject",
        ),
        (
            json!({"id": "x", "type": "call", "time": "yesterday"}),
            "invalid",
            "time",
        ),
        (
            json!({"id": "x", "type": "call", "time": "2026-11-21 10:00:00"}),
            "invalid",
            "time",
        ),
        (
            json!({"id": "x", "type": "call", "time": host.time_in("-35 days -1 minute").await}),
            "too_old",
            "time",
        ),
        (
            json!({"id": "x", "type": "call", "time": host.time_in("61 minutes").await}),
            "too_far_ahead",
            "time",
        ),
        (
            json!({"id": "x", "type": "call", "properties": [1]}),
            "wrong_type",
            "properties",
        ),
        (json!({"id": "x", "type": "call", "n": 1}), "unknown", "n"),
        (json!("text"), "wrong_type", ""),
        (
            with(json!({"n": "x".repeat(4_096)})),
            "too_large",
            "properties",
        ),
        (with(json!({"n": "1\0"})), "invalid_character", "properties"),
        (with(json!({"who": "ada"})), "required", "properties.n"),
        (
            with(json!({"n": null, "who": "ada"})),
            "required",
            "properties.n",
        ),
        (
            with(json!({"n": "NaN", "who": "ada"})),
            "not_a_number",
            "properties.n",
        ),
        (
            with(json!({"n": "1e3", "who": "ada"})),
            "not_a_number",
            "properties.n",
        ),
        (
            with(json!({"n": true, "who": "ada"})),
            "not_a_number",
            "properties.n",
        ),
        (
            with(json!({"n": 1, "who": {"name": "ada"}})),
            "not_a_scalar",
            "properties.who",
        ),
    ];
    // Each between two good ones.
    let mut batch = Vec::new();
    let mut expected = Vec::new();
    for (at, (wrong, code, _)) in table.iter().enumerate() {
        batch.push(json!({"id": format!("good-{at}"), "type": "call", "properties": {"n": "1.5", "who": at}}));
        batch.push(wrong.clone());
        expected.extend(["accepted".to_owned(), (*code).to_owned()]);
    }
    let response = send_call(host, &user.token, &json!(batch))
        .send()
        .await
        .expect(200);
    assert_eq!(statuses(&response), expected, "{response}");
    let results = response.json()["results"].clone();
    for (at, (wrong, _, field)) in table.iter().enumerate() {
        assert_eq!(
            results[2 * at + 1]["errors"][0]["field"],
            json!(field),
            "{wrong}"
        );
    }
    // No JSON, each by itself.
    let texts = [
        r#"{"id": "x", "type": "call", "properties": {"n": NaN}}"#,
        r#"{"id": x}"#,
        "",
        "{}{}",
    ];
    let good = json!({"id": "last", "type": "call", "properties": {"n": 2, "who": 1}});
    let body = format!("[{},{good}]", texts.join(","));
    let call = host.post(EVENTS).bearer(&user.token);
    let response = call.clone().json_text(body).send().await.expect(200);
    let expected = [
        "malformed",
        "malformed",
        "malformed",
        "malformed",
        "accepted",
    ];
    assert_eq!(statuses(&response), expected);
    let lone = r#"{"id": "x", "type": "call", "properties": {"n": 1, "who": "\ud800"}}"#;
    let many = format!(
        "{{\"id\": \"x\", \"type\": \"call\", \"properties\": {{\"n\": {}}}}}",
        "9".repeat(40)
    );
    let lines = format!("{lone}\n{many}\n{{\n");
    let call = call
        .header("content-type", "application/x-ndjson")
        .body(lines);
    let response = call.send().await.expect(200);
    assert_eq!(
        statuses(&response),
        ["invalid_character", "out_of_range", "malformed"]
    );
    // The meters have what was accepted. What a filter keeps out needs no value.
    let free = json!({"id": "free", "type": "call", "properties": {"tier": "free"}});
    assert_eq!(send(host, &user.token, &free).await, [1, 0, 0]);
    let (value, events) = total(host, &user.token, "meter=sum").await;
    assert_eq!(
        (value.as_deref(), events),
        (Some("38"), 25),
        "24 of 1.5, and 2"
    );
    let (value, _) = total(host, &user.token, "meter=unique").await;
    assert_eq!(value.as_deref(), Some("24"), "one of them twice");
    // A rejected event leaves its key to the next one that has it.
    let twins = json!([
        with(json!({"who": 1})),
        with(json!({"n": 1, "who": 1})),
        with(json!({"n": 2, "who": 1}))
    ]);
    let response = send_call(host, &user.token, &twins)
        .send()
        .await
        .expect(200);
    assert_eq!(statuses(&response), ["required", "accepted", "duplicate"]);
}

async fn stores_all_or_nothing_when_asked(host: &TestHost) {
    let user = host.new_user("ada").await;
    meter(host, &user.token, "sum", "sum", json!({})).await;
    let mut batch: Vec<Value> = (0..20).map(|n| event(&format!("e{n}"))).collect();
    let atomic = |batch: &[Value]| {
        host.post(format!("{EVENTS}?atomic=true"))
            .bearer(&user.token)
            .json(&json!(batch))
    };
    batch[17]["time"] = json!("never");
    batch[3] = json!(1);
    let fields = ["events[3]", "events[17].time"];
    refuse(host, atomic(&batch), 422, "invalid_fields", &fields).await;
    batch[3] = event("e3");
    batch[17] = json!({"id": "e17", "type": "call", "properties": {"n": "many"}});
    let fields = ["events[17].properties.n"];
    refuse(host, atomic(&batch), 422, "invalid_fields", &fields).await;
    assert_eq!(stored(host, &user).await, 0);
    assert_eq!(
        total(host, &user.token, "meter=sum").await,
        (Some("0".to_owned()), 0)
    );
    batch[17] = event("e16");
    let response = atomic(&batch).send().await.expect(200);
    assert_eq!(response.json()["accepted"], 19, "a duplicate is no mistake");
    assert_eq!(stored(host, &user).await, 19);
    let call = host
        .post(format!("{EVENTS}?atomic=1"))
        .bearer(&user.token)
        .json(&event("f"));
    refuse(host, call, 400, "invalid_parameter", &["atomic"]).await;
}

async fn any_order_and_any_repeats_count_once(host: &TestHost) {
    let mut random = Random::seeded("usage events");
    let user = host.new_user("ada").await;
    meter(
        host,
        &user.token,
        "sum",
        "sum",
        json!({"group_by": ["model"]}),
    )
    .await;
    let now = now_micros();
    let events: Vec<Value> = (0..300)
        .map(|n| {
            let ago = i64::try_from(random.below(3 * 86_400 * 1_000_000)).unwrap_or(0);
            json!({"id": format!("e{}", n / 2), "source": if n % 2 == 0 { "" } else { "eu" }, "type": "call",
                   "time": rfc3339(now - ago), "subject": format!("cus_{}", random.below(5)),
                   "properties": {"n": n, "model": format!("m{}", random.below(3))}})
        })
        .collect();
    let mut unsent: Vec<usize> = (0..events.len()).collect();
    let mut accepted = 0;
    while !unsent.is_empty() {
        let mut batch = Vec::new();
        for _ in 0..random.below(60) + 1 {
            if !unsent.is_empty() && random.below(3) > 0 {
                let at = random.below(unsent.len() as u64) as usize;
                batch.push(events[unsent.swap_remove(at)].clone());
            } else {
                batch.push(events[random.below(events.len() as u64) as usize].clone());
                unsent.retain(|n| events[*n] != batch[batch.len() - 1]);
            }
        }
        let [new, _, rejected] = send(host, &user.token, &json!(batch)).await;
        assert_eq!(rejected, 0);
        accepted += new;
    }
    assert_eq!(accepted, 300);
    let (value, count) = total(host, &user.token, &format!("meter=sum&{}", whole_range())).await;
    assert_eq!(
        (value.as_deref(), count),
        (Some("44850"), 300),
        "0 + 1 + ... + 299"
    );
}

/// Sixteen senders, of whose events three in ten are another one's too.
async fn parallel_senders_count_each_event_once(host: &TestHost) {
    let user = host.new_user("ada").await;
    meter(
        host,
        &user.token,
        "calls",
        "count",
        json!({"group_by": ["model"]}),
    )
    .await;
    meter(host, &user.token, "sum", "sum", json!({})).await;
    meter(
        host,
        &user.token,
        "who",
        "unique_count",
        json!({"value_property": "model"}),
    )
    .await;
    let batches: Vec<Value> =
        (0..16_usize)
            .map(|sender| {
                let events = (0..200_usize).map(|n| {
                // The last 60 are the next sender's first.
                let id = sender * 140 + n;
                // From the back, for every second one, so that keys are met in either order.
                let id = if sender % 2 == 0 { id } else { sender * 140 + 199 - n };
                json!({"id": format!("e{id}"), "type": "call", "subject": format!("cus_{}", id % 7),
                       "properties": {"n": 1, "model": format!("m{}", id % 3)}})
            });
                Value::Array(events.collect())
            })
            .collect();
    let sent = batches.iter().map(|batch| send(host, &user.token, batch));
    let sent = join_all(sent).await;
    let accepted: u64 = sent.iter().map(|[accepted, _, _]| accepted).sum();
    let distinct = 16 * 140 + 60;
    assert_eq!(accepted, distinct);
    for query in ["meter=calls", "meter=sum"] {
        let (value, events) = total(host, &user.token, query).await;
        assert_eq!(
            (value, events),
            (Some(distinct.to_string()), distinct),
            "{query}"
        );
    }
    let mut of_subjects = 0;
    for subject in 0..7 {
        let query = format!("meter=calls&subject=cus_{subject}");
        of_subjects += total(host, &user.token, &query).await.1;
    }
    assert_eq!(of_subjects, distinct, "every event is somebody's");
    let (value, _) = total(host, &user.token, "meter=who").await;
    assert_eq!(value.as_deref(), Some("3"));
}

async fn counts_late_events_in_their_hour(host: &TestHost) {
    let user = host.new_user("ada").await;
    meter(host, &user.token, "calls", "count", json!({})).await;
    // Either side of a month's end, and of a quarter of an hour.
    let rows = host
        .query(
            "SELECT rfc3339(m - interval '1 microsecond'), rfc3339(m), rfc3339(m + interval '15 minutes')
               FROM (SELECT date_trunc('month', now(), 'UTC') AS m) month",
        )
        .await;
    let time = |at: usize| rows[0].get::<_, String>(at);
    let event = |id: &str, time: &str| json!({"id": id, "type": "call", "time": time});
    let batch = json!([
        event("a", &time(0)),
        event("b", &time(1)),
        event("c", &time(2))
    ]);
    let [accepted, _, rejected] = send(host, &user.token, &batch).await;
    assert!(
        accepted >= 2 && rejected <= 1,
        "the first quarter of a month has not passed yet"
    );
    let query = |since: &str, until: &str| format!("meter=calls&since={since}&until={until}");
    let month = time(1);
    let rows = host
        .query("SELECT rfc3339(date_trunc('month', now(), 'UTC') - interval '1 hour')")
        .await;
    let before: String = rows[0].get(0);
    assert_eq!(total(host, &user.token, &query(&before, &month)).await.1, 1);
    assert_eq!(
        total(host, &user.token, &query(&month, &time(2))).await.1,
        1
    );
    // Ahead by less than clocks may be.
    let ahead = event("d", &host.time_in("59 minutes").await);
    assert_eq!(send(host, &user.token, &ahead).await, [1, 0, 0]);
}

async fn flags_what_was_closed(host: &TestHost) {
    let user = host.new_user("ada").await;
    meter(host, &user.token, "calls", "count", json!({})).await;
    let organization = host.organization_of(&user).await.as_uuid();
    host.execute(&format!(
        "INSERT INTO usage_closed_periods VALUES ('{organization}', now() - interval '1 day')"
    ))
    .await;
    let batch = json!([event("now"), {"id": "then", "type": "call", "time": host.time_in("-2 days").await}]);
    let response = send_call(host, &user.token, &batch)
        .send()
        .await
        .expect(200);
    assert_eq!(statuses(&response), ["accepted", "accepted"]);
    let results = response.json()["results"].clone();
    assert_eq!(results[0]["flag"], Value::Null);
    assert_eq!(results[1]["flag"], "adjustment");
    let query = format!("meter=calls&{}", whole_range());
    assert_eq!(total(host, &user.token, &query).await.1, 2, "it counts");
    let rows = host
        .query("SELECT id FROM usage_events WHERE is_adjustment")
        .await;
    assert_eq!(rows.len(), 1);
}

async fn keeps_tenants_apart(host: &TestHost) {
    let (ada, eve) = (host.new_user("ada").await, host.new_user("eve").await);
    meter(host, &ada.token, "calls", "count", json!({})).await;
    for (user, expected) in [(&ada, [1, 0, 0]), (&eve, [1, 0, 0]), (&ada, [0, 1, 0])] {
        assert_eq!(send(host, &user.token, &event("same")).await, expected);
    }
    assert_eq!(total(host, &ada.token, "meter=calls").await.1, 1);
    let theirs = host
        .get(format!("{SUMMARY}?meter=calls"))
        .bearer(&eve.token);
    theirs.send().await.expect_problem(404, "not_found");
    // A key with the scope acts for the organization that it was made in.
    let key = host.issue_api_key(&ada, &["usage:write"]).await.key;
    assert_eq!(
        send(host, &key, &json!([event("same"), event("new")])).await,
        [1, 1, 0]
    );
}

async fn stores_what_has_no_partition(host: &TestHost) {
    let user = host.new_user("ada").await;
    meter(host, &user.token, "calls", "count", json!({})).await;
    host.execute(
        "DO $$ BEGIN EXECUTE 'DROP TABLE ' || usage_partition_name(date_trunc('month', now() AT TIME ZONE 'UTC')); END $$",
    )
    .await;
    assert_eq!(send(host, &user.token, &event("a")).await, [1, 0, 0]);
    assert_eq!(send(host, &user.token, &event("a")).await, [0, 1, 0]);
    assert_eq!(total(host, &user.token, "meter=calls").await.1, 1);
}

async fn refuses(host: &TestHost) {
    let user = host.new_user("ada").await;
    let post = || host.post(EVENTS).bearer(&user.token);
    for content_type in [
        None,
        Some("text/plain"),
        Some("application/jsonx"),
        Some("application/x-www-form-urlencoded"),
    ] {
        let mut call = post().body(event("a").to_string());
        if let Some(content_type) = content_type {
            call = call.header("content-type", content_type);
        }
        refuse(host, call, 415, "unsupported_media_type", &[]).await;
    }
    let malformed: [&[u8]; 7] = [
        b"",
        b" ",
        b"[",
        b"[{}",
        b"[{}}]",
        b"{\"events\": [{}]",
        b"[\"\xff\"]",
    ];
    for body in malformed {
        refuse(
            host,
            post().json_text(body.to_vec()),
            400,
            "malformed_body",
            &[],
        )
        .await;
    }
    let over = Value::Array((0..1_001).map(|n| event(&n.to_string())).collect());
    for body in [json!([]), json!({"events": []}), over] {
        refuse(host, post().json(&body), 422, "invalid_fields", &["events"]).await;
    }
    let lines = "{}\n".repeat(1_001);
    let call = post()
        .header("content-type", "application/x-ndjson")
        .body(lines);
    refuse(host, call, 422, "invalid_fields", &["events"]).await;
    let large = format!("[{}{}]", event("a"), " ".repeat(MAX_BODY_BYTES));
    refuse(host, post().json_text(large), 413, "body_too_large", &[]).await;
    assert_eq!(
        stored(host, &user).await,
        0,
        "what is refused is not stored"
    );
    // A full batch of the largest events that there are.
    let properties = json!({"text": "x".repeat(4_096 - 11)});
    let largest = (0..1_000).map(|n| {
        json!({"id": format!("{n:0>128}"), "source": "s".repeat(128),
        "subject": "c".repeat(128), "type": "t".repeat(64), "properties": properties})
    });
    let batch = Value::Array(largest.collect());
    assert_eq!(send(host, &user.token, &batch).await, [1_000, 0, 0]);
}
