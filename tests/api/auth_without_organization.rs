//! Somebody who belongs to no organization is a person like any other: they sign in, see and
//! change what is their own, make an organization or join one. What needs a permission they may
//! not do, because nobody has one outside of an organization.

use futures::future::{join, join_all};
use serde_json::{Value, json};
use shared::ids::OrganizationId;
use turnpike_tests::personas::{
    ACCEPT, API_KEYS, AUDIT_LOG, BALANCE, EMAIL_VERIFICATION, LOGOUT, ME, ORGANIZATIONS, PASSWORD,
    REAUTHENTICATE, SESSION_ORGANIZATION, SESSIONS, SIGNING_KEYS, TOKEN, TOTP, TRANSACTIONS,
    sql_id,
};
use turnpike_tests::{Call, Response, TestHost, User, api_tests};

use crate::refusals::refuse;

/// Invitations that are accepted at once, and logins that race with a removal, each of which
/// verifies a password.
const RACERS: usize = 8;
const ROUNDS: usize = 6;

api_tests![
    sees_and_changes_what_is_their_own,
    may_do_nothing_that_needs_a_permission,
    joins_by_invitation_once,
    owns_what_they_make,
    has_an_account_already,
    a_platform_role_needs_an_organization,
    logins_race_with_a_removal,
];

api_tests![
    fresh_too:
    a_removal_from_the_only_one_leaves_a_person,
];

fn of(answer: &Response) -> Value {
    answer.json()["organization_id"].clone()
}

async fn login(host: &TestHost, user: &User) -> Response {
    host.login_call(&user.email, PASSWORD).settle().await
}

/// Somebody who is a member of the organization, and of no other.
async fn member_only_of(host: &TestHost, organization: OrganizationId) -> User {
    let user = host.member_of(organization, "member").await;
    host.execute(&format!(
        "DELETE FROM memberships WHERE user_id = {} AND organization_id <> '{}'",
        sql_id(user.id),
        organization.as_uuid()
    ))
    .await;
    user
}

fn removal(host: &TestHost, boss: &User, organization: OrganizationId, user: &User) -> Call {
    host.delete(format!(
        "{ORGANIZATIONS}/{organization}/members/{}",
        user.id
    ))
    .bearer(&boss.token)
}

fn change(host: &TestHost, token: &str, organization: &Value) -> Call {
    host.put(SESSION_ORGANIZATION)
        .bearer(token)
        .json(&json!({"organization_id": organization}))
}

async fn a_removal_from_the_only_one_leaves_a_person(host: &TestHost) {
    let boss = host.new_user("boss").await;
    let organization = host.organization_of(&boss).await;
    let ada = member_only_of(host, organization).await;
    let signed_in = login(host, &ada).await.expect(200);
    assert_eq!(of(&signed_in), json!(organization));
    let tokens = [ada.token.clone(), signed_in.text_at("/access_token")];
    for token in &tokens {
        host.warm(&host.get(ME).bearer(token)).await;
    }
    removal(host, &boss, organization, &ada)
        .send()
        .await
        .expect(200);
    for token in &tokens {
        let call = host.get(ME).bearer(token);
        refuse(host, call, 401, "unauthenticated", &[]).await;
    }
    let signed_in = login(host, &ada).await.expect(200);
    assert_eq!(of(&signed_in), Value::Null, "{signed_in}");
    let me = host.get(ME).bearer(&signed_in.text_at("/access_token"));
    let seen = host.warm(&me).await;
    let body = seen.json();
    assert_eq!(body["user_id"], json!(ada.id), "{seen}");
    for member in ["organization_id", "organization_name"] {
        assert_eq!(body[member], Value::Null, "{seen}");
    }
    assert_eq!(body["permissions"], json!([]), "{seen}");
    assert_eq!(body["session_id"], signed_in.json()["session_id"], "{seen}");

    let refreshed = host.refresh_call(&signed_in.text_at("/refresh_token"));
    let refreshed = refreshed.send().await.expect(200);
    assert_eq!(of(&refreshed), Value::Null, "{refreshed}");
    me.send().await.expect(401);
    // Nobody else learns anything of such a token.
    let token = refreshed.text_at("/access_token");
    let seen = host.introspect_call(&boss.token, &token).send().await;
    assert_eq!(seen.expect(200).json(), json!({"active": false}));
    // A reuse ends it like any other.
    let reused = host.refresh_call(&signed_in.text_at("/refresh_token"));
    reused
        .send()
        .await
        .expect_problem(401, "invalid_refresh_token");
    host.get(ME).bearer(&token).send().await.expect(401);
}

