use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::DateTime;
use futures::future::{join, join_all};
use serde_json::{Value, json};
use shared::ids::OrganizationId;
use turnpike_tests::{Call, Random, Response, TestHost, User, api_tests};

use crate::metering::{
    CLOSED_PERIODS, meter, now_micros, rfc3339, send, send_call, total, whole_range,
};
use crate::refusals::refuse;

const QUARTER_MICROS: i64 = 15 * 60 * 1_000_000;

/// How long the race of batches with a closing lasts on each side of it, and longer until a batch
/// was on that side.
const RACE_HALF: Duration = Duration::from_millis(700);

/// How long it may take until then.
const RACE_PATIENCE: Duration = Duration::from_secs(60);

/// The beginning of the quarter of an hour that lies so many before now's.
fn quarter(back: i64) -> String {
    rfc3339((now_micros() / QUARTER_MICROS - back) * QUARTER_MICROS)
}

fn micros(time: &str) -> i64 {
    DateTime::parse_from_rfc3339(time)
        .map(|time| time.timestamp_micros())
        .unwrap_or_else(|error| panic!("{time}: {error}"))
}

fn get(host: &TestHost, admin: &User, organization: OrganizationId) -> Call {
    host.get(format!("{CLOSED_PERIODS}/{organization}"))
        .bearer(&admin.token)
}

fn close(host: &TestHost, admin: &User, organization: OrganizationId, until: &str) -> Call {
    host.put(format!("{CLOSED_PERIODS}/{organization}"))
        .bearer(&admin.token)
        .json(&json!({"until": until}))
}

/// How many of a batch's events were flagged.
fn flagged(response: &Response) -> u64 {
    let body = response.json();
    let results = body["results"].as_array().cloned().unwrap_or_default();
    let flagged = results
        .iter()
        .filter(|verdict| verdict["flag"] == "adjustment");
    flagged.count() as u64
}

/// The events of an organization that are flagged, and those that are not.
async fn stored(host: &TestHost, organization: OrganizationId) -> (i64, i64) {
    let rows = host
        .query(&format!(
            "SELECT count(*) FILTER (WHERE is_adjustment), count(*) FILTER (WHERE NOT is_adjustment)
               FROM usage_events WHERE organization_id = '{}'",
            organization.as_uuid()
        ))
        .await;
    (rows[0].get(0), rows[0].get(1))
}

/// What the organization's audit log says of closings, oldest first.
async fn closings(host: &TestHost, organization: OrganizationId) -> Vec<Value> {
    let rows = host
        .query(&format!(
            "SELECT detail::text FROM audit_events
              WHERE organization_id = '{}' AND event_type = 'usage.closed' ORDER BY sequence",
            organization.as_uuid()
        ))
        .await;
    let detail = |row: &tokio_postgres::Row| row.get::<_, String>(0);
    let parse = |text: String| serde_json::from_str(&text).unwrap_or_default();
    rows.iter().map(detail).map(parse).collect()
}

api_tests![
    goes_forward_only,
    flags_what_comes_in_later,
    of_many_at_once_the_latest_holds,
    a_batch_that_races_a_closing_is_in_or_flagged,
    refuses
];

async fn goes_forward_only(host: &TestHost) {
    let (user, admin) = (host.new_user("ada").await, host.platform_admin().await);
    let organization = host.organization_of(&user).await;
    let shown = get(host, &admin, organization).send().await.expect(200);
    assert_eq!(
        shown.json(),
        json!({"organization_id": organization, "until": null, "settled_at": null})
    );
    let (first, later) = (quarter(8), quarter(4));
    let before = now_micros();
    let closed = close(host, &admin, organization, &first)
        .send()
        .await
        .expect(200);
    assert_eq!(closed.text_at("/until"), first);
    let settles_in = micros(&closed.text_at("/settled_at")) - before;
    assert!(
        (1_500_000..12_000_000).contains(&settles_in),
        "a statement lasts 1.5 s at most\n{closed}"
    );
    // The same again changes nothing, and so is answered alike.
    for call in [
        close(host, &admin, organization, &first),
        get(host, &admin, organization),
    ] {
        assert_eq!(call.send().await.expect(200).json(), closed.json());
    }
    let closed = close(host, &admin, organization, &later);
    let closed = closed.send().await.expect(200);
    assert_eq!(closed.text_at("/until"), later);
    refuse(
        host,
        close(host, &admin, organization, &first),
        409,
        "period_closed",
        &[],
    )
    .await;
    let shown = get(host, &admin, organization).send().await.expect(200);
    assert_eq!(shown.json(), closed.json());
    assert_eq!(
        closings(host, organization).await,
        [
            json!({"until": first, "previous_until": null}),
            json!({"until": later, "previous_until": first}),
        ]
    );
    // Until this very quarter, and no further.
    let now = close(host, &admin, organization, &quarter(0));
    now.send().await.expect(200);
    let ahead = close(host, &admin, organization, &quarter(-1));
    refuse(host, ahead, 422, "invalid_fields", &["until"]).await;
}

