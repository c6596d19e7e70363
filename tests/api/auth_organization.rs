use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::json;
use turnpike_tests::personas::{
    INTROSPECT, ME, ORGANIZATIONS, SESSION_ORGANIZATION, available, sql_id,
};
use turnpike_tests::{Call, TestHost, api_tests};

use crate::refusals::refuse;

fn change(host: &TestHost, token: &str, organization: impl std::fmt::Display) -> Call {
    host.put(SESSION_ORGANIZATION)
        .bearer(token)
        .json(&json!({"organization_id": organization.to_string()}))
}

api_tests![refuses];

api_tests![
    fresh_too:
    acts_in_the_other_organization_at_once,
    each_organization_has_credits_and_keys_of_its_own,
];

async fn acts_in_the_other_organization_at_once(host: &TestHost) {
    let (ada, boss) = (host.new_user("ada").await, host.new_user("boss").await);
    let own = host.organization_of(&ada).await;
    let other = host.organization_of(&boss).await;
    host.execute(&format!(
        "INSERT INTO memberships (organization_id, user_id, role) VALUES ('{}', {}, 'member')",
        other.as_uuid(),
        sql_id(ada.id)
    ))
    .await;
    let me = host.get(ME).bearer(&ada.token);
    let introspect = host.introspect_call(&boss.token, &ada.token);
    host.warm(&me).await;
    assert_eq!(
        introspect.send().await.expect(200).json(),
        json!({"active": false}),
        "the session acts elsewhere"
    );
    for _ in 0..2 {
        let changed = change(host, &ada.token, other).send().await.expect(200);
        assert_eq!(changed.text_at("/organization_id"), other.to_string());
        let now = me.send().await.expect(200);
        assert_eq!(now.text_at("/organization_id"), other.to_string(), "{now}");
        assert!(!now.text_at("/permissions/0").is_empty(), "{now}");
        let seen = host.warm(&introspect).await;
        assert_eq!(seen.json()["active"], json!(true), "{seen}");
    }
    // A member there is no owner any more, and their own organization is another one.
    let call = host.post(INTROSPECT).bearer(&ada.token).form("token=x");
    refuse(host, call, 403, "forbidden", &[]).await;
    let call = host
        .get(format!("{ORGANIZATIONS}/{own}"))
        .bearer(&ada.token);
    refuse(host, call, 404, "not_found", &[]).await;
    change(host, &ada.token, own).send().await.expect(200);
    let seen = introspect.send().await.expect(200);
    assert_eq!(seen.json(), json!({"active": false}));
}

/// What a person has in an organization is spent there alone, and a key that was used in one is
/// not used in another. Balances are read until they are cached, before and after each change.
async fn each_organization_has_credits_and_keys_of_its_own(host: &TestHost) {
    let (ada, admin) = host.user_with("10.00").await;
    let boss = host.new_user("boss").await;
    let own = host.organization_of(&ada).await;
    let other = host.organization_of(&boss).await;
    host.execute(&format!(
        "INSERT INTO memberships (organization_id, user_id, role) VALUES ('{}', {}, 'member')",
        other.as_uuid(),
        sql_id(ada.id)
    ))
    .await;
    host.grant_with(&admin, &ada, "20", json!({"organization_id": other}))
        .await;
    let mut transactions = BTreeMap::new();
    for (organization, left) in [
        (own, "6.00"),
        (other, "16.00"),
        (own, "6.00"),
        (other, "16.00"),
    ] {
        change(host, &ada.token, organization)
            .send()
            .await
            .expect(200);
        let call = host.consume_call_with_key(&ada, "4", "one");
        let sent = join_all((0..4).map(|_| call.settle())).await;
        for spent in sent {
            let id = spent.expect(201).text_at("/transaction/id");
            let first = transactions
                .entry(organization)
                .or_insert_with(|| id.clone());
            assert_eq!(*first, id, "one key is one spend in {organization}");
        }
        let cached = host.warm(&host.balance_call(&ada)).await;
        assert_eq!(available(&cached).to_string(), left, "in {organization}");
    }
    let [first, second] = [own, other].map(|organization| &transactions[&organization]);
    assert_ne!(first, second);
    // Nor is a hold of one organization found in the other.
    let hold = host.hold(&ada, "1", 900).await;
    change(host, &ada.token, own).send().await.expect(200);
    let capture = host.capture_call(&ada, &hold, "1", "two");
    refuse(host, capture, 404, "not_found", &[]).await;
}

async fn refuses(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let eve = host.new_user("eve").await;
    let (own, other) = (
        host.organization_of(&ada).await,
        host.organization_of(&eve).await,
    );
    for id in [json!("org_1"), json!(ada.id), json!(1), json!(null)] {
        let call = host
            .put(SESSION_ORGANIZATION)
            .bearer(&ada.token)
            .json(&json!({"organization_id": id}));
        refuse(host, call, 422, "invalid_fields", &["organization_id"]).await;
    }
    refuse(host, change(host, &ada.token, other), 404, "not_found", &[]).await;
    let nowhere = "org_0193e7a1b2c37d4e8f90a1b2c3d4e5f6";
    refuse(
        host,
        change(host, &ada.token, nowhere),
        404,
        "not_found",
        &[],
    )
    .await;
    let key = host.issue_api_key(&ada, &["credits:read"]).await.key;
    refuse(host, change(host, &key, own), 403, "session_required", &[]).await;
}
