//! When alerts on usage fire, and that they do once.

use futures::future::join_all;
use serde_json::{Value, json};
use turnpike_tests::personas::sql_digest;
use turnpike_tests::{TestHost, User, api_tests};

use crate::metering::{METERS, meter, send, send_call, total};
use crate::refusals::refuse;
use crate::usage_alerts::{
    ALERTS, FIRINGS, alert, call, fired, make, make_call, metered, page, with,
};

fn call_at(id: &str, n: impl Into<Value>, time: &str) -> Value {
    with(call(id, n), "time", json!(time))
}

async fn thresholds(host: &TestHost, user: &User) -> Vec<String> {
    let fired = fired(host, user).await;
    fired.into_iter().map(|(threshold, _)| threshold).collect()
}

async fn text(host: &TestHost, sql: &str) -> String {
    host.query(sql).await[0].get(0)
}

async fn set_time_zone(host: &TestHost, user: &User, time_zone: &str) {
    let organization = host.organization_of(user).await.as_uuid();
    host.execute(&format!(
        "UPDATE organizations SET time_zone = '{time_zone}' WHERE id = '{organization}'"
    ))
    .await;
}

api_tests![
    fires_each_threshold_once,
    tells_whom_it_names_once,
    tells_a_stranger_so_often_in_a_day,
    parallel_batches_fire_each_threshold_once,
    misses_nothing_that_is_sent_while_it_is_made,
    fires_at_once_what_has_been_reached,
    each_period_fires_by_itself,
    periods_are_those_of_the_time_zone,
    a_change_of_the_zone_leaves_no_sum_to_the_next_batch,
    looks_at_a_subject,
    counts_events,
    an_archived_one_fires_no_more,
    alerts_on_one_total_fire_each,
    a_batch_fires_thousands,
];

async fn fires_each_threshold_once(host: &TestHost) {
    let user = metered(host, "ada").await;
    make(host, &user, &alert(&["10", "20.5", "1000"])).await;
    let steps: [(Value, &[(&str, &str)]); 6] = [
        (json!([call("a", "9.9")]), &[]),
        // To the digit.
        (json!([call("b", "0.1")]), &[("10", "10")]),
        (json!([call("b", "0.1")]), &[("10", "10")]),
        // What falls below again has fired.
        (json!([call("c", "-5")]), &[("10", "10")]),
        (
            json!([call("d", 6), call("e", 9.5)]),
            &[("10", "10"), ("20.5", "20.5")],
        ),
        (
            json!([call("f", 1_000), call("g", 1_000)]),
            &[("10", "10"), ("20.5", "20.5"), ("1000", "2020.5")],
        ),
    ];
    for (events, expected) in steps {
        let response = send_call(host, &user.token, &events)
            .settle()
            .await
            .expect(200);
        assert_eq!(response.db_queries(), 1, "{response}");
        let got = fired(host, &user).await;
        let got: Vec<_> = got.iter().map(|(t, v)| (t.as_str(), v.as_str())).collect();
        assert_eq!(got, expected, "{events}");
        host.assert_usage_alerts_are_sound().await;
    }
    // Nothing is left to fire, and the total is kept no more.
    send(host, &user.token, &call("h", 5)).await;
    let kept = "SELECT count(*) FROM usage_alert_totals WHERE next_threshold IS NOT NULL";
    assert_eq!(host.query(kept).await[0].get::<_, i64>(0), 0);
    let body = page(host, &user, FIRINGS).await;
    let firing = &body["firings"][0];
    let starts = "SELECT rfc3339(date_trunc('month', now(), 'UTC'))";
    let ends = "SELECT rfc3339(date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + interval '1 month')";
    assert_eq!(firing["period_started_at"], text(host, starts).await);
    assert_eq!(firing["period_ends_at"], text(host, ends).await);
}

