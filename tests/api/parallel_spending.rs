//! Many requests at once, on one balance or with one key.

use futures::future::join_all;
use rust_decimal::Decimal;
use turnpike_tests::personas::{BALANCE, GRANTS, decimal, fresh_key};
use turnpike_tests::{Response, Settings, TestHost, api_tests, run};

/// Requests that race for the same credits, and how many of them can be served.
const RACERS: usize = 200;
const AFFORDABLE: usize = 100;

/// Requests that carry the same key.
const REPEATS: usize = 50;

fn count(responses: &[Response], status: u16) -> usize {
    responses
        .iter()
        .filter(|response| response.status == status)
        .count()
}

api_tests![
    spends_and_holds_share_what_there_is,
    one_key_grants_once,
    first_grants_race_to_one_account,
    one_key_with_two_bodies_does_one,
    sign_ups_race_to_one_user,
];

api_tests![
    fresh_too:
    a_balance_is_never_overspent,
    one_key_spends_once,
];

async fn a_balance_is_never_overspent(host: &TestHost) {
    host.fail_on_deadlock().await;
    let (user, _) = host.user_with("100.00").await;
    let spends = (0..RACERS).map(|_| {
        let call = host.consume_call(&user, "1.00");
        async move { call.settle().await }
    });
    let responses = join_all(spends).await;
    assert_eq!(
        count(&responses, 201),
        AFFORDABLE,
        "exactly the affordable spends must succeed"
    );
    for response in responses {
        if response.status != 201 {
            response.expect_problem(402, "insufficient_credits");
        }
    }
    assert_eq!(host.balance(&user).await.to_string(), "0.00");
    assert_eq!(host.count_transfers(&user, "consume").await, 100);
}

/// Spends and holds that race for the same credits, which many small grants are made of.
async fn spends_and_holds_share_what_there_is(host: &TestHost) {
    host.fail_on_deadlock().await;
    let admin = host.platform_admin().await;
    let user = host.new_user("ada").await;
    for _ in 0..20 {
        host.grant(&admin, &user, "1.50", "USD").await;
    }
    let calls = (0..60).map(|index| {
        let call = match index % 2 {
            0 => host.consume_call(&user, "1.00"),
            _ => host.hold_call(&user, "1.00", 900, &fresh_key()),
        };
        async move { call.settle().await }
    });
    let responses = join_all(calls).await;
    assert_eq!(count(&responses, 201), 30, "30 credits are 30 of one each");
    assert_eq!(count(&responses, 402), 30);
    let balance = host.balance_call(&user).settle().await.expect(200);
    assert_eq!(balance.text_at("/available/amount"), "0.00", "{balance}");
    let held = decimal(&balance.text_at("/held/amount"));
    let spent = host.count_transfers(&user, "consume").await;
    assert_eq!(held + Decimal::from(spent), Decimal::from(30));
}

async fn one_key_spends_once(host: &TestHost) {
    let (user, _) = host.user_with("100.00").await;
    let call = host.consume_call_with_key(&user, "3.00", "one-key");
    let responses = join_all((0..REPEATS).map(|_| call.settle())).await;
    let first = responses[0].body.clone();
    for response in responses {
        let response = response.expect(201);
        if response.body != first {
            response.fail(&format!(
                "all must be answered alike: {}",
                String::from_utf8_lossy(&first)
            ));
        }
    }
    assert_eq!(host.balance(&user).await.to_string(), "97.00");
    assert_eq!(host.count_transfers(&user, "consume").await, 1);
}

async fn one_key_grants_once(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = host.new_user("ada").await;
    let body = serde_json::json!({"user_id": user.id, "amount": "7", "currency": "USD"});
    let call = host
        .post(GRANTS)
        .bearer(&admin.token)
        .idempotency_key("one-grant")
        .json(&body);
    let responses = join_all((0..REPEATS).map(|_| call.settle())).await;
    let first = responses[0].body.clone();
    for response in responses {
        let response = response.expect(201);
        if response.body != first {
            response.fail(&format!(
                "all must be answered alike: {}",
                String::from_utf8_lossy(&first)
            ));
        }
    }
    assert_eq!(host.balance(&user).await.to_string(), "7.00");
    assert_eq!(host.count_transfers(&user, "grant").await, 1);
}

/// The first grant creates the account; many first grants create one.
async fn first_grants_race_to_one_account(host: &TestHost) {
    host.fail_on_deadlock().await;
    let admin = host.platform_admin().await;
    let user = host.new_user("ada").await;
    let grants = (0..20).map(|_| {
        let call = host.grant_call(&admin, user.id, "1", "USD");
        async move { call.settle().await.expect(201) }
    });
    join_all(grants).await;
    assert_eq!(host.balance(&user).await.to_string(), "20.00");
}

/// Two bodies under one key: whichever comes first is done, and the other refused.
async fn one_key_with_two_bodies_does_one(host: &TestHost) {
    let (user, _) = host.user_with("100.00").await;
    let calls = (0..20).map(|index| {
        let amount = if index % 2 == 0 { "1" } else { "2" };
        let call = host.consume_call_with_key(&user, amount, "contested");
        async move { call.settle().await }
    });
    let responses = join_all(calls).await;
    assert_eq!(
        count(&responses, 201),
        10,
        "one body wins with all its repetitions"
    );
    assert_eq!(count(&responses, 422), 10, "the other is refused each time");
    assert_eq!(host.count_transfers(&user, "consume").await, 1);
    host.get(BALANCE)
        .bearer(&user.token)
        .settle()
        .await
        .expect(200);
}

/// Sign-ups of one email at once make one user, and no organization without one.
async fn sign_ups_race_to_one_user(host: &TestHost) {
    host.fail_on_deadlock().await;
    let calls = (0..8).map(|index| {
        let call = host.signup_call("same@example.com", &format!("password number {index}"));
        async move { call.settle().await.expect(202) }
    });
    join_all(calls).await;
    let rows = host
        .query("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM organizations)")
        .await;
    assert_eq!((rows[0].get::<_, i64>(0), rows[0].get::<_, i64>(1)), (1, 1));
}

/// More requests than connections: they queue, and are all answered.
#[test]
fn a_small_pool_is_enough_for_many_clients() {
    let settings = Settings::pooled().with_postgres_pool_size(2);
    run(settings, async |host: &TestHost| {
        let (user, _) = host.user_with("64.00").await;
        let spends = (0..64).map(|_| {
            let call = host.consume_call(&user, "1.00");
            async move { call.settle().await.expect(201) }
        });
        join_all(spends).await;
        assert_eq!(host.balance(&user).await.to_string(), "0.00");
        let rows = host
            .query("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            .await;
        let connections = rows[0].get::<_, i64>(0);
        assert!(
            connections <= 3,
            "{connections} connections are open: two for the host, one for the test"
        );
    });
}
