use futures::future::join_all;
use serde_json::{Value, json};
use shared::ids::CreditHoldId;
use turnpike_tests::personas::{HOLDS, fresh_key};
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::refusals::{check_money_input, refuse};

api_tests![
    reserves_credits,
    captures_what_it_cost,
    captures_beyond_the_hold_or_not_at_all,
    releases,
    is_done_once_for_each_key,
    settles_once_however_many_try,
    a_hold_that_expires_is_released,
    captures_race_with_the_expiry,
    holds_outlive_the_grants_they_are_of,
    stops_at_the_most_open_holds,
    refuses_to_hold,
    refuses_to_settle,
];

fn money(amount: &str) -> Value {
    json!({"amount": amount, "currency": "USD"})
}

/// A hold that must be made; returns its id.
async fn hold(host: &TestHost, user: &User, amount: &str) -> String {
    host.hold(user, amount, 900).await
}

fn capture_call(host: &TestHost, user: &User, id: &str, amount: &str) -> Call {
    host.capture_call(user, id, amount, &fresh_key())
}

fn release_call(host: &TestHost, user: &User, id: &str) -> Call {
    host.release_call(user, id, &fresh_key())
}

async fn shown(host: &TestHost, user: &User, id: &str) -> Value {
    let call = host.get(format!("{HOLDS}/{id}")).bearer(&user.token);
    call.send().await.expect(200).json()["hold"].clone()
}

/// What is available and what is held.
async fn balances(host: &TestHost, user: &User) -> (String, String) {
    let balance = host.balance_call(user).settle().await.expect(200);
    (
        balance.text_at("/available/amount"),
        balance.text_at("/held/amount"),
    )
}

async fn expect_balances(host: &TestHost, user: &User, available: &str, held: &str) {
    let expected = (available.to_owned(), held.to_owned());
    assert_eq!(balances(host, user).await, expected);
}

/// The kind and amount of each transaction of a settlement.
fn moved(settled: &Value) -> Vec<(String, String)> {
    let transactions = settled["transactions"].as_array().cloned();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    transactions
        .unwrap_or_default()
        .iter()
        .map(|t| (text(&t["kind"]), text(&t["amount"]["amount"])))
        .collect()
}

fn expected_moves(moves: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = moves
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
    owned.collect()
}

async fn reserves_credits(host: &TestHost) {
    let (user, _) = host.user_with("10.00").await;
    let body =
        json!({"amount": "4", "currency": "USD", "description": "job 7", "ttl_secs": 86_400});
    let call = host
        .post(HOLDS)
        .bearer(&user.token)
        .idempotency_key(&fresh_key())
        .json(&body);
    let response = call.send().await.expect(201);
    let answer = response.json();
    assert_eq!(answer["hold"]["state"], "open", "{response}");
    assert_eq!(answer["hold"]["amount"], money("4.00"), "{response}");
    assert_eq!(answer["hold"]["captured"], money("0.00"), "{response}");
    assert_eq!(answer["hold"]["description"], "job 7", "{response}");
    assert_eq!(answer["hold"]["settled_at"], Value::Null, "{response}");
    assert_eq!(answer["transaction"]["kind"], "hold", "{response}");
    assert_eq!(
        answer["transaction"]["amount"],
        money("-4.00"),
        "{response}"
    );
    assert_eq!(
        answer["transaction"]["available_after"],
        money("6.00"),
        "{response}"
    );
    assert_eq!(response.db_queries(), 1, "one statement\n{response}");
    let id = response.text_at("/hold/id");
    assert_eq!(shown(host, &user, &id).await, answer["hold"]);
    expect_balances(host, &user, "6.00", "4.00").await;
    // What is held cannot be spent, nor held again.
    for call in [
        host.consume_call(&user, "6.01"),
        host.hold_call(&user, "6.01", 900, &fresh_key()),
    ] {
        call.send()
            .await
            .expect_problem(402, "insufficient_credits");
    }
    hold(host, &user, "6").await;
    expect_balances(host, &user, "0.00", "10.00").await;
}

