use serde_json::{Value, json};
use turnpike_tests::pools::billing_path;
use turnpike_tests::{TestHost, api_tests};

use crate::refusals::{check_currency_parameter, refuse};

api_tests![lists_who_may_spend_what_and_has, refuses];

async fn lists_who_may_spend_what_and_has(host: &TestHost) {
    let (owner, organization, _) = host.organization_with("100").await;
    let spender = host.member_with(&owner, organization, "10", "month").await;
    for (amount, currency) in [("4", "JPY"), ("3", "EUR")] {
        let rest = format!("credit-pool/allocations/{}", spender.id);
        let limit = json!({"limit": {"amount": amount, "currency": currency}, "reset": "day"});
        let call = host.put(billing_path(organization, &rest));
        let call = call.bearer(&owner.token).json(&limit);
        call.settle().await.expect(200);
    }
    let bookkeeper = host.member_of(organization, "admin").await;
    host.pool_spend(&spender, organization, "2.5").await;
    let mut seen: Vec<Value> = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let target = billing_path(organization, &format!("members{query}"));
        let page = host.get(target).bearer(&bookkeeper.token).send().await;
        let page = page.expect(200);
        let body = page.json();
        seen.extend(body["members"].as_array().cloned().unwrap_or_default());
        let Some(cursor) = body["next_cursor"].as_str() else {
            break;
        };
        query = format!("?limit=2&cursor={cursor}");
    }
    let members: Vec<Value> = seen
        .iter()
        .map(|m| json!([m["user_id"], m["email"], m["role"], shown(m)]))
        .collect();
    let expected = [
        json!([bookkeeper.id, bookkeeper.email, "admin", []]),
        json!([
            spender.id,
            spender.email,
            "member",
            ["EUR 0.00 3.00", "JPY 0 4", "USD 2.50 7.50"]
        ]),
        json!([owner.id, owner.email, "owner", []]),
    ];
    assert_eq!(members, expected, "the latest joined first");
    for (currency, expected) in [
        ("USD", json!([[], ["USD 2.50 7.50"], []])),
        ("EUR", json!([[], ["EUR 0.00 3.00"], []])),
        ("GBP", json!([[], [], []])),
    ] {
        let target = billing_path(organization, &format!("members?currency={currency}"));
        let listed = host.get(target).bearer(&owner.token).send().await;
        let listed = listed.expect(200).json();
        let members = listed["members"].as_array().cloned().unwrap_or_default();
        let allocations: Vec<_> = members.iter().map(shown).collect();
        assert_eq!(json!(allocations), expected, "{currency}");
    }
}

/// What a member has used and may still take, in each currency.
fn shown(member: &Value) -> Vec<String> {
    let allocations = member["allocations"].as_array().cloned();
    let allocations = allocations.expect("there is a list of them");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let line = |allocation: &Value| {
        let [used, remaining] = ["used", "remaining"].map(|name| &allocation[name]);
        assert_eq!(used["currency"], remaining["currency"], "{allocation}");
        [&used["currency"], &used["amount"], &remaining["amount"]]
            .map(text)
            .join(" ")
    };
    allocations.iter().map(line).collect()
}

async fn refuses(host: &TestHost) {
    let owner = host.new_user("ada").await;
    let organization = host.organization_of(&owner).await;
    let member = host.member_of(organization, "member").await;
    let eve = host.new_user("eve").await;
    let path = billing_path(organization, "members");
    check_currency_parameter(host, |query| {
        host.get(format!("{path}?{query}")).bearer(&owner.token)
    })
    .await;
    for query in ["limit=0", "limit=101", "cursor=x"] {
        let name = query.split('=').next().unwrap_or_default();
        let call = host.get(format!("{path}?{query}")).bearer(&owner.token);
        refuse(host, call, 400, "invalid_parameter", &[name]).await;
    }
    let call = host.get(&path).bearer(&eve.token);
    refuse(host, call, 404, "not_found", &[]).await;
    let call = host.get(&path).bearer(&member.token);
    refuse(host, call, 403, "forbidden", &[]).await;
}