async fn tells_whom_it_names_once(host: &TestHost) {
    let user = metered(host, "ada").await;
    let loud = with(
        alert(&["10", "20", "30"]),
        "email",
        json!("ops@example.com"),
    );
    make(host, &user, &with(loud, "subject", json!("cus_1"))).await;
    make(host, &user, &alert(&["10", "20", "30"])).await;
    for n in 0..4 {
        let event = with(call(&format!("e{n}"), "9.5"), "subject", json!("cus_1"));
        for _ in 0..2 {
            send(host, &user.token, &event).await;
        }
    }
    let kinds = host.mail_kinds("ops@example.com").await;
    assert_eq!(kinds, ["usage_alert"; 3], "one for each threshold");
    let detail: Value = serde_json::from_str(
        &text(
            host,
            "SELECT detail::text FROM outbox_messages WHERE kind = 'usage_alert' AND detail ->> 'threshold' = '20'",
        )
        .await,
    )
    .expect("the detail is JSON");
    let month = text(host, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM')").await;
    let expected = json!({
        "organization_name": user.email, "alert_name": "Budget", "meter": "sum", "subject": "cus_1",
        "threshold": "20", "value": "28.5", "time_zone": "UTC", "period": month,
    });
    assert_eq!(detail, expected);
    assert_eq!(fired(host, &user).await.len(), 6, "the silent one too");
}

async fn tells_a_stranger_so_often_in_a_day(host: &TestHost) {
    let user = metered(host, "ada").await;
    host.verify_email(&user).await;
    let ten: Vec<String> = (1..=10).map(|n| n.to_string()).collect();
    let ten: Vec<&str> = ten.iter().map(String::as_str).collect();
    let daily = with(alert(&ten), "period", json!("day"));
    for email in ["ops@example.com", &user.email] {
        make(host, &user, &with(daily.clone(), "email", json!(email))).await;
    }
    let noon = |back: i32| {
        format!("SELECT rfc3339(date_trunc('day', now(), 'UTC') - interval '{back} days 12 hours')")
    };
    let mut events = Vec::new();
    for back in 0..4 {
        let time = text(host, &noon(back)).await;
        events.push(call_at(&format!("late {back}"), 10, &time));
    }
    for batch in [json!(events[1..]), json!([events[0], call("now", 10)])] {
        send(host, &user.token, &batch).await;
    }
    assert_eq!(fired(host, &user).await.len(), 2 * 5 * 10, "all are listed");
    for (email, expected) in [(&*user.email, 5 * 10), ("ops@example.com", 20)] {
        let kinds = host.mail_kinds(email).await;
        let told = kinds.iter().filter(|kind| *kind == "usage_alert").count();
        assert_eq!(told, expected, "{email}");
    }
    // Of what a batch reaches the newest periods are told of.
    let days = "SELECT count(DISTINCT detail ->> 'period') = 2
                       AND max(detail ->> 'period') = to_char(now() AT TIME ZONE 'UTC' - interval '2 days', 'YYYY-MM-DD')
                  FROM outbox_messages WHERE recipient = 'ops@example.com'";
    assert!(host.query(days).await[0].get::<_, bool>(0));
}

async fn parallel_batches_fire_each_threshold_once(host: &TestHost) {
    const BATCHES: usize = 64;
    let user = metered(host, "ada").await;
    let body = with(
        alert(&["100", "320", "640"]),
        "email",
        json!("ops@example.com"),
    );
    make(host, &user, &body).await;
    make(
        host,
        &user,
        &with(alert(&["10"]), "subject", json!("cus_7")),
    )
    .await;
    let batches: Vec<Value> = (0..BATCHES)
        .map(|n| {
            let events = (0..10).map(|k| {
                let event = call(&format!("e{n}-{k}"), 1);
                with(event, "subject", json!(format!("cus_{n}")))
            });
            events.collect()
        })
        .collect();
    let send_all = || join_all(batches.iter().map(|batch| send(host, &user.token, batch)));
    for round in 0..2 {
        for [accepted, duplicate, rejected] in send_all().await {
            // The first answer to a batch may be lost on a busy machine, and the second be that
            // all of it is there already.
            assert_eq!([accepted + duplicate, rejected], [10, 0]);
            assert!([0, 10].contains(&accepted), "a batch is stored whole");
            assert!(round == 0 || accepted == 0, "and once");
        }
        let mut fired = fired(host, &user).await;
        fired.sort();
        let expected = [("10", 10), ("100", 100), ("320", 320), ("640", 640)];
        let expected = expected.map(|(threshold, value)| (threshold.to_owned(), value.to_string()));
        assert_eq!(fired, expected, "each total goes up by whole batches");
        let kinds = host.mail_kinds("ops@example.com").await;
        assert_eq!(kinds, ["usage_alert"; 3]);
        host.assert_usage_alerts_are_sound().await;
    }
    let (value, _) = total(host, &user.token, "meter=sum").await;
    assert_eq!(value.as_deref(), Some("640"));
}

async fn misses_nothing_that_is_sent_while_it_is_made(host: &TestHost) {
    let user = metered(host, "ada").await;
    let mut sent = 0;
    for round in 0..4 {
        let batches: Vec<Value> = (0..16)
            .map(|n| json!([call(&format!("r{round}-{n}"), 1)]))
            .collect();
        sent += batches.len();
        let whole = sent.to_string();
        let body = alert(&[&whole]);
        let sending = join_all(batches.iter().map(|batch| send(host, &user.token, batch)));
        let making = async {
            // In the midst of them, at another moment each time.
            tokio::time::sleep(std::time::Duration::from_millis(5 * round)).await;
            make(host, &user, &body).await
        };
        futures::join!(sending, making);
        let fired = fired(host, &user).await;
        assert_eq!(fired.last(), Some(&(whole.clone(), whole)), "{fired:?}");
        assert_eq!(fired.len() as u64, round + 1);
        host.assert_usage_alerts_are_sound().await;
    }
}

async fn fires_at_once_what_has_been_reached(host: &TestHost) {
    let user = metered(host, "ada").await;
    send(host, &user.token, &call("a", 15)).await;
    let body = with(
        alert(&["10", "15", "20"]),
        "email",
        json!("ops@example.com"),
    );
    make(host, &user, &body).await;
    let expected = [("10", "15"), ("15", "15")].map(|(t, v)| (t.to_owned(), v.to_owned()));
    assert_eq!(fired(host, &user).await, expected);
    assert_eq!(host.mail_kinds("ops@example.com").await.len(), 2);
    send(host, &user.token, &call("b", 5)).await;
    assert_eq!(thresholds(host, &user).await, ["10", "15", "20"]);
    // Sent twice, the statement makes one and fires once.
    let digest = sql_digest(&user.token);
    let sql = format!(
        "SELECT usage_alert_create({digest}, owned_id(token_organization({digest}), '0199a2c4-e244-7b3c-8d5e-6f708192a3b5'), 'Again', 'sum', NULL, 'month',
                                   '{{20}}', NULL, 50, 5)::text
           FROM audit_asker('127.0.0.1', {digest})"
    );
    let answers = [text(host, &sql).await, text(host, &sql).await];
    assert_eq!(answers[0], answers[1]);
    assert_eq!(thresholds(host, &user).await, ["10", "15", "20", "20"]);
}