async fn captures_what_it_cost(host: &TestHost) {
    let (user, _) = host.user_with("10.00").await;
    let part = hold(host, &user, "4").await;
    let response = capture_call(host, &user, &part, "1.50")
        .send()
        .await
        .expect(200);
    let answer = response.json();
    assert_eq!(answer["hold"]["state"], "captured", "{response}");
    assert_eq!(answer["hold"]["captured"], money("1.50"), "{response}");
    assert_eq!(
        moved(&answer),
        expected_moves(&[("capture", "-1.50"), ("release", "2.50")]),
        "{response}"
    );
    assert_eq!(response.db_queries(), 1, "one statement\n{response}");
    expect_balances(host, &user, "8.50", "0.00").await;

    let whole = hold(host, &user, "8.5").await;
    let answer = capture_call(host, &user, &whole, "8.5")
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(moved(&answer), expected_moves(&[("capture", "-8.50")]));
    expect_balances(host, &user, "0.00", "0.00").await;
    assert_eq!(shown(host, &user, &whole).await, answer["hold"]);
}

/// The policy: what the cost exceeds the hold by is spent like any other credits, and when they
/// do not suffice nothing is captured and the hold stays open.
async fn captures_beyond_the_hold_or_not_at_all(host: &TestHost) {
    let (user, admin) = host.user_with("10.00").await;
    let id = hold(host, &user, "4").await;
    let key = fresh_key();
    let too_much = host.capture_call(&user, &id, "10.01", &key);
    too_much
        .send()
        .await
        .expect_problem(402, "insufficient_credits");
    assert_eq!(shown(host, &user, &id).await["state"], "open");
    expect_balances(host, &user, "6.00", "4.00").await;
    // The refusal is kept under its key, as that of a spend is.
    host.grant(&admin, &user, "1", "USD").await;
    too_much
        .send()
        .await
        .expect_problem(402, "insufficient_credits");
    let answer = capture_call(host, &user, &id, "10.01")
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(
        moved(&answer),
        expected_moves(&[("capture", "-4.00"), ("consume", "-6.01")])
    );
    assert_eq!(answer["hold"]["captured"], money("10.01"));
    expect_balances(host, &user, "0.99", "0.00").await;
}

async fn releases(host: &TestHost) {
    let (user, _) = host.user_with("10.00").await;
    let id = hold(host, &user, "4").await;
    host.warm(&host.balance_call(&user)).await;
    let answer = release_call(host, &user, &id)
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(answer["hold"]["state"], "released");
    assert_eq!(moved(&answer), expected_moves(&[("release", "4.00")]));
    expect_balances(host, &user, "10.00", "0.00").await;
}

async fn is_done_once_for_each_key(host: &TestHost) {
    let (user, _) = host.user_with("10.00").await;
    let send = |amount: &str| host.hold_call(&user, amount, 900, "one");
    let first = send("4").send().await.expect(201);
    assert_eq!(send("4").send().await.expect(201).body, first.body);
    refuse(host, send("5"), 422, "idempotency_key_reused", &[]).await;
    expect_balances(host, &user, "6.00", "4.00").await;

    let id = first.text_at("/hold/id");
    let first = host
        .capture_call(&user, &id, "1", "two")
        .send()
        .await
        .expect(200);
    let again = host
        .capture_call(&user, &id, "1", "two")
        .send()
        .await
        .expect(200);
    assert_eq!(
        again.body, first.body,
        "a repeated capture must capture once"
    );
    for call in [
        host.capture_call(&user, &id, "2", "two"),
        host.release_call(&user, &id, "two"),
    ] {
        refuse(host, call, 422, "idempotency_key_reused", &[]).await;
    }
    let id = hold(host, &user, "2").await;
    let first = host
        .release_call(&user, &id, "three")
        .send()
        .await
        .expect(200);
    let again = host
        .release_call(&user, &id, "three")
        .send()
        .await
        .expect(200);
    assert_eq!(again.body, first.body);
    expect_balances(host, &user, "9.00", "0.00").await;
}

