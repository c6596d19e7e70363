use serde_json::{Value, json};
use turnpike_tests::pools::billing_path;
use turnpike_tests::{TestHost, api_tests};

use crate::refusals::{check_currency_parameter, refuse};

api_tests![lists_who_may_spend_what_and_has, refuses];

async fn lists_who_may_spend_what_and_has(host: &TestHost) {
    let (owner, organization, _) = host.organization_with("100").await;
    let spender = host.member_with(&owner, organization, "10", "month").await;
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
    let shown: Vec<Value> = seen
        .iter()
        .map(|m| {
            json!([
                m["user_id"],
                m["email"],
                m["role"],
                m["allocation"]["remaining"]["amount"],
                m["spent"]
            ])
        })
        .collect();
    let spent = json!({"amount": "2.50", "currency": "USD"});
    let expected = [
        json!([bookkeeper.id, bookkeeper.email, "admin", null, null]),
        json!([spender.id, spender.email, "member", "7.50", spent]),
        json!([owner.id, owner.email, "owner", null, null]),
    ];
    assert_eq!(shown, expected, "the latest joined first");
    let target = billing_path(organization, "members?currency=EUR");
    let listed = host.get(target).bearer(&owner.token).send().await;
    for member in listed.expect(200).json()["members"]
        .as_array()
        .into_iter()
        .flatten()
    {
        assert_eq!(member["allocation"], Value::Null, "{member}");
    }
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