async fn sees_and_changes_what_is_their_own(host: &TestHost) {
    let ada = host.new_user_of_none("ada").await;
    let get = |path: &str| host.get(path).bearer(&ada.token);
    let listed = get(ORGANIZATIONS).send().await.expect(200);
    assert_eq!(listed.json()["organizations"], json!([]), "{listed}");
    let listed = get(SESSIONS).send().await.expect(200);
    let current = listed.json()["sessions"][0].clone();
    assert_eq!(current["organization_id"], Value::Null, "{listed}");
    assert_eq!(current["is_current"], json!(true), "{listed}");
    let totp = get(TOTP).send().await.expect(200);
    assert_eq!(totp.json()["enabled"], json!(false), "{totp}");
    let verification = host.post(EMAIL_VERIFICATION).bearer(&ada.token);
    verification.send().await.expect(202);
    let proof = host.post(REAUTHENTICATE).bearer(&ada.token);
    let proof = proof.json(&json!({"password": PASSWORD}));
    proof.settle().await.expect(200);
    let other = host.issue_session(&ada).await;
    let new_password = "staple of a new battery";
    let changed = host.password_call(&ada.token, PASSWORD, new_password);
    changed.settle().await.expect(200);
    host.get(ME).bearer(&other.token).send().await.expect(401);
    let signed_in = host.login_call(&ada.email, new_password).settle().await;
    let signed_in = signed_in.expect(200).text_at("/access_token");
    let others = host.delete(SESSIONS).bearer(&ada.token).send().await;
    assert_eq!(others.expect(200).json(), json!({"revoked": 1}));
    host.get(ME).bearer(&signed_in).send().await.expect(401);
    host.post(LOGOUT)
        .bearer(&ada.token)
        .send()
        .await
        .expect(200);
    get(ME).send().await.expect(401);
}

async fn may_do_nothing_that_needs_a_permission(host: &TestHost) {
    let ada = host.new_user_of_none("ada").await;
    let boss = host.new_user("boss").await;
    for path in [
        BALANCE,
        TRANSACTIONS,
        API_KEYS,
        AUDIT_LOG,
        SIGNING_KEYS,
        "/api/v1/meters",
        "/api/v1/plans",
        "/api/v1/entitlements",
        "/api/v1/usage/alerts",
    ] {
        refuse(
            host,
            host.get(path).bearer(&ada.token),
            403,
            "forbidden",
            &[],
        )
        .await;
    }
    refuse(host, host.consume_call(&ada, "1"), 403, "forbidden", &[]).await;
    let asked = host.introspect_call(&ada.token, &ada.token);
    refuse(host, asked, 403, "forbidden", &[]).await;
    let granted = host.post(TOKEN).bearer(&ada.token).json(&json!({}));
    refuse(host, granted, 403, "organization_required", &[]).await;
    // No organization is theirs, and neither is none.
    let organizations = [host.organization_of(&boss).await, OrganizationId::NONE];
    for organization in organizations {
        for path in ["", "/members", "/roles", "/invitations"] {
            let call = host.get(format!("{ORGANIZATIONS}/{organization}{path}"));
            refuse(host, call.bearer(&ada.token), 404, "not_found", &[]).await;
        }
        let leave = removal(host, &ada, organization, &ada);
        refuse(host, leave, 404, "not_found", &[]).await;
        let call = change(host, &ada.token, &json!(organization));
        refuse(host, call, 404, "not_found", &[]).await;
    }
}

async fn owns_what_they_make(host: &TestHost) {
    let ada = host.new_user_of_none("ada").await;
    let make = host.post(ORGANIZATIONS).bearer(&ada.token);
    let made = make.json(&json!({"name": "Engines"})).send().await;
    let made = made.expect(201).json()["id"].clone();
    let seen = host.get(ME).bearer(&ada.token).send().await.expect(200);
    assert_eq!(of(&seen), Value::Null, "the session goes on where it was");
    let changed = change(host, &ada.token, &made).send().await.expect(200);
    assert_eq!(of(&changed), made);
    let token = changed.text_at("/access_token");
    let keys = host.get(API_KEYS).bearer(&token).send().await;
    keys.expect(200);
    let signed_in = login(host, &ada).await.expect(200);
    assert_eq!(of(&signed_in), made, "{signed_in}");
}

