//! What no HTTP client sends, over a bare connection.

use turnpike_tests::personas::CONSUME;
use turnpike_tests::wire::Wire;
use turnpike_tests::{TestHost, User, api_tests};

/// Sends bytes and then nothing more; returns the status of the answer, or none if the host
/// just closed the connection.
async fn exchange(host: &TestHost, bytes: &[u8]) -> Option<u16> {
    let mut wire = Wire::connect(host.address()).await;
    wire.write(bytes).await;
    wire.finish_writing().await;
    wire.read().await.map(|response| response.status)
}

fn spend_head(user: &User, key: &str, framing: &str) -> String {
    format!(
        "POST {CONSUME} HTTP/1.1\r\nhost: turnpike\r\nauthorization: Bearer {}\r\n\
         idempotency-key: {key}\r\ncontent-type: application/json\r\n{framing}\r\n\r\n",
        user.token
    )
}

api_tests![
    requests_in_one_write_are_answered_in_turn,
    a_request_that_cannot_be_read_is_refused,
    a_request_needs_one_host,
    a_header_that_is_not_utf_8_is_refused,
    half_a_body_spends_nothing,
];

api_tests![
    fresh_too:
    clients_that_go_away_are_forgotten,
];

async fn requests_in_one_write_are_answered_in_turn(host: &TestHost) {
    let mut wire = Wire::connect(host.address()).await;
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: turnpike\r\n\r\n");
    let paths = [
        "/api/v1/health",
        "/api/v1/credits/balance",
        "/api/v1/nothing",
        "/api/v1/health",
    ];
    wire.write(paths.map(request).concat()).await;
    for (path, status) in paths.into_iter().zip([200, 401, 404, 200]) {
        let response = wire.read().await.expect("the connection stays open");
        assert_eq!(response.status, status, "{path}: {response:?}");
    }
}

async fn a_request_that_cannot_be_read_is_refused(host: &TestHost) {
    let long_target = format!(
        "GET /api/{} HTTP/1.1\r\nhost: a\r\n\r\n",
        "a".repeat(1_000_000)
    );
    let long_header = format!(
        "GET /api/v1/health HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "a".repeat(1_000_000)
    );
    let many_headers = format!(
        "GET /api/v1/health HTTP/1.1\r\nhost: a\r\n{}\r\n",
        "x: 1\r\n".repeat(10_000)
    );
    let health =
        |headers: &str| format!("GET /api/v1/health HTTP/1.1\r\n{headers}\r\n").into_bytes();
    let login = |headers: &str| {
        format!("POST /api/v1/auth/login HTTP/1.1\r\nhost: a\r\n{headers}\r\nab").into_bytes()
    };
    let table = [
        (b"nonsense\r\n\r\n".to_vec(), 400),
        (b"GET /api/v1/health HTTP/9.9\r\n\r\n".to_vec(), 400),
        (
            b"GET /api/v1/\0health HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
            400,
        ),
        (
            b"GET /api/v1/\xff HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
            400,
        ),
        (health("no colon\r\n"), 400),
        (health("host: a\r\nbad header: 1\r\n"), 400),
        (health("host: a\r\nx: 1\0\r\n"), 400),
        (health("host: a\r\nx: 1\x01\r\n"), 400),
        (health("host: a\r\nx: 1\r2\r\n"), 400),
        (health("host: a\r\nx: 1\r\n 2\r\n"), 400),
        (login("content-length: x\r\n"), 400),
        (login("content-length: 1\r\ncontent-length: 2\r\n"), 400),
        (login("content-length: 2, 2\r\n"), 400),
        (login("transfer-encoding: gzip\r\n"), 400),
        (long_target.into_bytes(), 431),
        (long_header.into_bytes(), 431),
        (many_headers.into_bytes(), 431),
    ];
    for (bytes, expected) in table {
        let mut wire = Wire::connect(host.address()).await;
        wire.write(&bytes).await;
        let status = wire.read().await.map(|response| response.status);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        assert_eq!(
            status,
            Some(expected),
            "{shown:?} must be refused with an answer"
        );
        assert!(wire.read().await.is_none(), "{shown:?} ends the connection");
    }
    host.get("/api/v1/health").send().await.expect(200);
}