async fn each_period_fires_by_itself(host: &TestHost) {
    let user = metered(host, "ada").await;
    let before = "SELECT rfc3339(date_trunc('month', now(), 'UTC') - interval '1 microsecond')";
    let before = text(host, before).await;
    // The month before was past the lowest threshold when the alert was made.
    send(host, &user.token, &call_at("a", 12, &before)).await;
    make(host, &user, &alert(&["10", "20"])).await;
    make(host, &user, &with(alert(&["5"]), "period", json!("day"))).await;
    assert!(thresholds(host, &user).await.is_empty());
    send(host, &user.token, &call_at("b", 7, &before)).await;
    let late = thresholds(host, &user).await;
    assert_eq!(late, ["5", "10"], "they fire when something comes late");
    send(host, &user.token, &call("c", 11)).await;
    let mut now = thresholds(host, &user).await;
    now.sort();
    assert_eq!(
        now,
        ["10", "10", "5", "5"],
        "and this month and day by themselves"
    );
    // Both at once, of which one is reached.
    let batch = json!([call_at("d", 1, &before), call("e", 1)]);
    send(host, &user.token, &batch).await;
    let fired = fired(host, &user).await;
    assert_eq!(fired.len(), 5);
    assert_eq!(fired[4], ("20".to_owned(), "20".to_owned()));
    let firings = page(host, &user, FIRINGS).await["firings"].clone();
    let starts: std::collections::BTreeSet<String> = (0..5)
        .map(|n| firings[n]["period_started_at"].to_string())
        .collect();
    assert!(starts.len() >= 3, "{firings}");
}

