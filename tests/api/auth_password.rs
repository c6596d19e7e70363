use serde_json::json;
use turnpike_tests::personas::{ME, PASSWORD, PASSWORD_CHANGE};
use turnpike_tests::{TestHost, api_tests};

use crate::refusals::refuse;

const NEW_PASSWORD: &str = "a quite different phrase";

api_tests![
    refuses_a_wrong_current_password,
    is_locked_out_by_itself,
    refuses,
];

api_tests![
    fresh_too:
    changes_it_and_ends_every_other_session,
];

async fn changes_it_and_ends_every_other_session(host: &TestHost) {
    let user = host.new_user("ada").await;
    let eve = host.new_user("eve").await;
    let other = host.issue_session(&user).await;
    for token in [&user.token, &other.token, &eve.token] {
        host.warm(&host.get(ME).bearer(token)).await;
    }
    let response = host
        .password_call(&user.token, PASSWORD, NEW_PASSWORD)
        .send()
        .await
        .expect(200);
    assert_eq!(response.json(), json!({"status": "changed"}));
    host.get(ME)
        .bearer(&other.token)
        .send()
        .await
        .expect_problem(401, "unauthenticated");
    host.refresh_call(&other.refresh_token)
        .send()
        .await
        .expect_problem(401, "invalid_refresh_token");
    for token in [&user.token, &eve.token] {
        host.get(ME).bearer(token).send().await.expect(200);
    }
    host.login_call(&user.email, PASSWORD)
        .send()
        .await
        .expect_problem(401, "invalid_credentials");
    host.login_call(&user.email, NEW_PASSWORD)
        .send()
        .await
        .expect(200);
    host.login_call(&eve.email, PASSWORD)
        .send()
        .await
        .expect(200);
}

async fn refuses_a_wrong_current_password(host: &TestHost) {
    let user = host.new_user("ada").await;
    let other = host.issue_session(&user).await;
    for current in [
        "wrong password",
        "x",
        &PASSWORD.to_uppercase(),
        NEW_PASSWORD,
    ] {
        host.execute("DELETE FROM login_attempts").await;
        let call = host.password_call(&user.token, current, NEW_PASSWORD);
        refuse(host, call, 422, "invalid_fields", &["current_password"]).await;
    }
    // A program has no business with a password, right or wrong.
    let key = host
        .issue_api_key(&user, &["credits:read", "api_keys:manage"])
        .await;
    for current in [PASSWORD, "wrong password"] {
        refuse(
            host,
            host.password_call(&key.key, current, NEW_PASSWORD),
            403,
            "session_required",
            &[],
        )
        .await;
    }
    host.get(ME).bearer(&other.token).send().await.expect(200);
    host.login_call(&user.email, PASSWORD)
        .send()
        .await
        .expect(200);
}

/// Guessing here counts against the session alone, and a right guess ends the count.
async fn is_locked_out_by_itself(host: &TestHost) {
    let user = host.new_user("ada").await;
    let other = host.issue_token(&user).await;
    let call = |token: &str, current: &str| host.password_call(token, current, NEW_PASSWORD);
    for _ in 0..6 {
        let wrong = call(&user.token, "wrong password").send().await;
        wrong.expect_fields(422, "invalid_fields", &["current_password"]);
    }
    // Longer than a slow machine may take between two requests.
    host.execute("UPDATE login_attempts SET locked_until = now() + interval '1 minute'")
        .await;
    let refused = call(&user.token, PASSWORD).send().await;
    let refused = refused.expect_problem(429, "too_many_attempts");
    assert!(refused.header("retry-after").is_some(), "{refused}");
    let wrong = call(&other, "wrong password").send().await;
    wrong.expect_fields(422, "invalid_fields", &["current_password"]);
    host.login_call(&user.email, PASSWORD)
        .send()
        .await
        .expect(200);
    host.execute("UPDATE login_attempts SET locked_until = now() - interval '1 second'")
        .await;
    call(&user.token, PASSWORD).send().await.expect(200);
    let rows = host.query("SELECT failures FROM login_attempts").await;
    let left: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(left, [1], "what the other session failed");
}

async fn refuses(host: &TestHost) {
    let user = host.new_user("ada").await;
    let valid = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
    let local = user.email.split('@').next().unwrap_or_default();
    let long = "p".repeat(129);
    for new in [
        "",
        "seven77",
        &long,
        "password123",
        "PASSWORD123",
        "iloveyou",
        "a\u{0}bcdefgh",
        &user.email,
        local,
    ] {
        host.execute("DELETE FROM login_attempts").await;
        refuse(
            host,
            host.password_call(&user.token, PASSWORD, new),
            422,
            "invalid_fields",
            &["new_password"],
        )
        .await;
    }
    for field in ["current_password", "new_password"] {
        for value in [json!(1), json!(null), json!("p".repeat(513))] {
            let mut body = valid.clone();
            body[field] = value;
            let call = host.put(PASSWORD_CHANGE).bearer(&user.token).json(&body);
            refuse(host, call, 422, "invalid_fields", &[field]).await;
        }
    }
    refuse(
        host,
        host.put(PASSWORD_CHANGE)
            .bearer(&user.token)
            .json(&json!({})),
        422,
        "invalid_fields",
        &["current_password", "new_password"],
    )
    .await;
    host.execute("DELETE FROM login_attempts").await;
    host.login_call(&user.email, PASSWORD)
        .send()
        .await
        .expect(200);
}
