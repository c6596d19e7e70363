use futures::future::join_all;
use serde_json::json;
use shared::ids::UserId;
use shared::token::TokenKind;
use turnpike_tests::personas::{
    BALANCE, INTROSPECT, LOGOUT, ME, PASSWORD, PASSWORD_RESET, invented,
};
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::auth_password_forgot::forgot;
use crate::refusals::refuse;

const NEW_PASSWORD: &str = "a quite different phrase";
/// Callers who use one token at the same moment.
const PARALLEL_USES: usize = 12;

api_tests![
    of_an_unverified_email_ends_the_keys_too,
    a_token_works_once,
    of_parallel_uses_one_succeeds,
    a_token_that_is_no_good_opens_nothing,
    refuses,
];

api_tests![
    fresh_too:
    replaces_the_password_and_ends_every_session,
];

fn reset(host: &TestHost, token: &str, new: &str) -> Call {
    host.post(PASSWORD_RESET)
        .json(&json!({"token": token, "new_password": new}))
}

async fn reset_token(host: &TestHost, email: &str) -> String {
    host.execute("DELETE FROM mail_quota").await;
    forgot(host, email).send().await.expect(202);
    host.newest_mail_token("reset_password", email).await
}

async fn replaces_the_password_and_ends_every_session(host: &TestHost) {
    let user = host.signed_up_user("ada").await;
    let eve = host.new_user("eve").await;
    let other = host.issue_session(&user).await;
    host.execute("UPDATE users SET email_verified_at = now() - interval '1 day'")
        .await;
    // A key of a session that is over; those of live ones end with them.
    let before = User {
        token: host.issue_token(&user).await,
        ..user.clone()
    };
    let key = host
        .issue_api_key(&before, &["credits:read", "api_keys:manage"])
        .await;
    let logout = host.post(LOGOUT).bearer(&before.token);
    logout.send().await.expect(200);
    for token in [&user.token, &other.token, &eve.token] {
        host.warm(&host.get(ME).bearer(token)).await;
    }
    // Whoever forgot a password has tried some.
    for _ in 0..6 {
        host.login_call(&user.email, "wrong password").send().await;
    }
    let token = reset_token(host, &user.email).await;
    let response = reset(host, &token, NEW_PASSWORD).send().await.expect(200);
    assert_eq!(response.json(), json!({"status": "changed"}));
    // Cached or not, every session ends with the answer.
    for token in [&user.token, &other.token] {
        for path in [ME, BALANCE] {
            let call = host.get(path).bearer(token);
            call.send().await.expect_problem(401, "unauthenticated");
        }
        let answer = host.introspect_call(&eve.token, token).send().await;
        assert_eq!(answer.json()["active"], json!(false), "{INTROSPECT}");
    }
    host.refresh_call(&other.refresh_token)
        .send()
        .await
        .expect_problem(401, "invalid_refresh_token");
    host.get(ME).bearer(&key.key).send().await.expect(200);
    host.get(ME).bearer(&eve.token).send().await.expect(200);
    // The lock-out ended with the old password.
    host.login_call(&user.email, NEW_PASSWORD)
        .send()
        .await
        .expect(200);
    host.login_call(&user.email, PASSWORD)
        .send()
        .await
        .expect_problem(401, "invalid_credentials");
    host.login(&eve.email).await;
    let kinds = host.mail_kinds(&user.email).await;
    assert_eq!(
        kinds,
        [
            "verify_email",
            "api_key_created",
            "reset_password",
            "password_changed",
            "new_device"
        ]
    );
    let rows = host
        .query(&format!(
            "SELECT email_verified_at IS NOT NULL,
                    (SELECT count(*) FROM audit_events e
                      WHERE e.actor_id = u.id AND event_type = 'password.reset')
               FROM users u WHERE email = '{}'",
            user.email
        ))
        .await;
    let row = &rows[0];
    assert_eq!(
        (row.get(0), row.get::<_, i64>(1)),
        (true, 1),
        "the mail arrived, and the change is on the record"
    );
    host.assert_leases_are_given_back().await;
}

/// Whoever signed up with somebody else's email loses all of it to its owner.
async fn of_an_unverified_email_ends_the_keys_too(host: &TestHost) {
    let user = host.new_user("ada").await;
    let key = host.issue_api_key(&user, &["credits:read"]).await;
    host.warm(&host.get(ME).bearer(&key.key)).await;
    let token = reset_token(host, &user.email).await;
    reset(host, &token, NEW_PASSWORD).send().await.expect(200);
    let call = host.get(ME).bearer(&key.key);
    call.send().await.expect_problem(401, "unauthenticated");
    let rows = host
        .query("SELECT email_verified_at IS NOT NULL FROM users")
        .await;
    assert!(rows[0].get::<_, bool>(0), "the mail arrived");
}

