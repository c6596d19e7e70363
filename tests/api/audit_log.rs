use serde_json::{Value, json};
use turnpike_tests::personas::{API_KEYS, AUDIT_LOG, LOGOUT, PASSWORD, SESSIONS};
use turnpike_tests::{TestHost, api_tests};

use crate::refusals::refuse;

async fn page(host: &TestHost, token: &str, query: &str) -> (Vec<Value>, Option<String>) {
    let call = host.get(format!("{AUDIT_LOG}{query}")).bearer(token);
    let body = call.send().await.expect(200).json();
    let events = body["events"].as_array().cloned().unwrap_or_default();
    (events, body["next_cursor"].as_str().map(str::to_owned))
}

fn types(events: &[Value]) -> Vec<&str> {
    let all = events.iter();
    all.map(|event| event["event_type"].as_str().unwrap_or_default())
        .collect()
}

/// A time inside a query.
fn encoded(time: &Value) -> String {
    time.as_str().unwrap_or_default().replace('+', "%2B")
}

api_tests![
    tells_what_happened_newest_first,
    is_filtered_and_paged,
    a_changed_event_is_found,
    refuses
];

async fn tells_what_happened_newest_first(host: &TestHost) {
    let user = host.new_user("ada").await;
    let eve = host.new_user("eve").await;
    let key = host.issue_api_key(&user, &["credits:read"]).await;
    host.post(format!("{API_KEYS}/{}/rotate", key.id))
        .bearer(&user.token)
        .json(&json!({}))
        .send()
        .await
        .expect(200);
    host.delete(format!("{API_KEYS}/{}", key.id))
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
    let ended = host.issue_session(&user).await;
    host.post(LOGOUT)
        .bearer(&ended.token)
        .send()
        .await
        .expect(200);
    let revoked = host.issue_session(&user).await;
    host.delete(format!("{SESSIONS}/{}", revoked.id))
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
    let reused = host.issue_session(&user).await;
    host.refresh_call(&reused.refresh_token)
        .send()
        .await
        .expect(200);
    host.refresh_call(&reused.refresh_token)
        .send()
        .await
        .expect(401);
    host.password_call(&user.token, PASSWORD, "another long password")
        .send()
        .await
        .expect(200);

    let (events, next_cursor) = page(host, &user.token, "").await;
    let mut expected = vec![
        "user.registered",
        "session.opened",
        "api_key.created",
        "api_key.rotated",
        "api_key.revoked",
        "session.opened",
        "session.ended",
        "session.opened",
        "session.revoked",
        "session.opened",
        "session.refresh_reused",
        "password.changed",
    ];
    expected.reverse();
    assert_eq!(types(&events), expected);
    assert_eq!(next_cursor, None);
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event["sequence"], json!(events.len() - index), "{event}");
        assert_eq!(event["actor_id"], json!(user.id), "{event}");
        let before = events
            .get(index + 1)
            .map_or(json!(""), |older| older["hash"].clone());
        assert_eq!(
            event["previous_hash"], before,
            "every event names the one before it: {event}"
        );
        assert_eq!(event["hash"].as_str().map(str::len), Some(64), "{event}");
    }
    assert_eq!(events[9]["subject"], json!(key.id), "{}", events[9]);
    assert_eq!(events[5]["subject"], json!(ended.id), "{}", events[5]);
    assert_eq!(events[1]["subject"], json!(reused.id), "{}", events[1]);
    let text = json!(events).to_string();
    for secret in [
        &key.key[12..],
        &ended.token[12..],
        &ended.refresh_token[12..],
        PASSWORD,
    ] {
        assert!(
            !text.contains(secret),
            "the log must hold no secret: {secret}"
        );
    }

    // Another organization's log is its own, whatever the query says.
    let (events, _) = page(host, &eve.token, &format!("?organization_id={}", user.id)).await;
    assert_eq!(types(&events), ["session.opened", "user.registered"]);
    assert!(
        events
            .iter()
            .all(|event| event["actor_id"] == json!(eve.id)),
        "{events:?}"
    );
}

async fn is_filtered_and_paged(host: &TestHost) {
    let user = host.new_user("ada").await;
    for _ in 0..11 {
        host.issue_session(&user).await;
    }
    let (all, _) = page(host, &user.token, "").await;
    assert_eq!(all.len(), 13);
    let (opened, _) = page(host, &user.token, "?event_type=session.opened").await;
    assert_eq!(opened.as_slice(), &all[..12]);
    assert_eq!(
        page(host, &user.token, "?event_type=session").await,
        (vec![], None),
        "types are compared whole"
    );
    let middle = encoded(&all[6]["occurred_at"]);
    let (since, _) = page(host, &user.token, &format!("?since={middle}")).await;
    assert_eq!(since.as_slice(), &all[..7], "since includes its moment");
    let (until, _) = page(host, &user.token, &format!("?until={middle}")).await;
    assert_eq!(until.as_slice(), &all[7..], "until does not");
    let span = format!(
        "?since={}&until={middle}&event_type=session.opened",
        encoded(&all[9]["occurred_at"])
    );
    assert_eq!(
        page(host, &user.token, &span).await.0.as_slice(),
        &all[7..10]
    );
    assert_eq!(
        page(host, &user.token, "?since=2100-01-01T00:00:00%2B02:00")
            .await
            .0
            .len(),
        0
    );

    for filter in ["", "&event_type=session.opened"] {
        let (wanted, _) = page(host, &user.token, &format!("?limit=100{filter}")).await;
        let mut seen = Vec::new();
        let mut query = format!("?limit=5{filter}");
        loop {
            let (events, next_cursor) = page(host, &user.token, &query).await;
            seen.extend(events);
            // What is added meanwhile is newer than every page that follows.
            host.issue_session(&user).await;
            let Some(cursor) = next_cursor else { break };
            query = format!("?limit=5{filter}&cursor={cursor}");
        }
        assert_eq!(seen, wanted, "every event once");
    }
}

