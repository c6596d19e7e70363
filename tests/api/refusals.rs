//! What every route of a kind must refuse, as tables that the components' modules run.

use serde_json::{Value, json};
use turnpike_tests::personas::{fresh_key, invented_token, sql_id};
use turnpike_tests::{Call, TestHost, User};

/// The largest body that a route reads, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Sends a request that must be refused, and checks that no money moved.
pub async fn refuse(host: &TestHost, call: Call, status: u16, code: &str, fields: &[&str]) {
    let before = host.money_state().await;
    let response = call.send().await.expect_fields(status, code, fields);
    let after = host.money_state().await;
    if before != after {
        response.fail(&format!(
            "a refused request must change nothing, but the ledger went from\n{before}\nto\n{after}"
        ));
    }
}

/// Every method but those in `allow` gets a 405 that lists those.
pub async fn check_methods(host: &TestHost, path: &str, allow: &str) {
    for method in [
        "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "BREW",
    ] {
        if allow.split(", ").any(|allowed| allowed == method) {
            continue;
        }
        let method = http::Method::from_bytes(method.as_bytes()).expect("the method is a token");
        let is_head = method == http::Method::HEAD;
        let response = host.call(method, path).send().await.expect(405);
        if response.header("allow") != Some(allow) {
            response.fail(&format!("Allow must be {allow:?}"));
        }
        if !is_head {
            response.expect_problem(405, "method_not_allowed");
        }
    }
}

/// Runs a route that needs a token with everything that is none. `build` gives the request
/// without its Authorization header, so that a token is all it lacks.
pub async fn check_authentication(host: &TestHost, user: &User, build: impl Fn() -> Call) {
    let token = &user.token;
    let mut changed = token.clone();
    changed.replace_range(20..21, if &token[20..21] == "A" { "B" } else { "A" });
    let stranger = shared::ids::UserId::new(1, &[1; shared::ids::RANDOM_BYTES]);
    let unauthenticated = [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        token.clone(),
        "Basic YWRhOnNlY3JldA==".to_owned(),
        "Bearer garbage".to_owned(),
        "Bearer tpa_".to_owned(),
        format!("Bearer {}", &token[..token.len() - 1]),
        format!("Bearer {token}A"),
        format!("Bearer {changed}"),
        format!("Bearer {token} {token}"),
        format!("Bearer {}", token.replace("tpa_", "tpr_")),
        // Well formed, with a good checksum and an owner who exists, but never given out.
        format!("Bearer {}", invented_token(user.id)),
        format!("Bearer {}", invented_token(stranger)),
        format!("Bearer {}", "a".repeat(4_000)),
    ];
    refuse(host, build(), 401, "unauthenticated", &[]).await;
    for header in unauthenticated {
        let call = build().header("authorization", &header);
        let response = call.clone().send().await;
        if response.header("www-authenticate").is_none() {
            response.fail(&format!("authorization {header:?} must get a challenge"));
        }
        refuse(host, call, 401, "unauthenticated", &[]).await;
    }
    let twice = build().bearer(token).bearer(token);
    refuse(host, twice, 400, "invalid_parameter", &["authorization"]).await;
    let not_ascii = build().header("authorization", format!("Bearer {token}é"));
    refuse(
        host,
        not_ascii,
        400,
        "invalid_parameter",
        &["authorization"],
    )
    .await;

    let expired = host.issue_token(user).await;
    host.execute(
        "UPDATE access_tokens SET expires_at = now() - interval '1 second'
          WHERE expires_at = (SELECT max(expires_at) FROM access_tokens)",
    )
    .await;
    refuse(host, build().bearer(&expired), 401, "unauthenticated", &[]).await;

    let logged_out = host.issue_token(user).await;
    let logout = host.post("/api/v1/auth/logout").bearer(&logged_out);
    logout.settle().await.expect(200);
    refuse(
        host,
        build().bearer(&logged_out),
        401,
        "unauthenticated",
        &[],
    )
    .await;
}

/// The token of somebody who was disabled opens nothing.
pub async fn check_disabled_user(host: &TestHost, build: impl Fn() -> Call) {
    let disabled = host.signup_and_login("disabled").await;
    host.execute(&format!(
        "UPDATE users SET disabled_at = now() WHERE id = {}",
        sql_id(disabled.id)
    ))
    .await;
    let call = build().bearer(&disabled.token);
    refuse(host, call, 401, "unauthenticated", &[]).await;
}

/// Takes every permission from the user.
pub async fn take_permissions(host: &TestHost, user: &User) {
    host.execute(&format!(
        "INSERT INTO roles (name, permissions) VALUES ('nobody', '{{}}') ON CONFLICT DO NOTHING;
         UPDATE memberships SET role = 'nobody' WHERE user_id = {}",
        sql_id(user.id)
    ))
    .await;
}

/// Runs a route that reads JSON with everything that is none. `build` gives the request without
/// body and content type; `valid` is a body that it accepts.
pub async fn check_json_body(host: &TestHost, build: impl Fn() -> Call, valid: &Value) {
    check_json_body_within(host, build, valid, MAX_BODY_BYTES).await;
}