async fn periods_are_those_of_the_time_zone(host: &TestHost) {
    // The clocks go forward at midnight in Cairo, and back to it in Havana.
    let table = [
        (
            "day",
            "2026-03-28 23:00Z",
            "Europe/Berlin",
            "2026-03-28 23:00Z",
            "2026-03-29 22:00Z",
        ),
        (
            "day",
            "2026-03-29 21:59Z",
            "Europe/Berlin",
            "2026-03-28 23:00Z",
            "2026-03-29 22:00Z",
        ),
        (
            "day",
            "2026-03-29 22:00Z",
            "Europe/Berlin",
            "2026-03-29 22:00Z",
            "2026-03-30 22:00Z",
        ),
        (
            "day",
            "2026-10-25 22:59Z",
            "Europe/Berlin",
            "2026-10-24 22:00Z",
            "2026-10-25 23:00Z",
        ),
        (
            "day",
            "2026-10-25 23:00Z",
            "Europe/Berlin",
            "2026-10-25 23:00Z",
            "2026-10-26 23:00Z",
        ),
        (
            "month",
            "2026-03-31 21:59Z",
            "Europe/Berlin",
            "2026-02-28 23:00Z",
            "2026-03-31 22:00Z",
        ),
        (
            "month",
            "2026-10-31 22:59Z",
            "Europe/Berlin",
            "2026-09-30 22:00Z",
            "2026-10-31 23:00Z",
        ),
        (
            "month",
            "2026-10-31 23:00Z",
            "Europe/Berlin",
            "2026-10-31 23:00Z",
            "2026-11-30 23:00Z",
        ),
        (
            "day",
            "2024-04-25 21:59Z",
            "Africa/Cairo",
            "2024-04-24 22:00Z",
            "2024-04-25 22:00Z",
        ),
        (
            "day",
            "2024-04-25 22:00Z",
            "Africa/Cairo",
            "2024-04-25 22:00Z",
            "2024-04-26 21:00Z",
        ),
        (
            "day",
            "2024-11-03 03:45Z",
            "America/Havana",
            "2024-11-02 04:00Z",
            "2024-11-03 04:00Z",
        ),
        (
            "day",
            "2024-11-03 04:30Z",
            "America/Havana",
            "2024-11-03 04:00Z",
            "2024-11-04 05:00Z",
        ),
        (
            "day",
            "2024-11-03 05:30Z",
            "America/Havana",
            "2024-11-03 04:00Z",
            "2024-11-04 05:00Z",
        ),
        (
            "day",
            "2026-10-25 00:30Z",
            "Atlantic/Azores",
            "2026-10-25 00:00Z",
            "2026-10-26 01:00Z",
        ),
        (
            "month",
            "2026-11-01 04:30Z",
            "America/Havana",
            "2026-11-01 04:00Z",
            "2026-12-01 05:00Z",
        ),
        (
            "day",
            "2026-11-20 18:15Z",
            "Asia/Kathmandu",
            "2026-11-20 18:15Z",
            "2026-11-21 18:15Z",
        ),
        (
            "day",
            "2026-11-20 18:14Z",
            "Asia/Kathmandu",
            "2026-11-19 18:15Z",
            "2026-11-20 18:15Z",
        ),
    ];
    for (period, time, zone, start, end) in table {
        let sql = format!(
            "SELECT s = '{start}' AND usage_alert_period_end('{period}', s, '{zone}') = '{end}',
                    s::text, usage_alert_period_end('{period}', s, '{zone}')::text
               FROM usage_alert_period_start('{period}', '{time}', '{zone}') s"
        );
        let row = &host.query(&sql).await[0];
        let got: (String, String) = (row.get(1), row.get(2));
        assert!(
            row.get::<_, bool>(0),
            "{period} of {time} in {zone}: {got:?}"
        );
    }

    let user = metered(host, "ada").await;
    set_time_zone(host, &user, "Europe/Berlin").await;
    let day = with(alert(&["2"]), "period", json!("day"));
    make(host, &user, &with(day, "email", json!("ops@example.com"))).await;
    make(host, &user, &alert(&["71", "72"])).await;
    // Each hour of the day in March that has 23, and of the two beside it.
    let digest = sql_digest(&user.token);
    host.execute(&format!(
        "SELECT usage_ingest({digest}, array_agg(n::integer), array_agg(text ''), array_agg(lpad(n::text, 4, '0')),
                             array_agg(text ''), array_agg(text 'call'),
                             array_agg((extract(epoch FROM s) * 1000000)::bigint), array_agg(text '{{\"n\":1}}'), false)
           FROM generate_series(timestamptz '2026-03-27 23:00Z', '2026-03-30 21:45Z', interval '1 hour')
                WITH ORDINALITY u (s, n)"
    ))
    .await;
    let days = host
        .query(
            "SELECT rfc3339(period_started_at), value::text FROM usage_alert_firings
              WHERE threshold = 2 ORDER BY period_started_at",
        )
        .await;
    let days: Vec<(String, String)> = days.iter().map(|row| (row.get(0), row.get(1))).collect();
    let expected = [
        ("2026-03-27T23:00:00.000000Z", "24"),
        ("2026-03-28T23:00:00.000000Z", "23"),
        ("2026-03-29T22:00:00.000000Z", "24"),
    ];
    assert_eq!(
        days,
        expected.map(|(start, value)| (start.to_owned(), value.to_owned()))
    );
    let month = "SELECT count(*) FROM usage_alert_firings WHERE threshold > 2 AND value = 71";
    assert_eq!(host.query(month).await[0].get::<_, i64>(0), 1);
    let named = "SELECT string_agg(detail ->> 'period', ' ' ORDER BY detail ->> 'period') FROM outbox_messages WHERE kind = 'usage_alert'";
    assert_eq!(text(host, named).await, "2026-03-28 2026-03-29 2026-03-30");

    // Another zone begins other days, which what was counted before is in.
    let eve = metered(host, "eve").await;
    let noon = "SELECT rfc3339(date_trunc('day', now(), 'UTC') - interval '12 hours')";
    let noon = text(host, noon).await;
    make(host, &eve, &with(alert(&["2"]), "period", json!("day"))).await;
    send(host, &eve.token, &call_at("a", 1, &noon)).await;
    set_time_zone(host, &eve, "Asia/Kathmandu").await;
    assert!(fired(host, &eve).await.is_empty());
    send(host, &eve.token, &call_at("b", 1, &noon)).await;
    assert_eq!(thresholds(host, &eve).await, ["2"]);
    set_time_zone(host, &eve, "UTC").await;
    send(host, &eve.token, &call_at("c", 1, &noon)).await;
    let expected = [("2", "2"), ("2", "3")].map(|(t, v)| (t.to_owned(), v.to_owned()));
    assert_eq!(fired(host, &eve).await, expected);
}