async fn a_token_works_once(host: &TestHost) {
    let email = host.signup("ada").await;
    let token = reset_token(host, &email).await;
    // A new password that is refused spends nothing.
    for new in [&*email, email.split('@').next().unwrap_or_default()] {
        let call = reset(host, &token, new);
        refuse(host, call, 422, "invalid_fields", &["new_password"]).await;
    }
    host.assert_leases_are_given_back().await;
    reset(host, &token, NEW_PASSWORD).send().await.expect(200);
    for new in [NEW_PASSWORD, "yet another phrase"] {
        let call = reset(host, &token, new);
        refuse(host, call, 422, "invalid_fields", &["token"]).await;
    }
    let call = host.login_call(&email, NEW_PASSWORD);
    call.send().await.expect(200);
}

async fn of_parallel_uses_one_succeeds(host: &TestHost) {
    let email = host.signup("ada").await;
    for round in 0..3 {
        let token = reset_token(host, &email).await;
        let calls = (0..PARALLEL_USES).map(|n| {
            let call = reset(host, &token, &format!("phrase {n} of round {round}"));
            async move { call.settle().await }
        });
        let answers = join_all(calls).await;
        let winners: Vec<usize> = (0..PARALLEL_USES)
            .filter(|n| answers[*n].status == 200)
            .collect();
        // The winner's answer may be lost on a busy machine, and its second attempt be too late.
        assert!(winners.len() <= 1, "round {round}: {winners:?} succeeded");
        let sql = "SELECT count(*) FROM audit_events WHERE event_type = 'password.reset'";
        let resets: i64 = host.query(sql).await[0].get(0);
        assert_eq!(resets, round + 1, "one use of each token takes effect");
        for answer in answers.into_iter().filter(|a| a.status != 200) {
            answer.expect_fields(422, "invalid_fields", &["token"]);
        }
        for winner in winners {
            let won = format!("phrase {winner} of round {round}");
            host.login_call(&email, &won).settle().await.expect(200);
        }
    }
}

async fn a_token_that_is_no_good_opens_nothing(host: &TestHost) {
    let user = host.signed_up_user("ada").await;
    let eve = host.new_user("eve").await;
    let unknown = invented(TokenKind::Email, user.id);
    let wrong_kind = invented(TokenKind::Access, user.id);
    let verification = host.newest_mail_token("verify_email", &user.email).await;
    let superseded = reset_token(host, &user.email).await;
    let current = reset_token(host, &user.email).await;
    let of_nobody = {
        host.execute("DELETE FROM mail_quota").await;
        forgot(host, "nobody@example.com").send().await.expect(202);
        let rows = host
            .query(
                "SELECT token FROM outbox_messages WHERE recipient = '' ORDER BY id DESC LIMIT 1",
            )
            .await;
        rows[0].get::<_, String>(0)
    };
    for token in [
        &unknown,
        &wrong_kind,
        &verification,
        &superseded,
        &of_nobody,
        &format!("{current}A"),
        "garbage",
    ] {
        let call = reset(host, token, NEW_PASSWORD);
        let refused = call.send().await;
        refused
            .expect_fields(422, "invalid_fields", &["token"])
            .json()["errors"][0]["code"]
            .as_str()
            .filter(|code| *code == "invalid_or_expired")
            .unwrap_or_else(|| panic!("{token} must be invalid_or_expired"));
    }
    host.login(&user.email).await;
    for change in [
        "UPDATE email_tokens SET expires_at = now() - interval '1 second'",
        "UPDATE email_tokens SET expires_at = now() + interval '1 hour';
         UPDATE users SET disabled_at = now() WHERE email LIKE 'ada%'",
        "UPDATE users SET disabled_at = NULL, email = 'moved@example.com' WHERE email LIKE 'ada%'",
    ] {
        host.execute(change).await;
        let call = reset(host, &current, NEW_PASSWORD);
        refuse(host, call, 422, "invalid_fields", &["token"]).await;
    }
    // Somebody else's session makes no difference to whose password it is.
    host.execute("UPDATE users SET email = 'ada@example.com' WHERE email = 'moved@example.com'")
        .await;
    let token = reset_token(host, "ada@example.com").await;
    let call = reset(host, &token, NEW_PASSWORD).bearer(&eve.token);
    call.send().await.expect(200);
    host.login(&eve.email).await;
    host.login_call("ada@example.com", NEW_PASSWORD)
        .send()
        .await
        .expect(200);
}

async fn refuses(host: &TestHost) {
    let stranger = UserId::new(1, &[1; shared::ids::RANDOM_BYTES]);
    let token = invented(TokenKind::Email, stranger);
    let valid = json!({"token": token, "new_password": NEW_PASSWORD});
    for new in [
        "",
        "seven77",
        &"p".repeat(129),
        "password123",
        "a\u{0}bcdefgh",
    ] {
        let call = reset(host, &token, new);
        refuse(host, call, 422, "invalid_fields", &["new_password"]).await;
    }
    for field in ["token", "new_password"] {
        for value in [json!(1), json!(null), json!("p".repeat(513)), json!({})] {
            let mut body = valid.clone();
            body[field] = value;
            let call = host.post(PASSWORD_RESET).json(&body);
            refuse(host, call, 422, "invalid_fields", &[field]).await;
        }
    }
    let call = host.post(PASSWORD_RESET).json(&json!({}));
    let fields = ["token", "new_password"];
    refuse(host, call, 422, "invalid_fields", &fields).await;
}
