use serde_json::json;
use turnpike_tests::personas::{PASSWORD_FORGOT, invented};
use turnpike_tests::{Call, TestHost, api_tests};

use crate::refusals::refuse;

/// Most mails to one email within an hour.
const MAX_PER_EMAIL: usize = 5;
/// Most mails that one address causes within an hour.
const MAX_PER_ADDRESS: i32 = 10_000;

api_tests![
    mails_a_link_to_whoever_has_the_email,
    answers_alike_for_an_unknown_email,
    a_later_link_voids_the_earlier,
    mails_nobody_too_often,
    no_event_tells_of_what_was_not_mailed,
    serves_no_address_too_often,
    refuses,
];

pub fn forgot(host: &TestHost, email: &str) -> Call {
    host.post(PASSWORD_FORGOT).json(&json!({"email": email}))
}

async fn count(host: &TestHost, sql: &str) -> i64 {
    host.query(&format!("SELECT count(*) FROM {sql}")).await[0].get(0)
}

async fn mails_a_link_to_whoever_has_the_email(host: &TestHost) {
    let email = host.signup("ada").await;
    let response = forgot(host, &email.to_uppercase()).send().await.expect(202);
    assert_eq!(response.json(), json!({"status": "accepted"}));
    assert_eq!(
        host.mail_kinds(&email).await,
        ["verify_email", "reset_password"]
    );
    let token = host.newest_mail_token("reset_password", &email).await;
    assert!(token.starts_with("tpe_"), "{token}");
    // Only the digest is kept for comparison, and the link dies within the hour.
    let row = &host
        .query(
            "SELECT expires_at - created_at = interval '1 hour', octet_length(digest)
               FROM email_tokens WHERE purpose = 'reset_password'",
        )
        .await[0];
    assert_eq!((row.get(0), row.get::<_, i32>(1)), (true, 32));
}

/// Nobody learns who has an account: not from the answer, nor from the work, nor from what is kept.
async fn answers_alike_for_an_unknown_email(host: &TestHost) {
    let email = host.signup("ada").await;
    host.execute("DELETE FROM outbox_messages; DELETE FROM email_tokens")
        .await;
    let disabled = host.new_user("disabled").await;
    host.execute("DELETE FROM outbox_messages; DELETE FROM email_tokens")
        .await;
    host.execute(&format!(
        "UPDATE users SET disabled_at = now() WHERE email = '{}'",
        disabled.email
    ))
    .await;
    let known = forgot(host, &email).send().await.expect(202);
    for other in ["nobody@example.com", &disabled.email] {
        let unknown = forgot(host, other).send().await.expect(202);
        assert_eq!(unknown.json(), known.json(), "{other}");
        assert_eq!(unknown.db_queries(), known.db_queries(), "{other}");
        assert!(host.mail_kinds(other).await.is_empty(), "{other}");
    }
    assert_eq!(count(host, "outbox_messages").await, 3);
    assert_eq!(count(host, "email_tokens").await, 3);
    // What goes to nobody waits for nobody, and its token opens nothing.
    assert_eq!(
        count(host, "outbox_messages WHERE settled_at IS NULL").await,
        1
    );
    assert_eq!(
        count(host, "email_tokens WHERE user_id IS NOT NULL").await,
        1
    );
}

async fn a_later_link_voids_the_earlier(host: &TestHost) {
    let email = host.signup("ada").await;
    let other = host.signup("eve").await;
    for email in [&other, &email, &email, &email] {
        forgot(host, email).send().await.expect(202);
    }
    let unspent = "email_tokens WHERE purpose = 'reset_password' AND spent_at IS NULL";
    assert_eq!(count(host, unspent).await, 2, "one for each user");
}