async fn flags_what_comes_in_later(host: &TestHost) {
    let (user, admin) = (host.new_user("ada").await, host.platform_admin().await);
    let organization = host.organization_of(&user).await;
    meter(host, &user.token, "calls", "count", json!({})).await;
    let until = quarter(4);
    let event = |id: &str, micros: i64| json!({"id": id, "type": "call", "time": rfc3339(micros)});
    let end = micros(&until);
    let batch = json!([event("a", end - 1), event("b", end)]);
    let sent = send_call(host, &user.token, &batch);
    assert_eq!(flagged(&sent.send().await.expect(200)), 0);
    close(host, &admin, organization, &until)
        .send()
        .await
        .expect(200);
    // What was there stays what it was, and a duplicate is nothing new.
    assert_eq!(flagged(&sent.send().await.expect(200)), 0);
    let batch = json!([event("c", end - 1), event("d", end), event("a", end - 1)]);
    let response = send_call(host, &user.token, &batch);
    let response = response.send().await.expect(200);
    assert_eq!(response.text_at("/results/0/flag"), "adjustment");
    assert_eq!(flagged(&response), 1, "{response}");
    assert_eq!(stored(host, organization).await, (1, 3));
    let query = format!("meter=calls&{}", whole_range());
    assert_eq!(total(host, &user.token, &query).await.1, 4, "all count");
    // Another organization's usage is not closed by it.
    let other = host.new_user("eve").await;
    assert_eq!(
        send(host, &other.token, &event("c", end - 1)).await,
        [1, 0, 0]
    );
    let other = host.organization_of(&other).await;
    assert_eq!(stored(host, other).await, (0, 1));
}

async fn of_many_at_once_the_latest_holds(host: &TestHost) {
    let (user, admin) = (host.new_user("ada").await, host.platform_admin().await);
    let organization = host.organization_of(&user).await;
    // Each time twice, in no order.
    let calls = [7, 3, 5, 1, 9, 3, 1, 8, 5, 2, 9, 7];
    let untils: Vec<String> = calls.iter().map(|back| quarter(100 + back)).collect();
    let answers = join_all(untils.iter().map(async |until| {
        let response = close(host, &admin, organization, until).settle().await;
        if response.status == 200 {
            assert_eq!(response.text_at("/until"), *until, "{response}");
        } else {
            let _ = response.expect_problem(409, "period_closed");
        }
    }));
    answers.await;
    let latest = quarter(101);
    let shown = get(host, &admin, organization).send().await.expect(200);
    assert_eq!(shown.text_at("/until"), latest);
    let closings = closings(host, organization).await;
    let mut previous = Value::Null;
    for closing in &closings {
        assert_eq!(closing["previous_until"], previous, "{closings:?}");
        assert!(
            previous.as_str() < closing["until"].as_str(),
            "{closings:?}"
        );
        previous = closing["until"].clone();
    }
    assert_eq!(previous, json!(latest), "and each is in the log");
}

