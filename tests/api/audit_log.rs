use serde_json::{Value, json};
use turnpike_tests::personas::{
    API_KEYS, AUDIT_LOG, EMAIL, LOGOUT, ME, PASSWORD, PASSWORD_FORGOT, SESSIONS, SIGNING_KEYS,
};
use turnpike_tests::{Settings, TestHost, api_tests, run};

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

/// A host behind one proxy, as the tests are to it.
fn behind_a_proxy() -> Settings {
    Settings::pooled().with_variable("trusted_proxies", "1")
}

/// Where somebody is who asks.
const HOME: &str = "192.0.2.10";

/// Of each event what it is, and who asked from where.
fn asked(events: &[Value]) -> Vec<(&str, Value)> {
    let who = |event: &Value| {
        json!({
            "actor": event["actor_id"], "session": event["session_id"],
            "key": event["api_key_id"], "address": event["address"],
        })
    };
    events
        .iter()
        .map(|event| (event["event_type"].as_str().unwrap_or_default(), who(event)))
        .collect()
}

#[test]
fn every_event_says_who_asked_and_from_where() {
    run(behind_a_proxy(), async |host| {
        let email = host
            .signup_call("ada-asks@example.com", PASSWORD)
            .client("192.0.2.1");
        email.send().await.expect(202);
        let login = |address: &str| {
            host.login_call("ada-asks@example.com", PASSWORD)
                .client(address)
        };
        let first = login("192.0.2.2").send().await.expect(200);
        let second = login("192.0.2.3").send().await.expect(200);
        let (user, token) = (first.text_at("/user_id"), first.text_at("/access_token"));
        let (first, second) = (first.json()["session_id"].clone(), second);
        let body = json!({"name": "CI", "scopes": ["api_keys:manage", "audit:read"]});
        let key = host
            .post(API_KEYS)
            .bearer(&token)
            .json(&body)
            .client("192.0.2.4");
        let key = key.send().await.expect(201);
        let body = json!({"name": "child", "scopes": ["audit:read"]});
        let child = host.post(API_KEYS).bearer(&key.text_at("/key")).json(&body);
        child.client("2001:db8::5").send().await.expect(201);
        // Its tokens are gone when the event is written.
        let logout = host.post(LOGOUT).bearer(&second.text_at("/access_token"));
        logout.client("192.0.2.6").send().await.expect(200);
        let third = login("192.0.2.7").send().await.expect(200);
        for (address, status) in [("192.0.2.8", 200), ("192.0.2.9", 401)] {
            let refresh = host.refresh_call(&third.text_at("/refresh_token"));
            refresh.client(address).send().await.expect(status);
        }

        let (events, _) = page(host, &token, "").await;
        let (second, third) = (&second.json()["session_id"], &third.json()["session_id"]);
        let who = |session: &Value, key: &Value, address: &str| json!({"actor": user, "session": session, "key": key, "address": address});
        let (none, key) = (Value::Null, &key.json()["api_key"]["id"]);
        let mut expected = vec![
            ("user.registered", who(&none, &none, "192.0.2.1")),
            ("session.opened", who(&first, &none, "192.0.2.2")),
            ("session.opened", who(second, &none, "192.0.2.3")),
            ("api_key.created", who(&first, &none, "192.0.2.4")),
            ("api_key.created", who(&none, key, "2001:db8::5")),
            ("session.ended", who(second, &none, "192.0.2.6")),
            ("session.opened", who(third, &none, "192.0.2.7")),
            ("session.refresh_reused", who(third, &none, "192.0.2.9")),
        ];
        expected.reverse();
        assert_eq!(asked(&events), expected);
    });
}

