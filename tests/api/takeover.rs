//! How accounts are taken over, replayed step by step: by a change of the email that is pending,
//! and by whoever registers first. Each ends well for the owner.

use futures::future::{join, join_all};
use serde_json::{Value, json};
use shared::ids::OrganizationId;
use turnpike_tests::personas::{
    ACCEPT, EMAIL, EMAIL_CONFIRM, EMAIL_UNDO, ME, ORGANIZATIONS, PASSWORD, PASSWORD_FORGOT,
    PASSWORD_RESET, TOTP, sql_id, unique,
};
use turnpike_tests::{Call, Response, TestHost, User, api_tests};

use crate::authenticator::Authenticator;
use crate::refusals::refuse;
use crate::users::{events_of, pass_interval, removal_path};

const NEW_PASSWORD: &str = "a quite different phrase";
const THIEFS_PASSWORD: &str = "a phrase of the thief";

/// Whom the stranger invites while the owner resets, in a session and with a key, and how often.
const GUESTS: usize = 3;
const ROUNDS: usize = 20;

api_tests![
    a_pending_change_ends_with_the_password,
    a_change_is_undone,
    the_undoing_of_the_first_change_wins,
    only_a_proved_email_is_kept,
    whoever_registers_first_keeps_nothing,
    nobody_invites_beside_the_first_reset,
    what_a_kept_factor_is,
    a_factor_that_was_removed_leaves_its_event,
    refuses,
];

fn fresh_email(name: &str) -> String {
    format!("{name}-{}@example.com", unique())
}

fn change(host: &TestHost, token: &str, email: &str) -> Call {
    host.put(EMAIL).bearer(token).json(&json!({"email": email}))
}

fn confirm(host: &TestHost, token: &str) -> Call {
    host.post(EMAIL_CONFIRM).json(&json!({"token": token}))
}

fn undo(host: &TestHost, token: &str) -> Call {
    host.post(EMAIL_UNDO).json(&json!({"token": token}))
}

fn reset(host: &TestHost, token: &str, new: &str) -> Call {
    host.post(PASSWORD_RESET)
        .json(&json!({"token": token, "new_password": new}))
}

async fn forgot(host: &TestHost, email: &str) -> String {
    let call = host.post(PASSWORD_FORGOT).json(&json!({"email": email}));
    call.settle().await.expect(202);
    host.newest_mail_token("reset_password", email).await
}

async fn expect_me(host: &TestHost, token: &str, status: u16) -> Response {
    host.get(ME).bearer(token).settle().await.expect(status)
}

async fn dead_link(host: &TestHost, call: Call) {
    refuse(host, call, 422, "invalid_fields", &["token"]).await;
}

fn invite_call(
    host: &TestHost,
    token: &str,
    organization: OrganizationId,
    email: &str,
    role: &str,
) -> Call {
    host.post(format!("{ORGANIZATIONS}/{organization}/invitations"))
        .bearer(token)
        .json(&json!({"email": email, "role": role}))
}

async fn invite(
    host: &TestHost,
    token: &str,
    organization: OrganizationId,
    email: &str,
    role: &str,
) -> String {
    let call = invite_call(host, token, organization, email, role);
    call.settle().await.expect(201);
    host.newest_mail_token("invitation", email).await
}

fn accept(host: &TestHost, user: &User, link: &str) -> Call {
    host.post(ACCEPT)
        .bearer(&user.token)
        .json(&json!({"token": link}))
}

/// Changes the email in the session and opens the new email's link; returns the link that the old
/// email is sent.
async fn take(host: &TestHost, token: &str, old: &str, new: &str) -> String {
    change(host, token, new).settle().await.expect(202);
    let link = host.newest_mail_token("change_email", new).await;
    confirm(host, &link).settle().await.expect(200);
    host.newest_mail_token("email_changed", old).await
}

