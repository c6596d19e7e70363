//! What an introspection says of a JWT: it is as live as the session or API key that it was made
//! from, and no forgery is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use shared::auth::jwt::{self, Audience, Claims, SigningKey};
use shared::ids::{OrganizationId, SessionId};
use turnpike_tests::personas::{
    API_KEYS, INTROSPECT, LOGOUT, PASSWORD, SESSIONS, SIGNING_KEYS, sql_id,
};
use turnpike_tests::{Response, TestHost, User, api_tests};

use crate::auth_token::ISSUER;
use crate::refusals::refuse;

#[track_caller]
fn expect_inactive(response: &Response) {
    if response.status != 200 || response.body != br#"{"active":false}"# {
        response.fail("a token that is not live must be exactly inactive");
    }
}

async fn expect_active(host: &TestHost, caller: &str, token: &str) -> Value {
    let response = host.introspect_call(caller, token).send().await.expect(200);
    assert_eq!(response.json()["active"], true, "{response}");
    assert_eq!(response.cache(), "bypass", "{response}");
    response.json()
}

/// The deployment's secret, which these tests leave to the database.
async fn master(host: &TestHost) -> Vec<u8> {
    let rows = host.query("SELECT secret FROM deployment_secrets").await;
    rows[0].get(0)
}

fn encode(part: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(part)
}

api_tests![
    says_what_the_token_says,
    no_forgery_is_active,
    a_real_key_signs_only_what_is_true,
    refuses_callers,
];

api_tests![
    fresh_too:
    lives_no_longer_than_its_credential,
    loses_what_its_user_loses,
];

async fn says_what_the_token_says(host: &TestHost) {
    let user = host.new_user("ada").await;
    let session = host.issue_session(&user).await;
    let body = json!({"scope": "credits:read audit:read"});
    let response = host.token_call(&session.token, &body).send().await;
    let token = response.expect(200).text_at("/access_token");
    let (_, claims) = jwt::read_unverified(&token).expect("it was just issued");
    assert_eq!(
        expect_active(host, &user.token, &token).await,
        json!({
            "active": true, "token_type": "Bearer", "iss": ISSUER, "aud": ISSUER,
            "sub": user.id, "org": claims.org, "sid": session.id, "jti": claims.jti,
            "iat": claims.iat, "exp": claims.exp, "scope": "audit:read credits:read",
            "client_id": "turnpike",
        })
    );

    let key = host
        .issue_api_key(&user, &["credits:read", "tokens:introspect"])
        .await;
    let token = host.issue_jwt(&key.key).await;
    let answer = expect_active(host, &key.key, &token).await;
    assert_eq!(answer["client_id"], json!(key.id), "{answer}");
    assert_eq!(answer.get("sid"), None, "{answer}");
    assert_eq!(
        answer["scope"], "credits:read tokens:introspect",
        "{answer}"
    );

    // What is meant for others they validate themselves.
    let body = json!({"audience": "https://api.example"});
    let response = host.token_call(&session.token, &body).send().await;
    let token = response.expect(200).text_at("/access_token");
    expect_inactive(&host.introspect_call(&user.token, &token).send().await);
}

