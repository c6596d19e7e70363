use serde_json::json;
use shared::token::TokenKind;
use turnpike_tests::personas::{
    API_KEYS, INTROSPECT, LOGOUT, PASSWORD, SESSIONS, invented, invented_token, sql_hash,
};
use turnpike_tests::{Call, Response, TestHost, api_tests};

use crate::refusals::refuse;

#[track_caller]
fn expect_inactive(response: &Response) {
    if response.status != 200 || response.body != br#"{"active":false}"# {
        response.fail("a token that is not live must be exactly inactive");
    }
}

/// Asks until the answer takes nothing from Postgres.
async fn warm_introspection(host: &TestHost, caller: &str, token: &str) -> Call {
    let call = host.introspect_call(caller, token);
    let cached = host.warm(&call).await;
    assert_eq!(cached.json()["active"], true, "{cached}");
    call
}

api_tests![
    tells_what_a_token_stands_for,
    everything_else_is_exactly_inactive,
    refuses,
];

api_tests![
    fresh_too:
    is_answered_from_the_cache,
    what_was_ended_is_dead_on_the_next_request,
];

async fn tells_what_a_token_stands_for(host: &TestHost) {
    let user = host.new_user("ada").await;
    let session = host.issue_session(&user).await;
    let key = host
        .issue_api_key(&user, &["credits:read", "credits:consume"])
        .await;

    let response = host
        .introspect_call(&user.token, &session.token)
        .send()
        .await
        .expect(200);
    let body = response.json();
    assert_eq!(body["active"], true, "{response}");
    assert_eq!(body["token_type"], "Bearer", "{response}");
    assert_eq!(body["sub"], json!(user.id), "{response}");
    assert_eq!(body["sid"], json!(session.id), "{response}");
    assert!(body["exp"].is_u64(), "{response}");
    assert_eq!(body["client_id"], "turnpike", "{response}");
    let scope = response.text_at("/scope");
    assert!(
        scope.split(' ').any(|name| name == "credits:read"),
        "{response}"
    );

    let response = host
        .introspect_call(&user.token, &key.key)
        .send()
        .await
        .expect(200);
    let body = response.json();
    assert_eq!(body["active"], true, "{response}");
    assert_eq!(body["client_id"], json!(key.id), "{response}");
    assert_eq!(
        body["scope"], "credits:consume credits:read",
        "only its scopes\n{response}"
    );
    assert!(
        body.get("sid").is_none() && body.get("exp").is_none(),
        "this key ends never\n{response}"
    );
}

/// Nobody learns here which tokens exist.
async fn everything_else_is_exactly_inactive(host: &TestHost) {
    let user = host.new_user("ada").await;
    let foreign = host.new_user("eve").await;
    let foreign_key = host.issue_api_key(&foreign, &["credits:read"]).await;
    let expired = host.issue_session(&user).await;
    host.execute(&format!(
        "UPDATE access_tokens SET expires_at = now() - interval '1 second' WHERE digest = {}",
        sql_hash(&expired.token)
    ))
    .await;
    let revoked = host.issue_session(&user).await;
    host.post(LOGOUT)
        .bearer(&revoked.token)
        .send()
        .await
        .expect(200);
    let refresh = host.issue_session(&user).await.refresh_token;
    // Cached for its own organization, which must not make it active for another.
    warm_introspection(host, &foreign.token, &foreign.token).await;
    let table = [
        "garbage",
        "tpa_",
        "tpk_",
        "%00",
        "a%20b",
        &"x".repeat(5_000),
        &format!("{}A", user.token),
        &user.token[..20],
        &user.token.replace("tpa_", "tpk_"),
        &invented_token(user.id),
        &invented(TokenKind::ApiKey, user.id),
        &invented_token(foreign.id),
        &expired.token,
        &revoked.token,
        &refresh,
        &foreign.token,
        &foreign_key.key,
    ];
    for token in table {
        for _ in 0..2 {
            expect_inactive(&host.introspect_call(&user.token, token).send().await);
        }
    }
}