async fn a_changed_event_is_found(host: &TestHost) {
    let user = host.new_user("ada").await;
    host.new_user("eve").await;
    for _ in 0..4 {
        host.issue_session(&user).await;
    }
    assert_eq!(host.audit_violations().await, []);
    let organization = format!(
        "organization_id = (SELECT organization_id FROM memberships WHERE user_id = {})",
        turnpike_tests::personas::sql_id(user.id)
    );
    for statement in [
        "UPDATE audit_events SET detail = '{}'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
    ] {
        let refused = host.db().batch_execute(statement).await;
        assert!(
            refused.is_err(),
            "the log is append-only, but this was done: {statement}"
        );
    }
    let tamper = async |statement: &str| {
        host.execute(&format!(
            "BEGIN; ALTER TABLE audit_events DISABLE TRIGGER USER; {statement} WHERE {organization} AND sequence = 3;
             ALTER TABLE audit_events ENABLE TRIGGER USER; COMMIT"
        )).await;
    };
    host.execute("CREATE TABLE kept AS SELECT * FROM audit_events")
        .await;
    let changes = [
        (
            "UPDATE audit_events SET subject = 'nobody'",
            3,
            "the event was changed",
        ),
        (
            "UPDATE audit_events SET detail = '{}'",
            3,
            "the event was changed",
        ),
        (
            "UPDATE audit_events SET actor_id = NULL",
            3,
            "the event was changed",
        ),
        (
            "UPDATE audit_events SET occurred_at = occurred_at - interval '1 microsecond'",
            3,
            "the event was changed",
        ),
        (
            "UPDATE audit_events SET hash = sha256('x')",
            3,
            "the event was changed",
        ),
        (
            "UPDATE audit_events SET previous_hash = sha256('x')",
            3,
            "the link to the previous event is broken",
        ),
        (
            "DELETE FROM audit_events",
            4,
            "an event is missing before this one",
        ),
    ];
    for (statement, sequence, violation) in changes {
        tamper(statement).await;
        assert_eq!(
            host.audit_violations().await,
            [(sequence, violation.to_owned())],
            "after {statement}"
        );
        restore(host).await;
    }
    // Whoever computes the changed event's hash anew breaks the link after it.
    tamper("UPDATE audit_events SET subject = 'nobody'").await;
    tamper("UPDATE audit_events e SET hash = audit_hash(e)").await;
    assert_eq!(
        host.audit_violations().await,
        [(4, "the link to the previous event is broken".to_owned())]
    );
    restore(host).await;
    host.execute(&format!(
        "ALTER TABLE audit_events DISABLE TRIGGER USER; DELETE FROM audit_events WHERE {organization} AND sequence > 4;
         ALTER TABLE audit_events ENABLE TRIGGER USER"
    )).await;
    assert_eq!(
        host.audit_violations().await,
        [(6, "the newest events are missing".to_owned())]
    );
    restore(host).await;
    assert_eq!(host.audit_violations().await, []);
}

async fn refuses(host: &TestHost) {
    let user = host.new_user("ada").await;
    let call = |query: &str| host.get(format!("{AUDIT_LOG}?{query}")).bearer(&user.token);
    let long = format!("event_type={}", "x".repeat(101));
    let table = [
        ("event_type=", "event_type"),
        (&long, "event_type"),
        ("event_type=%00", "event_type"),
        ("event_type=a&event_type=a", "event_type"),
        ("since=", "since"),
        ("since=yesterday", "since"),
        ("since=2026-01-01", "since"),
        ("since=0", "since"),
        ("since=2026-01-01T00:00:00", "since"),
        (
            "since=2026-01-01T00:00:00Z&since=2026-01-01T00:00:00Z",
            "since",
        ),
        ("until=2026-13-01T00:00:00Z", "until"),
        ("until=%00", "until"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("cursor=", "cursor"),
        ("cursor=AQ", "cursor"),
    ];
    for (query, field) in table {
        refuse(host, call(query), 400, "invalid_parameter", &[field]).await;
    }
}

/// Puts back what was kept before the log was tampered with.
async fn restore(host: &TestHost) {
    host.execute(
        "ALTER TABLE audit_events DISABLE TRIGGER USER;
         DELETE FROM audit_events;
         INSERT INTO audit_events SELECT * FROM kept;
         ALTER TABLE audit_events ENABLE TRIGGER USER",
    )
    .await;
}
