use futures::future::join_all;
use serde_json::{Value, json};
use turnpike_tests::personas::{LOGIN, ME, PASSWORD, TOTP, sql_id};
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::authenticator::{Authenticator, confirm_call, forget_last_step, recovery_codes};
use crate::refusals::refuse;

api_tests![
    asks_for_a_code_at_sign_in,
    takes_each_recovery_code_once,
    one_code_opens_one_session,
    is_turned_on_once,
    begins_anew_until_it_is_confirmed,
    counts_wrong_codes,
    makes_other_sessions_prove_it,
    belongs_to_one_user,
    refuses
];

fn login_with(host: &TestHost, user: &User, field: &str, code: &str) -> Call {
    let mut body = json!({"email": user.email, "password": PASSWORD});
    body[field] = json!(code);
    host.post(LOGIN).json(&body)
}

fn replace_call(host: &TestHost, token: &str) -> Call {
    host.post(format!("{TOTP}/recovery-codes")).bearer(token)
}

async fn expect_state(host: &TestHost, token: &str, enabled: bool, left: u32) {
    let response = host.get(TOTP).bearer(token).send().await.expect(200);
    let expected = json!({"enabled": enabled, "recovery_codes_left": left});
    assert_eq!(response.json(), expected);
}

/// What the audit log has about the second factor, oldest first.
async fn audited(host: &TestHost) -> Vec<String> {
    let rows = host
        .query(
            "SELECT event_type FROM audit_events
              WHERE event_type LIKE 'totp.%' ORDER BY organization_id, sequence",
        )
        .await;
    rows.iter().map(|row| row.get(0)).collect()
}

/// How many sessions a second factor of a kind has opened.
async fn opened_with(host: &TestHost, factor: &str) -> i64 {
    let sql = format!(
        "SELECT count(*) FROM audit_events
          WHERE event_type = 'session.opened' AND detail->>'second_factor' = '{factor}'"
    );
    host.query(&sql).await[0].get(0)
}

async fn asks_for_a_code_at_sign_in(host: &TestHost) {
    let user = host.new_user("ada").await;
    expect_state(host, &user.token, false, 0).await;
    // Nobody is locked out by an enrolment that they did not finish.
    let authenticator = Authenticator::enrol(host, &user.token).await;
    expect_state(host, &user.token, false, 0).await;
    host.login_call(&user.email, PASSWORD)
        .send()
        .await
        .expect(200);

    let confirming_code = authenticator.code();
    let response = confirm_call(host, &user.token, &confirming_code)
        .send()
        .await
        .expect(200);
    let codes = recovery_codes(&response);
    assert_eq!(codes.len(), 10);
    expect_state(host, &user.token, true, 10).await;
    host.get(ME).bearer(&user.token).send().await.expect(200);

    let password_only = host.login_call(&user.email, PASSWORD).send().await;
    password_only.expect_problem(401, "second_factor_required");
    // The password is checked first, so that a code tells nothing without it.
    for body in [
        json!({"email": user.email, "password": "wrong password"}),
        json!({"email": user.email, "password": "wrong password", "totp_code": authenticator.code_in(1)}),
    ] {
        let refused = host.post(LOGIN).json(&body).send().await;
        refused.expect_problem(401, "invalid_credentials");
    }
    // The code that confirmed is spent, and so is the one that opens a session.
    let spent = login_with(host, &user, "totp_code", &confirming_code)
        .send()
        .await;
    spent.expect_problem(401, "invalid_second_factor");
    let next = authenticator.code_in(1);
    login_with(host, &user, "totp_code", &next)
        .send()
        .await
        .expect(200);
    let spent = login_with(host, &user, "totp_code", &next).send().await;
    spent.expect_problem(401, "invalid_second_factor");

    for _ in 0..2 {
        let response = host
            .delete(TOTP)
            .bearer(&user.token)
            .send()
            .await
            .expect(200);
        assert_eq!(response.json(), json!({"status": "disabled"}));
    }
    expect_state(host, &user.token, false, 0).await;
    host.login_call(&user.email, PASSWORD)
        .send()
        .await
        .expect(200);
    // A client that still sends a code gets in like one that does not.
    login_with(host, &user, "totp_code", "000000")
        .send()
        .await
        .expect(200);
    assert_eq!(audited(host).await, ["totp.enabled", "totp.disabled"]);
    // The secret of the next enrolment is another one.
    let second = Authenticator::enrol(host, &user.token).await;
    assert_ne!(second.code_in(5), authenticator.code_in(5));
}

