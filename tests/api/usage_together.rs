//! Small batches of one organization that wait for each other are sent as one statement, and each
//! fares as if it had been sent alone.

use futures::future::join_all;
use serde_json::{Value, json};
use turnpike_tests::database::connect_without_timeouts;
use turnpike_tests::personas::sql_digest;
use turnpike_tests::{Call, Random, Response, Settings, TestHost, User, api_tests, run};

use crate::metering::{EVENTS, meter, now_micros, send_call, total};
use crate::together::{self, ATTEMPTS, WAITING, are_fewer, count, organization_of, revoke};
use crate::usage_alerts::ALERTS;

api_tests![
    each_fares_as_if_it_was_alone,
    statements_side_by_side_do_not_block_each_other,
    refuses_several_organizations,
    those_that_wait_are_one_statement,
    one_that_fails_fails_alone,
];

/// An event as SQL has it.
#[derive(Clone)]
struct Sent {
    source: &'static str,
    id: String,
    subject: &'static str,
    micros: i64,
    properties: String,
}

/// The arrays of a request in the order of their keys, as expressions of SQL.
fn arrays(events: &[Sent]) -> [String; 7] {
    let mut events = events.to_vec();
    events.sort_by(|a, b| (a.source, &a.id).cmp(&(b.source, &b.id)));
    let array = |kind: &str, value: &dyn Fn(&Sent) -> String| {
        let values: Vec<String> = events.iter().map(value).collect();
        format!("ARRAY[{}]::{kind}[]", values.join(", "))
    };
    let mut keys: Vec<_> = events.iter().map(|e| (e.source, &e.id)).collect();
    keys.dedup();
    let key = |event: &Sent| {
        let at = keys
            .iter()
            .position(|key| *key == (event.source, &event.id));
        at.map_or(0, |at| at + 1).to_string()
    };
    [
        array("integer", &key),
        array("text", &|e| format!("'{}'", e.source)),
        array("text", &|e| format!("'{}'", e.id)),
        array("text", &|e| format!("'{}'", e.subject)),
        array("text", &|_| "'call'".to_owned()),
        array("bigint", &|e| e.micros.to_string()),
        array("text", &|e| format!("'{}'", e.properties)),
    ]
}

/// An answer without the organization, and in an order of its own.
fn outline(answer: &str) -> Value {
    let mut value: Value = serde_json::from_str(answer).expect("an answer is JSON");
    if let Some(members) = value.as_object_mut() {
        members.remove("organization_id");
    }
    for name in ["accepted", "adjustments", "problems"] {
        if let Some(list) = value.get_mut(name).and_then(Value::as_array_mut) {
            list.sort_by_key(Value::to_string);
        }
    }
    value
}

async fn one_by_one(host: &TestHost, requests: &[(String, Vec<Sent>)]) -> Vec<Value> {
    let mut answers = Vec::new();
    for (digest, events) in requests {
        let arrays = arrays(events).join(", ");
        let sql = format!("SELECT usage_ingest({digest}, {arrays}, false)::text");
        answers.push(outline(host.query(&sql).await[0].get(0)));
    }
    answers
}

fn together_sql(requests: &[(String, Vec<Sent>)]) -> String {
    let digests: Vec<&str> = requests.iter().map(|(digest, _)| digest.as_str()).collect();
    let all: Vec<[String; 7]> = requests.iter().map(|(_, events)| arrays(events)).collect();
    let columns: Vec<String> = (0..7)
        .map(|at| {
            let texts: Vec<String> = all.iter().map(|own| format!("{}::text", own[at])).collect();
            format!("ARRAY[{}]::text[]", texts.join(", "))
        })
        .collect();
    format!(
        "SELECT unnest(usage_ingest_many(ARRAY[{}]::bytea[], {}))",
        digests.join(", "),
        columns.join(", ")
    )
}

async fn together(host: &TestHost, requests: &[(String, Vec<Sent>)]) -> Vec<Value> {
    let rows = host.query(&together_sql(requests)).await;
    rows.iter().map(|row| outline(row.get(0))).collect()
}