/// A stolen session leaves what it can. The owner changes the password, and nothing of it is left.
async fn a_pending_change_ends_with_the_password(host: &TestHost) {
    let ada = host.verified_user("ada").await;
    let organization = host.organization_of(&ada).await;
    let stolen = host.issue_token(&ada).await;
    let thief = host.verified_user("thief").await;
    let thiefs_mail = fresh_email("thief");
    change(host, &stolen, &thiefs_mail)
        .settle()
        .await
        .expect(202);
    let link = host.newest_mail_token("change_email", &thiefs_mail).await;
    let left = User {
        token: stolen.clone(),
        ..ada.clone()
    };
    let key = host
        .issue_api_key(&left, &["credits:read", "api_keys:manage"])
        .await;
    // A key makes a key, and both are of the stolen session.
    let child = User {
        token: key.key.clone(),
        ..ada.clone()
    };
    let child = host.issue_api_key(&child, &["credits:read"]).await;
    let invitation = invite(host, &stolen, organization, &thief.email, "owner").await;
    let reset_link = forgot(host, &ada.email).await;
    let own_key = host.issue_api_key(&ada, &["credits:read"]).await;
    for token in [&key.key, &child.key, &own_key.key, &stolen] {
        host.warm(&host.get(ME).bearer(token)).await;
    }

    let changed = host.password_call(&ada.token, PASSWORD, NEW_PASSWORD);
    changed.settle().await.expect(200);
    for token in [&key.key, &child.key, &stolen] {
        expect_me(host, token, 401).await;
    }
    dead_link(host, confirm(host, &link)).await;
    dead_link(host, accept(host, &thief, &invitation)).await;
    dead_link(host, reset(host, &reset_link, THIEFS_PASSWORD)).await;
    // No link leads to the account by the thief's email.
    let asked = host
        .post(PASSWORD_FORGOT)
        .json(&json!({"email": thiefs_mail}));
    asked.settle().await.expect(202);
    assert_eq!(host.mail_kinds(&thiefs_mail).await, ["change_email"]);
    // What is the owner's own stays.
    expect_me(host, &own_key.key, 200).await;
    assert_eq!(
        expect_me(host, &ada.token, 200).await.text_at("/email"),
        ada.email
    );
    let signed_in = host.login_call(&ada.email, NEW_PASSWORD);
    signed_in.settle().await.expect(200);
}

/// The thief was quicker: the email is changed, the password reset, a second factor put in force.
async fn a_change_is_undone(host: &TestHost) {
    let ada = host.verified_user("ada").await;
    let stolen = host.issue_token(&ada).await;
    let thiefs_mail = fresh_email("thief");
    let first = take(host, &stolen, &ada.email, &thiefs_mail).await;
    expect_me(host, &ada.token, 401).await;
    let link = forgot(host, &thiefs_mail).await;
    reset(host, &link, THIEFS_PASSWORD)
        .settle()
        .await
        .expect(200);
    let signed_in = host.login_call(&thiefs_mail, THIEFS_PASSWORD);
    let thief = User {
        token: signed_in
            .settle()
            .await
            .expect(200)
            .text_at("/access_token"),
        ..ada.clone()
    };
    let key = host.issue_api_key(&thief, &["credits:read"]).await;
    // And once more, to be sure.
    let second_mail = fresh_email("thief");
    let second = take(host, &thief.token, &thiefs_mail, &second_mail).await;
    Authenticator::turn_on(host, &thief.token).await;
    let pending = fresh_email("thief");
    change(host, &thief.token, &pending)
        .settle()
        .await
        .expect(202);
    let pending = host.newest_mail_token("change_email", &pending).await;
    let reset_link = forgot(host, &second_mail).await;
    for token in [&thief.token, &key.key] {
        host.warm(&host.get(ME).bearer(token)).await;
    }
    // Nobody registers the email meanwhile.
    let stranger = host.signup_call(&ada.email, PASSWORD);
    stranger.settle().await.expect(202);
    assert_eq!(
        host.mail_kinds(&ada.email).await,
        ["email_changed", "email_taken"]
    );

    let undone = undo(host, &first).settle().await.expect(200);
    assert_eq!(undone.json(), json!({"status": "undone"}));
    for token in [&thief.token, &key.key] {
        expect_me(host, token, 401).await;
    }
    for (email, password) in [
        (&second_mail, THIEFS_PASSWORD),
        (&thiefs_mail, THIEFS_PASSWORD),
        (&ada.email, THIEFS_PASSWORD),
        (&ada.email, PASSWORD),
    ] {
        let call = host.login_call(email, password);
        call.settle()
            .await
            .expect_problem(401, "invalid_credentials");
    }
    dead_link(host, undo(host, &first)).await;
    dead_link(host, undo(host, &second)).await;
    dead_link(host, confirm(host, &pending)).await;
    dead_link(host, reset(host, &reset_link, THIEFS_PASSWORD)).await;
    let told = host.mail_kinds(&second_mail).await;
    assert_eq!(told.last().map(String::as_str), Some("email_changed"));

    // The owner sets a password, and is asked for no factor of the thief's.
    let link = host.newest_mail_token("reset_password", &ada.email).await;
    reset(host, &link, NEW_PASSWORD).settle().await.expect(200);
    let signed_in = host.login_call(&ada.email, NEW_PASSWORD).settle().await;
    let token = signed_in.expect(200).text_at("/access_token");
    let me = expect_me(host, &token, 200).await;
    assert_eq!(me.text_at("/email"), ada.email);
    let totp = host.get(TOTP).bearer(&token).settle().await.expect(200);
    assert_eq!(
        totp.json(),
        json!({"enabled": false, "recovery_codes_left": 0})
    );
    let rows = host
        .query("SELECT count(*) FROM audit_events WHERE event_type = 'email.change_undone'")
        .await;
    assert_eq!(rows[0].get::<_, i64>(0), 1);
}

