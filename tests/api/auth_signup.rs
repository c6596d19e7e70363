use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::json;
use turnpike_tests::personas::{PASSWORD, SIGNUP};
use turnpike_tests::{TestHost, api_tests};

use crate::refusals::refuse;

api_tests![
    registers_a_user_who_can_sign_in,
    two_looks_of_an_email_are_one_account,
    answers_alike_for_a_taken_email,
    refuses,
];

async fn registers_a_user_who_can_sign_in(host: &TestHost) {
    let response = host
        .signup_call("  Ada.Lovelace@Example.COM ", PASSWORD)
        .send()
        .await
        .expect(202);
    assert_eq!(
        response.json(),
        json!({"status": "accepted", "email": "ada.lovelace@example.com"})
    );
    for email in ["ada.lovelace@example.com", "ADA.LOVELACE@example.com"] {
        host.login_call(email, PASSWORD).send().await.expect(200);
    }
    let wide = "pässwörd-ünïcode-🔑".to_owned();
    // One password, typed on two keyboards: composed and not (Unicode, NFKC).
    host.signup_call("two-keyboards@example.com", "cafe\u{301} au lait")
        .send()
        .await
        .expect(202);
    host.login_call("two-keyboards@example.com", "caf\u{e9} au lait")
        .send()
        .await
        .expect(200);
    for (email, password) in [
        ("eight@example.com", "8chars!!".to_owned()),
        ("most@example.com", "p".repeat(128)),
        ("wide@example.com", wide),
    ] {
        host.signup_call(email, &password).send().await.expect(202);
        host.login_call(email, &password).send().await.expect(200);
    }
}

/// Whoever types it, on whichever keyboard, reaches the one account and the one mailbox.
async fn two_looks_of_an_email_are_one_account(host: &TestHost) {
    let form = "zo\u{eb}.m\u{fc}ller@xn--mnchen-3ya.example";
    let looks = [
        "zo\u{eb}.m\u{fc}ller@m\u{fc}nchen.example",
        "zoe\u{308}.mu\u{308}ller@mu\u{308}nchen.example",
        "ZO\u{cb}.M\u{dc}LLER@M\u{dc}NCHEN.example",
        "Zoe\u{308}.M\u{fc}ller@XN--MNCHEN-3YA.Example",
        form,
    ];
    for look in looks {
        let response = host.signup_call(look, PASSWORD).send().await.expect(202);
        assert_eq!(response.json()["email"], form, "{look:?}");
    }
    let rows = host.query("SELECT email FROM users").await;
    let emails: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(emails, [form], "one account, whoever signs up");
    assert_eq!(
        host.mail_kinds(form).await.len(),
        looks.len(),
        "all of it to one mailbox"
    );
    let users: BTreeSet<_> = join_all(looks.map(|look| async move {
        host.login_call(look, PASSWORD)
            .settle()
            .await
            .expect(200)
            .text_at("/user_id")
    }))
    .await
    .into_iter()
    .collect();
    assert_eq!(users.len(), 1, "{users:?}");
    for email in [
        "zo\u{eb}\u{200b}@example.com",
        "zo\u{202e}e@example.com",
        "zoe@ex\u{ad}ample.com",
        "\"zoe,eve\"@example.com",
        "zoe,eve@example.com",
        "zoe@xn--a.example",
    ] {
        let call = host.signup_call(email, PASSWORD);
        refuse(host, call, 422, "invalid_fields", &["email"]).await;
    }
}

/// Nobody learns from sign-up who has an account, and nobody takes one over.
async fn answers_alike_for_a_taken_email(host: &TestHost) {
    let email = host.signup("ada").await;
    let user = host.login(&email).await;
    let free = host
        .signup_call("free@example.com", "another password")
        .send()
        .await
        .expect(202);
    let taken = host
        .signup_call(&email, "another password")
        .send()
        .await
        .expect(202);
    assert_eq!(
        taken.json()["status"],
        free.json()["status"],
        "the answers must not differ"
    );
    assert_eq!(
        taken.db_queries(),
        free.db_queries(),
        "the work must not differ"
    );
    host.login_call(&email, "another password")
        .send()
        .await
        .expect_problem(401, "invalid_credentials");
    assert_eq!(
        host.login(&email).await.id,
        user.id,
        "the first password must still sign in"
    );
    let rows = host.query("SELECT count(*) FROM users").await;
    assert_eq!(
        rows[0].get::<_, i64>(0),
        2,
        "a taken email must not create a second user"
    );
}

async fn refuses(host: &TestHost) {
    let long_local = format!("{}@example.com", "a".repeat(65));
    let long = format!("a@{}.example", "b".repeat(250));
    let table = [
        (json!({}), vec!["email", "password"]),
        (
            json!({"email": "ada", "password": "short"}),
            vec!["email", "password"],
        ),
        (
            json!({"email": "ada@example", "password": PASSWORD}),
            vec!["email"],
        ),
        (
            json!({"email": "@example.com", "password": PASSWORD}),
            vec!["email"],
        ),
        (
            json!({"email": "a b@example.com", "password": PASSWORD}),
            vec!["email"],
        ),
        (
            json!({"email": "a@b@example.com", "password": PASSWORD}),
            vec!["email"],
        ),
        (
            json!({"email": "a\u{0}@example.com", "password": PASSWORD}),
            vec!["email"],
        ),
        (
            json!({"email": "a@example.com\r\nbcc: b@example.com", "password": PASSWORD}),
            vec!["email"],
        ),
        (
            json!({"email": long_local, "password": PASSWORD}),
            vec!["email"],
        ),
        (json!({"email": long, "password": PASSWORD}), vec!["email"]),
        (json!({"email": 1, "password": PASSWORD}), vec!["email"]),
        (json!({"email": null, "password": PASSWORD}), vec!["email"]),
        (
            json!({"email": "a@example.com", "password": "seven77"}),
            vec!["password"],
        ),
        (
            json!({"email": "a@example.com", "password": "p".repeat(129)}),
            vec!["password"],
        ),
        (
            json!({"email": "a@example.com", "password": "with\u{0}nul-inside"}),
            vec!["password"],
        ),
        (
            json!({"email": "a@example.com", "password": 12_345_678}),
            vec!["password"],
        ),
        (
            json!({"email": "a@example.com", "password": "A@Example.com"}),
            vec!["password"],
        ),
    ];
    for (body, fields) in table {
        refuse(
            host,
            host.post(SIGNUP).json(&body),
            422,
            "invalid_fields",
            &fields,
        )
        .await;
    }
    let rows = host.query("SELECT count(*) FROM users").await;
    assert_eq!(
        rows[0].get::<_, i64>(0),
        0,
        "a refused sign-up must register nobody"
    );
}