/// All that batches write, of one organization and without its ids.
async fn books(host: &TestHost, organization: &str) -> Vec<String> {
    let sql = format!(
        "SELECT concat_ws(' ', 'event', time, is_adjustment, type, source, id, subject, properties)
           FROM usage_events WHERE organization_id = {organization}
          UNION ALL
         SELECT concat_ws(' ', 'key', source, id) FROM usage_event_keys WHERE organization_id = {organization}
          UNION ALL
         SELECT concat_ws(' ', 'quarter', m.slug, slot_at, group_key, events, total, minimum, maximum, latest_at, latest)
           FROM usage_rollups r JOIN meters m ON m.organization_id = r.organization_id AND m.id = r.meter_id
          WHERE r.organization_id = {organization}
          UNION ALL
         SELECT concat_ws(' ', 'subject', m.slug, subject, slot_at, group_key, events, total, latest)
           FROM usage_subject_rollups r JOIN meters m ON m.organization_id = r.organization_id AND m.id = r.meter_id
          WHERE r.organization_id = {organization}
          UNION ALL
         SELECT concat_ws(' ', 'hour', m.slug, hour_at, group_key, events, total, minimum, maximum, latest_at, latest)
           FROM usage_hour_rollups r JOIN meters m ON m.organization_id = r.organization_id AND m.id = r.meter_id
          WHERE r.organization_id = {organization}
          UNION ALL
         SELECT concat_ws(' ', 'day', m.slug, subject, day_at, events, total)
           FROM usage_day_totals t JOIN meters m ON m.organization_id = t.organization_id AND m.id = t.meter_id
          WHERE t.organization_id = {organization}
          UNION ALL
         SELECT concat_ws(' ', 'level', m.slug, subject, group_key, time, level, events)
           FROM usage_levels l JOIN meters m ON m.organization_id = l.organization_id AND m.id = l.meter_id
          WHERE l.organization_id = {organization}
          UNION ALL
         SELECT concat_ws(' ', 'value', m.slug, slot_at, group_key, subject, value)
           FROM usage_unique_values v JOIN meters m ON m.organization_id = v.organization_id AND m.id = v.meter_id
          WHERE v.organization_id = {organization}
          UNION ALL
         SELECT concat_ws(' ', 'fired', period_started_at, threshold)
           FROM usage_alert_firings WHERE organization_id = {organization}
          ORDER BY 1"
    );
    let rows = host.query(&sql).await;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Up to fifteen requests of up to five events each: of few ids, so that some repeat in a request,
/// some in the statement and some from an earlier one, and some of which a meter refuses.
fn requests(random: &mut Random, tokens: usize, now: i64) -> Vec<(usize, Vec<Sent>)> {
    let values = ["1", "2.5", "-4", "\"7\"", "\"seven\"", "null"];
    let mut pick =
        |end: usize| usize::try_from(random.below(u64::try_from(end).unwrap_or(1))).unwrap_or(0);
    let count = 1 + pick(15);
    (0..count)
        .map(|_| {
            let events = (0..pick(6))
                .map(|_| Sent {
                    source: ["", "eu"][pick(2)],
                    id: format!("e{}", pick(120)),
                    subject: ["", "cus_1", "cus_2"][pick(3)],
                    micros: now - i64::try_from(pick(5)).unwrap_or(0) * 40_000_000_000,
                    properties: format!(
                        "{{\"n\": {}, \"model\": {}}}",
                        values[pick(values.len())],
                        pick(2)
                    ),
                })
                .collect();
            (pick(tokens), events)
        })
        .collect()
}

/// Makes an alert of the meter `sum`.
async fn watch(host: &TestHost, user: &User) {
    let alert =
        json!({"name": "Alert", "meter": "sum", "period": "month", "thresholds": ["5", "40"]});
    let made = host.post(ALERTS).bearer(&user.token);
    made.json(&alert).send().await.expect(201);
}

/// Two organizations with the same meters and alerts: the one's requests are sent one by one, and
/// the other's together.
async fn each_fares_as_if_it_was_alone(host: &TestHost) {
    let mut random = Random::seeded("batches together");
    let now = now_micros();
    for round in 0..4 {
        let mut twins = Vec::new();
        for name in ["ada", "eve"] {
            let user = host.new_user(name).await;
            for aggregation in ["sum", "latest", "unique_count", "time_weighted_sum"] {
                let slug = aggregation.replace('_', "-");
                let groups = json!({"group_by": ["model"]});
                meter(host, &user.token, &slug, aggregation, groups).await;
            }
            // With an alert they are stored one after the other, and without as one batch.
            if round % 2 == 0 {
                watch(host, &user).await;
            }
            let organization = organization_of(host, &user).await;
            host.execute(&format!(
                "INSERT INTO usage_closed_periods VALUES ({organization}, now() - interval '1 day')"
            ))
            .await;
            let revoked = host.issue_token(&user).await;
            revoke(host, &revoked).await;
            let tokens = [user.token.clone(), host.issue_token(&user).await, revoked];
            let digests: Vec<String> = tokens.iter().map(|token| sql_digest(token)).collect();
            twins.push((organization, digests));
        }
        for _ in 0..12 {
            let sent = requests(&mut random, 3, now);
            let by = |digests: &[String]| {
                let by = |(token, events): &(usize, Vec<Sent>)| {
                    (digests[*token].clone(), events.clone())
                };
                sent.iter().map(by).collect::<Vec<_>>()
            };
            let alone = one_by_one(host, &by(&twins[0].1)).await;
            assert_eq!(together(host, &by(&twins[1].1)).await, alone);
        }
        assert_eq!(
            books(host, &twins[1].0).await,
            books(host, &twins[0].0).await
        );
    }
    host.assert_usage_is_sound().await;
}

/// Instances send their statements side by side, for the same subjects in other orders and with the
/// same ids. None waits for another in a circle, with an alert or without.
async fn statements_side_by_side_do_not_block_each_other(host: &TestHost) {
    const CALLERS: usize = 4;
    const STATEMENTS: usize = 25;
    let now = now_micros();
    for is_watched in [true, false] {
        let user = host.new_user("ada").await;
        meter(host, &user.token, "sum", "sum", json!({})).await;
        if is_watched {
            watch(host, &user).await;
        }
        let digest = sql_digest(&user.token);
        let callers = (0..CALLERS).map(|caller| {
            let digest = digest.clone();
            async move {
                let mut random = Random::seeded(&format!("side by side {caller}"));
                let client = connect_without_timeouts(host.database_url()).await;
                let client = client.expect("the database can be reached");
                let hurry = client.batch_execute("SET deadlock_timeout = '20ms'").await;
                hurry.expect("a superuser may");
                for _ in 0..STATEMENTS {
                    let sent = requests(&mut random, 1, now).into_iter();
                    let sent: Vec<_> = sent.map(|(_, events)| (digest.clone(), events)).collect();
                    let stored = client.query(&together_sql(&sent), &[]).await;
                    assert!(stored.is_ok(), "with an alert: {is_watched}: {stored:?}");
                }
            }
        });
        join_all(callers).await;
    }
    host.assert_usage_is_sound().await;
    host.assert_usage_alerts_are_sound().await;
}

/// What is not of one organization fails whole, whatever order it comes in.
async fn refuses_several_organizations(host: &TestHost) {
    let (ada, eve) = (host.new_user("ada").await, host.new_user("eve").await);
    let event = Sent {
        source: "",
        id: "a".to_owned(),
        subject: "",
        micros: now_micros(),
        properties: "{}".to_owned(),
    };
    let by = |user: &User| (sql_digest(&user.token), vec![event.clone()]);
    for users in [[&ada, &eve], [&eve, &ada]] {
        let sql = together_sql(&users.map(by));
        let error = host.db().query(&sql, &[]).await.expect_err("two of them");
        let code = error.as_db_error().map(|error| error.code().code());
        assert_eq!(code, Some("TP004"), "{error:?}");
    }
    let rows = host.query("SELECT count(*) FROM usage_event_keys").await;
    assert_eq!(rows[0].get::<_, i64>(0), 0);
    // An unknown token belongs to nobody, and is refused by itself.
    let unknown = turnpike_tests::personas::invented_token(ada.id);
    let requests = [(sql_digest(&unknown), vec![event.clone()]), by(&ada)];
    let answers = together(host, &requests).await;
    assert_eq!(answers[0], json!({"refusal": "unauthenticated"}));
    assert_eq!(answers[1]["accepted"], json!([1]));
}

/// Sends a request while the organization is held, and the others while it waits.
async fn send_while_held(host: &TestHost, organization: &str, calls: Vec<Call>) -> Vec<Response> {
    let hold = format!("SELECT usage_alerts_hold_alone({organization})");
    together::send_while_held(host, &hold, calls).await
}

/// How many transactions have stored the events of an organization.
async fn statements(host: &TestHost, organization: &str) -> usize {
    let events = format!("usage_event_keys WHERE organization_id = {organization}");
    together::statements(host, &events).await
}

/// The statuses of the events of all answers, sorted.
fn statuses(responses: &[Response]) -> Vec<String> {
    let good = responses.iter().filter(|response| response.status == 200);
    let mut statuses: Vec<String> = good
        .flat_map(|response| response.json()["results"].as_array().cloned())
        .flatten()
        .map(|verdict| verdict["status"].as_str().unwrap_or_default().to_owned())
        .collect();
    statuses.sort();
    statuses
}

/// Among those that wait are an event that comes three times, one that a meter refuses, a token that
/// was revoked, and a request that is all or nothing. A busy machine may deliver all of them late,
/// and is given another try.
async fn those_that_wait_are_one_statement(host: &TestHost) {
    for _ in 0..ATTEMPTS {
        let user = host.new_user("ada").await;
        meter(host, &user.token, "sum", "sum", json!({})).await;
        let organization = organization_of(host, &user).await;
        let revoked = host.issue_token(&user).await;
        revoke(host, &revoked).await;
        let event = |id: &str, n: Value| json!({"id": id, "type": "call", "properties": {"n": n}});
        let call = |id: &str| send_call(host, &user.token, &event(id, json!(1)));
        let mut calls: Vec<Call> = (0..WAITING).map(|n| call(&format!("e{n}"))).collect();
        for place in [3, 6, 8] {
            calls.insert(place, call("twice"));
        }
        let wrong = json!([event("wrong", json!("x")), event("right", json!(2))]);
        calls.insert(2, send_call(host, &user.token, &wrong));
        calls.insert(4, send_call(host, &revoked, &event("r", json!(1))));
        let atomic = host.post(format!("{EVENTS}?atomic=true"));
        calls.insert(5, atomic.bearer(&user.token).json(&wrong));
        let requests = calls.len();
        let responses = send_while_held(host, &organization, calls).await;
        assert_eq!(count(&responses, 401), 1, "the revoked token");
        assert_eq!(count(&responses, 422), 1, "all or nothing");
        assert_eq!(count(&responses, 200), requests - 2);
        let mut expected = vec!["accepted"; WAITING + 2];
        expected.extend(["duplicate"; 2]);
        expected.push("rejected");
        assert_eq!(statuses(&responses), expected);
        assert!(
            responses.iter().all(|response| response.db_queries() >= 1),
            "each has asked Postgres"
        );
        let (sum, events) = total(host, &user.token, "meter=sum").await;
        let counted = WAITING + 2;
        assert_eq!(
            (sum, events),
            (Some((counted + 1).to_string()), counted as u64)
        );
        host.assert_usage_is_sound().await;
        if are_fewer(statements(host, &organization).await, requests) {
            return;
        }
    }
    panic!("the batches never waited together");
}

/// A fault that one of them causes is that one's: the others are sent again, each alone.
async fn one_that_fails_fails_alone(host: &TestHost) {
    host.execute(
        "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
         CREATE TRIGGER fails BEFORE INSERT ON usage_event_keys FOR EACH ROW
         WHEN (NEW.id = 'bad') EXECUTE FUNCTION fails()",
    )
    .await;
    for _ in 0..ATTEMPTS {
        let user = host.new_user("ada").await;
        meter(host, &user.token, "calls", "count", json!({})).await;
        let organization = organization_of(host, &user).await;
        let call = |id: &str| send_call(host, &user.token, &json!({"id": id, "type": "call"}));
        let mut calls: Vec<Call> = (0..WAITING).map(|n| call(&format!("e{n}"))).collect();
        calls.insert(5, call("bad").unchecked());
        let lines = host.log_lines().len();
        let responses = send_while_held(host, &organization, calls).await;
        let statuses: Vec<_> = responses.iter().map(|response| response.status).collect();
        assert_eq!(statuses[5], 500, "{statuses:?}");
        assert_eq!(count(&responses, 200), WAITING, "{statuses:?}");
        assert_eq!(
            total(host, &user.token, "meter=calls").await.1,
            WAITING as u64
        );
        let failed = host.log_lines().split_off(lines);
        if failed.iter().any(|line| line.contains("usage_ingest_many")) {
            return;
        }
    }
    panic!("the batches never waited together");
}

/// An instance of its own for each request has nobody wait.
#[test]
fn fresh_instances_store_one_by_one() {
    run(Settings::fresh(), async |host: &TestHost| {
        let user = host.new_user("ada").await;
        let organization = organization_of(host, &user).await;
        let call = |n: usize| {
            send_call(
                host,
                &user.token,
                &json!({"id": n.to_string(), "type": "call"}),
            )
        };
        let responses = send_while_held(host, &organization, (0..6).map(call).collect()).await;
        assert_eq!(count(&responses, 200), 6);
        assert_eq!(statements(host, &organization).await, 6);
    });
}
