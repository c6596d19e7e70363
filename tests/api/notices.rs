//! What happens to somebody's account is told by mail, and what could be left behind needs a recent
//! sign-in, or ends with what made it.

use futures::future::join;
use serde_json::{Value, json};
use shared::ids::OrganizationId;
use turnpike_tests::personas::{
    ACCEPT, API_KEYS, ME, ORGANIZATIONS, PASSWORD, REAUTHENTICATE, SESSIONS, TOTP, sql_id,
};
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::authenticator::{Authenticator, recovery_codes};
use crate::refusals::refuse;

/// A device that the browser of a user shows.
const DEVICE_HEADER: &str = "cookie";

/// Rounds of each race.
const ROUNDS: usize = 30;

api_tests![
    changes_of_an_account_are_told,
    a_new_device_is_told_and_a_known_one_is_not,
    nobody_is_told_without_end,
    a_recent_sign_in_is_asked_for,
    keys_end_with_the_key_that_drew_them,
    invitations_end_with_the_role_that_offered_them,
    a_demotion_races_with_an_acceptance,
];

async fn told(host: &TestHost, user: &User, kind: &str) -> usize {
    let kinds = host.mail_kinds(&user.email).await;
    kinds.iter().filter(|told| *told == kind).count()
}

async fn changes_of_an_account_are_told(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let key = host.issue_api_key(&ada, &["credits:read"]).await;
    let rotate = host.post(format!("{API_KEYS}/{}/rotate", key.id));
    let rotate = rotate.bearer(&ada.token).json(&json!({}));
    rotate.send().await.expect(200);
    Authenticator::turn_on(host, &ada.token).await;
    let replace = host.post(format!("{TOTP}/recovery-codes"));
    let replaced = replace.bearer(&ada.token).send().await;
    let codes = recovery_codes(&replaced.expect(200));
    let call = host.post(REAUTHENTICATE).bearer(&ada.token);
    let call = call.json(&json!({"recovery_code": codes[0]}));
    call.send().await.expect(200);
    call.send().await.expect_problem(422, "invalid_fields");
    for _ in 0..2 {
        host.delete(TOTP)
            .bearer(&ada.token)
            .send()
            .await
            .expect(200);
    }
    let new = "another password entirely";
    let wrong = host.password_call(&ada.token, "wrong password", new);
    wrong.send().await.expect(422);
    let call = host.password_call(&ada.token, PASSWORD, new);
    call.send().await.expect(200);
    assert_eq!(
        host.mail_kinds(&ada.email).await,
        [
            "api_key_created",
            "api_key_rotated",
            "second_factor_enabled",
            "recovery_codes_replaced",
            "recovery_code_used",
            "second_factor_disabled",
            "password_changed",
        ],
        "each is told once, and no refusal is"
    );
    let sql = "SELECT detail ->> 'name' FROM outbox_messages WHERE kind = 'api_key_rotated'";
    assert_eq!(host.query(sql).await[0].get::<_, &str>(0), "test");
    let sql = "SELECT detail ->> 'codes_left', token IS NULL FROM outbox_messages WHERE kind = 'recovery_code_used'";
    let rows = host.query(sql).await;
    let left = (codes.len() - 1).to_string();
    assert_eq!(rows[0].get::<_, Option<&str>>(0), Some(left.as_str()));
    assert!(rows[0].get::<_, bool>(1), "a notice has no link");
}

async fn a_new_device_is_told_and_a_known_one_is_not(host: &TestHost) {
    let email = host.signup("ada").await;
    let first = host.login_call(&email, PASSWORD).settle().await.expect(200);
    let ada = host.login_call(&email, PASSWORD);
    let user = User {
        id: first.text_at("/user_id").parse().expect("a user's id"),
        email: email.clone(),
        token: first.text_at("/access_token"),
    };
    assert_eq!(
        told(host, &user, "new_device").await,
        0,
        "the first sign-in"
    );
    let device = first
        .header("set-cookie")
        .and_then(|cookie| cookie.split(';').next().map(str::to_owned))
        .expect("a sign-in makes the device known");
    let known = host
        .login_call(&email, PASSWORD)
        .header(DEVICE_HEADER, &device);
    known.settle().await.expect(200);
    assert_eq!(told(host, &user, "new_device").await, 0, "a known device");
    let wrong = host.login_call(&email, "wrong password");
    wrong
        .send()
        .await
        .expect_problem(401, "invalid_credentials");
    assert_eq!(told(host, &user, "new_device").await, 0, "nobody signed in");
    ada.settle().await.expect(200);
    assert_eq!(told(host, &user, "new_device").await, 1);
}