async fn is_answered_from_the_cache(host: &TestHost) {
    let user = host.new_user("ada").await;
    let session = host.issue_session(&user).await;
    let caller = host.issue_api_key(&user, &["tokens:introspect"]).await;
    for caller in [&user.token, &caller.key] {
        let first = host
            .introspect_call(caller, &session.token)
            .send()
            .await
            .expect(200);
        assert_eq!(first.db_queries(), 1, "{first}");
        let call = host.introspect_call(caller, &session.token);
        host.warm(&call).await;
        let repeated = call.send().await.expect(200);
        assert_eq!(
            (repeated.cache(), repeated.db_queries()),
            ("hit", 0),
            "{repeated}"
        );
        assert_eq!(
            repeated.json(),
            first.json(),
            "the cache must not change the answer"
        );
    }
}

async fn what_was_ended_is_dead_on_the_next_request(host: &TestHost) {
    let user = host.new_user("ada").await;
    let session = host.issue_session(&user).await;
    let call = warm_introspection(host, &user.token, &session.token).await;
    host.post(LOGOUT)
        .bearer(&session.token)
        .send()
        .await
        .expect(200);
    expect_inactive(&call.send().await);

    let session = host.issue_session(&user).await;
    let call = warm_introspection(host, &user.token, &session.token).await;
    host.delete(format!("{SESSIONS}/{}", session.id))
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
    expect_inactive(&call.send().await);

    let session = host.issue_session(&user).await;
    let call = warm_introspection(host, &user.token, &session.token).await;
    host.refresh_call(&session.refresh_token)
        .send()
        .await
        .expect(200);
    expect_inactive(&call.send().await);

    let key = host.issue_api_key(&user, &["credits:read"]).await;
    let call = warm_introspection(host, &user.token, &key.key).await;
    host.delete(format!("{API_KEYS}/{}", key.id))
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
    expect_inactive(&call.send().await);

    let session = host.issue_session(&user).await;
    let call = warm_introspection(host, &user.token, &session.token).await;
    host.password_call(&user.token, PASSWORD, "another long password")
        .send()
        .await
        .expect(200);
    expect_inactive(&call.send().await);
    // So is the caller's own right to ask.
    let call = warm_introspection(host, &user.token, &user.token).await;
    host.post(LOGOUT)
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
    call.send().await.expect_problem(401, "unauthenticated");
}

async fn refuses(host: &TestHost) {
    let user = host.new_user("ada").await;
    let call = || host.post(INTROSPECT).bearer(&user.token);
    for form in [
        "",
        "token=",
        "Token=x",
        "token_type_hint=access_token",
        "token=a&token=b",
        "token=a&token=a",
    ] {
        refuse(
            host,
            call().form(form),
            400,
            "invalid_parameter",
            &["token"],
        )
        .await;
    }
    for content_type in ["", "application/json", "text/plain", "multipart/form-data"] {
        let call = call().header("content-type", content_type).body("token=x");
        refuse(host, call, 415, "unsupported_media_type", &[]).await;
    }
    refuse(
        host,
        call().body("token=x"),
        415,
        "unsupported_media_type",
        &[],
    )
    .await;
    let large = format!("token={}", "x".repeat(65 * 1024));
    refuse(host, call().form(&large), 413, "body_too_large", &[]).await;
    let hinted = call().form(&format!(
        "token_type_hint=refresh_token&token={}",
        user.token
    ));
    assert_eq!(
        hinted.send().await.expect(200).json()["active"],
        true,
        "a hint is only a hint"
    );
    let key = host.issue_api_key(&user, &["credits:read"]).await;
    for token in [user.token.as_str(), "garbage", &key.key] {
        refuse(
            host,
            host.introspect_call(&key.key, token),
            403,
            "forbidden",
            &[],
        )
        .await;
    }
}
