use futures::future::join_all;
use serde_json::json;
use shared::token::TokenKind;
use turnpike_tests::personas::{
    EMAIL, EMAIL_CONFIRM, EMAIL_VERIFICATION, ME, PASSWORD, PASSWORD_RESET, invented, sql_id,
    unique,
};
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::auth_password_forgot::forgot;
use crate::refusals::refuse;

/// Callers who use one token at the same moment.
const PARALLEL_USES: usize = 16;

api_tests![
    signing_up_mails_a_link_that_verifies,
    a_new_verification_mail_replaces_the_old,
    a_taken_email_is_answered_alike,
    a_token_works_once,
    a_lost_race_for_an_email_changes_nothing,
    asks_for_a_recent_login,
    sends_no_mail_too_often,
    refuses,
];

api_tests![
    fresh_too:
    changes_when_the_new_email_confirms,
];

fn change(host: &TestHost, user: &User, email: &str) -> Call {
    host.put(EMAIL)
        .bearer(&user.token)
        .json(&json!({"email": email}))
}

fn confirm(host: &TestHost, token: &str) -> Call {
    host.post(EMAIL_CONFIRM).json(&json!({"token": token}))
}

fn fresh_email() -> String {
    format!("other-{}@example.com", unique())
}

async fn audited(host: &TestHost, user: &User, event_type: &str) -> i64 {
    let sql = format!(
        "SELECT count(*) FROM audit_events WHERE actor_id = {} AND event_type = '{event_type}'",
        sql_id(user.id)
    );
    host.query(&sql).await[0].get(0)
}

async fn signing_up_mails_a_link_that_verifies(host: &TestHost) {
    let user = host.signed_up_user("ada").await;
    assert_eq!(host.mail_kinds(&user.email).await, ["verify_email"]);
    let me = host.warm(&host.get(ME).bearer(&user.token)).await;
    assert_eq!(me.json()["email_verified"], json!(false), "{me}");
    let token = host.newest_mail_token("verify_email", &user.email).await;
    let response = confirm(host, &token).send().await.expect(200);
    assert_eq!(response.json(), json!({"status": "verified"}));
    let me = host.get(ME).bearer(&user.token).send().await;
    assert_eq!(me.json()["email_verified"], json!(true), "{me}");
    assert_eq!(audited(host, &user, "email.verified").await, 1);
    // Whoever has an account is told so, and nothing is verified again.
    let call = host.signup_call(&user.email, "another password");
    call.send().await.expect(202);
    let kinds = host.mail_kinds(&user.email).await;
    assert_eq!(kinds, ["verify_email", "email_taken"]);
    let again = host.post(EMAIL_VERIFICATION).bearer(&user.token);
    let again = again.send().await.expect(200);
    assert_eq!(again.json(), json!({"status": "verified"}));
    assert_eq!(host.mail_kinds(&user.email).await.len(), 2);
}

async fn a_new_verification_mail_replaces_the_old(host: &TestHost) {
    let user = host.signed_up_user("ada").await;
    let first = host.newest_mail_token("verify_email", &user.email).await;
    let response = host.post(EMAIL_VERIFICATION).bearer(&user.token);
    let response = response.send().await.expect(202);
    assert_eq!(response.json(), json!({"status": "accepted"}));
    let second = host.newest_mail_token("verify_email", &user.email).await;
    assert_ne!(first, second);
    let refused = confirm(host, &first);
    refuse(host, refused, 422, "invalid_fields", &["token"]).await;
    confirm(host, &second).send().await.expect(200);
}