async fn settles_once_however_many_try(host: &TestHost) {
    host.fail_on_deadlock().await;
    let (user, _) = host.user_with("10.00").await;
    let id = hold(host, &user, "4").await;
    let calls = (0..20).map(|index| {
        let call = match index % 2 {
            0 => capture_call(host, &user, &id, "3"),
            _ => release_call(host, &user, &id),
        };
        async move { call.settle().await }
    });
    let responses = join_all(calls).await;
    let (done, refused): (Vec<_>, Vec<_>) = responses
        .into_iter()
        .partition(|response| response.status == 200);
    assert_eq!(done.len(), 1, "a hold is settled once");
    let state = done[0].text_at("/hold/state");
    for response in refused {
        let response = response.expect_problem(409, "hold_not_open");
        if !response.text_at("/detail").contains(&state) {
            response.fail(&format!("the detail must say that the hold is {state}"));
        }
    }
    let available = if state == "captured" { "7.00" } else { "10.00" };
    expect_balances(host, &user, available, "0.00").await;
}

async fn a_hold_that_expires_is_released(host: &TestHost) {
    let (user, _) = host.user_with("10.00").await;
    let id = host.hold(&user, "4", 1).await;
    host.warm(&host.balance_call(&user)).await;
    host.wait_until_due("credit_holds", "expires_at").await;
    expect_balances(host, &user, "10.00", "0.00").await;
    let hold = shown(host, &user, &id).await;
    assert_eq!(hold["state"], "expired");
    assert_eq!(hold["settled_at"], hold["expires_at"]);
    for call in [
        capture_call(host, &user, &id, "1"),
        release_call(host, &user, &id),
    ] {
        let response = call.send().await.expect_problem(409, "hold_not_open");
        assert!(
            response.text_at("/detail").contains("expired"),
            "{response}"
        );
    }
}

/// Captures that arrive around the expiry: one of them is done, or none and the hold expires.
async fn captures_race_with_the_expiry(host: &TestHost) {
    host.fail_on_deadlock().await;
    let (user, _) = host.user_with("10.00").await;
    let id = host.hold(&user, "4", 1).await;
    let calls = (0..24).map(|index| {
        let call = capture_call(host, &user, &id, "4");
        async move {
            // From 200 ms before the expiry to 200 ms after it, had the hold been made just now.
            tokio::time::sleep(std::time::Duration::from_millis(800 + 17 * index)).await;
            call.settle().await
        }
    });
    // Begins before the first capture can, so that the race is real on a slow machine too.
    host.execute("UPDATE credit_holds SET expires_at = clock_timestamp() + interval '1 second'")
        .await;
    host.execute("UPDATE credit_accounts SET next_due_at = '-infinity'")
        .await;
    let responses = join_all(calls).await;
    let done = responses.iter().filter(|r| r.status == 200).count();
    for response in responses.into_iter().filter(|r| r.status != 200) {
        response.expect_problem(409, "hold_not_open");
    }
    host.wait_until_due("credit_holds", "expires_at").await;
    let (state, available) = match done {
        0 => ("expired", "10.00"),
        1 => ("captured", "6.00"),
        _ => panic!("{done} captures of one hold were done"),
    };
    assert_eq!(shown(host, &user, &id).await["state"], state);
    expect_balances(host, &user, available, "0.00").await;
    let captures = host.count_transfers(&user, "capture").await;
    let releases = host.count_transfers(&user, "release").await;
    assert_eq!(captures + releases, 1, "the hold ends once");
}

/// What a grant's expiry finds held can still be captured; what is released expires then.
async fn holds_outlive_the_grants_they_are_of(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = host.new_user("ada").await;
    let tomorrow = host.time_in("1 day").await;
    host.grant_with(&admin, &user, "10", json!({"expires_at": tomorrow}))
        .await;
    let captured = hold(host, &user, "3").await;
    let released = hold(host, &user, "2").await;
    host.let_grants_end().await;
    expect_balances(host, &user, "0.00", "5.00").await;
    capture_call(host, &user, &captured, "1")
        .send()
        .await
        .expect(200);
    release_call(host, &user, &released)
        .send()
        .await
        .expect(200);
    expect_balances(host, &user, "0.00", "0.00").await;
    let rows = host
        .query("SELECT consumed::text, expired::text FROM credit_accounts")
        .await;
    let sums: (String, String) = (rows[0].get(0), rows[0].get(1));
    assert_eq!(sums, ("1.000000000".to_owned(), "9.000000000".to_owned()));
}

