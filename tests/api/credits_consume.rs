use serde_json::json;
use turnpike_tests::personas::{CONSUME, fresh_key};
use turnpike_tests::{TestHost, api_tests};

use crate::refusals::{check_money_input, refuse};

api_tests![
    spends_credits,
    is_done_once_for_each_key,
    repeats_a_refusal_for_its_key,
    takes_from_grants_in_their_order,
    refuses,
];

async fn spends_credits(host: &TestHost) {
    let (user, admin) = host.user_with("10.00").await;
    let body = json!({"amount": "1.25", "currency": "USD", "description": "first call"});
    let call = host
        .post(CONSUME)
        .bearer(&user.token)
        .idempotency_key(&fresh_key())
        .json(&body);
    let response = call.send().await.expect(201);
    let transaction = &response.json()["transaction"];
    assert_eq!(transaction["kind"], "consume", "{response}");
    assert_eq!(
        transaction["amount"],
        json!({"amount": "-1.25", "currency": "USD"}),
        "{response}"
    );
    assert_eq!(
        transaction["available_after"],
        json!({"amount": "8.75", "currency": "USD"}),
        "{response}"
    );
    assert_eq!(transaction["description"], "first call", "{response}");
    assert_eq!(
        response.db_queries(),
        1,
        "a spend is one statement\n{response}"
    );
    let table = [
        ("0.000000001", "8.749999999"),
        ("0.75", "7.999999999"),
        ("7.999999999", "0.00"),
    ];
    for (amount, available_after) in table {
        let transaction = host.consume(&user, amount).await;
        assert_eq!(
            transaction["available_after"]["amount"], available_after,
            "after {amount}"
        );
    }
    host.grant(&admin, &user, "3", "JPY").await;
    let body = json!({"amount": "1", "currency": "JPY", "description": null});
    let call = host
        .post(CONSUME)
        .bearer(&user.token)
        .idempotency_key(&fresh_key())
        .json(&body);
    let response = call.send().await.expect(201);
    assert_eq!(response.text_at("/transaction/available_after/amount"), "2");
    let text = format!(
        "{}{}",
        json!({"amount": "1", "currency": "JPY"}),
        " ".repeat(60_000)
    );
    let call = host
        .post(CONSUME)
        .bearer(&user.token)
        .idempotency_key(&fresh_key());
    let call = call
        .header("content-type", "Application/JSON; charset=utf-8")
        .body(text);
    call.send().await.expect(201);
}

async fn is_done_once_for_each_key(host: &TestHost) {
    let (user, _) = host.user_with("10.00").await;
    let send = |amount: &str| host.consume_call_with_key(&user, amount, "one");
    let first = send("4").send().await.expect(201);
    for _ in 0..3 {
        let again = send("4").send().await.expect(201);
        assert_eq!(
            again.body, first.body,
            "a repeated key must repeat the first answer, byte for byte"
        );
    }
    for amount in ["4.00", "5", "0.01"] {
        refuse(host, send(amount), 422, "idempotency_key_reused", &[]).await;
    }
    // Keys are compared exactly, and belong to whoever sent them.
    let upper = host
        .consume_call_with_key(&user, "4", "ONE")
        .send()
        .await
        .expect(201);
    assert_eq!(upper.text_at("/transaction/available_after/amount"), "2.00");
    let (other, _) = host.user_with("4.00").await;
    host.consume_call_with_key(&other, "4", "one")
        .send()
        .await
        .expect(201);
    assert_eq!(host.balance(&user).await.to_string(), "2.00");
}

/// A refusal is an answer like any other: its key keeps it, and only a new key tries anew.
async fn repeats_a_refusal_for_its_key(host: &TestHost) {
    let (user, admin) = host.user_with("1.00").await;
    let send = || host.consume_call_with_key(&user, "2", "too-much");
    let first = send()
        .send()
        .await
        .expect_problem(402, "insufficient_credits");
    host.grant(&admin, &user, "10", "USD").await;
    let again = send()
        .send()
        .await
        .expect_problem(402, "insufficient_credits");
    assert_eq!(
        first.problem_without_request_id(),
        again.problem_without_request_id()
    );
    assert_eq!(
        host.balance(&user).await.to_string(),
        "11.00",
        "a repeated refusal must spend nothing"
    );
    host.consume_call_with_key(&user, "2", "new-key")
        .send()
        .await
        .expect(201);
    send()
        .send()
        .await
        .expect_problem(402, "insufficient_credits");
    assert_eq!(host.balance(&user).await.to_string(), "9.00");
}

/// Lowest priority first, then earliest expiry, then oldest.
async fn takes_from_grants_in_their_order(host: &TestHost) {
    let (soon, later) = (host.time_in("1 day").await, host.time_in("2 days").await);
    let (soon, later) = (json!({"expires_at": soon}), json!({"expires_at": later}));
    let with_priority = |priority: i32, terms: &serde_json::Value| {
        let mut terms = terms.clone();
        terms["priority"] = json!(priority);
        terms
    };
    // The grants as amount and terms, what is spent, and what is left of each.
    let table = [
        (
            vec![("30", json!({})), ("50", json!({}))],
            "60",
            vec!["0.00", "20.00"],
        ),
        (
            vec![("100", later.clone()), ("100", soon.clone())],
            "120",
            vec!["80.00", "0.00"],
        ),
        (
            vec![("100", json!({})), ("100", soon.clone())],
            "120",
            vec!["80.00", "0.00"],
        ),
        // The priority goes before the expiry, and the kind is of no account.
        (
            vec![
                ("10", with_priority(51, &soon)),
                ("10", with_priority(49, &later)),
                ("10", json!({"kind": "promotional"})),
            ],
            "15",
            vec!["10.00", "0.00", "5.00"],
        ),
        (
            vec![
                ("10", with_priority(100, &soon)),
                ("10", with_priority(0, &json!({}))),
                ("10", with_priority(1, &soon)),
            ],
            "29.5",
            vec!["0.50", "0.00", "0.00"],
        ),
    ];
    let admin = host.platform_admin().await;
    for (grants, spent, left) in table {
        let user = host.new_user("ada").await;
        for (amount, terms) in &grants {
            host.grant_with(&admin, &user, amount, terms.clone()).await;
        }
        host.consume(&user, spent).await;
        assert_eq!(
            host.grants_left(&user).await,
            left,
            "{grants:?} less {spent}"
        );
    }
}

async fn refuses(host: &TestHost) {
    let (user, _) = host.user_with("5.00").await;
    let valid = json!({"amount": "1", "currency": "USD"});
    let with_token = || host.post(CONSUME).bearer(&user.token);
    check_money_input(host, with_token, &valid).await;
    for amount in ["5.000000001", "6", "999999999999.999999999"] {
        let call = host.consume_call(&user, amount);
        call.send()
            .await
            .expect_problem(402, "insufficient_credits");
    }
    let euros = json!({"amount": "1", "currency": "EUR"});
    let call = with_token().idempotency_key(&fresh_key()).json(&euros);
    call.send()
        .await
        .expect_problem(402, "insufficient_credits");
    assert_eq!(host.ledger_balance(&user).await.to_string(), "5.000000000");
    assert_eq!(
        host.count_transfers(&user, "consume").await,
        0,
        "refused spends must leave no transfer"
    );
}