async fn changes_when_the_new_email_confirms(host: &TestHost) {
    let user = host.signed_up_user("ada").await;
    let eve = host.new_user("eve").await;
    let new = fresh_email();
    for token in [&user.token, &eve.token] {
        host.warm(&host.get(ME).bearer(token)).await;
    }
    forgot(host, &user.email).send().await.expect(202);
    let reset_token = host.newest_mail_token("reset_password", &user.email).await;
    let response = change(host, &user, &new.to_uppercase()).send().await;
    assert_eq!(response.expect(202).json(), json!({"status": "accepted"}));
    // Until the link is opened nothing changes.
    host.login(&user.email).await;
    let me = host.get(ME).bearer(&user.token).send().await;
    assert_eq!(me.text_at("/email"), user.email);
    let token = host.newest_mail_token("change_email", &new).await;
    let response = confirm(host, &token).send().await.expect(200);
    assert_eq!(response.json(), json!({"status": "changed"}));
    let me = host.get(ME).bearer(&user.token).send().await.expect(200);
    assert_eq!(me.text_at("/email"), new);
    assert_eq!(me.json()["email_verified"], json!(true), "{me}");
    host.login(&new).await;
    host.login_call(&user.email, PASSWORD)
        .send()
        .await
        .expect_problem(401, "invalid_credentials");
    // Each login was from a device that was not known.
    let told = host.mail_kinds(&new).await;
    assert_eq!(told, ["change_email", "new_device"]);
    let told = host.mail_kinds(&user.email).await;
    assert_eq!(
        told,
        [
            "verify_email",
            "reset_password",
            "new_device",
            "email_changed"
        ]
    );
    assert_eq!(audited(host, &user, "email.changed").await, 1);
    // What went to the old email opens nothing any more.
    let call = host
        .post(PASSWORD_RESET)
        .json(&json!({"token": reset_token, "new_password": "a quite different phrase"}));
    refuse(host, call, 422, "invalid_fields", &["token"]).await;
    let old = host.newest_mail_token("verify_email", &user.email).await;
    refuse(host, confirm(host, &old), 422, "invalid_fields", &["token"]).await;
    let me = host.get(ME).bearer(&eve.token).send().await.expect(200);
    assert_eq!(me.text_at("/email"), eve.email);
}

/// Nobody learns who has an account by asking for their email.
async fn a_taken_email_is_answered_alike(host: &TestHost) {
    let user = host.new_user("ada").await;
    let eve = host.new_user("eve").await;
    let before = host.mail_kinds(&eve.email).await;
    let free = change(host, &user, &fresh_email()).send().await.expect(202);
    let taken = change(host, &user, &eve.email).send().await.expect(202);
    assert_eq!(taken.json(), free.json());
    assert_eq!(taken.db_queries(), free.db_queries());
    assert_eq!(host.mail_kinds(&eve.email).await, before);
    let rows = host
        .query("SELECT token FROM outbox_messages WHERE recipient = ''")
        .await;
    let token: String = rows[0].get(0);
    let call = confirm(host, &token);
    refuse(host, call, 422, "invalid_fields", &["token"]).await;
    let call = change(host, &user, &user.email.to_uppercase());
    refuse(host, call, 422, "invalid_fields", &["email"]).await;
}

async fn a_token_works_once(host: &TestHost) {
    let user = host.signed_up_user("ada").await;
    let token = host.newest_mail_token("verify_email", &user.email).await;
    let calls = (0..PARALLEL_USES).map(|_| {
        let call = confirm(host, &token);
        async move { call.settle().await }
    });
    let answers = join_all(calls).await;
    let won = answers.iter().filter(|a| a.status == 200).count();
    // The winner's answer may be lost on a busy machine, and its second attempt be too late.
    assert!(won <= 1, "{won} uses of a token succeeded");
    assert_eq!(audited(host, &user, "email.verified").await, 1);
    for answer in answers.into_iter().filter(|a| a.status != 200) {
        answer.expect_fields(422, "invalid_fields", &["token"]);
    }
    // Another tenant's session does not make their email of it.
    let eve = host.new_user("eve").await;
    let new = fresh_email();
    change(host, &user, &new).send().await.expect(202);
    let token = host.newest_mail_token("change_email", &new).await;
    let call = confirm(host, &token).bearer(&eve.token);
    call.send().await.expect(200);
    let me = host.get(ME).bearer(&eve.token).send().await.expect(200);
    assert_eq!(me.text_at("/email"), eve.email);
    // A reset token proves nothing here, nor does one that has expired.
    forgot(host, &new).send().await.expect(202);
    let reset = host.newest_mail_token("reset_password", &new).await;
    let last = fresh_email();
    change(host, &user, &last).send().await.expect(202);
    host.execute("UPDATE email_tokens SET expires_at = now() WHERE purpose = 'change_email'")
        .await;
    let expired = host.newest_mail_token("change_email", &last).await;
    let unknown = invented(TokenKind::Email, user.id);
    let wrong_kind = invented(TokenKind::Refresh, user.id);
    for token in [&reset, &expired, &unknown, &wrong_kind, &token, "garbage"] {
        let call = confirm(host, token);
        refuse(host, call, 422, "invalid_fields", &["token"]).await;
    }
}