async fn a_change_of_the_zone_leaves_no_sum_to_the_next_batch(host: &TestHost) {
    let user = metered(host, "ada").await;
    make(host, &user, &with(alert(&["2"]), "period", json!("day"))).await;
    make(host, &user, &alert(&["7", "9"])).await;
    send(host, &user.token, &json!([call("a", 1), call("b", 2)])).await;
    assert_eq!(thresholds(host, &user).await, ["2"]);
    set_time_zone(host, &user, "Asia/Kathmandu").await;
    let kept = "SELECT count(*) FROM usage_alert_totals WHERE is_unfired AND value = 3 AND next_threshold IS NOT NULL";
    assert_eq!(host.query(kept).await[0].get::<_, i64>(0), 2);
    assert_eq!(thresholds(host, &user).await, ["2"]);
    host.assert_usage_alerts_are_sound().await;
    // An alert that is made meanwhile looks at the same total, and fires what waits.
    make(
        host,
        &user,
        &with(alert(&["3", "4"]), "period", json!("day")),
    )
    .await;
    let made = thresholds(host, &user).await;
    send(host, &user.token, &call("c", 4)).await;
    let mut now = thresholds(host, &user).await;
    now.sort();
    assert_eq!(made.len(), 3, "{made:?}");
    assert_eq!(now, ["2", "2", "3", "4", "7"]);
}