async fn the_undoing_of_the_first_change_wins(host: &TestHost) {
    for is_first_undone_first in [true, false] {
        let ada = host.verified_user("ada").await;
        let session = host.issue_token(&ada).await;
        let between = fresh_email("between");
        let last = fresh_email("last");
        let first = take(host, &session, &ada.email, &between).await;
        let second = take(host, &session, &between, &last).await;
        if is_first_undone_first {
            undo(host, &first).settle().await.expect(200);
            dead_link(host, undo(host, &second)).await;
        } else {
            undo(host, &second).settle().await.expect(200);
            let link = host.newest_mail_token("reset_password", &between).await;
            reset(host, &link, THIEFS_PASSWORD)
                .settle()
                .await
                .expect(200);
            undo(host, &first).settle().await.expect(200);
        }
        let rows = host
            .query(&format!(
                "SELECT email FROM users WHERE id = {}",
                sql_id(ada.id)
            ))
            .await;
        assert_eq!(rows[0].get::<_, &str>(0), ada.email);
    }
}

async fn only_a_proved_email_is_kept(host: &TestHost) {
    // A typing mistake at the sign-up gives the account to nobody.
    let ada = host.new_user("mistyped").await;
    let right = fresh_email("ada");
    change(host, &ada.token, &right).settle().await.expect(202);
    let link = host.newest_mail_token("change_email", &right).await;
    confirm(host, &link).settle().await.expect(200);
    let rows = host
        .query(&format!(
            "SELECT count(*), count(token) FROM outbox_messages WHERE recipient = '{}'",
            ada.email
        ))
        .await;
    let counts: (i64, i64) = (rows[0].get(0), rows[0].get(1));
    assert_eq!(counts, (1, 0), "the old email is told, and sent no link");
    host.signup_call(&ada.email, PASSWORD)
        .settle()
        .await
        .expect(202);
    host.login(&ada.email).await;

    // An email that was proved is kept for a week.
    let eve = host.new_user("eve").await;
    let newest = fresh_email("ada");
    let link = take(host, &ada.token, &right, &newest).await;
    change(host, &eve.token, &right).settle().await.expect(202);
    assert_eq!(
        host.mail_kinds(&right).await.last().map(String::as_str),
        Some("email_changed")
    );
    // Its own user may have it back at any time.
    change(host, &ada.token, &right).settle().await.expect(202);
    let back = host.newest_mail_token("change_email", &right).await;
    confirm(host, &back).settle().await.expect(200);
    let away = fresh_email("ada");
    take(host, &ada.token, &right, &away).await;
    host.execute("UPDATE email_tokens SET expires_at = now() WHERE purpose = 'undo_email_change'")
        .await;
    dead_link(host, undo(host, &link)).await;
    host.signup_call(&right, PASSWORD)
        .settle()
        .await
        .expect(202);
    host.login(&right).await;
}