async fn stops_at_the_most_open_holds(host: &TestHost) {
    let (user, _) = host.user_with("10.00").await;
    hold(host, &user, "1").await;
    host.execute(
        "INSERT INTO credit_holds (organization_id, id, account_id, amount, state, expires_at, description)
         SELECT organization_id, gen_random_uuid(), account_id, 0.000000001, 'open', expires_at, 'one of many'
           FROM credit_holds, generate_series(2, max_open_holds())",
    )
    .await;
    let call = host.hold_call(&user, "1", 900, &fresh_key());
    refuse(host, call, 409, "too_many_open_holds", &[]).await;
    host.execute("DELETE FROM credit_holds WHERE description = 'one of many'")
        .await;
    hold(host, &user, "1").await;
}

async fn refuses_to_hold(host: &TestHost) {
    let (user, _) = host.user_with("5.00").await;
    let valid = json!({"amount": "1", "currency": "USD", "ttl_secs": 60});
    let with_token = || host.post(HOLDS).bearer(&user.token);
    check_money_input(host, with_token, &valid).await;
    let lives = [
        json!(0),
        json!(-1),
        json!(86_401),
        json!(1.5),
        json!("60"),
        json!(true),
        json!([60]),
    ];
    for ttl_secs in lives {
        let body = json!({"amount": "1", "currency": "USD", "ttl_secs": ttl_secs});
        let call = with_token().idempotency_key(&fresh_key()).json(&body);
        refuse(host, call, 422, "invalid_fields", &["ttl_secs"]).await;
    }
    let euros = json!({"amount": "1", "currency": "EUR"});
    let call = with_token().idempotency_key(&fresh_key()).json(&euros);
    call.send()
        .await
        .expect_problem(402, "insufficient_credits");
}

async fn refuses_to_settle(host: &TestHost) {
    let (user, admin) = host.user_with("5.00").await;
    let id = hold(host, &user, "2").await;
    let path = |rest: &str| format!("{HOLDS}/{id}{rest}");
    let valid = json!({"amount": "1", "currency": "USD"});
    let keyed = || {
        host.post(path("/capture"))
            .bearer(&user.token)
            .idempotency_key(&fresh_key())
    };
    let table = [
        (json!({"amount": "0", "currency": "USD"}), "amount"),
        (json!({"amount": 1, "currency": "USD"}), "amount"),
        (json!({"amount": "1", "currency": "usd"}), "currency"),
        (json!({"amount": "1", "currency": "EUR"}), "currency"),
        (json!({"amount": "1"}), "currency"),
        (json!({"currency": "USD"}), "amount"),
    ];
    for (body, field) in table {
        refuse(host, keyed().json(&body), 422, "invalid_fields", &[field]).await;
    }
    for keyless in [
        host.post(path("/capture")).json(&valid),
        host.post(path("/release")),
    ] {
        let call = keyless.bearer(&user.token);
        refuse(host, call, 400, "invalid_parameter", &["idempotency-key"]).await;
    }

    // Another's hold, one that never was, and what is no id are answered alike.
    let eve = host.new_user("eve").await;
    host.grant(&admin, &eve, "5", "USD").await;
    let nothing = CreditHoldId::new(1, &[9; shared::ids::RANDOM_BYTES]).to_string();
    let upper = id.to_uppercase();
    let targets = [
        (&eve, id.as_str()),
        (&user, nothing.as_str()),
        (&user, "hld_1"),
        (&user, "x"),
        (&user, upper.as_str()),
        (&user, &id[4..]),
    ];
    for (who, id) in targets {
        let show = host.get(format!("{HOLDS}/{id}")).bearer(&who.token);
        for call in [
            show,
            capture_call(host, who, id, "1"),
            release_call(host, who, id),
        ] {
            refuse(host, call, 404, "not_found", &[]).await;
        }
    }
}