async fn looks_at_a_subject(host: &TestHost) {
    let user = host.new_user("ada").await;
    // Groups are added up.
    meter(
        host,
        &user.token,
        "sum",
        "sum",
        json!({"group_by": ["model"]}),
    )
    .await;
    for subject in ["cus_1", "cus_2"] {
        let body = with(alert(&["10"]), "subject", json!(subject));
        make(host, &user, &body).await;
    }
    make(host, &user, &alert(&["25"])).await;
    let of = |id: &str, subject: Value, model: &str| json!({"id": id, "type": "call", "subject": subject, "properties": {"n": 5, "model": model}});
    let batch = json!([
        of("a", json!("cus_1"), "large"),
        of("b", json!("cus_2"), "large"),
        of("c", json!(null), "small"),
        of("d", json!("cus_3"), "small"),
    ]);
    send(host, &user.token, &batch).await;
    assert!(fired(host, &user).await.is_empty());
    send(host, &user.token, &of("e", json!("cus_1"), "small")).await;
    let mut fired = fired(host, &user).await;
    fired.sort();
    let expected = [("10", "10"), ("25", "25")].map(|(t, v)| (t.to_owned(), v.to_owned()));
    assert_eq!(fired, expected);
}

async fn counts_events(host: &TestHost) {
    let user = host.new_user("ada").await;
    let filters = json!([{"property": "tier", "op": "eq", "value": "paid"}]);
    meter(
        host,
        &user.token,
        "calls",
        "count",
        json!({"filters": filters}),
    )
    .await;
    make(host, &user, &with(alert(&["2"]), "meter", json!("calls"))).await;
    let tier =
        |id: &str, tier: &str| json!({"id": id, "type": "call", "properties": {"tier": tier}});
    send(
        host,
        &user.token,
        &json!([tier("a", "paid"), tier("b", "free")]),
    )
    .await;
    send(
        host,
        &user.token,
        &json!({"id": "c", "type": "other", "properties": {"tier": "paid"}}),
    )
    .await;
    // One that is rejected counts as little as one that is there already.
    send(
        host,
        &user.token,
        &json!([tier("a", "paid"), {"id": "d", "type": "call", "properties": 1}]),
    )
    .await;
    assert!(fired(host, &user).await.is_empty());
    send(host, &user.token, &tier("e", "paid")).await;
    assert_eq!(thresholds(host, &user).await, ["2"]);
}

async fn an_archived_one_fires_no_more(host: &TestHost) {
    let user = metered(host, "ada").await;
    let id = make(host, &user, &alert(&["10", "20"])).await;
    send(host, &user.token, &call("a", 10)).await;
    let path = format!("{ALERTS}/{id}");
    let archive = host.delete(&path).bearer(&user.token);
    let archived = join_all((0..8).map(|_| archive.settle())).await;
    let bodies: Vec<Value> = archived.into_iter().map(|r| r.expect(200).json()).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    send(host, &user.token, &call("b", 20)).await;
    assert_eq!(thresholds(host, &user).await, ["10"]);
    let events = "SELECT count(*) FROM audit_events WHERE event_type = 'usage_alert.archived'";
    assert_eq!(host.query(events).await[0].get::<_, i64>(0), 1);
    // Another one begins with all that was counted meanwhile.
    make(host, &user, &alert(&["30", "31"])).await;
    assert_eq!(thresholds(host, &user).await, ["10", "30"]);
    // A meter that counts no more reaches nothing more.
    let path = format!("{METERS}/sum");
    host.delete(path)
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
    send(host, &user.token, &call("c", 20)).await;
    assert_eq!(thresholds(host, &user).await, ["10", "30"]);
    refuse(
        host,
        make_call(host, &user, &alert(&["1"])),
        422,
        "invalid_fields",
        &["meter"],
    )
    .await;
}