async fn joins_by_invitation_once(host: &TestHost) {
    let boss = host.verified_user("boss").await;
    let organization = host.organization_of(&boss).await;
    let ada = host.new_user_of_none("ada").await;
    let invitations = format!("{ORGANIZATIONS}/{organization}/invitations");
    let invite = host.post(invitations).bearer(&boss.token);
    let invite = invite.json(&json!({"email": ada.email, "role": "member"}));
    invite.send().await.expect(201);
    let token = host.newest_mail_token("invitation", &ada.email).await;
    // Of a session in none and of changes to where it leads, all at once.
    let accept = host.post(ACCEPT).bearer(&ada.token);
    let accept = accept.json(&json!({"token": token}));
    for answer in join_all((0..RACERS).map(|_| accept.settle())).await {
        assert_eq!(answer.expect(200).text_at("/id"), organization.to_string());
    }
    let rows = host
        .query("SELECT count(*) FROM audit_events WHERE event_type = 'member.joined'")
        .await;
    assert_eq!(rows[0].get::<_, i64>(0), 1);
    let moved = change(host, &ada.token, &json!(organization));
    let moved = moved.send().await.expect(200);
    let seen = host.get(ME).bearer(&moved.text_at("/access_token"));
    let seen = seen.send().await.expect(200);
    assert_eq!(of(&seen), json!(organization));
    assert!(!seen.text_at("/permissions/0").is_empty(), "{seen}");
}

/// Whoever signs up with their address is told what anybody is, and they what anybody is told.
async fn has_an_account_already(host: &TestHost) {
    let ada = host.new_user_of_none("ada").await;
    let stranger = host.signup_call(&ada.email, "another password entirely");
    stranger.settle().await.expect(202);
    assert_eq!(host.mail_kinds(&ada.email).await, ["email_taken"]);
    let signed_in = login(host, &ada).await.expect(200);
    assert_eq!(of(&signed_in), Value::Null, "{signed_in}");
}

async fn a_platform_role_needs_an_organization(host: &TestHost) {
    let ada = host.new_user_of_none("ada").await;
    host.execute(&format!(
        "UPDATE users SET platform_role = 'platform_admin' WHERE id = {}",
        sql_id(ada.id)
    ))
    .await;
    let path = format!("/api/v1/users/{}", ada.id);
    let call = host.get(path).bearer(&ada.token);
    refuse(host, call, 403, "forbidden", &[]).await;
}

/// A login beside the removal either comes first, and its session ends, or finds the person in no
/// organization. A login beside the making of an organization acts in one of both.
async fn logins_race_with_a_removal(host: &TestHost) {
    let boss = host.new_user("boss").await;
    let organization = host.organization_of(&boss).await;
    for round in 0..ROUNDS {
        let ada = member_only_of(host, organization).await;
        let remove = removal(host, &boss, organization, &ada);
        let (signed_in, removed) = join(login(host, &ada), remove.settle()).await;
        removed.expect(200);
        let signed_in = signed_in.expect(200);
        let me = host.get(ME).bearer(&signed_in.text_at("/access_token"));
        let seen = me.send().await;
        match of(&signed_in) {
            Value::Null => assert_eq!(of(&seen.expect(200)), Value::Null, "round {round}"),
            _ => drop(seen.expect_problem(401, "unauthenticated")),
        }
        let signed_in = login(host, &ada).await.expect(200);
        assert_eq!(of(&signed_in), Value::Null, "round {round}");

        let token = signed_in.text_at("/access_token");
        let make = host.post(ORGANIZATIONS).bearer(&token);
        let make = make.json(&json!({"name": "Engines"}));
        let (signed_in, made) = join(login(host, &ada), make.settle()).await;
        let made = made.expect(201).json()["id"].clone();
        let signed_in = signed_in.expect(200);
        assert!(
            [Value::Null, made].contains(&of(&signed_in)),
            "round {round}: {signed_in}"
        );
        let me = host.get(ME).bearer(&signed_in.text_at("/access_token"));
        assert_eq!(of(&me.send().await.expect(200)), of(&signed_in));
    }
}
