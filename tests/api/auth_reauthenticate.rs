use futures::future::join_all;
use serde_json::{Value, json};
use turnpike_tests::personas::{PASSWORD, REAUTHENTICATE, TOTP, sql_id};
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::authenticator::Authenticator;
use crate::refusals::refuse;

api_tests![
    opens_sensitive_changes,
    asks_for_the_second_factor,
    one_code_is_good_once,
    is_locked_out_by_itself,
    refuses
];

fn call(host: &TestHost, token: &str, body: &Value) -> Call {
    host.post(REAUTHENTICATE).bearer(token).json(body)
}

/// Lets the last proof of every session of the user be too old.
async fn age(host: &TestHost, user: &User) {
    host.execute(&format!(
        "UPDATE sessions SET authenticated_at = now() - interval '601 seconds' WHERE user_id = {}",
        sql_id(user.id)
    ))
    .await;
}

async fn reauthentications(host: &TestHost) -> i64 {
    let sql = "SELECT count(*) FROM audit_events WHERE event_type = 'session.reauthenticated'";
    host.query(sql).await[0].get(0)
}

async fn opens_sensitive_changes(host: &TestHost) {
    let user = host.new_user("ada").await;
    let other = host.issue_token(&user).await;
    let eve = host.new_user("eve").await;
    let password = json!({"password": PASSWORD});
    // Enrolling is a sensitive change, and a login is recent enough for it.
    host.post(TOTP).bearer(&user.token).send().await.expect(201);
    age(host, &user).await;
    age(host, &eve).await;
    for token in [&user.token, &other] {
        let refused = host.post(TOTP).bearer(token).send().await;
        refused.expect_problem(403, "recent_login_required");
    }
    let wrong = call(host, &user.token, &json!({"password": "wrong password"}))
        .send()
        .await;
    wrong.expect_fields(422, "invalid_fields", &["password"]);
    let refused = host.post(TOTP).bearer(&user.token).send().await;
    refused.expect_problem(403, "recent_login_required");
    // Sent twice, it is as recent as it can be.
    for _ in 0..2 {
        let response = call(host, &user.token, &password).send().await.expect(200);
        let expected = json!({"status": "confirmed", "valid_for_secs": 600});
        assert_eq!(response.json(), expected);
    }
    host.post(TOTP).bearer(&user.token).send().await.expect(201);
    // It speaks for one session, and not for the user's others nor for anybody else's.
    for token in [&other, &eve.token] {
        let refused = host.post(TOTP).bearer(token).send().await;
        refused.expect_problem(403, "recent_login_required");
    }
    assert_eq!(reauthentications(host).await, 2);
    host.assert_leases_are_given_back().await;
}

async fn asks_for_the_second_factor(host: &TestHost) {
    let user = host.new_user("ada").await;
    let old = host.issue_token(&user).await;
    let (authenticator, codes) = Authenticator::turn_on(host, &user.token).await;
    let next = authenticator.code_in(1);
    let table = [
        (json!({"password": PASSWORD}), "totp_code"),
        (
            json!({"totp_code": authenticator.wrong_code()}),
            "totp_code",
        ),
        // The one that confirmed the enrolment.
        (
            json!({"totp_code": authenticator.confirming_code}),
            "totp_code",
        ),
        (json!({"recovery_code": "AAAAA-AAAAA"}), "recovery_code"),
        // A right code does not make up for a wrong password.
        (
            json!({"password": "wrong password", "totp_code": next}),
            "password",
        ),
    ];
    for (body, field) in table {
        refuse(
            host,
            call(host, &old, &body),
            422,
            "invalid_fields",
            &[field],
        )
        .await;
        let refused = host.delete(TOTP).bearer(&old).send().await;
        refused.expect_problem(403, "recent_login_required");
    }
    let right = [
        json!({"totp_code": next}),
        json!({"recovery_code": codes[0]}),
        json!({"password": PASSWORD, "recovery_code": codes[1]}),
    ];
    for body in right {
        age(host, &user).await;
        host.execute("DELETE FROM login_attempts").await;
        call(host, &old, &body).send().await.expect(200);
        // It is let through, and only then told that there is nothing to enrol.
        let enrol = host.post(TOTP).bearer(&old).send().await;
        enrol.expect_problem(409, "totp_enabled");
    }
    host.delete(TOTP).bearer(&old).send().await.expect(200);
    // Without a second factor a code proves nothing.
    let body = json!({"totp_code": authenticator.code_in(1)});
    refuse(
        host,
        call(host, &old, &body),
        422,
        "invalid_fields",
        &["password"],
    )
    .await;
    call(
        host,
        &old,
        &json!({"password": PASSWORD, "totp_code": "000000"}),
    )
    .send()
    .await
    .expect(200);
}