async fn takes_each_recovery_code_once(host: &TestHost) {
    let user = host.new_user("ada").await;
    let (_, codes) = Authenticator::turn_on(host, &user.token).await;
    login_with(host, &user, "recovery_code", &codes[0])
        .send()
        .await
        .expect(200);
    // As people type it.
    let typed = codes[1].to_lowercase().replace('-', " ");
    login_with(host, &user, "recovery_code", &typed)
        .send()
        .await
        .expect(200);
    for code in [codes[0].as_str(), &codes[1], "AAAAA-AAAAA", "x"] {
        let refused = login_with(host, &user, "recovery_code", code).send().await;
        refused.expect_problem(401, "invalid_second_factor");
    }
    expect_state(host, &user.token, true, 8).await;

    let response = replace_call(host, &user.token).send().await.expect(200);
    let fresh = recovery_codes(&response);
    expect_state(host, &user.token, true, 10).await;
    let refused = login_with(host, &user, "recovery_code", &codes[2])
        .send()
        .await;
    refused.expect_problem(401, "invalid_second_factor");
    login_with(host, &user, "recovery_code", &fresh[2])
        .send()
        .await
        .expect(200);
    assert_eq!(
        audited(host).await,
        ["totp.enabled", "totp.recovery_codes_replaced"]
    );
    assert_eq!(opened_with(host, "recovery_code").await, 3);
}

/// Lets so many guesses of a subject through that the limit is in no test's way.
async fn lift_the_limit(host: &TestHost, subject: &str) {
    host.execute(&format!(
        "INSERT INTO login_attempts (subject, failures, last_failed, last_guess_id)
         VALUES ({subject}, -100, clock_timestamp(), gen_random_uuid())
         ON CONFLICT (subject) DO UPDATE SET failures = -100, locked_until = NULL"
    ))
    .await;
}

async fn one_code_opens_one_session(host: &TestHost) {
    let user = host.new_user("ada").await;
    let (authenticator, codes) = Authenticator::turn_on(host, &user.token).await;
    let table = [
        ("totp_code", "totp", authenticator.code_in(1)),
        ("recovery_code", "recovery_code", codes[0].clone()),
    ];
    for (field, factor, code) in table {
        let subject = format!("guess_subject('{}', '127.0.0.1')", user.email);
        lift_the_limit(host, &subject).await;
        let calls: Vec<Call> = (0..6)
            .map(|_| login_with(host, &user, field, &code))
            .collect();
        let mut opened = 0;
        for response in join_all(calls.iter().map(Call::send)).await {
            match response.status {
                200 => opened += 1,
                _ => drop(response.expect_problem(401, "invalid_second_factor")),
            }
        }
        // The winner's answer may be lost on a busy machine, and its second attempt be too late.
        assert!(opened <= 1, "{field} must open one session");
        assert_eq!(opened_with(host, factor).await, 1);
    }
    host.assert_leases_are_given_back().await;
}

async fn is_turned_on_once(host: &TestHost) {
    let user = host.new_user("ada").await;
    let authenticator = Authenticator::enrol(host, &user.token).await;
    let subject = format!(
        "(SELECT 'enrolment:' || user_id || ':' || sign_in_id FROM sessions WHERE user_id = {})",
        sql_id(user.id)
    );
    lift_the_limit(host, &subject).await;
    let call = confirm_call(host, &user.token, &authenticator.code());
    let mut confirmed = Vec::new();
    for response in join_all((0..8).map(|_| call.send())).await {
        match response.status {
            200 => confirmed.push(recovery_codes(&response)),
            _ => drop(response.expect_problem(409, "totp_enabled")),
        }
    }
    // The winner's answer may be lost on a busy machine, and its second attempt be too late.
    assert!(confirmed.len() <= 1, "one confirmation must succeed");
    assert_eq!(audited(host).await, ["totp.enabled"]);
    // The codes that were shown are the ones that were kept.
    for codes in confirmed {
        login_with(host, &user, "recovery_code", &codes[9])
            .send()
            .await
            .expect(200);
    }
    let again = host.post(TOTP).bearer(&user.token).send().await;
    again.expect_problem(409, "totp_enabled");
}

