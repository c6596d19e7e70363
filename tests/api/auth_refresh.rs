use futures::future::join_all;
use http::HeaderMap;
use serde_json::json;
use shared::token::TokenKind;
use turnpike_tests::personas::{LOGIN, LOGOUT, ME, PASSWORD, REFRESH, invented, sql_hash, sql_id};
use turnpike_tests::{Response, Reuse, TestHost, api_tests};

use crate::refusals::refuse;

/// Uses of one token at once, and how often that is repeated. A fresh instance for every request
/// makes no difference to what is raced for, which is a row of Postgres, and so has fewer rounds.
const RACERS: usize = 64;
const ROUNDS: usize = 25;
const FRESH_ROUNDS: usize = 5;

const ACCESS_COOKIE: &str = "__Host-turnpike_access";
const REFRESH_COOKIE: &str = "__Host-turnpike_refresh";
const DEVICE_COOKIE: &str = "__Host-turnpike_device";

async fn expect_me(host: &TestHost, token: &str, status: u16) {
    host.get(ME).bearer(token).send().await.expect(status);
}

/// The value of a cookie that was set, with every protection that it must have.
#[track_caller]
fn cookie(response: &Response, name: &str) -> String {
    let headers: &HeaderMap = &response.headers;
    let set: Vec<&str> = headers
        .get_all("set-cookie")
        .iter()
        .filter_map(|value| value.to_str().ok())
        // A login makes the device known besides.
        .filter(|line| !line.starts_with(DEVICE_COOKIE))
        .collect();
    let found = set
        .iter()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let Some(line) = found else {
        response.fail(&format!("the cookie {name} must be set"));
    };
    let mut parts = line.split("; ");
    let value = parts.next().unwrap_or_default().to_owned();
    let attributes: Vec<&str> = parts.collect();
    for wanted in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
        if !attributes.contains(&wanted) {
            response.fail(&format!("the cookie {name} must be {wanted}"));
        }
    }
    if attributes.iter().any(|text| text.starts_with("Domain")) || set.len() != 2 {
        response.fail("two cookies must be set, and neither for a whole domain");
    }
    value
}

api_tests![
    gives_a_new_pair,
    a_spent_token_ends_its_session,
    cookies_carry_a_browsers_session,
    refuses,
    refuses_what_is_no_live_refresh_token,
];

api_tests![
    fresh_too:
    ends_the_old_access_token_while_it_is_cached,
    one_token_is_spent_once,
];

async fn gives_a_new_pair(host: &TestHost) {
    let user = host.new_user("ada").await;
    let session = host.issue_session(&user).await;
    let response = host
        .refresh_call(&session.refresh_token)
        .send()
        .await
        .expect(200);
    let body = response.json();
    assert_eq!(body["token_type"], "Bearer", "{response}");
    assert_eq!(body["expires_in"], 900, "{response}");
    assert_eq!(
        body["session_id"],
        json!(session.id),
        "the session stays\n{response}"
    );
    assert_eq!(body["user_id"], json!(user.id), "{response}");
    assert_eq!(
        response.db_queries(),
        1,
        "a refresh is one statement\n{response}"
    );
    expect_me(host, &response.text_at("/access_token"), 200).await;
    expect_me(host, &session.token, 401).await;
    let again = host
        .refresh_call(&response.text_at("/refresh_token"))
        .send()
        .await
        .expect(200);
    expect_me(host, &response.text_at("/access_token"), 401).await;
    expect_me(host, &again.text_at("/access_token"), 200).await;
}

/// The old access token is dead on the next request, cached or not.
async fn ends_the_old_access_token_while_it_is_cached(host: &TestHost) {
    let user = host.new_user("ada").await;
    let session = host.issue_session(&user).await;
    let me = host.get(ME).bearer(&session.token);
    host.warm(&me).await;
    host.refresh_call(&session.refresh_token)
        .send()
        .await
        .expect(200);
    me.send().await.expect_problem(401, "unauthenticated");
}

