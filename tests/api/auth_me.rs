use serde_json::json;
use turnpike_tests::personas::{ME, PLATFORM_PERMISSIONS};
use turnpike_tests::{TestHost, api_tests};

/// What the owner of an organization may do.
const OWNER: [&str; 20] = [
    "api_keys:manage",
    "audit:read",
    "billing:manage",
    "billing:read",
    "credits:consume",
    "credits:read",
    "entitlements:manage",
    "entitlements:read",
    "members:manage",
    "meters:manage",
    "organization:manage",
    "organization:read",
    "plans:read",
    "pool:consume",
    "pool:manage",
    "roles:manage",
    "tokens:introspect",
    "usage:read",
    "usage:write",
    "usage_alerts:manage",
];

api_tests![
    tells_who_the_token_stands_for,
    tells_who_an_api_key_stands_for,
];

api_tests![
    fresh_too:
    is_cached_until_logout,
];

async fn tells_who_the_token_stands_for(host: &TestHost) {
    let user = host.new_user("ada").await;
    let response = host.get(ME).bearer(&user.token).send().await.expect(200);
    let body = response.json();
    assert_eq!(body["user_id"], json!(user.id), "{response}");
    assert_eq!(body["email"], json!(user.email), "{response}");
    assert_eq!(body["email_verified"], json!(false), "{response}");
    assert_eq!(body["organization_name"], json!(user.email), "{response}");
    assert_eq!(body["permissions"], json!(OWNER), "{response}");
    let admin = host.platform_admin().await;
    let response = host.get(ME).bearer(&admin.token).send().await.expect(200);
    let mut all = OWNER.to_vec();
    all.extend(PLATFORM_PERMISSIONS);
    all.sort_unstable();
    assert_eq!(response.json()["permissions"], json!(all), "{response}");
}

async fn tells_who_an_api_key_stands_for(host: &TestHost) {
    let user = host.new_user("ada").await;
    let key = host.issue_api_key(&user, &["credits:read"]).await;
    let call = host.get(ME).bearer(&key.key);
    let response = call.send().await.expect(200);
    let body = response.json();
    assert_eq!(body["user_id"], json!(user.id), "{response}");
    assert_eq!(
        body["session_id"],
        json!(null),
        "a key opened no session\n{response}"
    );
    assert_eq!(
        body["permissions"],
        json!(["credits:read"]),
        "only its scopes\n{response}"
    );
    assert_eq!(
        host.warm(&call).await.json(),
        body,
        "the cache must not change the answer"
    );
}

async fn is_cached_until_logout(host: &TestHost) {
    let user = host.new_user("ada").await;
    let call = host
        .get(ME)
        .header("authorization", format!("bearer  {}", user.token));
    let first = call.send().await.expect(200);
    assert_eq!(first.cache(), "miss", "{first}");
    let cached = host.warm(&call).await;
    assert_eq!(cached.db_queries(), 0, "a hit needs no statement\n{cached}");
    assert_eq!(
        cached.json(),
        first.json(),
        "the cache must not change the answer"
    );
    // Spending does not evict the sign-in.
    host.consume_call(&user, "1")
        .send()
        .await
        .expect_problem(402, "insufficient_credits");
    assert_eq!(
        call.send().await.expect(200).cache(),
        "hit",
        "a spend must not evict a sign-in"
    );
    host.post("/api/v1/auth/logout")
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
    call.send().await.expect_problem(401, "unauthenticated");
}
