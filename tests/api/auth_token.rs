use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::future::join_all;
use serde_json::{Value, json};
use shared::auth::jwt::{self, Audience, Claims, Expected};
use turnpike_tests::personas::{JWKS, LOGOUT, ME};
use turnpike_tests::{TestHost, api_tests};

use crate::auth_jwks::keys;
use crate::refusals::{refuse, take_permissions};

/// Callers that ask at the same moment.
const CALLERS: usize = 8;

/// The issuer, which is the default of `public_url`.
pub const ISSUER: &str = "http://127.0.0.1:3000";

/// What a service makes of a token that validates offline.
pub async fn validate(host: &TestHost, token: &str, audience: &str) -> Claims {
    let keys = keys(&host.get(JWKS).send().await.expect(200));
    let rows = host
        .query("SELECT extract(epoch FROM clock_timestamp())::bigint")
        .await;
    let now_secs = rows[0].get::<_, i64>(0).unsigned_abs();
    let expected = Expected {
        issuer: ISSUER,
        audience,
    };
    jwt::verify(token, &keys, &expected, now_secs, 1)
        .unwrap_or_else(|refusal| panic!("{refusal}: {token}"))
}

fn kid(token: &str) -> String {
    let (kid, _) = jwt::read_unverified(token).expect("it was just issued");
    kid
}

/// The claims as they are written.
fn payload(token: &str) -> Value {
    let encoded = token.split('.').nth(1).expect("three segments");
    let bytes = URL_SAFE_NO_PAD.decode(encoded).expect("base64");
    serde_json::from_slice(&bytes).expect("an object")
}

async fn published(host: &TestHost) -> BTreeSet<String> {
    let keys = keys(&host.get(JWKS).send().await.expect(200));
    keys.iter().map(|key| key.kid().to_owned()).collect()
}

/// As if so many seconds had gone by for the signing keys.
async fn pass(host: &TestHost, secs: u32) {
    host.execute(&format!(
        "UPDATE signing_keys SET signs_from = signs_from - interval '{secs} seconds',
                                 retired_at = retired_at - interval '{secs} seconds'"
    ))
    .await;
}

api_tests![
    is_validated_offline,
    says_no_more_than_the_credential,
    opens_no_route_of_ours,
    refuses,
];

api_tests![
    fresh_too:
    is_signed_by_one_key_however_many_ask,
    keys_rotate_by_themselves,
];

async fn is_validated_offline(host: &TestHost) {
    let user = host.new_user("ada").await;
    let session = host.issue_session(&user).await;
    let response = host
        .token_call(&session.token, &json!({}))
        .send()
        .await
        .expect(200);
    assert_eq!(response.json()["token_type"], "Bearer", "{response}");
    assert_eq!(response.json()["expires_in"], 300, "{response}");
    let claims = validate(host, &response.text_at("/access_token"), ISSUER).await;
    assert_eq!(claims.iss, ISSUER);
    assert_eq!(claims.aud, Audience::One(ISSUER.to_owned()));
    assert_eq!(claims.sub, user.id.to_string());
    assert_eq!(claims.sid, Some(session.id));
    assert_eq!(claims.client_id, "turnpike");
    assert_eq!(claims.exp - claims.iat, 300);
    assert_eq!(claims.jti.len(), 36, "a UUID: {}", claims.jti);
    assert_eq!(json!(claims.scope), response.json()["scope"], "{response}");
    assert!(claims.permits("credits:read"), "{claims:?}");
    let me = host.get(ME).bearer(&session.token).send().await.expect(200);
    assert_eq!(json!(claims.org), me.json()["organization_id"]);

    let key = host.issue_api_key(&user, &["credits:read"]).await;
    let body = json!({"audience": "https://api.example/v1"});
    let response = host.token_call(&key.key, &body).send().await.expect(200);
    let token = response.text_at("/access_token");
    let of_key = validate(host, &token, "https://api.example/v1").await;
    assert_eq!(of_key.client_id, key.id.to_string());
    assert_eq!((of_key.sid, of_key.scope.as_str()), (None, "credits:read"));
    assert_ne!(of_key.jti, claims.jti);
}

