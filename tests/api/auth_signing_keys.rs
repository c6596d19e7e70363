use futures::future::join_all;
use serde_json::{Value, json};
use shared::auth::jwt;
use turnpike_tests::personas::{AUDIT_LOG, JWKS, SIGNING_KEYS};
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::auth_jwks::keys;
use crate::refusals::refuse;

/// Administrators that rotate at the same moment.
const ROTATIONS: usize = 8;

/// Every key's state, newest first.
async fn states(host: &TestHost, admin: &User) -> Vec<(String, String)> {
    let call = host.get(SIGNING_KEYS).bearer(&admin.token);
    let body = call.send().await.expect(200).json();
    let listed = body["signing_keys"].as_array().cloned().unwrap_or_default();
    let text = |key: &Value, name: &str| key[name].as_str().unwrap_or_default().to_owned();
    let pairs = listed
        .iter()
        .map(|key| (text(key, "kid"), text(key, "state")));
    pairs.collect()
}

async fn published(host: &TestHost) -> Vec<String> {
    let keys = keys(&host.get(JWKS).send().await.expect(200));
    keys.iter().map(|key| key.kid().to_owned()).collect()
}

async fn signing_kid(host: &TestHost, user: &User) -> String {
    let token = host.issue_jwt(&user.token).await;
    jwt::read_unverified(&token).expect("it was just issued").0
}

fn withdraw_call(host: &TestHost, admin: &User, kid: &str) -> Call {
    host.delete(format!("{SIGNING_KEYS}/{kid}"))
        .bearer(&admin.token)
}

async fn withdraw(host: &TestHost, admin: &User, kid: &str) {
    let response = withdraw_call(host, admin, kid).send().await.expect(200);
    assert_eq!(response.json(), json!({"status": "withdrawn"}));
}

async fn rotate(host: &TestHost, admin: &User) -> String {
    let call = host.post(SIGNING_KEYS).bearer(&admin.token);
    call.send().await.expect(201).text_at("/signing_key/kid")
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let all = expected.iter();
    all.map(|(kid, state)| ((*kid).to_owned(), (*state).to_owned()))
        .collect()
}

api_tests![
    a_rotation_is_prepared_before_it_signs,
    one_of_many_rotations_wins,
    refuses,
];

api_tests![
    fresh_too:
    a_withdrawn_key_is_gone_at_once,
];

async fn a_rotation_is_prepared_before_it_signs(host: &TestHost) {
    let admin = host.platform_admin().await;
    let first = published(host).await.remove(0);
    assert_eq!(
        states(host, &admin).await,
        pairs(&[(&first, "signing")]),
        "the first key is there from the start, and signs"
    );
    let second = rotate(host, &admin).await;
    assert_eq!(
        states(host, &admin).await,
        pairs(&[(&second, "next"), (&first, "signing")])
    );
    assert_eq!(signing_kid(host, &admin).await, first);
    assert_eq!(published(host).await, [second.clone(), first.clone()]);

    let third = host.post(SIGNING_KEYS).bearer(&admin.token);
    let pending = third.send().await.expect_problem(409, "rotation_pending");
    let wait_secs: u32 = pending
        .header("retry-after")
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    assert!((340..=360).contains(&wait_secs), "{pending}");

    let pass = "UPDATE signing_keys SET signs_from = signs_from - interval '361 seconds',
                                        retired_at = retired_at - interval '361 seconds'";
    host.execute(pass).await;
    assert_eq!(
        states(host, &admin).await,
        pairs(&[(&second, "signing"), (&first, "published")])
    );
    assert_eq!(signing_kid(host, &admin).await, second);
    host.execute(pass).await;
    assert_eq!(
        states(host, &admin).await,
        pairs(&[(&second, "signing"), (&first, "retired")])
    );
    assert_eq!(published(host).await, [second]);
}