#[test]
fn what_failed_and_what_was_asked_for_is_told_too() {
    run(behind_a_proxy(), async |host| {
        let user = host.new_user("ada").await;
        let me = host.get(ME).bearer(&user.token).send().await.expect(200);
        let session = me.json()["session_id"].clone();
        for _ in 0..6 {
            let login = host.login_call(&user.email, "not the password");
            login.client(HOME).send().await.expect(401);
        }
        // It is refused before it is verified, and that is no event.
        let login = host
            .login_call(&user.email, "not the password")
            .client(HOME);
        login.send().await.expect(429);
        let change = host.password_call(&user.token, "not the password", "another long password");
        change.client(HOME).send().await.expect(422);
        let forgot = host
            .post(PASSWORD_FORGOT)
            .json(&json!({"email": user.email}));
        forgot.client(HOME).send().await.expect(202);
        let change = host.put(EMAIL).bearer(&user.token);
        let change = change.json(&json!({"email": "ada-new@example.com"}));
        change.client(HOME).send().await.expect(202);
        let admin = host.platform_admin().await;
        let granted = host.grant_call(&admin, user.id, "5.00", "USD").client(HOME);
        let granted = granted.send().await.expect(201);
        let grant = granted.text_at("/grant/id");
        let void = host.void_call(&admin, &grant, "void").client(HOME);
        void.send().await.expect(200);

        let (events, _) = page(host, &user.token, "").await;
        let all: Vec<Value> = events
            .iter()
            .rev()
            .skip(2)
            .map(|event| {
                json!([
                    event["event_type"],
                    event["actor_id"],
                    event["subject"],
                    event["session_id"],
                    event["address"]
                ])
            })
            .collect();
        let of = |event: &str, actor: &Value, session: &Value| {
            json!([event, actor, user.id, session, HOME])
        };
        let (none, ada) = (Value::Null, json!(user.id));
        let admin_session = &events[0]["session_id"];
        let mut expected = vec![of("login.failed", &none, &none); 6];
        expected.extend([
            of("login.locked_out", &none, &none),
            of("session.guess_failed", &ada, &session),
            of("password.reset_requested", &none, &none),
            of("email.change_requested", &ada, &session),
            of("credits.granted", &json!(admin.id), admin_session),
            of("credits.grant_voided", &json!(admin.id), admin_session),
        ]);
        assert_eq!(all, expected);
        assert!(admin_session.is_string(), "{}", events[0]);
        assert_eq!(
            events[0]["detail"]["amount"], "5.000000000",
            "{}",
            events[0]
        );
        let locked = &events[5]["detail"];
        assert_eq!(
            (&locked["failures"], &locked["limit"]),
            (&json!(6), &json!("account"))
        );
        assert_eq!(events[6]["detail"], json!({"wrong": "password"}));
    });
}

#[test]
fn what_belongs_to_no_organization_is_in_the_platforms_chain() {
    run(behind_a_proxy(), async |host| {
        let admin = host.platform_admin().await;
        let nobody = "nobody-at-all@example.com";
        let login = host.login_call(nobody, "not the password").client(HOME);
        login.send().await.expect(401);
        let forgot = host.post(PASSWORD_FORGOT).json(&json!({"email": nobody}));
        forgot.client(HOME).send().await.expect(202);
        // The successor of a key that is old enough is made by whoever asks for a token.
        host.execute("UPDATE signing_keys SET signs_from = signs_from - interval '91 days'")
            .await;
        let token = host.token_call(&admin.token, &json!({})).client(HOME);
        token.send().await.expect(200);
        host.execute(
            "UPDATE signing_keys SET signs_from = signs_from - interval '361 seconds',
                                     retired_at = retired_at - interval '361 seconds'",
        )
        .await;
        let rotated = host.post(SIGNING_KEYS).bearer(&admin.token).client(HOME);
        let rotated = rotated.send().await.expect(201);
        let none = host.new_user_of_none("eve").await;
        let wrong = host.password_call(&none.token, "not the password", "another long password");
        wrong.client(HOME).send().await.expect(422);

        let log = format!("{AUDIT_LOG}/platform");
        let call = host.get(&*log).bearer(&admin.token);
        let body = call.send().await.expect(200).json();
        let events = body["events"].as_array().cloned().unwrap_or_default();
        let all: Vec<Value> = events
            .iter()
            .rev()
            .map(|event| {
                json!([
                    event["event_type"],
                    event["actor_id"],
                    event["subject"],
                    event["address"]
                ])
            })
            .collect();
        let successor = events[events.len() - 3]["subject"].clone();
        assert_eq!(
            all,
            [
                json!(["login.failed", null, nobody, HOME]),
                json!(["password.reset_requested", null, nobody, HOME]),
                json!(["signing_key.published", null, successor, HOME]),
                json!([
                    "signing_key.published",
                    admin.id,
                    rotated.json()["signing_key"]["kid"],
                    HOME
                ]),
                json!(["session.opened", none.id, events[1]["subject"], "127.0.0.1"]),
                json!(["session.guess_failed", none.id, none.id, HOME]),
            ]
        );
        assert_eq!(events[3]["detail"]["is_automatic"], true, "{}", events[3]);
        assert_eq!(events[2]["detail"]["is_automatic"], false, "{}", events[2]);

        // It is a list as the other one is, and its own.
        let few = host.get(format!("{log}?limit=1&event_type=login.failed"));
        let few = few.bearer(&admin.token).send().await.expect(200).json();
        assert_eq!(few["events"][0]["subject"], nobody, "{few}");
        assert_eq!(few["next_cursor"], Value::Null, "{few}");
        let (own, _) = page(host, &admin.token, "").await;
        assert_eq!(types(&own), ["session.opened", "user.registered"]);
    });
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