async fn says_no_more_than_the_credential(host: &TestHost) {
    let user = host.new_user("ada").await;
    let key = host
        .issue_api_key(&user, &["credits:read", "credits:consume"])
        .await;
    let table = [
        (&user.token, "credits:read", Ok("credits:read")),
        (
            &user.token,
            "credits:read credits:consume credits:read",
            Ok("credits:consume credits:read"),
        ),
        (&user.token, "credits:grant", Err(())),
        (&user.token, "credits:read nonsense", Err(())),
        (&key.key, "credits:read", Ok("credits:read")),
        (&key.key, "audit:read", Err(())),
    ];
    for (token, scope, expected) in table {
        let call = host.token_call(token, &json!({"scope": scope}));
        match expected {
            Ok(granted) => {
                let response = call.send().await.expect(200);
                assert_eq!(response.json()["scope"], granted, "{response}");
            }
            Err(()) => {
                let response = call.send().await;
                let response = response.expect_fields(422, "invalid_fields", &["scope"]);
                assert_eq!(response.text_at("/errors/0/code"), "exceeds_own");
            }
        }
    }

    // It does not outlive the credential either.
    let body = json!({"name": "short", "scopes": ["credits:read"], "ttl_secs": 100});
    let short = host.api_key_call(&user, &body).send().await.expect(201);
    let call = host.token_call(&short.text_at("/key"), &json!({}));
    let response = call.send().await.expect(200);
    let expires_in = response.json()["expires_in"].as_u64().unwrap_or_default();
    assert!((90..=100).contains(&expires_in), "{response}");

    take_permissions(host, &user).await;
    let nothing = host.token_call(&user.token, &json!({}));
    let response = nothing.send().await.expect(200);
    assert_eq!(response.json().get("scope"), None, "{response}");
    let claims = validate(host, &response.text_at("/access_token"), ISSUER).await;
    assert_eq!(claims.scope, "");
    let payload = payload(&response.text_at("/access_token"));
    assert_eq!(payload.get("scope"), None, "{payload}");
}

async fn opens_no_route_of_ours(host: &TestHost) {
    let user = host.new_user("ada").await;
    let token = host.issue_jwt(&user.token).await;
    for call in [host.get(ME), host.post(LOGOUT)] {
        refuse(host, call.bearer(&token), 401, "unauthenticated", &[]).await;
    }
    let again = host.token_call(&token, &json!({}));
    refuse(host, again, 401, "unauthenticated", &[]).await;
}

async fn is_signed_by_one_key_however_many_ask(host: &TestHost) {
    let user = host.new_user("ada").await;
    let tokens = join_all((0..CALLERS).map(|_| host.issue_jwt(&user.token))).await;
    let kids: BTreeSet<String> = tokens.iter().map(|token| kid(token)).collect();
    assert_eq!(kids, published(host).await, "one key, made once");
    let ids: BTreeSet<String> = join_all(tokens.iter().map(|token| validate(host, token, ISSUER)))
        .await
        .into_iter()
        .map(|claims| claims.jti)
        .collect();
    assert_eq!(ids.len(), CALLERS, "every token has an id of its own");
}

async fn keys_rotate_by_themselves(host: &TestHost) {
    let user = host.new_user("ada").await;
    // The first key is as old as the database, which others may have waited for.
    host.execute("UPDATE signing_keys SET signs_from = clock_timestamp()")
        .await;
    let old = kid(&host.issue_jwt(&user.token).await);
    pass(host, 90 * 24 * 60 * 60 - 60).await;
    assert_eq!(kid(&host.issue_jwt(&user.token).await), old);
    assert_eq!(published(host).await.len(), 1, "not old enough");

    pass(host, 61).await;
    let tokens = join_all((0..CALLERS).map(|_| host.issue_jwt(&user.token))).await;
    for token in &tokens {
        assert_eq!(kid(token), old, "the new key waits until all have it");
    }
    let both = published(host).await;
    assert_eq!(both.len(), 2, "one successor, whoever asked: {both:?}");

    // 300 s of the list's age and 60 s of leeway.
    pass(host, 350).await;
    assert_eq!(kid(&host.issue_jwt(&user.token).await), old);
    pass(host, 11).await;
    let token = host.issue_jwt(&user.token).await;
    assert_ne!(kid(&token), old);
    validate(host, &token, ISSUER).await;
    assert_eq!(published(host).await, both, "what it signed is still good");

    // 300 s of the last token's life and 60 s of leeway.
    pass(host, 361).await;
    assert_eq!(published(host).await, BTreeSet::from([kid(&token)]));
}

async fn refuses(host: &TestHost) {
    let user = host.new_user("ada").await;
    let table: [(Value, &str); 16] = [
        (json!({"audience": ""}), "audience"),
        (json!({"audience": "https://other.example"}), "audience"),
        (json!({"audience": "https://api.example/v1/"}), "audience"),
        (json!({"audience": "x".repeat(256)}), "audience"),
        (json!({"audience": "a b"}), "audience"),
        (json!({"audience": "a\u{0}b"}), "audience"),
        (json!({"audience": "é"}), "audience"),
        (json!({"audience": 1}), "audience"),
        (json!({"audience": ["api"]}), "audience"),
        (json!({"scope": ""}), "scope"),
        (json!({"scope": " credits:read"}), "scope"),
        (json!({"scope": "credits:read  credits:consume"}), "scope"),
        (json!({"scope": "x".repeat(1_001)}), "scope"),
        (json!({"scope": ["credits:read"]}), "scope"),
        (json!({"scope": "credits:read\u{0}"}), "scope"),
        (json!({"ttl_secs": 3_600}), "ttl_secs"),
    ];
    for (body, field) in table {
        let call = host.token_call(&user.token, &body);
        refuse(host, call, 422, "invalid_fields", &[field]).await;
    }
}
