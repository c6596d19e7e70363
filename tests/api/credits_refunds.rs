use futures::future::join_all;
use serde_json::{Value, json};
use shared::ids::CreditTransactionId;
use turnpike_tests::personas::{REFUNDS, fresh_key};
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::refusals::refuse;

api_tests![
    gives_back_what_was_spent,
    goes_back_to_the_last_grant_first,
    refunds_a_capture,
    what_goes_back_to_an_ended_grant_goes_its_way,
    is_done_once_for_each_key,
    never_refunds_more_than_was_spent,
    refuses,
];

api_tests![
    fresh_too:
    shows_at_once,
];

fn money(amount: &str) -> Value {
    json!({"amount": amount, "currency": "USD"})
}

/// A refund of an amount, or of the whole, with a key of its own.
fn refund_call(host: &TestHost, admin: &User, transaction_id: &str, amount: Option<&str>) -> Call {
    host.refund_call(admin, transaction_id, amount, &fresh_key())
}

async fn spend(host: &TestHost, user: &User, amount: &str) -> String {
    let transaction = host.consume(user, amount).await;
    transaction["id"].as_str().unwrap_or_default().to_owned()
}

async fn gives_back_what_was_spent(host: &TestHost) {
    let (user, admin) = host.user_with("10.00").await;
    let spent = spend(host, &user, "4").await;
    let response = refund_call(host, &admin, &spent, Some("1.50"))
        .send()
        .await
        .expect(201);
    let answer = response.json();
    assert_eq!(answer["user_id"], json!(user.id), "{response}");
    assert_eq!(answer["transaction"]["kind"], "refund", "{response}");
    assert_eq!(answer["transaction"]["amount"], money("1.50"), "{response}");
    assert_eq!(
        answer["transaction"]["available_after"],
        money("7.50"),
        "{response}"
    );
    assert_eq!(
        response.db_queries(),
        2,
        "whose it is, and the refund\n{response}"
    );
    // The rest, without saying how much that is.
    let answer = refund_call(host, &admin, &spent, None)
        .send()
        .await
        .expect(201)
        .json();
    assert_eq!(answer["transaction"]["amount"], money("2.50"));
    assert_eq!(host.balance(&user).await.to_string(), "10.00");
    for amount in [None, Some("0.01")] {
        let call = refund_call(host, &admin, &spent, amount);
        let response = call.send().await.expect_problem(409, "exceeds_refundable");
        assert!(
            response.text_at("/detail").contains("0.00 USD"),
            "{response}"
        );
    }
    // What was given back can be spent, and refunded, again.
    let spent = spend(host, &user, "10").await;
    refund_call(host, &admin, &spent, Some("10"))
        .send()
        .await
        .expect(201);
    assert_eq!(host.balance(&user).await.to_string(), "10.00");
}

async fn goes_back_to_the_last_grant_first(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = host.new_user("ada").await;
    for (amount, priority) in [("3", 10), ("4", 20), ("5", 30)] {
        host.grant_with(&admin, &user, amount, json!({"priority": priority}))
            .await;
    }
    let spent = spend(host, &user, "9").await;
    let table = [
        (None, ["0.00", "0.00", "3.00"]),
        (Some("1"), ["0.00", "0.00", "4.00"]),
        (Some("3"), ["0.00", "2.00", "5.00"]),
        (Some("2.5"), ["0.50", "4.00", "5.00"]),
    ];
    for (amount, left) in table {
        if amount.is_some() {
            let call = refund_call(host, &admin, &spent, amount);
            call.send().await.expect(201);
        }
        assert_eq!(host.grants_left(&user).await, left, "after {amount:?}");
    }
    let call = refund_call(host, &admin, &spent, Some("2.51"));
    let response = call.send().await.expect_problem(409, "exceeds_refundable");
    assert!(
        response.text_at("/detail").contains("2.50 USD"),
        "{response}"
    );
}

async fn refunds_a_capture(host: &TestHost) {
    let (user, admin) = host.user_with("10.00").await;
    let hold = host.hold(&user, "4", 900).await;
    let captured = host
        .capture_call(&user, &hold, "3", &fresh_key())
        .send()
        .await
        .expect(200);
    let id = captured.text_at("/transactions/0/id");
    refund_call(host, &admin, &id, None)
        .send()
        .await
        .expect(201);
    assert_eq!(host.balance(&user).await.to_string(), "10.00");
    // Only what spent credits can be refunded.
    let released = captured.text_at("/transactions/1/id");
    let call = refund_call(host, &admin, &released, None);
    refuse(host, call, 404, "not_found", &[]).await;
}