async fn a_lost_race_for_an_email_changes_nothing(host: &TestHost) {
    let user = host.new_user("ada").await;
    let eve = host.new_user("eve").await;
    let wanted = fresh_email();
    let mut tokens = Vec::new();
    for user in [&user, &eve] {
        change(host, user, &wanted).send().await.expect(202);
        tokens.push(host.newest_mail_token("change_email", &wanted).await);
    }
    let calls = tokens.iter().map(|token| {
        let call = confirm(host, token);
        async move { call.settle().await }
    });
    let statuses: Vec<u16> = join_all(calls).await.iter().map(|a| a.status).collect();
    assert!(
        statuses == [200, 422] || statuses == [422, 200],
        "one of the two gets the email: {statuses:?}"
    );
    let sql = format!("SELECT count(*) FROM users WHERE email = '{wanted}'");
    assert_eq!(host.query(&sql).await[0].get::<_, i64>(0), 1);
}

async fn asks_for_a_recent_login(host: &TestHost) {
    let user = host.new_user("ada").await;
    host.execute("UPDATE sessions SET authenticated_at = now() - interval '11 minutes'")
        .await;
    let call = change(host, &user, &fresh_email());
    refuse(host, call, 403, "recent_login_required", &[]).await;
    // To send the same mail again is no change.
    let call = host.post(EMAIL_VERIFICATION).bearer(&user.token);
    call.send().await.expect(202);
}

async fn sends_no_mail_too_often(host: &TestHost) {
    let user = host.new_user("ada").await;
    host.execute("DELETE FROM mail_quota").await;
    let target = fresh_email();
    for _ in 0..8 {
        change(host, &user, &target).send().await.expect(202);
    }
    assert_eq!(host.mail_kinds(&target).await.len(), 5);
    let verify = host.post(EMAIL_VERIFICATION).bearer(&user.token);
    verify.send().await.expect(202);
    host.execute("UPDATE mail_quota SET sent = 10000 WHERE subject LIKE 'address:%'")
        .await;
    for call in [change(host, &user, &fresh_email()), verify] {
        call.send().await.expect_problem(429, "too_many_requests");
    }
}

async fn refuses(host: &TestHost) {
    let user = host.new_user("ada").await;
    for email in [
        json!("ada"),
        json!(""),
        json!("a@b@example.com"),
        json!("a@example.com\r\nbcc: b@example.com"),
        json!(1),
        json!(null),
    ] {
        let call = host.put(EMAIL).bearer(&user.token);
        let call = call.json(&json!({"email": email}));
        refuse(host, call, 422, "invalid_fields", &["email"]).await;
    }
    for token in [json!(""), json!(1), json!(null), json!("t".repeat(201))] {
        let call = host.post(EMAIL_CONFIRM).json(&json!({"token": token}));
        refuse(host, call, 422, "invalid_fields", &["token"]).await;
    }
    // A program has no email.
    let key = host.issue_api_key(&user, &["api_keys:manage"]).await;
    for call in [
        host.put(EMAIL).json(&json!({"email": fresh_email()})),
        host.post(EMAIL_VERIFICATION),
    ] {
        let call = call.bearer(&key.key);
        refuse(host, call, 403, "session_required", &[]).await;
    }
}