async fn mails_nobody_too_often(host: &TestHost) {
    let email = host.signup("ada").await;
    host.execute("DELETE FROM mail_quota").await;
    for _ in 0..MAX_PER_EMAIL + 3 {
        forgot(host, &email).send().await.expect(202);
    }
    let sent = host.mail_kinds(&email).await;
    assert_eq!(sent.len(), 1 + MAX_PER_EMAIL, "{sent:?}");
    // The last link that was sent still works.
    let live = "email_tokens WHERE purpose = 'reset_password' AND spent_at IS NULL AND user_id IS NOT NULL";
    assert_eq!(count(host, live).await, 1);
    // Another recipient, and the same one an hour later, are sent mail.
    let other = host.signup("eve").await;
    forgot(host, &other).send().await.expect(202);
    assert_eq!(host.mail_kinds(&other).await.len(), 2);
    host.execute("UPDATE mail_quota SET window_started = now() - interval '61 minutes'")
        .await;
    forgot(host, &email).send().await.expect(202);
    assert_eq!(host.mail_kinds(&email).await.len(), 2 + MAX_PER_EMAIL);
}

/// A stranger fills nobody's audit log, of a user's organization or the platform's.
async fn no_event_tells_of_what_was_not_mailed(host: &TestHost) {
    let ada = host.new_user("ada").await;
    for (email, subject) in [
        (&*ada.email, ada.id.to_string()),
        ("nobody@example.com", "nobody@example.com".to_owned()),
    ] {
        host.execute("DELETE FROM mail_quota").await;
        for _ in 0..MAX_PER_EMAIL + 3 {
            forgot(host, email).send().await.expect(202);
        }
        let told = format!(
            "audit_events WHERE event_type = 'password.reset_requested' AND subject = '{subject}'"
        );
        let told = usize::try_from(count(host, &told).await);
        assert_eq!(told, Ok(MAX_PER_EMAIL), "{email}");
    }
}

async fn serves_no_address_too_often(host: &TestHost) {
    let email = host.signup("ada").await;
    let quota = |purpose: &str, sent: i32| {
        format!("UPDATE mail_quota SET sent = {sent} WHERE subject LIKE 'address:{purpose}:%'")
    };
    // What it has caused of one purpose is not counted for another.
    host.execute(&quota("sign_up", MAX_PER_ADDRESS)).await;
    forgot(host, &email).send().await.expect(202);
    host.execute(&quota("reset_password", MAX_PER_ADDRESS - 1))
        .await;
    forgot(host, &email).send().await.expect(202);
    let before = count(host, "outbox_messages").await;
    for call in [
        forgot(host, &email),
        forgot(host, "nobody@example.com"),
        host.signup_call("new@example.com", "correct horse battery"),
    ] {
        let refused = call.send().await.expect_problem(429, "too_many_requests");
        let wait = refused.header("retry-after").map(str::parse::<u32>);
        assert!(
            matches!(wait, Some(Ok(1..=3_600))),
            "a wait within the hour: {refused}"
        );
    }
    assert_eq!(count(host, "outbox_messages").await, before);
    host.assert_leases_are_given_back().await;
    host.execute("UPDATE mail_quota SET window_started = now() - interval '61 minutes'")
        .await;
    forgot(host, &email).send().await.expect(202);
}

async fn refuses(host: &TestHost) {
    for email in [
        json!("ada"),
        json!("ada@example"),
        json!(""),
        json!("a\u{0}@example.com"),
        json!("a@example.com\r\nbcc: b@example.com"),
        json!(1),
        json!(null),
        json!(["ada@example.com"]),
    ] {
        let call = host.post(PASSWORD_FORGOT).json(&json!({"email": email}));
        refuse(host, call, 422, "invalid_fields", &["email"]).await;
    }
    let call = host.post(PASSWORD_FORGOT).json(&json!({}));
    refuse(host, call, 422, "invalid_fields", &["email"]).await;
    assert_eq!(count(host, "outbox_messages").await, 0);
    // A credential, good or bad, makes no difference.
    let stranger = shared::ids::UserId::new(1, &[1; shared::ids::RANDOM_BYTES]);
    let token = invented(shared::token::TokenKind::Access, stranger);
    let call = forgot(host, "nobody@example.com").bearer(&token);
    call.send().await.expect(202);
}