async fn begins_anew_until_it_is_confirmed(host: &TestHost) {
    let user = host.new_user("ada").await;
    let none = confirm_call(host, &user.token, "000000").send().await;
    none.expect_problem(409, "totp_not_enrolled");
    let none = replace_call(host, &user.token).send().await;
    none.expect_problem(409, "totp_not_enabled");

    let first = Authenticator::enrol(host, &user.token).await;
    let second = Authenticator::enrol(host, &user.token).await;
    let replaced = confirm_call(host, &user.token, &first.code()).send().await;
    replaced.expect_fields(422, "invalid_fields", &["code"]);
    host.execute("UPDATE totp_enrolments SET created_at = now() - interval '61 minutes'")
        .await;
    let late = confirm_call(host, &user.token, &second.code()).send().await;
    late.expect_problem(409, "totp_not_enrolled");
    host.execute("UPDATE totp_enrolments SET created_at = now() - interval '59 minutes'")
        .await;
    confirm_call(host, &user.token, &second.code())
        .send()
        .await
        .expect(200);
}

/// Wrong codes count at the login against whoever signs in, and here against the session's sign-in.
async fn counts_wrong_codes(host: &TestHost) {
    let user = host.new_user("ada").await;
    let authenticator = Authenticator::enrol(host, &user.token).await;
    let wrong = authenticator.wrong_code();
    for _ in 0..3 {
        let refused = confirm_call(host, &user.token, &wrong).send().await;
        refused.expect_fields(422, "invalid_fields", &["code"]);
    }
    let counted = "SELECT failures FROM login_attempts WHERE subject LIKE 'enrolment:%'";
    let rows = host.query(counted).await;
    assert_eq!(rows[0].get::<_, i32>(0), 3);
    let rows = host
        .query(&format!(
            "SELECT count(*) FROM audit_events
              WHERE event_type = 'session.guess_failed' AND actor_id = {}
                AND detail = '{{\"wrong\": \"second_factor\"}}' AND session_id IS NOT NULL",
            sql_id(user.id)
        ))
        .await;
    assert_eq!(rows[0].get::<_, i64>(0), 3, "each is an event");
    let code = authenticator.code();
    confirm_call(host, &user.token, &code)
        .send()
        .await
        .expect(200);
    // A password without a code is not a guess.
    for _ in 0..3 {
        let asked = host.login_call(&user.email, PASSWORD).send().await;
        asked.expect_problem(401, "second_factor_required");
    }
    for (field, code) in [
        ("totp_code", wrong.as_str()),
        ("totp_code", &code),
        ("recovery_code", "x"),
        ("totp_code", &wrong),
        ("recovery_code", "AAAAA-AAAAA"),
        ("totp_code", "000"),
    ] {
        let refused = login_with(host, &user, field, code).send().await;
        refused.expect_problem(401, "invalid_second_factor");
    }
    let rows = host
        .query("SELECT failures, subject FROM login_attempts ORDER BY subject")
        .await;
    let counted: Vec<(i32, &str)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let subject = format!("account:{} from 127.0.0.1", user.email);
    assert_eq!(counted, [(6, &*subject), (6, "address:127.0.0.1")]);
    // Longer than a slow machine may take between two requests.
    host.execute("UPDATE login_attempts SET locked_until = now() + interval '1 minute'")
        .await;
    let next = login_with(host, &user, "totp_code", &authenticator.code_in(1));
    next.send().await.expect_problem(429, "too_many_attempts");
    host.execute("UPDATE login_attempts SET locked_until = now() - interval '1 second'")
        .await;
    next.send().await.expect(200);
    let rows = host
        .query("SELECT count(*) FROM login_attempts WHERE subject LIKE 'account:%'")
        .await;
    assert_eq!(rows[0].get::<_, i64>(0), 0);
}