/// Whoever sends a spent token ends the session, and only that one.
async fn a_spent_token_ends_its_session(host: &TestHost) {
    let user = host.new_user("ada").await;
    let session = host.issue_session(&user).await;
    let other = host.issue_session(&user).await;
    let pair = host
        .refresh_call(&session.refresh_token)
        .send()
        .await
        .expect(200);
    let new_token = pair.text_at("/access_token");
    host.warm(&host.get(ME).bearer(&new_token)).await;
    let spent = host.refresh_call(&session.refresh_token);
    for _ in 0..2 {
        spent
            .send()
            .await
            .expect_problem(401, "invalid_refresh_token");
        expect_me(host, &new_token, 401).await;
    }
    let next = host.refresh_call(&pair.text_at("/refresh_token"));
    next.send()
        .await
        .expect_problem(401, "invalid_refresh_token");
    expect_me(host, &other.token, 200).await;
    expect_me(host, &user.token, 200).await;
    host.refresh_call(&other.refresh_token)
        .send()
        .await
        .expect(200);
    let rows = host
        .query("SELECT count(*) FROM audit_events WHERE event_type = 'session.refresh_reused'")
        .await;
    assert_eq!(rows[0].get::<_, i64>(0), 1, "a reuse is recorded once");
}

async fn one_token_is_spent_once(host: &TestHost) {
    let user = host.new_user("ada").await;
    let rounds = match host.reuse() {
        Reuse::Pooled => ROUNDS,
        Reuse::Fresh => FRESH_ROUNDS,
    };
    for round in 0..rounds {
        let session = host.issue_session(&user).await;
        let call = host.refresh_call(&session.refresh_token);
        let responses = join_all((0..RACERS).map(|_| call.settle())).await;
        let mut won = Vec::new();
        for response in responses {
            if response.status == 200 {
                won.push(response);
            } else {
                response.expect_problem(401, "invalid_refresh_token");
            }
        }
        assert_eq!(
            won.len(),
            1,
            "round {round}: exactly one use of a token may succeed"
        );
        // The others were reuse, so not even the winner has a session.
        expect_me(host, &won[0].text_at("/access_token"), 401).await;
        host.refresh_call(&won[0].text_at("/refresh_token"))
            .send()
            .await
            .expect(401);
    }
    expect_me(host, &user.token, 200).await;
}

async fn cookies_carry_a_browsers_session(host: &TestHost) {
    let email = host.signup("ada").await;
    let login = host
        .post(LOGIN)
        .json(&json!({"email": email, "password": PASSWORD, "cookie": true}));
    let login = login.send().await.expect(200);
    assert_eq!(login.text_at("/token_type"), "Cookie");
    for member in ["access_token", "refresh_token"] {
        assert!(
            login.json().get(member).is_none(),
            "no script may read {member}\n{login}"
        );
    }
    let (access, refresh) = (
        cookie(&login, ACCESS_COOKIE),
        cookie(&login, REFRESH_COOKIE),
    );
    let with_cookies = |call: turnpike_tests::Call| {
        call.header(
            "cookie",
            format!("theme=dark; {ACCESS_COOKIE}={access}; {REFRESH_COOKIE}={refresh}"),
        )
    };
    // Reading is harmless wherever it comes from: another site does not see the answer.
    for site in ["same-origin", "cross-site"] {
        with_cookies(host.get(ME))
            .header("sec-fetch-site", site)
            .send()
            .await
            .expect(200);
    }
    with_cookies(host.get(ME)).send().await.expect(200);
    for path in [LOGOUT, REFRESH] {
        let forged = with_cookies(host.post(path));
        for site in ["cross-site", "same-site", "none", ""] {
            let call = forged.clone().header("sec-fetch-site", site);
            call.send().await.expect_problem(403, "cross_site_request");
        }
        forged
            .clone()
            .send()
            .await
            .expect_problem(403, "cross_site_request");
        let foreign = forged.header("origin", "https://evil.example");
        foreign
            .send()
            .await
            .expect_problem(403, "cross_site_request");
    }
    let refreshed = with_cookies(host.post(REFRESH)).header("sec-fetch-site", "same-origin");
    let refreshed = refreshed.send().await.expect(200);
    assert_eq!(refreshed.text_at("/token_type"), "Cookie");
    let access = cookie(&refreshed, ACCESS_COOKIE);
    with_cookies(host.get(ME))
        .send()
        .await
        .expect_problem(401, "unauthenticated");
    let new = || format!("{ACCESS_COOKIE}={access}");
    host.get(ME)
        .header("cookie", new())
        .send()
        .await
        .expect(200);
    // An old browser says no more than its origin.
    let origin = format!("http://{}", host.address());
    host.post(LOGOUT)
        .header("cookie", new())
        .header("origin", origin)
        .send()
        .await
        .expect(200);
    host.get(ME)
        .header("cookie", new())
        .send()
        .await
        .expect_problem(401, "unauthenticated");
}