async fn one_code_is_good_once(host: &TestHost) {
    let user = host.new_user("ada").await;
    let tokens = [host.issue_token(&user).await, host.issue_token(&user).await];
    let (authenticator, codes) = Authenticator::turn_on(host, &user.token).await;
    let mut good = 0;
    for body in [
        json!({"totp_code": authenticator.code_in(1)}),
        json!({"recovery_code": codes[0]}),
    ] {
        host.execute("DELETE FROM login_attempts").await;
        let calls: Vec<Call> = (0..12)
            .map(|at| call(host, &tokens[at % 2], &body))
            .collect();
        let mut confirmed = 0;
        for response in join_all(calls.iter().map(Call::send)).await {
            match response.status {
                200 => confirmed += 1,
                // One that comes late finds the account locked out by the others.
                429 => {}
                _ => drop(response.expect(422)),
            }
        }
        // The winner's answer may be lost on a busy machine, and its second attempt be too late.
        assert!(confirmed <= 1, "{body} must be good once");
        good += 1;
        assert_eq!(
            reauthentications(host).await,
            good,
            "{body} must be good once"
        );
    }
}

/// Guessing here counts against the session alone, and a right guess ends the count.
async fn is_locked_out_by_itself(host: &TestHost) {
    let user = host.new_user("ada").await;
    let other = host.issue_token(&user).await;
    let with_password =
        |token: &str, password: &str| call(host, token, &json!({"password": password}));
    for _ in 0..6 {
        let wrong = with_password(&user.token, "wrong password").send().await;
        wrong.expect_fields(422, "invalid_fields", &["password"]);
    }
    // Nothing is verified of what is not enough, so it is no guess.
    for _ in 0..3 {
        let wrong = call(host, &other, &json!({"totp_code": "123456"}))
            .send()
            .await;
        wrong.expect_fields(422, "invalid_fields", &["password"]);
    }
    let rows = host
        .query("SELECT failures FROM login_attempts ORDER BY failures")
        .await;
    let counted: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(counted, [0, 6]);
    // Longer than a slow machine may take between two requests.
    host.execute(
        "UPDATE login_attempts SET locked_until = now() + interval '1 minute'
          WHERE locked_until IS NOT NULL",
    )
    .await;
    let right = with_password(&user.token, PASSWORD);
    right.send().await.expect_problem(429, "too_many_attempts");
    with_password(&other, PASSWORD).send().await.expect(200);
    host.login_call(&user.email, PASSWORD)
        .send()
        .await
        .expect(200);
    host.execute("UPDATE login_attempts SET locked_until = now() - interval '1 second'")
        .await;
    right.send().await.expect(200);
    let rows = host.query("SELECT subject FROM login_attempts").await;
    assert!(rows.is_empty(), "a right guess ends the count");
}

async fn refuses(host: &TestHost) {
    let user = host.new_user("ada").await;
    let valid = json!({"password": PASSWORD});
    let key = host
        .issue_api_key(&user, &["credits:read", "api_keys:manage"])
        .await;
    refuse(
        host,
        call(host, &key.key, &valid),
        403,
        "session_required",
        &[],
    )
    .await;
    let table = [
        (json!({}), "password"),
        (json!({"password": null}), "password"),
        (json!({"password": ""}), "password"),
        (json!({"password": 1}), "password"),
        (json!({"password": "p".repeat(513)}), "password"),
        (json!({"totp_code": 123_456}), "totp_code"),
        (json!({"totp_code": ""}), "totp_code"),
        (json!({"recovery_code": "x".repeat(65)}), "recovery_code"),
        (
            json!({"totp_code": "1", "recovery_code": "x"}),
            "recovery_code",
        ),
        (json!({"totp_code": "123456"}), "password"),
    ];
    for (body, field) in table {
        refuse(
            host,
            call(host, &user.token, &body),
            422,
            "invalid_fields",
            &[field],
        )
        .await;
    }
    host.assert_leases_are_given_back().await;
}
