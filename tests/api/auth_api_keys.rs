use std::time::Duration;

use futures::future::{join, join_all};
use serde_json::{Value, json};
use turnpike_host::Fault;
use turnpike_tests::personas::{
    API_KEYS, AUDIT_LOG, BALANCE, CONSUME, LOGOUT, ME, ORGANIZATIONS, PASSWORD, TRANSACTIONS,
    fresh_key,
};
use turnpike_tests::{Call, TestHost, api_tests};

use crate::refusals::{refuse, take_permissions};

async fn list(host: &TestHost, token: &str) -> Vec<Value> {
    let response = host.get(API_KEYS).bearer(token).send().await.expect(200);
    let body = response.json();
    body["api_keys"].as_array().cloned().unwrap_or_default()
}

fn consume(host: &TestHost, key: &str) -> Call {
    let body = json!({"amount": "1", "currency": "USD"});
    host.post(CONSUME)
        .bearer(key)
        .idempotency_key(&fresh_key())
        .json(&body)
}

/// How far the moments of a key's use may be from the database's clock: the time of some requests,
/// on a busy machine too.
const USE_TOLERANCE: &str = "2 minutes";

/// Rounds of a race.
const ROUNDS: usize = 30;

api_tests![
    acts_as_its_user_within_its_scopes,
    a_change_with_a_key_beside_an_end,
    is_listed_without_its_secret,
    a_key_makes_no_key_stronger_than_itself,
    refuses,
];

api_tests![
    fresh_too:
    is_rotated_with_an_overlap,
    is_dead_once_revoked_or_expired,
    shows_when_it_was_last_used,
];

/// When each of the user's keys was used last, newest key first.
async fn uses(host: &TestHost, token: &str) -> Vec<Value> {
    let keys = list(host, token).await;
    keys.iter().map(|key| key["last_used_at"].clone()).collect()
}

/// Fails unless the moment is about now.
async fn expect_now(host: &TestHost, moment: &Value) {
    let text = moment.as_str().unwrap_or("null");
    let rows = host
        .query(&format!(
            "SELECT abs(extract(epoch FROM clock_timestamp() - nullif('{text}', 'null')::timestamptz))
                    < extract(epoch FROM interval '{USE_TOLERANCE}')"
        ))
        .await;
    assert_eq!(
        rows[0].get::<_, Option<bool>>(0),
        Some(true),
        "{text} is not now"
    );
}

/// The store knows, and no row does.
async fn shows_when_it_was_last_used(host: &TestHost) {
    let user = host.new_user("ada").await;
    let unused = host.issue_api_key(&user, &["credits:read"]).await;
    let used = host.issue_api_key(&user, &["credits:read"]).await;
    assert_eq!(uses(host, &user.token).await, [Value::Null, Value::Null]);
    // What anybody may be told of anything that looks like a key shows no use.
    let owner = unused.key.clone();
    let revoked = host.issue_api_key(&user, &["credits:read"]).await;
    let path = format!("{API_KEYS}/{}", revoked.id);
    host.delete(path)
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
    host.get(ME).bearer(&revoked.key).send().await.expect(401);
    host.post(CONSUME).bearer(&owner).send().await.expect(415);
    assert_eq!(uses(host, &user.token).await, [Value::Null, Value::Null]);
    let rows = host
        .key_value()
        .keys()
        .await
        .expect("the store lists its keys");
    let noted = rows.iter().filter(|key| key.contains("api_key_use"));
    assert_eq!(noted.count(), 0, "strangers leave nothing in the store");

    // An answer from the cache notes it too.
    host.warm(&host.get(ME).bearer(&used.key)).await;
    let seen = uses(host, &user.token).await;
    expect_now(host, &seen[0]).await;
    assert_eq!(seen[1], Value::Null);
    host.key_value()
        .clear()
        .await
        .expect("the store is emptied");
    assert_eq!(uses(host, &user.token).await, [Value::Null, Value::Null]);

    // A refusal for want of a permission is a use; the old secret's is the key's.
    let rotate = host.post(format!("{API_KEYS}/{}/rotate", unused.id));
    let rotate = rotate.bearer(&user.token).json(&json!({}));
    rotate.send().await.expect(200);
    host.get(AUDIT_LOG)
        .bearer(&unused.key)
        .send()
        .await
        .expect(403);
    let seen = uses(host, &user.token).await;
    expect_now(host, &seen[1]).await;

    for fault in [Fault::Error, Fault::Hang] {
        host.key_value().set_fault(fault);
        let seen = uses(host, &user.token).await;
        assert_eq!(seen, [Value::Null, Value::Null], "{fault:?}");
    }
    host.key_value().set_fault(Fault::None);
}

