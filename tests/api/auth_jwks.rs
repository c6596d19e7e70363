use futures::future::join_all;
use serde_json::json;
use shared::auth::jwt::{self, PublicJwk};
use turnpike_tests::personas::JWKS;
use turnpike_tests::{Response, TestHost, api_tests};

/// Verifiers that start at the same moment.
const VERIFIERS: usize = 8;

/// The keys of an answer.
#[track_caller]
pub fn keys(response: &Response) -> Vec<PublicJwk> {
    match serde_json::from_value(response.json()["keys"].clone()) {
        Ok(keys) => keys,
        Err(error) => response.fail(&format!("these must be public Ed25519 keys: {error}")),
    }
}

api_tests![is_public_and_may_be_kept,];

api_tests![
    fresh_too:
    the_first_key_is_there_from_the_start,
];

async fn is_public_and_may_be_kept(host: &TestHost) {
    let first = host.get(JWKS).send().await.expect(200);
    let found = keys(&first);
    assert_eq!(found.len(), 1, "{first}");
    let rows = host.query("SELECT kid FROM signing_keys").await;
    assert_eq!(found[0].kid(), rows[0].get::<_, &str>(0), "{first}");
    let members = json!({
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
        "kid": found[0].kid(), "x": found[0].x(),
    });
    assert_eq!(
        first.json(),
        json!({"keys": [members]}),
        "and nothing private"
    );

    // The database waits for as long as this allows before a new key signs.
    let rows = host
        .query("SELECT 'public, max-age=' || extract(epoch FROM jwks_max_age_interval())::integer")
        .await;
    assert_eq!(
        first.header("cache-control"),
        Some(rows[0].get::<_, &str>(0)),
        "{first}"
    );

    let user = host.new_user("ada").await;
    for authorization in ["garbage", &user.token] {
        let call = host.get(JWKS).bearer(authorization);
        let again = call.send().await.expect(200);
        assert_eq!(again.json(), first.json(), "the same for everyone");
        assert!(again.db_queries() <= 2, "{again}");
    }
}

/// Verifiers that start before the first token have the key that will sign it.
async fn the_first_key_is_there_from_the_start(host: &TestHost) {
    let call = host.get(JWKS);
    let answers = join_all((0..VERIFIERS).map(|_| call.send())).await;
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer}");
        assert_eq!(answer.body, answers[0].body, "{answer}");
    }
    let held = keys(&answers[0]);
    assert_eq!(held.len(), 1);
    let user = host.new_user("ada").await;
    let token = host.issue_jwt(&user.token).await;
    let (kid, ..) = jwt::read_unverified(&token).expect("it was just issued");
    assert_eq!(held[0].kid(), kid);
}