async fn refuses(host: &TestHost) {
    let user = host.new_user("ada").await;
    let session = host.issue_session(&user).await;
    let token = &session.refresh_token;
    let bodies = [
        json!({}),
        json!({"refresh_token": ""}),
        json!({"refresh_token": 1}),
        json!({"refresh_token": "x".repeat(513)}),
    ];
    for body in bodies {
        refuse(
            host,
            host.post(REFRESH).json(&body),
            422,
            "invalid_fields",
            &["refresh_token"],
        )
        .await;
    }
    let body = json!({"refresh_token": token}).to_string();
    // Without any content type a request is a browser's, which brings its token as a cookie.
    for content_type in ["", "text/plain", "application/x-www-form-urlencoded"] {
        let call = host
            .post(REFRESH)
            .header("content-type", content_type)
            .body(body.clone());
        refuse(host, call, 415, "unsupported_media_type", &[]).await;
    }
    for text in ["", "{", &body[1..]] {
        refuse(
            host,
            host.post(REFRESH).json_text(text.to_owned()),
            400,
            "malformed_body",
            &[],
        )
        .await;
    }
    let twice = format!("{{\"refresh_token\":\"x\",{}", &body[1..]);
    refuse(
        host,
        host.post(REFRESH).json_text(twice),
        422,
        "invalid_fields",
        &["refresh_token"],
    )
    .await;
    let unknown = json!({"refresh_token": token, "scope": "all"});
    refuse(
        host,
        host.post(REFRESH).json(&unknown),
        422,
        "invalid_fields",
        &["scope"],
    )
    .await;
    let large = format!("{body}{}", " ".repeat(65 * 1024));
    refuse(
        host,
        host.post(REFRESH).json_text(large),
        413,
        "body_too_large",
        &[],
    )
    .await;
    // None of these has spent it.
    host.refresh_call(token).send().await.expect(200);
}

async fn refuses_what_is_no_live_refresh_token(host: &TestHost) {
    let user = host.new_user("ada").await;
    let session = host.issue_session(&user).await;
    let token = session.refresh_token.clone();
    let garbage = [
        "garbage".to_owned(),
        "tpr_".to_owned(),
        session.token.clone(),
        format!("{token}A"),
        token.replace("tpr_", "tpa_"),
        token[..token.len() - 1].to_owned(),
        invented(TokenKind::Refresh, user.id),
    ];
    for text in garbage {
        refuse(
            host,
            host.refresh_call(&text),
            401,
            "invalid_refresh_token",
            &[],
        )
        .await;
    }
    refuse(host, host.post(REFRESH), 401, "unauthenticated", &[]).await;
    expect_me(host, &session.token, 200).await;

    let expired = host.issue_session(&user).await;
    host.execute(&format!(
        "UPDATE refresh_tokens SET expires_at = now() - interval '1 second' WHERE digest = {}",
        sql_hash(&expired.refresh_token)
    ))
    .await;
    refuse(
        host,
        host.refresh_call(&expired.refresh_token),
        401,
        "invalid_refresh_token",
        &[],
    )
    .await;

    host.post(LOGOUT)
        .bearer(&session.token)
        .send()
        .await
        .expect(200);
    refuse(
        host,
        host.refresh_call(&token),
        401,
        "invalid_refresh_token",
        &[],
    )
    .await;

    let disabled = host.issue_session(&user).await;
    host.execute(&format!(
        "UPDATE users SET disabled_at = now() WHERE id = {}",
        sql_id(user.id)
    ))
    .await;
    refuse(
        host,
        host.refresh_call(&disabled.refresh_token),
        401,
        "invalid_refresh_token",
        &[],
    )
    .await;
}