async fn nobody_is_told_without_end(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let eve = host.new_user("eve").await;
    for _ in 0..7 {
        host.issue_api_key(&ada, &["credits:read"]).await;
    }
    assert_eq!(told(host, &ada, "api_key_created").await, 5);
    host.issue_api_key(&eve, &["credits:read"]).await;
    assert_eq!(told(host, &eve, "api_key_created").await, 1);
    host.execute("UPDATE notice_counts SET day_started = day_started - interval '24 hours'")
        .await;
    host.issue_api_key(&ada, &["credits:read"]).await;
    assert_eq!(told(host, &ada, "api_key_created").await, 6, "the next day");
}

/// Sessions that are not fresh make nothing that outlives them.
async fn a_recent_sign_in_is_asked_for(host: &TestHost) {
    let ada = host.verified_user("ada").await;
    let organization = host.organization_of(&ada).await;
    let bob = host.member_of(organization, "member").await;
    let key = host
        .issue_api_key(&ada, &["api_keys:manage", "credits:read"])
        .await;
    let everything: Vec<Value> = {
        let me = host.get(ME).bearer(&ada.token).send().await.expect(200);
        me.json()["permissions"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let all_of_owner: Vec<&str> = everything.iter().filter_map(Value::as_str).collect();
    host.own_role(organization, "partner", &all_of_owner).await;
    let body = json!({"name": "all", "scopes": everything});
    let all = host
        .api_key_call(&ada, &body)
        .send()
        .await
        .expect(201)
        .text_at("/key");
    let of = |token: &str| -> Vec<Call> {
        let members = format!("{ORGANIZATIONS}/{organization}/members/{}", bob.id);
        let invitations = format!("{ORGANIZATIONS}/{organization}/invitations");
        let new = json!({"name": "x", "scopes": ["credits:read"]});
        vec![
            host.post(API_KEYS).bearer(token).json(&new),
            host.post(format!("{API_KEYS}/{}/rotate", key.id))
                .bearer(token)
                .json(&json!({})),
            host.post(invitations.clone())
                .bearer(token)
                .json(&json!({"email": "c@example.com", "role": "owner"})),
            host.patch(members.clone())
                .bearer(token)
                .json(&json!({"role": "owner"})),
            // Whoever has all that an owner has is one, under whatever name.
            host.post(invitations)
                .bearer(token)
                .json(&json!({"email": "c@example.com", "role": "partner"})),
            host.patch(members)
                .bearer(token)
                .json(&json!({"role": "partner"})),
            host.put(format!("{ORGANIZATIONS}/{organization}/roles/equal"))
                .bearer(token)
                .json(&json!({"permissions": everything})),
        ]
    };
    host.execute(&format!(
        "UPDATE sessions SET authenticated_at = now() - interval '601 seconds' WHERE user_id = {}",
        sql_id(ada.id)
    ))
    .await;
    for call in of(&ada.token) {
        refuse(host, call, 403, "recent_login_required", &[]).await;
    }
    // An API key makes no owner.
    for call in of(&all).into_iter().skip(2) {
        refuse(host, call, 403, "session_required", &[]).await;
    }
    let members = format!("{ORGANIZATIONS}/{organization}/members/{}", bob.id);
    let call = host
        .patch(members)
        .bearer(&ada.token)
        .json(&json!({"role": "admin"}));
    call.send().await.expect(200);
    let call = host.post(REAUTHENTICATE).bearer(&ada.token);
    call.json(&json!({"password": PASSWORD}))
        .send()
        .await
        .expect(200);
    for call in of(&ada.token) {
        let answer = call.send().await;
        assert!([200, 201].contains(&answer.status), "{answer}");
    }
}

/// A key takes along what was made or rotated with it, over any number of steps.
async fn keys_end_with_the_key_that_drew_them(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let scopes = ["api_keys:manage", "credits:read"];
    let parent = host.issue_api_key(&ada, &scopes).await;
    let other = host.issue_api_key(&ada, &scopes).await;
    let rotated = host.issue_api_key(&ada, &["credits:read"]).await;
    let body = json!({"name": "child", "scopes": scopes});
    let child = host
        .post(API_KEYS)
        .bearer(&parent.key)
        .json(&body)
        .send()
        .await
        .expect(201);
    let child = child.text_at("/key");
    let grandchild = host
        .post(API_KEYS)
        .bearer(&child)
        .json(&body)
        .send()
        .await
        .expect(201);
    let grandchild = grandchild.text_at("/key");
    let rotate = host
        .post(format!("{API_KEYS}/{}/rotate", rotated.id))
        .bearer(&child);
    let rotated = rotate
        .json(&json!({}))
        .send()
        .await
        .expect(200)
        .text_at("/key");
    for key in [&parent.key, &child, &grandchild, &rotated, &other.key] {
        host.warm(&host.get(ME).bearer(key)).await;
    }
    let revoke = host
        .delete(format!("{API_KEYS}/{}", parent.id))
        .bearer(&ada.token);
    revoke.send().await.expect(200);
    for key in [&parent.key, &child, &grandchild, &rotated] {
        host.get(ME)
            .bearer(key)
            .send()
            .await
            .expect_problem(401, "unauthenticated");
    }
    host.get(ME).bearer(&other.key).send().await.expect(200);
    let sql = "SELECT count(*) FROM audit_events WHERE event_type = 'api_key.revoked'";
    assert_eq!(host.query(sql).await[0].get::<_, i64>(0), 4);
    assert_eq!(
        host.get(SESSIONS).bearer(&ada.token).send().await.status,
        200,
        "the session stays"
    );
}

/// Invites a new user; returns them and the token of the mail.
async fn invited(
    host: &TestHost,
    by: &User,
    organization: OrganizationId,
    role: &str,
) -> (User, String) {
    let guest = host.new_user("guest").await;
    let call = host
        .post(format!("{ORGANIZATIONS}/{organization}/invitations"))
        .bearer(&by.token);
    let call = call.json(&json!({"email": guest.email, "role": role}));
    call.send().await.expect(201);
    let token = host.newest_mail_token("invitation", &guest.email).await;
    (guest, token)
}

fn accept(host: &TestHost, guest: &User, token: &str) -> Call {
    host.post(ACCEPT)
        .bearer(&guest.token)
        .json(&json!({"token": token}))
}

fn demote(
    host: &TestHost,
    boss: &User,
    organization: OrganizationId,
    user: &User,
    role: &str,
) -> Call {
    host.patch(format!(
        "{ORGANIZATIONS}/{organization}/members/{}",
        user.id
    ))
    .bearer(&boss.token)
    .json(&json!({"role": role}))
}

async fn invitations_end_with_the_role_that_offered_them(host: &TestHost) {
    let boss = host.verified_user("boss").await;
    let organization = host.organization_of(&boss).await;
    let table = [
        // (offered, the inviter's new role, whether the invitation still works)
        ("owner", "admin", false),
        ("owner", "member", false),
        ("admin", "admin", true),
        ("admin", "member", false),
        ("member", "member", true),
    ];
    for (offered, role, is_good) in table {
        let ada = host.member_of(organization, "owner").await;
        host.verify_email(&ada).await;
        let (guest, token) = invited(host, &ada, organization, offered).await;
        let (bystander, good) = invited(host, &boss, organization, offered).await;
        demote(host, &boss, organization, &ada, role)
            .send()
            .await
            .expect(200);
        let call = accept(host, &guest, &token);
        if is_good {
            call.send().await.expect(200);
        } else {
            refuse(host, call, 422, "invalid_fields", &["token"]).await;
        }
        accept(host, &bystander, &good).send().await.expect(200);
    }
}

/// An acceptance beside the demotion comes first, or is refused.
async fn a_demotion_races_with_an_acceptance(host: &TestHost) {
    let boss = host.verified_user("boss").await;
    let organization = host.organization_of(&boss).await;
    for round in 0..ROUNDS {
        let ada = host.member_of(organization, "owner").await;
        host.verify_email(&ada).await;
        let (guest, token) = invited(host, &ada, organization, "admin").await;
        let (accepted, demoted) = join(
            accept(host, &guest, &token).settle(),
            demote(host, &boss, organization, &ada, "member").settle(),
        )
        .await;
        demoted.expect(200);
        let sql = format!(
            "SELECT (SELECT count(*) FROM memberships WHERE user_id = {0} AND organization_id = '{1}'),
                    (SELECT count(*) FROM invitations WHERE email = '{2}' AND accepted_at IS NULL AND revoked_at IS NULL)",
            sql_id(guest.id), organization.as_uuid(), guest.email
        );
        let rows = host.query(&sql).await;
        let joined = i64::from(accepted.status == 200);
        assert_eq!(
            rows[0].get::<_, i64>(0),
            joined,
            "round {round}: {accepted}"
        );
        assert_eq!(
            rows[0].get::<_, i64>(1),
            0,
            "round {round}: nothing is left pending"
        );
    }
}