/// A stranger registers the victim's email, and prepares the account for its owner.
async fn whoever_registers_first_keeps_nothing(host: &TestHost) {
    let stranger = host.signed_up_user("victim").await;
    let organization = host.organization_of(&stranger).await;
    let key = host.issue_api_key(&stranger, &["members:manage"]).await;
    // Not even a second account of theirs is let in.
    let second = host.verified_user("second").await;
    for token in [&stranger.token, &key.key] {
        for role in ["owner", "member"] {
            let call = invite_call(host, token, organization, &second.email, role);
            refuse(host, call, 403, "email_not_verified", &[]).await;
        }
    }
    let made = host.post(ORGANIZATIONS).bearer(&stranger.token);
    let made = made.json(&json!({"name": "Engines"}));
    let made = made.settle().await.expect(201);
    let made: OrganizationId = made.text_at("/id").parse().expect("an organization's id");
    let there = host.token_in(&stranger, made).await;
    let call = invite_call(host, &there, made, &second.email, "owner");
    refuse(host, call, 403, "email_not_verified", &[]).await;
    let pending = fresh_email("stranger");
    change(host, &stranger.token, &pending)
        .settle()
        .await
        .expect(202);
    let pending = host.newest_mail_token("change_email", &pending).await;
    Authenticator::turn_on(host, &stranger.token).await;
    for token in [&stranger.token, &there, &key.key] {
        host.warm(&host.get(ME).bearer(token)).await;
    }

    let link = forgot(host, &stranger.email).await;
    reset(host, &link, NEW_PASSWORD).settle().await.expect(200);
    for token in [&stranger.token, &there, &key.key] {
        expect_me(host, token, 401).await;
    }
    dead_link(host, confirm(host, &pending)).await;
    let signed_in = host.login_call(&stranger.email, NEW_PASSWORD);
    let token = signed_in
        .settle()
        .await
        .expect(200)
        .text_at("/access_token");
    let members = host
        .get(format!("{ORGANIZATIONS}/{organization}/members"))
        .bearer(&token)
        .settle()
        .await
        .expect(200)
        .json();
    let members: Vec<(Value, Value)> = members["members"]
        .as_array()
        .cloned()
        .unwrap_or_default()
        .iter()
        .map(|member| (member["user_id"].clone(), member["role"].clone()))
        .collect();
    assert_eq!(members, [(json!(stranger.id), json!("owner"))]);
    // The email is the owner's now, and they invite.
    invite(host, &token, organization, &second.email, "member").await;
    // Only the first reset makes an account new.
    let key = host
        .issue_api_key(
            &User {
                token: token.clone(),
                ..stranger.clone()
            },
            &["credits:read"],
        )
        .await;
    host.delete("/api/v1/auth/sessions")
        .bearer(&token)
        .settle()
        .await
        .expect(200);
    host.post("/api/v1/auth/logout")
        .bearer(&token)
        .settle()
        .await
        .expect(200);
    let link = forgot(host, &stranger.email).await;
    reset(host, &link, PASSWORD).settle().await.expect(200);
    expect_me(host, &key.key, 200).await;
}