async fn one_of_many_rotations_wins(host: &TestHost) {
    let admin = host.platform_admin().await;
    let signing = signing_kid(host, &admin).await;
    let call = host.post(SIGNING_KEYS).bearer(&admin.token);
    let answers = join_all((0..ROTATIONS).map(|_| call.send())).await;
    let mut won = 0;
    for answer in answers {
        if answer.status == 201 {
            won += 1;
        } else {
            answer.expect_problem(409, "rotation_pending");
        }
    }
    // The winner's answer may be lost on a busy machine, and its second attempt be too late.
    assert!(won <= 1, "{won} rotations were done");
    let states = states(host, &admin).await;
    assert_eq!(states.len(), 2, "{states:?}");
    assert_eq!(states[1], (signing, "signing".to_owned()));
}

async fn a_withdrawn_key_is_gone_at_once(host: &TestHost) {
    let admin = host.platform_admin().await;
    let first = published(host).await.remove(0);

    // One that waits leaves the signing key without a successor.
    let second = rotate(host, &admin).await;
    withdraw(host, &admin, &second).await;
    assert_eq!(
        states(host, &admin).await,
        pairs(&[(&second, "retired"), (&first, "signing")])
    );
    let rows = host
        .query("SELECT kid FROM signing_keys WHERE retired_at IS NULL")
        .await;
    assert_eq!(rows[0].get::<_, &str>(0), first, "it has no end again");

    // One that signs is followed by the one that waits.
    let third = rotate(host, &admin).await;
    withdraw(host, &admin, &first).await;
    assert_eq!(published(host).await, std::slice::from_ref(&third));
    assert_eq!(signing_kid(host, &admin).await, third);

    // Or by a new one.
    withdraw(host, &admin, &third).await;
    let fourth = signing_kid(host, &admin).await;
    assert!(![&first, &second, &third].contains(&&fourth), "{fourth}");
    assert_eq!(published(host).await, std::slice::from_ref(&fourth));

    // A second time it is as gone as before.
    withdraw(host, &admin, &third).await;
    let call = host
        .get(format!("{AUDIT_LOG}/platform"))
        .bearer(&admin.token);
    let body = call.send().await.expect(200).json();
    let events = body["events"].as_array().cloned().unwrap_or_default();
    let of_keys: Vec<(&str, &str)> = events
        .iter()
        .rev()
        .map(|event| {
            let text = |name: &str| event[name].as_str().unwrap_or_default();
            (text("event_type"), text("subject"))
        })
        .filter(|(event_type, _)| event_type.starts_with("signing_key."))
        .collect();
    let (was_published, was_withdrawn) = ("signing_key.published", "signing_key.withdrawn");
    assert_eq!(
        of_keys,
        [
            (was_published, second.as_str()),
            (was_withdrawn, &second),
            (was_published, &third),
            (was_withdrawn, &first),
            (was_withdrawn, &third),
            // The first token after it was signed by a new one.
            (was_published, &fourth),
        ]
    );
}

async fn refuses(host: &TestHost) {
    let user = host.new_user("ada").await;
    let admin = host.platform_admin().await;
    let kid = published(host).await.remove(0);
    let path = format!("{SIGNING_KEYS}/{kid}");
    for build in [
        Box::new(|| host.get(SIGNING_KEYS)) as Box<dyn Fn() -> Call>,
        Box::new(|| host.post(SIGNING_KEYS)),
        Box::new(|| host.delete(&*path)),
    ] {
        // An organization's owner, and a key of the administrator for something else.
        let key = host.issue_api_key(&admin, &["credits:grant"]).await;
        for token in [&user.token, &key.key] {
            refuse(host, build().bearer(token), 403, "forbidden", &[]).await;
        }
    }
    for kid in ["abc", "a.b", "%00", "key_1", &"x".repeat(500)] {
        let call = withdraw_call(host, &admin, kid);
        refuse(host, call, 404, "not_found", &[]).await;
    }
    assert_eq!(states(host, &admin).await, pairs(&[(&kid, "signing")]));
}