/// Whoever holds a session from before must not be able to turn it off.
async fn makes_other_sessions_prove_it(host: &TestHost) {
    let user = host.new_user("ada").await;
    let other = host.issue_token(&user).await;
    Authenticator::turn_on(host, &user.token).await;
    host.get(ME).bearer(&other).send().await.expect(200);
    expect_state(host, &other, true, 10).await;
    for call in [
        host.delete(TOTP).bearer(&other),
        host.post(TOTP).bearer(&other),
        replace_call(host, &other),
    ] {
        call.send()
            .await
            .expect_problem(403, "recent_login_required");
    }
    expect_state(host, &user.token, true, 10).await;
    host.delete(TOTP)
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
}

async fn belongs_to_one_user(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let eve = host.new_user("eve").await;
    let (_, _) = Authenticator::turn_on(host, &ada.token).await;
    let (eves, eves_codes) = Authenticator::turn_on(host, &eve.token).await;
    forget_last_step(host).await;
    for (field, code) in [
        ("totp_code", eves.code()),
        ("recovery_code", eves_codes[0].clone()),
    ] {
        let refused = login_with(host, &ada, field, &code).send().await;
        refused.expect_problem(401, "invalid_second_factor");
        login_with(host, &eve, field, &code)
            .send()
            .await
            .expect(200);
    }
    host.delete(TOTP)
        .bearer(&eve.token)
        .send()
        .await
        .expect(200);
    expect_state(host, &ada.token, true, 10).await;
    expect_state(host, &eve.token, false, 0).await;
}

async fn refuses(host: &TestHost) {
    let confirm = format!("{TOTP}/confirm");
    let codes = format!("{TOTP}/recovery-codes");
    let user = host.new_user("ada").await;
    let valid = json!({"code": "000000"});
    let key = host
        .issue_api_key(&user, &["credits:read", "api_keys:manage"])
        .await;
    for call in [
        host.get(TOTP),
        host.post(TOTP),
        host.delete(TOTP),
        host.post(&confirm).json(&valid),
        host.post(&codes),
    ] {
        refuse(host, call.bearer(&key.key), 403, "session_required", &[]).await;
    }
    for code in [
        json!(""),
        json!(123_456),
        json!(null),
        json!("1".repeat(65)),
        json!("1\0"),
        Value::Array(vec![]),
    ] {
        let call = host
            .post(&confirm)
            .bearer(&user.token)
            .json(&json!({"code": code}));
        refuse(host, call, 422, "invalid_fields", &["code"]).await;
    }
    // At the login: what is no code, and two codes.
    let table = [
        (json!({"totp_code": 123_456}), "totp_code"),
        (json!({"totp_code": ""}), "totp_code"),
        (json!({"recovery_code": "x".repeat(65)}), "recovery_code"),
        (
            json!({"totp_code": "123456", "recovery_code": "x"}),
            "recovery_code",
        ),
    ];
    for (extra, field) in table {
        let mut body = json!({"email": user.email, "password": PASSWORD});
        for (name, value) in extra.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        refuse(
            host,
            host.post(LOGIN).json(&body),
            422,
            "invalid_fields",
            &[field],
        )
        .await;
    }
    host.execute(&format!(
        "UPDATE sessions SET authenticated_at = now() - interval '11 minutes' WHERE user_id = {}",
        sql_id(user.id)
    ))
    .await;
    for call in [host.post(TOTP), host.delete(TOTP), host.post(&codes)] {
        refuse(
            host,
            call.bearer(&user.token),
            403,
            "recent_login_required",
            &[],
        )
        .await;
    }
    expect_state(host, &user.token, false, 0).await;
    let rows = host.query("SELECT count(*) FROM totp_enrolments").await;
    assert_eq!(
        rows[0].get::<_, i64>(0),
        0,
        "a refused enrolment must leave nothing"
    );
}
