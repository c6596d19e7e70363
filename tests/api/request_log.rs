//! The line that each request leaves in the log, when it is asked for.

use std::time::Duration;

use serde_json::{Value, json};
use turnpike_tests::personas::{
    BALANCE, CONSUME, INTROSPECT, LOGIN, ME, PASSWORD_CHANGE, PASSWORD_RESET, REFRESH, SIGNUP,
};
use turnpike_tests::wire::Wire;
use turnpike_tests::{Settings, TestHost, run};

/// A trace id, as a client sends one.
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The lines of requests, as JSON.
fn requests(host: &TestHost) -> Vec<Value> {
    let lines = host.log_lines();
    let objects = lines.iter().filter_map(|line| {
        let (_, text) = line.split_once("] ")?;
        serde_json::from_str::<Value>(text).ok()
    });
    objects
        .filter(|line| {
            line["message"]
                .as_str()
                .is_some_and(|text| text.starts_with("request"))
        })
        .collect()
}

#[test]
fn each_request_leaves_one_line() {
    run(Settings::pooled().observed(), async |host| {
        let user = host.new_user("user").await;
        let calls = [
            (
                host.balance_call(&user),
                json!({"component": "credits-balance", "method": "GET", "route": BALANCE,
                       "status": 200, "level": "info", "message": "request"}),
            ),
            (
                host.get("/api/v1/nothing/at/all?token=1"),
                json!({"component": "not-found", "method": "GET", "route": "/api/...", "status": 404}),
            ),
            (
                host.delete("/api/v1/meters/calls").bearer(&user.token),
                json!({"component": "meters", "method": "DELETE", "route": "/api/v1/meters/:slug",
                       "status": 404}),
            ),
        ];
        for (call, expected) in calls {
            let before = requests(host).len();
            let traceparent = format!("00-{TRACE_ID}-00f067aa0ba902b7-01");
            let answer = call.header("traceparent", traceparent).try_send().await;
            let answer = answer.expect("the request is answered");
            let lines = requests(host);
            assert_eq!(lines.len(), before + 1, "{answer}");
            let line = &lines[before];
            for (name, value) in expected.as_object().into_iter().flatten() {
                assert_eq!(&line[name], value, "{name} of {line}");
            }
            assert_eq!(
                line["request_id"],
                json!(answer.header("x-request-id")),
                "{line}"
            );
            assert_eq!(line["db_queries"], json!(answer.db_queries()), "{line}");
            assert_eq!(line["cache"], json!(answer.cache()), "{line}");
            assert_eq!(line["trace_id"], json!(TRACE_ID), "{line}");
            assert!(
                line["duration_ms"].as_f64().is_some_and(|ms| ms > 0.0),
                "{line}"
            );
            assert!(
                line["time"]
                    .as_str()
                    .is_some_and(|time| time.ends_with('Z')),
                "{line}"
            );
        }
    });
}

#[test]
fn unless_it_is_asked_for_there_is_none() {
    run(Settings::pooled(), async |host| {
        host.get("/api/v1/health").send().await.expect(200);
        assert_eq!(requests(host), Vec::<Value>::new());
    });
}

/// A client that goes away while its request is answered is no silent gap.
#[test]
fn a_request_that_is_given_up_leaves_a_line() {
    run(Settings::pooled().observed(), async |host| {
        let mut wire = Wire::connect(host.address()).await;
        // The body never comes.
        wire.write("POST /api/v1/auth/login HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n{")
            .await;
        drop(wire);
        for _ in 0..3_000 {
            if let Some(line) = requests(host).first() {
                assert_eq!(line["component"], "auth-login", "{line}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("there was never a line: {:?}", host.log_lines());
    });
}

/// Every place where a client can write a secret, in requests that succeed and that are refused.
#[test]
fn no_line_has_a_secret() {
    run(Settings::pooled().observed(), async |host| {
        let (user, admin) = host.user_with("10").await;
        let session = host.issue_session(&user).await;
        let key = host.issue_api_key(&user, &["credits:read"]).await;
        let marked = |place: &str| format!("sEcReT-{place}-0123456789abcdef");
        let password = marked("password");
        let email = host.signup("ada").await;
        let calls = [
            host.post(SIGNUP)
                .json(&json!({"email": "b@example.com", "password": password})),
            host.post(LOGIN)
                .json(&json!({"email": email, "password": password})),
            host.post(LOGIN)
                .json(&json!({"email": marked("email"), "password": password})),
            host.post(LOGIN)
                .json_text(format!("{{\"password\": \"{password}\"")),
            host.post(LOGIN)
                .json(&json!({"email": email, "password": password, "totp_code": marked("code")})),
            host.post(PASSWORD_CHANGE)
                .bearer(&user.token)
                .json(&json!({"current_password": password, "new_password": marked("new")})),
            host.post(REFRESH)
                .json(&json!({"refresh_token": session.refresh_token})),
            host.post(REFRESH)
                .json(&json!({"refresh_token": marked("refresh")})),
            host.introspect_call(&user.token, &key.key),
            host.introspect_call(&user.token, &marked("introspected")),
            host.post(INTROSPECT)
                .bearer(&marked("bearer"))
                .form(&format!("token={}", marked("form"))),
            host.get(format!("{ME}?access_token={}", marked("query")))
                .bearer(&user.token),
            host.get(format!("/api/v1/{}", marked("path"))),
            host.get(format!("/api/v1/meters/{}", marked("slug")))
                .bearer(&user.token),
            host.get(BALANCE).bearer(&key.key),
            host.get(BALANCE)
                .header("cookie", format!("__Host-access={}", marked("cookie"))),
            host.get(BALANCE)
                .header("authorization", format!("Basic {}", marked("basic"))),
            host.get(BALANCE)
                .header("x-request-id", format!("{} {}", marked("id"), marked("id"))),
            host.get(BALANCE)
                .header("traceparent", format!("00-{}-1-01", marked("trace"))),
            host.consume_call_with_key(&user, "1", &marked("key")),
            host.post(CONSUME)
                .bearer(&user.token)
                .idempotency_key(&marked("other-key"))
                .json(
                    &json!({"amount": marked("amount"), "currency": marked("currency"),
                              "description": marked("description")}),
                ),
            host.post(PASSWORD_RESET)
                .json(&json!({"token": marked("token"), "password": password})),
        ];
        for call in calls {
            call.unchecked().send().await;
        }
        let secrets = [
            user.token.clone(),
            admin.token.clone(),
            session.token.clone(),
            session.refresh_token.clone(),
            key.key.clone(),
            "sEcReT".to_owned(),
        ];
        let lines = host.log_lines();
        assert!(requests(host).len() > 22, "{lines:?}");
        for line in lines {
            for secret in &secrets {
                assert!(!line.contains(secret), "{secret} is in the log: {line}");
            }
        }
    });
}