/// A refund to a grant that has expired expires, and to a voided one is voided.
async fn what_goes_back_to_an_ended_grant_goes_its_way(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = host.new_user("ada").await;
    let tomorrow = host.time_in("1 day").await;
    let terms = json!({"priority": 1, "expires_at": tomorrow});
    host.grant_with(&admin, &user, "3", terms).await;
    let voided = host
        .grant_with(&admin, &user, "4", json!({"priority": 2}))
        .await;
    host.grant_with(&admin, &user, "5", json!({"priority": 3}))
        .await;
    let spent = spend(host, &user, "8").await;
    host.void_call(&admin, &voided, &fresh_key())
        .send()
        .await
        .expect_problem(409, "nothing_left");
    refund_call(host, &admin, &spent, Some("1.5"))
        .send()
        .await
        .expect(201);
    host.void_call(&admin, &voided, &fresh_key())
        .send()
        .await
        .expect(200);
    host.let_grants_end().await;
    assert_eq!(host.balance(&user).await.to_string(), "5.00");
    refund_call(host, &admin, &spent, None)
        .send()
        .await
        .expect(201);
    assert_eq!(host.balance(&user).await.to_string(), "5.00");
    let rows = host
        .query("SELECT issued::text, consumed::text, expired::text FROM credit_accounts")
        .await;
    let sums: [String; 3] = [rows[0].get(0), rows[0].get(1), rows[0].get(2)];
    assert_eq!(sums, ["-8.000000000", "0.000000000", "3.000000000"]);
}

async fn is_done_once_for_each_key(host: &TestHost) {
    let (user, admin) = host.user_with("10.00").await;
    let spent = spend(host, &user, "4").await;
    let send = |amount: &str| host.refund_call(&admin, &spent, Some(amount), "one");
    let first = send("1").send().await.expect(201);
    let again = send("1").send().await.expect(201);
    assert_eq!(again.body, first.body);
    refuse(host, send("2"), 422, "idempotency_key_reused", &[]).await;
    assert_eq!(host.balance(&user).await.to_string(), "7.00");
}

async fn never_refunds_more_than_was_spent(host: &TestHost) {
    host.fail_on_deadlock().await;
    let (user, admin) = host.user_with("10.00").await;
    let spent = spend(host, &user, "5").await;
    let calls = (0..20).map(|_| {
        let call = refund_call(host, &admin, &spent, Some("1"));
        async move { call.settle().await }
    });
    let responses = join_all(calls).await;
    let done = responses.iter().filter(|r| r.status == 201).count();
    assert_eq!(done, 5, "5 of 20 refunds of a fifth each");
    for response in responses.into_iter().filter(|r| r.status != 201) {
        response.expect_problem(409, "exceeds_refundable");
    }
    assert_eq!(host.balance(&user).await.to_string(), "10.00");
}

/// The balance of the user is fresh, though the admin's request does not name them.
async fn shows_at_once(host: &TestHost) {
    let (user, admin) = host.user_with("10.00").await;
    for _ in 0..3 {
        let spent = spend(host, &user, "4").await;
        host.warm(&host.balance_call(&user)).await;
        refund_call(host, &admin, &spent, None)
            .send()
            .await
            .expect(201);
        assert_eq!(host.balance(&user).await.to_string(), "10.00");
    }
}

async fn refuses(host: &TestHost) {
    let (user, admin) = host.user_with("5.00").await;
    let spent = spend(host, &user, "2").await;
    let valid = json!({"transaction_id": spent, "amount": "1", "currency": "USD"});
    let keyed = || {
        host.post(REFUNDS)
            .bearer(&admin.token)
            .idempotency_key(&fresh_key())
    };
    let keyless = host.post(REFUNDS).bearer(&admin.token).json(&valid);
    refuse(
        host,
        keyless,
        400,
        "invalid_parameter",
        &["idempotency-key"],
    )
    .await;

    let with = |field: &str, value: Value| {
        let mut body = valid.clone();
        body[field] = value;
        body
    };
    let table = [
        (with("transaction_id", json!("ctx_1")), "transaction_id"),
        (
            with("transaction_id", json!(spent.to_uppercase())),
            "transaction_id",
        ),
        (
            with("transaction_id", json!(spent.replace("ctx_", "cgr_"))),
            "transaction_id",
        ),
        (with("transaction_id", json!(1)), "transaction_id"),
        (with("transaction_id", json!(null)), "transaction_id"),
        (with("amount", json!("0")), "amount"),
        (with("amount", json!("-1")), "amount"),
        (with("amount", json!("0.0000000001")), "amount"),
        (with("amount", json!(1)), "amount"),
        (with("amount", json!(null)), "amount"),
        (with("currency", json!("usd")), "currency"),
        (with("currency", json!("EUR")), "currency"),
        (with("currency", json!(null)), "currency"),
        (with("description", json!("sorry")), "description"),
    ];
    for (body, field) in table {
        refuse(host, keyed().json(&body), 422, "invalid_fields", &[field]).await;
    }
    let nothing = CreditTransactionId::new(1, &[9; shared::ids::RANDOM_BYTES]).to_string();
    let call = refund_call(host, &admin, &nothing, None);
    refuse(host, call, 404, "not_found", &[]).await;
    let call = refund_call(host, &admin, &spent, Some("2.01"));
    refuse(host, call, 409, "exceeds_refundable", &[]).await;
    // Nobody refunds themselves.
    for id in [&spent, &nothing] {
        let call = refund_call(host, &user, id, None);
        refuse(host, call, 403, "forbidden", &[]).await;
    }
}