/// Four senders of events for a time before the one that is closed meanwhile.
async fn a_batch_that_races_a_closing_is_in_or_flagged(host: &TestHost) {
    let (user, admin) = (host.new_user("ada").await, host.platform_admin().await);
    let organization = host.organization_of(&user).await;
    meter(host, &user.token, "calls", "count", json!({})).await;
    let until = quarter(4);
    let time = rfc3339(micros(&until) - 1);
    // 0 before it is sent, 1 until it is acknowledged, 2 from then on.
    let phase = AtomicU64::new(0);
    let (sent, late) = (AtomicU64::new(0), AtomicU64::new(0));
    let began = Instant::now();
    let is_over = AtomicBool::new(false);
    let mut random = Random::seeded("closing");
    let senders = (0..4).map(|sender| {
        let mut random = random.fork();
        let (phase, sent, late, is_over) = (&phase, &sent, &late, &is_over);
        let (time, user) = (&time, &user);
        async move {
            let mut batches = 0;
            while !is_over.load(Ordering::SeqCst) {
                let events = (0..1 + random.below(5)).map(|n| {
                    json!({"id": format!("{sender}-{batches}-{n}"), "type": "call", "time": time})
                });
                let batch = Value::Array(events.collect());
                let began = phase.load(Ordering::SeqCst);
                let response = send_call(host, &user.token, &batch)
                    .send()
                    .await
                    .expect(200);
                let ended = phase.load(Ordering::SeqCst);
                let count = batch.as_array().map_or(0, Vec::len) as u64;
                let flagged = flagged(&response);
                if began == 2 && flagged != count {
                    response.fail("this batch began after the closing was acknowledged");
                }
                if ended == 0 && flagged != 0 {
                    response.fail("this batch was committed before the closing was asked for");
                }
                assert!(
                    flagged == 0 || flagged == count,
                    "of one moment\n{response}"
                );
                batches += 1;
                sent.fetch_add(count, Ordering::SeqCst);
                late.fetch_add(flagged, Ordering::SeqCst);
            }
        }
    });
    let until_counted = async |counter: &AtomicU64| {
        tokio::time::sleep(RACE_HALF).await;
        while counter.load(Ordering::SeqCst) == 0 && began.elapsed() < RACE_PATIENCE {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let closer = async {
        until_counted(&sent).await;
        phase.store(1, Ordering::SeqCst);
        let response = close(host, &admin, organization, &until).settle().await;
        phase.store(2, Ordering::SeqCst);
        until_counted(&late).await;
        is_over.store(true, Ordering::SeqCst);
        response.expect(200)
    };
    let (_, closed) = join(join_all(senders), closer).await;
    let (sent, late) = (sent.into_inner(), late.into_inner());
    println!("closing: {late} of {sent} events were late");
    assert!(late > 0 && late < sent, "nothing raced");
    // From then on no event comes in unmarked: the sum of those can be invoiced.
    let settled_at = micros(&closed.text_at("/settled_at"));
    let wait = u64::try_from(settled_at - now_micros()).unwrap_or(0);
    tokio::time::sleep(Duration::from_micros(wait)).await;
    let (flagged, unflagged) = stored(host, organization).await;
    assert_eq!(
        (flagged.unsigned_abs(), unflagged.unsigned_abs()),
        (late, sent - late)
    );
    let more = json!({"id": "more", "type": "call", "time": time});
    assert_eq!(send(host, &user.token, &more).await, [1, 0, 0]);
    assert_eq!(
        stored(host, organization).await,
        (flagged + 1, unflagged),
        "what is settled is settled"
    );
    let query = format!("meter=calls&{}", whole_range());
    assert_eq!(total(host, &user.token, &query).await.1, sent + 1);
}

async fn refuses(host: &TestHost) {
    let (user, admin) = (host.new_user("ada").await, host.platform_admin().await);
    let organization = host.organization_of(&user).await;
    let path = format!("{CLOSED_PERIODS}/{organization}");
    let valid = json!({"until": quarter(8)});
    for until in [
        json!(null),
        json!(1),
        json!("2026-11-01"),
        json!("2026-11-01T00:00:00"),
        json!("2026-11-01T00:01:00Z"),
        json!("2026-11-01T00:00:00.5Z"),
        json!("9999-01-01T00:00:00Z"),
    ] {
        let call = host.put(&path).bearer(&admin.token);
        let call = call.json(&json!({"until": until}));
        refuse(host, call, 422, "invalid_fields", &["until"]).await;
    }
    // The owner of the organization does not close their own.
    for call in [host.get(&path), host.put(&path).json(&valid)] {
        refuse(host, call.bearer(&user.token), 403, "forbidden", &[]).await;
    }
    for id in ["org_1", "org_0193e7a1b2c37d4e8f90a1b2c3d4e5f6", "%00"] {
        let path = format!("{CLOSED_PERIODS}/{id}");
        for call in [host.get(&path), host.put(&path).json(&valid)] {
            refuse(host, call.bearer(&admin.token), 404, "not_found", &[]).await;
        }
    }
    let shown = get(host, &admin, organization).send().await.expect(200);
    assert_eq!(shown.json()["until"], json!(null), "{shown}");
}