async fn lives_no_longer_than_its_credential(host: &TestHost) {
    let user = host.new_user("ada").await;
    let asks = async |token: &str| host.introspect_call(&user.token, token).send().await;

    let session = host.issue_session(&user).await;
    let token = host.issue_jwt(&session.token).await;
    expect_active(host, &user.token, &token).await;
    // A refresh keeps the session, and so its JWTs.
    let refreshed = host.refresh_call(&session.refresh_token).send().await;
    let refreshed = refreshed.expect(200).text_at("/access_token");
    expect_active(host, &user.token, &token).await;
    let logout = host.post(LOGOUT).bearer(&refreshed);
    logout.send().await.expect(200);
    expect_inactive(&asks(&token).await);

    let session = host.issue_session(&user).await;
    let token = host.issue_jwt(&session.token).await;
    expect_active(host, &user.token, &token).await;
    let path = format!("{SESSIONS}/{}", session.id);
    let revoke = host.delete(path).bearer(&user.token);
    revoke.send().await.expect(200);
    expect_inactive(&asks(&token).await);

    let key = host.issue_api_key(&user, &["credits:read"]).await;
    let token = host.issue_jwt(&key.key).await;
    expect_active(host, &user.token, &token).await;
    let path = format!("{API_KEYS}/{}", key.id);
    let revoke = host.delete(path).bearer(&user.token);
    revoke.send().await.expect(200);
    expect_inactive(&asks(&token).await);

    let token = host.issue_jwt(&host.issue_token(&user).await).await;
    expect_active(host, &user.token, &token).await;
    let change = host.password_call(&user.token, PASSWORD, "another long password");
    change.send().await.expect(200);
    expect_inactive(&asks(&token).await);

    // A key that is withdrawn takes with it whatever it signed.
    let admin = host.platform_admin().await;
    let token = host.issue_jwt(&user.token).await;
    expect_active(host, &user.token, &token).await;
    let (kid, _) = jwt::read_unverified(&token).expect("it was just issued");
    let path = format!("{SIGNING_KEYS}/{kid}");
    let withdraw = host.delete(path).bearer(&admin.token);
    withdraw.send().await.expect(200);
    expect_inactive(&asks(&token).await);
    let token = host.issue_jwt(&user.token).await;
    expect_active(host, &user.token, &token).await;

    // Another organization is told nothing.
    let foreign = host.new_user("eve").await;
    expect_inactive(&host.introspect_call(&foreign.token, &token).send().await);
    let theirs = host.issue_jwt(&foreign.token).await;
    expect_inactive(&asks(&theirs).await);
}

async fn loses_what_its_user_loses(host: &TestHost) {
    let owner = host.new_user("ada").await;
    let colleague = host.new_user("bob").await;
    // The colleague signs in to the owner's organization.
    host.execute(&format!(
        "UPDATE memberships SET organization_id = (SELECT organization_id FROM memberships WHERE user_id = {}),
                                role = 'admin', sequence = 2 WHERE user_id = {}",
        sql_id(owner.id),
        sql_id(colleague.id)
    ))
    .await;
    let session = host.issue_session(&colleague).await;
    let token = host.issue_jwt(&session.token).await;
    let answer = expect_active(host, &owner.token, &token).await;
    let scope = answer["scope"].as_str().unwrap_or_default();
    assert!(scope.contains("audit:read"), "{answer}");

    let change = async |statement: &str| {
        host.execute(&format!(
            "{statement} WHERE user_id = {}",
            sql_id(colleague.id)
        ))
        .await;
    };
    change("UPDATE memberships SET role = 'member'").await;
    let answer = expect_active(host, &owner.token, &token).await;
    let scope = answer["scope"].as_str().unwrap_or_default();
    assert!(
        !scope.contains("audit:read") && scope.contains("credits:read"),
        "{answer}"
    );
    // What they are given later was not in the token.
    change("UPDATE memberships SET role = 'owner'").await;
    let answer = expect_active(host, &owner.token, &token).await;
    let scope = answer["scope"].as_str().unwrap_or_default();
    assert!(!scope.contains("roles:manage"), "{answer}");

    change("DELETE FROM memberships").await;
    expect_inactive(&host.introspect_call(&owner.token, &token).send().await);

    let disabled = host.issue_jwt(&owner.token).await;
    let gateway = host.issue_session(&owner).await;
    expect_active(host, &gateway.token, &disabled).await;
    host.execute(&format!(
        "UPDATE users SET disabled_at = now() WHERE id = {}",
        sql_id(owner.id)
    ))
    .await;
    let call = host.introspect_call(&gateway.token, &disabled);
    refuse(host, call, 401, "unauthenticated", &[]).await;
}

/// The parts of a token, decoded.
struct Parts {
    header: Value,
    payload: Value,
    signature: String,
}

fn parts(token: &str) -> Parts {
    let segments: Vec<&str> = token.split('.').collect();
    let object = |segment: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(segment).expect("it is base64");
        serde_json::from_slice(&bytes).expect("it is JSON")
    };
    Parts {
        header: object(segments[0]),
        payload: object(segments[1]),
        signature: segments[2].to_owned(),
    }
}

