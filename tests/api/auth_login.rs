use serde_json::json;
use turnpike_tests::personas::{LOGIN, ME, PASSWORD, sql_id};
use turnpike_tests::{TestHost, api_tests};

use crate::refusals::refuse;

api_tests![
    opens_a_session_of_its_own_each_time,
    answers_alike_for_unknown_emails_and_wrong_passwords,
    locks_out_after_six_failures,
    refuses
];

async fn opens_a_session_of_its_own_each_time(host: &TestHost) {
    let email = host.signup("ada").await;
    let first = host.login_call(&email, PASSWORD).send().await.expect(200);
    let second = host.login_call(&email, PASSWORD).send().await.expect(200);
    assert_eq!(first.text_at("/token_type"), "Bearer");
    assert_eq!(first.json()["expires_in"], 900);
    assert_eq!(first.text_at("/user_id"), second.text_at("/user_id"));
    for pointer in ["/access_token", "/refresh_token", "/session_id"] {
        assert_ne!(
            first.text_at(pointer),
            second.text_at(pointer),
            "{pointer} must be new"
        );
    }
    // One session ends, the other goes on.
    let first_token = first.text_at("/access_token");
    host.post("/api/v1/auth/logout")
        .bearer(&first_token)
        .send()
        .await
        .expect(200);
    host.get(ME).bearer(&first_token).send().await.expect(401);
    host.get(ME)
        .bearer(&second.text_at("/access_token"))
        .send()
        .await
        .expect(200);
}

/// Nobody learns from sign-in who has an account.
async fn answers_alike_for_unknown_emails_and_wrong_passwords(host: &TestHost) {
    let email = host.signup("ada").await;
    let disabled = host.new_user("gone").await;
    host.execute(&format!(
        "UPDATE users SET disabled_at = now() WHERE id = {}",
        sql_id(disabled.id)
    ))
    .await;
    let wrong = host.login_call(&email, "wrong password").send().await;
    let wrong = wrong.expect_problem(401, "invalid_credentials");
    let table = [
        ("nobody@example.com", PASSWORD),
        ("nobody@example.com", "x"),
        (email.as_str(), "x"),
        (email.as_str(), " correct horse battery"),
        (email.as_str(), "CORRECT HORSE BATTERY"),
        (disabled.email.as_str(), PASSWORD),
    ];
    for (email, password) in table {
        let refused = host.login_call(email, password).send().await;
        let refused = refused.expect_problem(401, "invalid_credentials");
        if refused.problem_without_request_id() != wrong.problem_without_request_id()
            || refused.db_queries() != wrong.db_queries()
        {
            refused.fail(&format!(
                "{email} with {password:?} must be answered as a wrong password is:\n{wrong}"
            ));
        }
    }
}

/// Who guesses is slowed down, whether or not there is anything to guess.
async fn locks_out_after_six_failures(host: &TestHost) {
    let email = host.signup("ada").await;
    let unknown = "nobody@example.com";
    for email in [email.as_str(), unknown] {
        for _ in 0..6 {
            host.login_call(email, "wrong password")
                .send()
                .await
                .expect_problem(401, "invalid_credentials");
        }
    }
    let rows = host
        .query(
            "SELECT failures, extract(epoch FROM locked_until - last_failed)::integer
           FROM login_attempts WHERE subject LIKE 'account:%'",
        )
        .await;
    let seen: Vec<(i32, i32)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(
        seen,
        [(6, 1), (6, 1)],
        "the sixth failure locks an account for a second"
    );
    // Longer than a slow machine may take between two requests.
    host.execute("UPDATE login_attempts SET locked_until = now() + interval '1 minute' WHERE subject LIKE 'account:%'").await;
    let mut refusals = Vec::new();
    for (email, password) in [
        (email.as_str(), PASSWORD),
        (email.as_str(), "x"),
        (unknown, PASSWORD),
    ] {
        let refused = host
            .login_call(email, password)
            .send()
            .await
            .expect_problem(429, "too_many_attempts");
        let secs: u64 = refused
            .header("retry-after")
            .and_then(|text| text.parse().ok())
            .unwrap_or_default();
        if !(1..=60).contains(&secs) {
            refused.fail("Retry-After must be the rest of the wait");
        }
        refusals.push((refused.json()["title"].clone(), refused.db_queries()));
    }
    assert_eq!(
        refusals[0].0, refusals[2].0,
        "an unknown email must be answered as a known one"
    );
    assert_eq!(
        refusals[0].1, refusals[2].1,
        "an unknown email must cost what a known one does"
    );
    host.execute("UPDATE login_attempts SET locked_until = now() - interval '1 second' WHERE subject LIKE 'account:%'").await;
    host.login_call(&email, PASSWORD).send().await.expect(200);
    // A success forgets the failures: five more are free again.
    for _ in 0..5 {
        host.login_call(&email, "wrong password")
            .send()
            .await
            .expect_problem(401, "invalid_credentials");
    }
    host.login_call(&email, PASSWORD).send().await.expect(200);
}

async fn refuses(host: &TestHost) {
    let email = host.signup("ada").await;
    let table = [
        (json!({}), vec!["email", "password"]),
        (json!({"email": email}), vec!["password"]),
        (json!({"email": email, "password": ""}), vec!["password"]),
        (
            json!({"email": email, "password": "p".repeat(513)}),
            vec!["password"],
        ),
        (
            json!({"email": email, "password": "a\u{0}b"}),
            vec!["password"],
        ),
        (json!({"email": email, "password": 1}), vec!["password"]),
        (
            json!({"email": email, "password": PASSWORD, "cookie": "yes"}),
            vec!["cookie"],
        ),
        (json!({"email": "ada", "password": PASSWORD}), vec!["email"]),
        (
            json!({"email": [email], "password": PASSWORD}),
            vec!["email"],
        ),
        (
            json!({"email": "' OR 1=1 --", "password": PASSWORD}),
            vec!["email"],
        ),
    ];
    for (body, fields) in table {
        refuse(
            host,
            host.post(LOGIN).json(&body),
            422,
            "invalid_fields",
            &fields,
        )
        .await;
    }
    let rows = host.query("SELECT count(*) FROM sessions").await;
    assert_eq!(
        rows[0].get::<_, i64>(0),
        0,
        "a refused sign-in must open no session"
    );
}
