//! Headers that a client may send and must not gain anything by.

use turnpike_tests::personas::{BALANCE, ME};
use turnpike_tests::{TestHost, api_tests};

api_tests![
    spoofed_host_headers_change_nothing,
    a_request_id_is_kept_when_it_is_harmless,
];

api_tests![
    fresh_too:
    request_ids_are_not_repeated,
];

/// Spin appends its own after the client's, so that whoever takes the first one is fooled.
async fn spoofed_host_headers_change_nothing(host: &TestHost) {
    let (ada, _) = host.user_with("5.00").await;
    let eve = host.new_user("eve").await;
    let spoofed = [
        ("spin-path-info", "/api/v1/health/ready"),
        ("spin-path-match-id", "usr_1"),
        ("spin-client-addr", "10.0.0.1:1"),
        ("spin-full-url", "http://evil.example/api/v1/auth/me"),
        ("spin-matched-route", "/api/v1/auth/me"),
        ("spin-component-route", "/api/..."),
        ("spin-base-path", "/evil"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "evil.example"),
        ("x-original-url", "/api/v1/credits/grants"),
        ("x-http-method-override", "POST"),
        ("x-user-id", "usr_1"),
    ];
    for (name, value) in spoofed {
        let balance = host
            .get(BALANCE)
            .header(name, value)
            .bearer(&ada.token)
            .send()
            .await
            .expect(200);
        assert_eq!(
            balance.text_at("/user_id"),
            ada.id.to_string(),
            "{name} must change nothing\n{balance}"
        );
        assert_eq!(
            balance.text_at("/available/amount"),
            "5.00",
            "{name} must change nothing\n{balance}"
        );
        let me = host
            .get(ME)
            .header(name, value)
            .bearer(&eve.token)
            .send()
            .await
            .expect(200);
        assert_eq!(
            me.text_at("/email"),
            eve.email,
            "{name} must change nothing\n{me}"
        );
        host.get(BALANCE)
            .header(name, value)
            .send()
            .await
            .expect_problem(401, "unauthenticated");
        let live = host
            .get("/api/v1/health")
            .header(name, value)
            .send()
            .await
            .expect(200);
        assert!(
            live.json().get("postgres").is_none(),
            "{name} must not choose the route\n{live}"
        );
    }
}

async fn a_request_id_is_kept_when_it_is_harmless(host: &TestHost) {
    let longest = "a".repeat(128);
    for id in ["abc-123_x.y", "0", "REQ.1", &longest] {
        for path in ["/api/v1/health", "/api/v1/nothing", BALANCE] {
            let response = host.get(path).header("x-request-id", id).send().await;
            assert_eq!(
                response.header("x-request-id"),
                Some(id),
                "keep it\n{response}"
            );
        }
    }
    let too_long = "a".repeat(129);
    for id in [
        "",
        "a b",
        "a;b",
        "\"quoted\"",
        "<script>",
        "a,b",
        "ключ",
        "%0d%0a",
        &too_long,
    ] {
        let response = host
            .get("/api/v1/health")
            .header("x-request-id", id)
            .send()
            .await
            .expect(200);
        let given = response.header("x-request-id").unwrap_or_default();
        assert!(
            given.starts_with("req_") && given != id,
            "{id:?} must be replaced\n{response}"
        );
    }
    let twice = host
        .get("/api/v1/health")
        .header("x-request-id", "one")
        .header("x-request-id", "two");
    let response = twice.send().await.expect(200);
    assert!(
        response
            .header("x-request-id")
            .is_some_and(|id| id.starts_with("req_")),
        "{response}"
    );
}

async fn request_ids_are_not_repeated(host: &TestHost) {
    let calls = (0..64).map(|_| async { host.get("/api/v1/health").send().await.expect(200) });
    let responses = futures::future::join_all(calls).await;
    let mut ids: Vec<_> = responses
        .iter()
        .map(|r| r.header("x-request-id").map(str::to_owned))
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 64, "64 requests need 64 ids");
}