/// As [`check_json_body`], for a route that reads so many bytes.
pub async fn check_json_body_within(
    host: &TestHost,
    build: impl Fn() -> Call,
    valid: &Value,
    max_bytes: usize,
) {
    let text = valid.to_string();
    let types: [Option<&str>; 6] = [
        None,
        Some(""),
        Some("text/plain"),
        Some("application/jsonx"),
        Some("application/x-www-form-urlencoded"),
        Some("application/problem+json"),
    ];
    for content_type in types {
        let mut call = build().body(text.clone());
        if let Some(content_type) = content_type {
            call = call.header("content-type", content_type);
        }
        refuse(host, call, 415, "unsupported_media_type", &[]).await;
    }

    let cut = &text[..text.len() - 1];
    let deep_object = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
    let malformed: [Vec<u8>; 12] = [
        b"".to_vec(),
        b" ".to_vec(),
        b"{".to_vec(),
        cut.as_bytes().to_vec(),
        format!("{text}{text}").into_bytes(),
        format!("{text},").into_bytes(),
        format!("\u{feff}{text}").into_bytes(),
        b"{'amount':'1'}".to_vec(),
        b"{\"amount\":NaN}".to_vec(),
        [b"{\"amount\":\"\xff\xfe\"}".as_slice()].concat(),
        b"{\"amount\":\"\0\"}".to_vec(),
        deep_object.into_bytes(),
    ];
    for body in malformed {
        refuse(host, build().json_text(body), 400, "malformed_body", &[]).await;
    }
    let deep_array = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for body in [
        "null",
        "true",
        "1",
        "1.5",
        "-1",
        "\"text\"",
        "[]",
        "[{}]",
        &deep_array,
    ] {
        let body = body.to_owned();
        refuse(host, build().json_text(body), 422, "invalid_fields", &[""]).await;
    }
    for size_bytes in [max_bytes + 1, 2 * 1024 * 1024] {
        let padded = format!("{text}{}", " ".repeat(size_bytes - text.len()));
        refuse(host, build().json_text(padded), 413, "body_too_large", &[]).await;
    }

    for (name, value) in valid.as_object().into_iter().flatten() {
        // Readers of JSON disagree about which of the two counts.
        let twice = format!("{cut},{}:{value}}}", json!(name));
        let call = build().json_text(twice);
        refuse(host, call, 422, "invalid_fields", &[name]).await;
    }
    let mut unknown = valid.clone();
    unknown["is_admin"] = json!(true);
    let call = build().json(&unknown);
    refuse(host, call, 422, "invalid_fields", &["is_admin"]).await;
}

/// Runs a route for money with every amount, currency, description and Idempotency-Key that is
/// none. `build` gives the request with its token and nothing else.
pub async fn check_money_input(host: &TestHost, build: impl Fn() -> Call, valid: &Value) {
    let digits_29 = "1".repeat(29);
    let with = |field: &str, value: Value| {
        let mut body = valid.clone();
        body[field] = value;
        build().idempotency_key(&fresh_key()).json(&body)
    };
    let amounts = [
        json!("-1"),
        json!("-0.01"),
        json!("0"),
        json!("0.00"),
        json!("-0"),
        json!(""),
        json!(digits_29),
        json!("1000000000000"),
        json!("0.0000000001"),
        json!("1e3"),
        json!("1E-3"),
        json!("+1"),
        json!(".5"),
        json!("1."),
        json!("01"),
        json!(" 1"),
        json!("1 "),
        json!("1,5"),
        json!("1_000"),
        json!("0x1"),
        json!("NaN"),
        json!("Infinity"),
        json!("\u{661}"),
        json!("1\0"),
        json!("$1"),
        json!(1),
        json!(1.5),
        json!(0),
        json!(-1),
        json!(null),
        json!(true),
        json!([]),
        json!(["1"]),
        json!({}),
        json!({"amount": "1"}),
    ];
    for amount in amounts {
        let call = with("amount", amount);
        refuse(host, call, 422, "invalid_fields", &["amount"]).await;
    }
    let currencies = [
        json!("usd"),
        json!("Usd"),
        json!("XYZ"),
        json!("XXX"),
        json!("XAU"),
        json!(""),
        json!("US"),
        json!("USDT"),
        json!(" USD"),
        json!("US\0"),
        json!("ＵＳＤ"),
        json!(840),
        json!(null),
        json!(["USD"]),
        json!({}),
    ];
    for currency in currencies {
        let call = with("currency", currency);
        refuse(host, call, 422, "invalid_fields", &["currency"]).await;
    }
    for description in [
        json!("d".repeat(501)),
        json!("a\0b"),
        json!(1),
        json!([]),
        json!(false),
    ] {
        let call = with("description", description);
        refuse(host, call, 422, "invalid_fields", &["description"]).await;
    }
    for field in ["amount", "currency"] {
        let mut body = valid.clone();
        body.as_object_mut()
            .expect("the body is an object")
            .remove(field);
        let call = build().idempotency_key(&fresh_key()).json(&body);
        refuse(host, call, 422, "invalid_fields", &[field]).await;
    }

    let key_field = ["idempotency-key"];
    let keyless = build().json(valid);
    refuse(host, keyless, 400, "invalid_parameter", &key_field).await;
    let keys = [
        String::new(),
        "a".repeat(256),
        "a b".to_owned(),
        "ключ".to_owned(),
        "a\tb".to_owned(),
    ];
    for key in keys {
        let call = build().header("idempotency-key", key).json(valid);
        refuse(host, call, 400, "invalid_parameter", &key_field).await;
    }
    let call = build()
        .idempotency_key("one")
        .idempotency_key("two")
        .json(valid);
    refuse(host, call, 400, "invalid_parameter", &key_field).await;
}

/// Runs a route with a `currency` parameter with everything that is none.
pub async fn check_currency_parameter(host: &TestHost, build: impl Fn(&str) -> Call) {
    let queries = [
        "currency=",
        "currency=usd",
        "currency=XYZ",
        "currency=US",
        "currency=USDT",
        "currency=%00",
        "currency=U%00D",
        "currency=%FF",
        "currency=USD&currency=EUR",
        "currency=USD&currency=USD",
    ];
    for query in queries {
        let call = build(query);
        refuse(host, call, 400, "invalid_parameter", &["currency"]).await;
    }
}