/// A change that a key makes holds the organization and the key's user, as whatever ends the user's
/// sessions and keys does. So neither waits for the other in a circle, and both come to an end.
async fn a_change_with_a_key_beside_an_end(host: &TestHost) {
    host.fail_on_deadlock().await;
    let admin = host.platform_admin().await;
    for round in 0..ROUNDS {
        let user = host.verified_user("ada").await;
        let organization = host.organization_of(&user).await;
        let me = host.get(ME).bearer(&user.token).send().await.expect(200);
        let body = json!({"name": "all", "scopes": me.json()["permissions"]});
        let key = host.api_key_call(&user, &body).send().await.expect(201);
        let key = key.text_at("/key");
        let rename = host.patch(format!("{ORGANIZATIONS}/{organization}"));
        let invite = host.post(format!("{ORGANIZATIONS}/{organization}/invitations"));
        let guest = format!("guest-{round}@example.com");
        let changes = [
            rename.bearer(&key).json(&json!({"name": "Engines"})),
            invite
                .bearer(&key)
                .json(&json!({"email": guest, "role": "member"})),
        ];
        let end = match round % 2 {
            0 => host
                .patch(format!("/api/v1/users/{}", user.id))
                .bearer(&admin.token)
                .json(&json!({"disabled": true})),
            _ => host.password_call(&user.token, PASSWORD, "a quite different phrase"),
        };
        let (changed, ended) = join(join_all(changes.iter().map(Call::send)), end.send()).await;
        ended.expect(200);
        for answer in changed {
            match answer.status {
                200 | 201 => {}
                _ => drop(answer.expect_problem(401, "unauthenticated")),
            }
        }
    }
}

async fn acts_as_its_user_within_its_scopes(host: &TestHost) {
    let (user, _) = host.user_with("10.00").await;
    let reader = host.issue_api_key(&user, &["credits:read"]).await.key;
    let spender = host.issue_api_key(&user, &["credits:consume"]).await.key;
    for key in [&reader, &spender] {
        let me = host.get(ME).bearer(key).send().await.expect(200);
        assert_eq!(me.text_at("/user_id"), user.id.to_string(), "{me}");
    }
    consume(host, &spender).send().await.expect(201);
    let balance = host.get(BALANCE).bearer(&reader).send().await.expect(200);
    assert_eq!(balance.text_at("/available/amount"), "9.00", "{balance}");
    host.get(TRANSACTIONS)
        .bearer(&reader)
        .send()
        .await
        .expect(200);
    for path in [BALANCE, TRANSACTIONS] {
        refuse(host, host.get(path).bearer(&spender), 403, "forbidden", &[]).await;
    }
    refuse(host, consume(host, &reader), 403, "forbidden", &[]).await;
    for path in [AUDIT_LOG, API_KEYS] {
        refuse(host, host.get(path).bearer(&reader), 403, "forbidden", &[]).await;
    }
    refuse(
        host,
        host.post(LOGOUT).bearer(&reader),
        403,
        "session_required",
        &[],
    )
    .await;
    // What the user loses, the key loses.
    take_permissions(host, &user).await;
    refuse(host, consume(host, &spender), 403, "forbidden", &[]).await;
    refuse(
        host,
        host.get(TRANSACTIONS).bearer(&reader),
        403,
        "forbidden",
        &[],
    )
    .await;
}