/// Whoever is in front of the host may have taken either of two, so it takes none.
async fn a_request_needs_one_host(host: &TestHost) {
    let table = [
        ("", 400),
        ("host:\r\n", 400),
        ("host: a b\r\n", 400),
        ("host: a\r\nhost: a\r\n", 400),
        ("host: a\r\nhost: b\r\n", 400),
        ("host: a\r\nHost:\r\n", 400),
        ("host: health.spin.internal\r\nhost: a\r\n", 400),
        ("host: a\r\n", 200),
        ("Host: a:80\r\n", 200),
    ];
    let mut wire = Wire::connect(host.address()).await;
    for (hosts, status) in table {
        for path in ["/api/v1/health", "/nowhere"] {
            wire.write(format!("GET {path} HTTP/1.1\r\n{hosts}\r\n"))
                .await;
            let response = wire.read().await.expect("the connection stays open");
            let expected = match path {
                "/nowhere" if hosts.matches("ost:").count() < 2 => 404,
                _ => status,
            };
            assert_eq!(response.status, expected, "{path} {hosts:?}: {response:?}");
            if expected == 400 {
                let document: serde_json::Value =
                    serde_json::from_str(&response.body).expect("a problem document is JSON");
                assert_eq!(document["code"], "invalid_host", "{hosts:?}");
            }
        }
    }
}

/// The `http` crate cannot hand such a header to a component, so the host itself answers.
async fn a_header_that_is_not_utf_8_is_refused(host: &TestHost) {
    for path in ["/api/v1/health", "/api/v1/credits/balance", "/openapi.json"] {
        let response = host
            .get(path)
            .header("x-odd", b"\xff\xfe")
            .unchecked()
            .send()
            .await;
        let is_problem = response.header("content-type") == Some("application/problem+json");
        match response.status {
            400 if is_problem => {}
            // A route that never looks at the header may as well serve.
            200 | 401 => {}
            _ => response.fail("answer 400 with a problem document, or serve"),
        }
        let response = host
            .get(path)
            .header("authorization", b"Bearer \xff")
            .unchecked()
            .send()
            .await;
        assert!(matches!(response.status, 200 | 400 | 401), "{response}");
    }
}

/// A body that breaks off is never taken for a whole one.
async fn half_a_body_spends_nothing(host: &TestHost) {
    let (user, _) = host.user_with("10.00").await;
    let body = r#"{"amount":"1","currency":"USD"}"#;
    let before = host.money_state().await;
    let cut = [
        (
            format!("content-length: {}", body.len() + 1),
            body.to_owned(),
        ),
        (
            format!("content-length: {}", body.len()),
            body[..10].to_owned(),
        ),
        (
            "transfer-encoding: chunked".to_owned(),
            format!("{:x}\r\n{body}\r\n", body.len()),
        ),
        (
            "transfer-encoding: chunked".to_owned(),
            format!("{:x}\r\n{}", body.len() + 5, body),
        ),
        (
            "transfer-encoding: chunked".to_owned(),
            format!("zz\r\n{body}\r\n0\r\n\r\n"),
        ),
    ];
    for (index, (framing, sent)) in cut.into_iter().enumerate() {
        let request = format!(
            "{}{sent}",
            spend_head(&user, &format!("cut-{index}"), &framing)
        );
        let status = exchange(host, request.as_bytes()).await;
        assert!(
            status.is_none_or(|status| (400..500).contains(&status)),
            "{framing:?} with {sent:?} must be refused, not answered with {status:?}"
        );
    }
    assert_eq!(
        host.money_state().await,
        before,
        "half a request must spend nothing"
    );

    // The same, whole, in pieces and without a length.
    let mut wire = Wire::connect(host.address()).await;
    wire.write(spend_head(&user, "chunked", "transfer-encoding: chunked"))
        .await;
    for piece in [&body[..7], &body[7..]] {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        wire.write(format!("{:x}\r\n{piece}\r\n", piece.len()))
            .await;
    }
    wire.write("0\r\n\r\n").await;
    let response = wire.read().await.expect("a whole request is answered");
    assert_eq!(response.status, 201, "{response:?}");
    assert_eq!(host.balance(&user).await.to_string(), "9.00");
}

/// Whoever disconnects leaves nothing behind that troubles the next one.
async fn clients_that_go_away_are_forgotten(host: &TestHost) {
    let (user, _) = host.user_with("100.00").await;
    let body = r#"{"amount":"1","currency":"USD"}"#;
    for index in 0..20 {
        let mut wire = Wire::connect(host.address()).await;
        let framing = format!("content-length: {}", body.len());
        wire.write(format!(
            "{}{body}",
            spend_head(&user, &format!("gone-{index}"), &framing)
        ))
        .await;
        drop(wire);
    }
    // Each of them may or may not have been done; asking again by key does it if it was not.
    for index in 0..20 {
        let call = host.consume_call_with_key(&user, "1", &format!("gone-{index}"));
        call.settle().await.expect(201);
    }
    assert_eq!(host.balance(&user).await.to_string(), "80.00");
    assert_eq!(
        host.count_transfers(&user, "consume").await,
        20,
        "one spend for each key"
    );
}
