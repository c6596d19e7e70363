use serde_json::json;
use turnpike_tests::personas::BALANCE;
use turnpike_tests::{TestHost, api_tests};

use crate::refusals::check_currency_parameter;

api_tests![
    tells_what_can_be_spent,
    tells_what_is_held_and_pending,
    refuses,
];

api_tests![
    fresh_too:
    is_cached_until_it_changes,
];

async fn tells_what_can_be_spent(host: &TestHost) {
    let (user, admin) = host.user_with("12.5").await;
    host.grant(&admin, &user, "7", "JPY").await;
    host.grant(&admin, &user, "0.000001", "KWD").await;
    let table = [
        ("", "12.50", "USD", "0.00"),
        ("?currency=USD", "12.50", "USD", "0.00"),
        ("?currency=JPY", "7", "JPY", "0"),
        ("?currency=KWD", "0.000001", "KWD", "0.000"),
        ("?currency=EUR", "0.00", "EUR", "0.00"),
        ("?currency=USD&unrelated=1", "12.50", "USD", "0.00"),
    ];
    for (query, amount, currency, none) in table {
        let response = host
            .get(format!("{BALANCE}{query}"))
            .bearer(&user.token)
            .send()
            .await
            .expect(200);
        let money = json!({"amount": amount, "currency": currency});
        let expected = json!({
            "user_id": user.id, "available": money, "total": money,
            "held": {"amount": none, "currency": currency},
            "pending": {"amount": none, "currency": currency},
        });
        assert_eq!(response.json(), expected, "{response}");
    }
}

async fn tells_what_is_held_and_pending(host: &TestHost) {
    let (user, admin) = host.user_with("12.5").await;
    let tomorrow = host.time_in("1 day").await;
    host.grant_with(&admin, &user, "7", json!({"effective_at": tomorrow}))
        .await;
    host.hold(&user, "2.5", 900).await;
    let balance = host.balance_call(&user).settle().await.expect(200);
    let expected = [
        ("/available/amount", "10.00"),
        ("/held/amount", "2.50"),
        ("/total/amount", "12.50"),
        ("/pending/amount", "7.00"),
    ];
    for (pointer, amount) in expected {
        assert_eq!(balance.text_at(pointer), amount, "{pointer}\n{balance}");
    }
}

async fn is_cached_until_it_changes(host: &TestHost) {
    let (user, admin) = host.user_with("10.00").await;
    let call = host.balance_call(&user);
    let cached = host.warm(&call).await;
    assert_eq!(cached.db_queries(), 0, "a hit needs no statement\n{cached}");
    let euros = host
        .get(format!("{BALANCE}?currency=EUR"))
        .bearer(&user.token);
    assert_eq!(
        euros.send().await.text_at("/available/amount"),
        "0.00",
        "currencies must not share an entry"
    );
    host.consume(&user, "2.50").await;
    assert_eq!(
        host.balance(&user).await.to_string(),
        "7.50",
        "a spend must show at once"
    );
    host.warm(&call).await;
    host.grant(&admin, &user, "0.25", "USD").await;
    assert_eq!(
        host.balance(&user).await.to_string(),
        "7.75",
        "a grant must show at once"
    );
    host.warm(&call).await;
    host.consume_call(&user, "100")
        .send()
        .await
        .expect_problem(402, "insufficient_credits");
    assert_eq!(
        host.balance(&user).await.to_string(),
        "7.75",
        "a refused spend must change nothing"
    );
}

async fn refuses(host: &TestHost) {
    let (user, _) = host.user_with("5.00").await;
    check_currency_parameter(host, |query| {
        host.get(format!("{BALANCE}?{query}")).bearer(&user.token)
    })
    .await;
}