async fn is_listed_without_its_secret(host: &TestHost) {
    let user = host.new_user("ada").await;
    let other = host.new_user("eve").await;
    let first = host.issue_api_key(&user, &["credits:read"]).await;
    let body =
        json!({"name": "deploy", "scopes": ["credits:read", "credits:consume"], "ttl_secs": 3_600});
    let second = host.api_key_call(&user, &body).send().await.expect(201);
    let key = second.text_at("/key");
    assert!(key.starts_with("tpk_"), "{second}");
    assert!(
        second.json()["api_key"]["expires_at"].is_string(),
        "{second}"
    );
    let response = host
        .get(API_KEYS)
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
    let text = String::from_utf8_lossy(&response.body).into_owned();
    for secret in [&first.key, &key] {
        // The last characters are the hint, and are the key's checksum.
        assert!(
            !text.contains(&secret[4..secret.len() - 6]),
            "a key is shown once\n{response}"
        );
    }
    let keys = list(host, &user.token).await;
    assert_eq!(keys.len(), 2);
    assert_eq!(
        (&keys[0]["name"], &keys[1]["id"]),
        (&json!("deploy"), &json!(first.id)),
        "newest first"
    );
    assert_eq!(keys[0]["hint"], json!(key[key.len() - 6..]));
    assert_eq!(keys[1]["expires_at"], json!(null));
    assert_eq!(
        list(host, &other.token).await.len(),
        0,
        "nobody sees another's keys"
    );
    let rows = host
        .query("SELECT count(*) FROM api_keys WHERE octet_length(digest) = 32")
        .await;
    assert_eq!(rows[0].get::<_, i64>(0), 2, "only digests are stored");
}

async fn is_rotated_with_an_overlap(host: &TestHost) {
    let (user, _) = host.user_with("10.00").await;
    let old = host.issue_api_key(&user, &["credits:read"]).await;
    let rotate = host
        .post(format!("{API_KEYS}/{}/rotate", old.id))
        .bearer(&user.token);
    let rotated = rotate.clone().json(&json!({})).send().await.expect(200);
    let new = rotated.text_at("/key");
    assert_ne!(new, old.key);
    assert_eq!(
        rotated.json()["api_key"]["id"],
        json!(old.id),
        "the key stays, its secret does not"
    );
    let read = |key: &str| host.get(TRANSACTIONS).bearer(key);
    for key in [&old.key, &new] {
        read(key).send().await.expect(200);
    }
    host.execute("UPDATE api_keys SET previous_until = now() - interval '1 second'")
        .await;
    read(&old.key)
        .send()
        .await
        .expect_problem(401, "unauthenticated");
    read(&new).send().await.expect(200);

    // Cached or not, the overlap ends when it says.
    rotate
        .json(&json!({"overlap_secs": 1}))
        .send()
        .await
        .expect(200);
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_millis(800) {
        let response = host.get(ME).bearer(&new).send().await;
        if response.status != 200 || response.cache() == "hit" {
            break;
        }
    }
    tokio::time::sleep(Duration::from_millis(1_500).saturating_sub(began.elapsed())).await;
    for path in [ME, TRANSACTIONS] {
        host.get(path)
            .bearer(&new)
            .send()
            .await
            .expect_problem(401, "unauthenticated");
    }
}

async fn is_dead_once_revoked_or_expired(host: &TestHost) {
    let (user, _) = host.user_with("10.00").await;
    let key = host.issue_api_key(&user, &["credits:read"]).await;
    let calls = [ME, BALANCE].map(|path| host.get(path).bearer(&key.key));
    for call in &calls {
        host.warm(call).await;
    }
    let path = format!("{API_KEYS}/{}", key.id);
    let revoked = host
        .delete(&path)
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
    assert_eq!(revoked.json(), json!({"status": "revoked"}));
    for call in &calls {
        call.send().await.expect_problem(401, "unauthenticated");
    }
    // What was revoked before is as revoked as a repetition wants it.
    let repeated = host.delete(&path).bearer(&user.token);
    repeated.send().await.expect(200);
    assert_eq!(
        list(host, &user.token).await.len(),
        0,
        "a revoked key is not listed"
    );

    // A revocation ends the secret before the last rotation too.
    let key = host.issue_api_key(&user, &["credits:read"]).await;
    let path = format!("{API_KEYS}/{}", key.id);
    host.post(format!("{path}/rotate"))
        .bearer(&user.token)
        .json(&json!({}))
        .send()
        .await
        .expect(200);
    host.warm(&host.get(ME).bearer(&key.key)).await;
    host.delete(&path)
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
    host.get(ME)
        .bearer(&key.key)
        .send()
        .await
        .expect_problem(401, "unauthenticated");

    let expired = host.issue_api_key(&user, &["credits:read"]).await;
    host.execute("UPDATE api_keys SET expires_at = now() - interval '1 second'")
        .await;
    for path in [ME, BALANCE, TRANSACTIONS] {
        host.get(path)
            .bearer(&expired.key)
            .send()
            .await
            .expect_problem(401, "unauthenticated");
    }
}