async fn alerts_on_one_total_fire_each(host: &TestHost) {
    let user = metered(host, "ada").await;
    make(host, &user, &alert(&["10", "30"])).await;
    send(host, &user.token, &call("a", 10)).await;
    let second = make(host, &user, &alert(&["10", "20", "30"])).await;
    send(host, &user.token, &call("b", -5)).await;
    let third = make(host, &user, &alert(&["7", "20"])).await;
    assert_eq!(thresholds(host, &user).await, ["10", "10"]);
    send(host, &user.token, &call("c", 2)).await;
    assert_eq!(thresholds(host, &user).await, ["10", "10", "7"]);
    let path = format!("{ALERTS}/{third}");
    host.delete(path)
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
    send(host, &user.token, &call("d", 100)).await;
    let mut all = thresholds(host, &user).await;
    all.sort();
    assert_eq!(all, ["10", "10", "20", "30", "30", "7"]);
    let rows = "SELECT count(*) FROM usage_alert_totals";
    assert_eq!(host.query(rows).await[0].get::<_, i64>(0), 1);
    let of_second = page(host, &user, &format!("{ALERTS}/{second}/firings")).await;
    let count = of_second["firings"].as_array().map_or(0, Vec::len);
    assert_eq!(count, 3, "{of_second}");
}

/// All thresholds of as many alerts as there may be, on four days.
async fn a_batch_fires_thousands(host: &TestHost) {
    const ALERTS_ACTIVE: i64 = 50;
    const DAYS: i64 = 4;
    let user = metered(host, "ada").await;
    let ten: Vec<String> = (1..=10).map(|n| n.to_string()).collect();
    let ten: Vec<&str> = ten.iter().map(String::as_str).collect();
    let daily = with(alert(&ten), "period", json!("day"));
    let first = make(host, &user, &with(daily, "email", json!("ops@example.com"))).await;
    // One more after the other would look at all days each.
    host.execute(&format!(
        "INSERT INTO usage_alerts (organization_id, id, name, meter_id, subject, period, thresholds, email)
         SELECT organization_id, owned_id(organization_id, gen_random_uuid()), 'Alert ' || n, meter_id,
                CASE WHEN n % 2 = 0 THEN 'cus_' || n ELSE '' END, period, thresholds, email
           FROM usage_alerts, generate_series(2, {ALERTS_ACTIVE}) n WHERE prefixed_id('ual_', id) = '{first}'"
    ))
    .await;
    let day_micros = 86_400_000_000;
    let events: Vec<Value> = (0..DAYS)
        .flat_map(|day| {
            (1..=ALERTS_ACTIVE / 2).map(move |n| {
                let time =
                    crate::metering::rfc3339(crate::metering::now_micros() - day * day_micros);
                with(
                    call_at(&format!("{day} {n}"), 10, &time),
                    "subject",
                    json!(format!("cus_{}", 2 * n)),
                )
            })
        })
        .collect();
    let accepted = [events.len() as u64, 0, 0];
    assert_eq!(send(host, &user.token, &json!(events)).await, accepted);
    let counts = host
        .query(
            "SELECT count(*), count(DISTINCT sequence), count(DISTINCT alert_id),
                    (SELECT count(*) FROM outbox_messages WHERE kind = 'usage_alert')
               FROM usage_alert_firings",
        )
        .await;
    let counts: [i64; 4] = std::array::from_fn(|at| counts[0].get(at));
    let fired = ALERTS_ACTIVE * DAYS * 10;
    assert_eq!(counts, [fired, fired, ALERTS_ACTIVE, 20 * ALERTS_ACTIVE]);
    host.assert_usage_alerts_are_sound().await;
    // Nothing is left to fire.
    let more = json!([call("more", 10)]);
    assert_eq!(send(host, &user.token, &more).await, [1, 0, 0]);
    let left = host.query("SELECT count(*) FROM usage_alert_firings").await;
    assert_eq!(left[0].get::<_, i64>(0), fired);
}