/// The stranger invites just as the owner resets, which verifies the email: the invitation comes
/// before it and is refused, or comes from nobody any more.
async fn nobody_invites_beside_the_first_reset(host: &TestHost) {
    host.fail_on_deadlock().await;
    for round in 0..ROUNDS {
        let stranger = host.new_user("victim").await;
        let organization = host.organization_of(&stranger).await;
        let key = host.issue_api_key(&stranger, &["members:manage"]).await;
        let guest = |number: usize| format!("guest-{number}-of-{round}@example.com");
        let invites: Vec<Call> = (0..GUESTS)
            .flat_map(|number| [(number, &stranger.token), (GUESTS + number, &key.key)])
            .map(|(number, token)| invite_call(host, token, organization, &guest(number), "member"))
            .collect();
        let link = forgot(host, &stranger.email).await;
        let reset = reset(host, &link, NEW_PASSWORD);
        let invited = join_all(invites.iter().map(Call::settle));
        let (invited, done) = join(invited, reset.settle()).await;
        done.expect(200);
        for answer in invited {
            match answer.status {
                401 => drop(answer.expect_problem(401, "unauthenticated")),
                _ => drop(answer.expect_problem(403, "email_not_verified")),
            }
        }
        let rows = host.query("SELECT count(*) FROM invitations").await;
        assert_eq!(rows[0].get::<_, i64>(0), 0, "round {round}");
    }
}

/// The second factor that the owner had before is theirs, and stays when a change is undone.
async fn what_a_kept_factor_is(host: &TestHost) {
    let ada = host.verified_user("ada").await;
    let stolen = host.issue_token(&ada).await;
    let (_, codes) = Authenticator::turn_on(host, &ada.token).await;
    host.execute("UPDATE sessions SET authenticated_at = now()")
        .await;
    let first = take(host, &stolen, &ada.email, &fresh_email("thief")).await;
    undo(host, &first).settle().await.expect(200);
    let link = host.newest_mail_token("reset_password", &ada.email).await;
    reset(host, &link, NEW_PASSWORD).settle().await.expect(200);
    let alone = host.login_call(&ada.email, NEW_PASSWORD);
    alone
        .settle()
        .await
        .expect_problem(401, "second_factor_required");
    let login = host.post("/api/v1/auth/login").json(&json!({
        "email": ada.email, "password": NEW_PASSWORD, "recovery_code": codes[0],
    }));
    login.settle().await.expect(200);
}

/// Whatever deletes a factor that the platform had removed, the log tells that it came to pass.
async fn a_factor_that_was_removed_leaves_its_event(host: &TestHost) {
    let admin = host.platform_admin().await;
    let renewed = host.signed_up_user("ada").await;
    let given_back = host.verified_user("eve").await;
    let email = given_back.email.clone();
    let undo_link = take(host, &given_back.token, &email, &fresh_email("eve")).await;
    for user in [&renewed, &given_back] {
        Authenticator::turn_on(host, &user.token).await;
        let remove = host.put(removal_path(user)).bearer(&admin.token);
        remove.settle().await.expect(200);
    }
    pass_interval(host).await;
    let link = forgot(host, &renewed.email).await;
    reset(host, &link, NEW_PASSWORD).settle().await.expect(200);
    undo(host, &undo_link).settle().await.expect(200);
    for user in [&renewed, &given_back] {
        assert_eq!(
            events_of(host, user).await,
            ["totp.enabled", "totp.removal_requested", "totp.removed"],
            "{}",
            user.email
        );
    }
    let left = host.query("SELECT count(*) FROM totp_enrolments").await;
    assert_eq!(left[0].get::<_, i64>(0), 0);
}

async fn refuses(host: &TestHost) {
    let ada = host.verified_user("ada").await;
    let stolen = host.issue_token(&ada).await;
    let link = take(host, &stolen, &ada.email, &fresh_email("thief")).await;
    // A link does what it was sent for.
    dead_link(host, confirm(host, &link)).await;
    dead_link(host, reset(host, &link, NEW_PASSWORD)).await;
    let other = forgot(host, &host.verified_user("eve").await.email).await;
    for token in [&other, "garbage", &ada.token] {
        dead_link(host, undo(host, token)).await;
    }
    for token in [json!(""), json!(1), json!(null), json!("t".repeat(201))] {
        let call = host.post(EMAIL_UNDO).json(&json!({"token": token}));
        dead_link(host, call).await;
    }
    host.execute("UPDATE users SET disabled_at = now()").await;
    dead_link(host, undo(host, &link)).await;
    host.execute("UPDATE users SET disabled_at = NULL").await;
    undo(host, &link).settle().await.expect(200);
}