async fn no_forgery_is_active(host: &TestHost) {
    let user = host.new_user("ada").await;
    let good = host.issue_jwt(&user.token).await;
    let Parts {
        header,
        payload,
        signature,
    } = parts(&good);
    let join = |header: &str, payload: &str, signature: &str| {
        format!("{}.{}.{signature}", encode(header), encode(payload))
    };
    let (plain_header, plain_payload) = (header.to_string(), payload.to_string());
    let with_header = |name: &str, value: Value| {
        let mut changed = header.clone();
        changed[name] = value;
        join(&changed.to_string(), &plain_payload, &signature)
    };
    let with_claim = |name: &str, value: Value| {
        let mut changed = payload.clone();
        changed[name] = value;
        join(&plain_header, &changed.to_string(), &signature)
    };

    let kid = header["kid"].as_str().unwrap_or_default();
    let jwk = SigningKey::derive(&master(host).await, kid)
        .expect("the key has an id")
        .public_jwk();
    let public = URL_SAFE_NO_PAD.decode(jwk.x()).expect("it is base64");
    // The public key as the secret of an HMAC, for a verifier that believes the header.
    let hmac_with = |secret: &[u8]| {
        let mut changed = header.clone();
        changed["alg"] = json!("HS256");
        let input = format!("{}.{}", encode(changed.to_string()), encode(&plain_payload));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length will do");
        mac.update(input.as_bytes());
        format!("{input}.{}", encode(mac.finalize().into_bytes()))
    };
    let claims: Claims = serde_json::from_value(payload.clone()).expect("they are claims");
    let signed_by = |master: &[u8], kid: &str| {
        let key = SigningKey::derive(master, kid).expect("the key has an id");
        key.sign(&claims).expect("the claims are plain")
    };
    let attacker = SigningKey::derive(b"attacker", kid).expect("the key has an id");
    let attacker_jwk = serde_json::to_value(attacker.public_jwk()).expect("plain data");
    let deployment = master(host).await;

    let table = [
        ("alg none", {
            let mut changed = header.clone();
            changed["alg"] = json!("none");
            join(&changed.to_string(), &plain_payload, "")
        }),
        ("alg none, signed", with_header("alg", json!("none"))),
        ("alg None", with_header("alg", json!("None"))),
        ("no signature", join(&plain_header, &plain_payload, "")),
        ("HS256 with the public key", hmac_with(&public)),
        ("HS256 with its text", hmac_with(jwk.x().as_bytes())),
        ("RS256", with_header("alg", json!("RS256"))),
        ("ES256", with_header("alg", json!("ES256"))),
        ("no type", with_header("typ", json!(null))),
        ("an ID token", with_header("typ", json!("JWT"))),
        ("a key id of nobody", with_header("kid", json!("nobody"))),
        (
            "a key id with a path",
            with_header("kid", json!("../../etc")),
        ),
        (
            "a key id for SQL",
            with_header("kid", json!("' OR true --")),
        ),
        ("no key id", with_header("kid", json!(null))),
        ("the attacker's key", signed_by(b"attacker", kid)),
        (
            "a key of ours that was never published",
            signed_by(&deployment, "unpublished"),
        ),
        ("jku", with_header("jku", json!("http://127.0.0.1:1/keys"))),
        ("jwk", with_header("jwk", attacker_jwk)),
        ("x5u", with_header("x5u", json!("http://127.0.0.1:1/chain"))),
        ("x5c", with_header("x5c", json!(["AAAA"]))),
        ("crit", with_header("crit", json!(["b64"]))),
        ("b64", with_header("b64", json!(false))),
        (
            "another subject",
            with_claim("sub", json!("usr_00000000000000000000000000000000")),
        ),
        ("a longer life", with_claim("exp", json!(4_102_444_800_u64))),
        ("a wider scope", with_claim("scope", json!("credits:grant"))),
        (
            "another algorithm, twice",
            join(
                &format!(r#"{{"alg":"none",{}"#, &plain_header[1..]),
                &plain_payload,
                &signature,
            ),
        ),
        (
            "a claim twice",
            join(
                &plain_header,
                &format!(r#"{{"sub":"usr_x",{}"#, &plain_payload[1..]),
                &signature,
            ),
        ),
        ("no dots", good.replace('.', "")),
        (
            "two segments",
            good.rsplit_once('.')
                .map(|(start, _)| start.to_owned())
                .unwrap_or_default(),
        ),
        ("four segments", format!("{good}.")),
        ("padding", format!("{good}=")),
        ("one character more", format!("{good}A")),
        ("5 KB", with_claim("scope", json!("x".repeat(5_000)))),
    ];
    for (attack, token) in table {
        let call = host.introspect_call(&user.token, &token);
        let response = call.send().await;
        if response.status != 200 || response.body != br#"{"active":false}"# {
            response.fail(&format!("{attack}: must be exactly inactive"));
        }
    }
    expect_active(host, &user.token, &good).await;
}

/// What is claimed, and how the claims of a good token come to say it.
type Lie<'a> = (&'a str, &'a dyn Fn(&mut Claims));

/// Even whoever holds the key cannot make a token for what is not so.
async fn a_real_key_signs_only_what_is_true(host: &TestHost) {
    let user = host.new_user("ada").await;
    let foreign = host.new_user("eve").await;
    let good = host.issue_jwt(&user.token).await;
    let (kid, claims) = jwt::read_unverified(&good).expect("it was just issued");
    let key = SigningKey::derive(&master(host).await, &kid).expect("the key has an id");
    let sign = |change: &dyn Fn(&mut Claims)| {
        let mut changed = claims.clone();
        change(&mut changed);
        key.sign(&changed).expect("the claims are plain")
    };
    let (_, theirs) =
        jwt::read_unverified(&host.issue_jwt(&foreign.token).await).expect("it was just issued");
    let unknown = SessionId::new(1, &[1; 10]);
    let table: [Lie<'_>; 13] = [
        ("another issuer", &|c| {
            c.iss = "https://evil.example".to_owned()
        }),
        ("an issuer with a slash", &|c| c.iss.push('/')),
        ("another audience", &|c| {
            c.aud = Audience::One("api".to_owned())
        }),
        ("expired", &|c| c.exp = c.iat),
        ("not yet good", &|c| c.nbf = Some(c.exp)),
        ("from the future", &|c| c.iat += 200),
        ("another user", &|c| c.sub = theirs.sub.clone()),
        ("another organization", &|c| c.org = theirs.org),
        ("no such organization", &|c| {
            c.org = OrganizationId::new(1, &[1; 10])
        }),
        ("another's session", &|c| c.sid = theirs.sid),
        ("no such session", &|c| c.sid = Some(unknown)),
        ("neither session nor key", &|c| c.sid = None),
        ("a client besides", &|c| {
            c.client_id = "cli".to_owned();
        }),
    ];
    for (claim, change) in table {
        let call = host.introspect_call(&user.token, &sign(change));
        let response = call.send().await;
        if response.status != 200 || response.body != br#"{"active":false}"# {
            response.fail(&format!("{claim}: must be exactly inactive"));
        }
    }
    let again = sign(&|c| c.jti = "another".to_owned());
    expect_active(host, &user.token, &again).await;
    // More than the user has is not in the answer.
    let wide = sign(&|c| c.scope = "credits:grant credits:read".to_owned());
    let answer = expect_active(host, &user.token, &wide).await;
    assert_eq!(answer["scope"], "credits:read");
}

async fn refuses_callers(host: &TestHost) {
    let user: User = host.new_user("ada").await;
    let token = host.issue_jwt(&user.token).await;
    let form = format!("token={token}");
    let call = host.post(INTROSPECT).form(&form);
    refuse(host, call.clone(), 401, "unauthenticated", &[]).await;
    let by_itself = call.clone().bearer(&token);
    refuse(host, by_itself, 401, "unauthenticated", &[]).await;
    let key = host.issue_api_key(&user, &["credits:read"]).await;
    refuse(host, call.bearer(&key.key), 403, "forbidden", &[]).await;
}
