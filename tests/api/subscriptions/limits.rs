//! What an account cannot have.

use futures::future::join_all;
use serde_json::json;
use turnpike_tests::personas::unique;
use turnpike_tests::{Call, TestHost, api_tests};

use super::SUBSCRIPTIONS;
use super::desk::{Desk, flat};
use crate::refusals::refuse;

api_tests![
    a_second_trial_is_refused,
    a_change_is_to_a_plan_for_the_same_time,
    there_are_so_many,
    the_first_decides_the_currency,
];

async fn a_second_trial_is_refused(host: &TestHost) {
    let desk = Desk::at(host, "2026-04-01T00:00:00Z").await;
    let plan = desk.team().await;
    let trial = || desk.create_call(&plan, json!({"trial_days": 14}));
    let at_once = join_all((0..4).map(|_| {
        let call = trial();
        async move { call.settle().await }
    }))
    .await;
    let made = at_once.iter().filter(|response| response.status == 201);
    assert_eq!(made.count(), 1, "of trials at once one is made");
    for response in at_once
        .into_iter()
        .filter(|response| response.status != 201)
    {
        response.expect_problem(409, "trial_used");
    }
    trial().send().await.expect_problem(409, "trial_used");
    desk.create(&plan, json!({"trial_days": 0})).await;
    // Whose trial it was stays so, whatever plan the subscription has by now.
    let [first, second] = [desk.team().await, desk.team().await];
    let id = desk.create(&first, json!({"trial_days": 14})).await;
    desk.act(&id, "change", json!({"plan": second})).await;
    desk.act(&id, "cancel", json!({"when": "now"})).await;
    let again = desk.create_call(&first, json!({"trial_days": 14}));
    again.send().await.expect_problem(409, "trial_used");
    desk.create(&second, json!({"trial_days": 14})).await;
}

async fn a_change_is_to_a_plan_for_the_same_time(host: &TestHost) {
    let desk = Desk::at(host, "2026-04-01T00:00:00Z").await;
    let monthly = desk.plan("USD", json!([flat("base", "30")])).await;
    let yearly = format!("p{}", unique());
    let plan = json!({
        "code": yearly, "name": "Plan", "currency": "USD", "billing_period": "year",
    });
    let call = host.post("/api/v1/plans").bearer(&desk.admin.token);
    call.json(&plan).send().await.expect(201);
    desk.version(&yearly, json!([flat("base", "300")])).await;
    for (from, to) in [(&monthly, &yearly), (&yearly, &monthly)] {
        let id = desk.create(from, json!({})).await;
        for when in ["now", "period_end"] {
            let call = desk.call(&id, "change", &json!({"plan": to, "when": when}));
            refuse(host, call, 422, "invalid_fields", &["plan"]).await;
        }
    }
}

async fn there_are_so_many(host: &TestHost) {
    let desk = Desk::at(host, "2026-01-31T00:00:00Z").await;
    let plan = desk.plan("USD", json!([flat("base", "100")])).await;
    let first = desk.create(&plan, json!({})).await;
    let calls: Vec<Call> = (0..102)
        .map(|_| desk.create_call(&plan, json!({})))
        .collect();
    let answers = join_all(calls.iter().map(Call::settle)).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 99, "the hundredth is the last");
    let body = json!({"account_id": desk.account, "plan": plan});
    let call = host.post(format!("{SUBSCRIPTIONS}/preview"));
    let call = call.bearer(&desk.admin.token).json(&body);
    refuse(host, call, 409, "subscription_limit", &[]).await;
    desk.act(&first, "cancel", json!({"when": "now"})).await;
    desk.create(&plan, json!({})).await;
}

async fn the_first_decides_the_currency(host: &TestHost) {
    let desk = Desk::at(host, "2026-01-31T00:00:00Z").await;
    let mut plans = Vec::new();
    for currency in ["USD", "EUR", "JPY", "GBP"] {
        plans.push(desk.plan(currency, json!([flat("base", "100")])).await);
    }
    let calls = plans.iter().map(|plan| desk.create_call(plan, json!({})));
    let calls: Vec<Call> = calls.collect();
    let answers = join_all(calls.iter().map(Call::settle)).await;
    let (made, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(made.len(), 1, "an account is billed in one currency");
    for answer in refused {
        answer.expect_fields(422, "invalid_fields", &["plan"]);
    }
    let path = format!("/api/v1/accounts/{}", desk.account);
    let account = host.get(path).bearer(&desk.owner.token);
    let account = account.send().await.expect(200).json();
    assert_eq!(
        account["currency"],
        made[0].json()["subscription"]["currency"]
    );
}