/// A key that manages keys gets no more out of them than it has itself.
async fn a_key_makes_no_key_stronger_than_itself(host: &TestHost) {
    let user = host.new_user("ada").await;
    let strong = host.issue_api_key(&user, &["credits:consume"]).await;
    let manager = host
        .issue_api_key(&user, &["api_keys:manage", "credits:read"])
        .await;
    let create = |scopes: &[&str]| {
        host.post(API_KEYS)
            .bearer(&manager.key)
            .json(&json!({"name": "made", "scopes": scopes}))
    };
    create(&["credits:read"]).send().await.expect(201);
    refuse(
        host,
        create(&["credits:consume"]),
        422,
        "invalid_fields",
        &["scopes"],
    )
    .await;
    let rotate = |id: &dyn std::fmt::Display| {
        host.post(format!("{API_KEYS}/{id}/rotate"))
            .bearer(&manager.key)
            .json(&json!({}))
    };
    refuse(host, rotate(&strong.id), 422, "invalid_fields", &["scopes"]).await;
    host.get(ME).bearer(&strong.key).send().await.expect(200);
    rotate(&manager.id).send().await.expect(200);
}

async fn refuses(host: &TestHost) {
    let user = host.new_user("ada").await;
    let eve = host.new_user("eve").await;
    let key = host.issue_api_key(&user, &["credits:read"]).await;
    let (one, rotation) = (
        format!("{API_KEYS}/{}", key.id),
        format!("{API_KEYS}/{}/rotate", key.id),
    );
    let many = vec!["credits:read"; 33];
    let table = [
        (json!({}), vec!["name", "scopes"]),
        (
            json!({"name": "", "scopes": ["credits:read"]}),
            vec!["name"],
        ),
        (
            json!({"name": "n".repeat(101), "scopes": ["credits:read"]}),
            vec!["name"],
        ),
        (json!({"name": 1, "scopes": ["credits:read"]}), vec!["name"]),
        (json!({"name": "n", "scopes": []}), vec!["scopes"]),
        (json!({"name": "n", "scopes": many}), vec!["scopes"]),
        (
            json!({"name": "n", "scopes": "credits:read"}),
            vec!["scopes"],
        ),
        (json!({"name": "n", "scopes": [1]}), vec!["scopes[0]"]),
        (
            json!({"name": "n", "scopes": ["credits:grant"]}),
            vec!["scopes"],
        ),
        (
            json!({"name": "n", "scopes": ["credits:read", "credits:reed"]}),
            vec!["scopes"],
        ),
        (json!({"name": "n", "scopes": ["*"]}), vec!["scopes"]),
        (
            json!({"name": "n", "scopes": ["credits:read"], "ttl_secs": 0}),
            vec!["ttl_secs"],
        ),
        (
            json!({"name": "n", "scopes": ["credits:read"], "ttl_secs": 63_072_001}),
            vec!["ttl_secs"],
        ),
        (
            json!({"name": "n", "scopes": ["credits:read"], "ttl_secs": "60"}),
            vec!["ttl_secs"],
        ),
    ];
    for (body, fields) in table {
        refuse(
            host,
            host.api_key_call(&user, &body),
            422,
            "invalid_fields",
            &fields,
        )
        .await;
    }
    for overlap in [json!(0), json!(-1), json!(604_801), json!("60"), json!(1.5)] {
        let call = host
            .post(&rotation)
            .bearer(&user.token)
            .json(&json!({"overlap_secs": overlap}));
        refuse(host, call, 422, "invalid_fields", &["overlap_secs"]).await;
    }
    // Another's key is no more there than one that never was.
    refuse(
        host,
        host.delete(&one).bearer(&eve.token),
        404,
        "not_found",
        &[],
    )
    .await;
    refuse(
        host,
        host.post(&rotation).bearer(&eve.token).json(&json!({})),
        404,
        "not_found",
        &[],
    )
    .await;
    for id in [
        "key_1",
        "key_0193e7a1b2c37d4e8f90a1b2c3d4e5f6",
        "usr_0193e7a1b2c37d4e8f90a1b2c3d4e5f6",
        "%00",
    ] {
        refuse(
            host,
            host.delete(format!("{API_KEYS}/{id}")).bearer(&user.token),
            404,
            "not_found",
            &[],
        )
        .await;
    }
    host.get(ME).bearer(&key.key).send().await.expect(200);
    let rows = host.query("SELECT count(*) FROM api_keys").await;
    assert_eq!(
        rows[0].get::<_, i64>(0),
        1,
        "a refused request must make no key"
    );
}
