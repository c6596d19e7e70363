//! Accounts that pay for others.

use futures::future::join_all;
use serde_json::{Value, json};
use turnpike_tests::{Call, TestHost, api_tests};

use super::{id_of, make, patch, path, post};
use crate::refusals::refuse;

api_tests![
    a_parent_pays_for_its_children,
    of_parents_at_once_no_chain_comes,
];

async fn a_parent_pays_for_its_children(host: &TestHost) {
    let admin = host.platform_admin().await;
    let new = |more: Value| {
        let mut body = json!({"name": "x"});
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        async { id_of(&make(host, &admin, body).await) }
    };
    let [parent, closed] = [new(json!({})).await, new(json!({})).await];
    let in_test = new(json!({"is_test": true})).await;
    let child = new(json!({"parent_id": parent})).await;
    let alone = new(json!({})).await;
    let close = |id: &str| {
        host.post(format!("{}/close", path(id)))
            .bearer(&admin.token)
    };
    close(&closed).settle().await.expect(200);
    let table = [
        (&alone, &alone, "conflict"),
        (&alone, &child, "conflict"),
        (&alone, &closed, "unknown"),
        (&alone, &in_test, "mismatch"),
        (&in_test, &parent, "mismatch"),
        (&parent, &alone, "not_allowed"),
    ];
    for (id, parent_id, code) in table {
        let call = patch(host, &admin, id, &json!({"parent_id": parent_id}));
        let refused = call
            .send()
            .await
            .expect_fields(422, "invalid_fields", &["parent_id"]);
        assert_eq!(refused.text_at("/errors/0/code"), code, "{refused}");
    }
    let nobody = json!({"parent_id": "acc_0199a2c4e2447b3c8d5e6f708192a3b4"});
    refuse(
        host,
        patch(host, &admin, &alone, &nobody),
        422,
        "invalid_fields",
        &["parent_id"],
    )
    .await;
    let call = post(host, &admin, &json!({"name": "x", "parent_id": child}));
    refuse(host, call, 422, "invalid_fields", &["parent_id"]).await;
    refuse(host, close(&parent), 409, "account_in_use", &[]).await;
    // One that is closed can be reopened, and is paid for then.
    close(&child).settle().await.expect(200);
    refuse(host, close(&parent), 409, "account_in_use", &[]).await;
    // Whoever pays for others pays in their currency.
    let currency =
        |id: &str, currency: &str| patch(host, &admin, id, &json!({"currency": currency}));
    currency(&parent, "USD").send().await.expect(200);
    let other = currency(&child, "EUR").send().await;
    other.expect_fields(422, "invalid_fields", &["parent_id"]);
    currency(&child, "USD").send().await.expect(200);
    refuse(host, currency(&parent, "EUR"), 409, "currency_fixed", &[]).await;
    let freed = patch(host, &admin, &child, &json!({"parent_id": null}))
        .send()
        .await
        .expect(200);
    assert_eq!(freed.json()["parent_id"], json!(null));
    close(&parent).settle().await.expect(200);
}

async fn of_parents_at_once_no_chain_comes(host: &TestHost) {
    host.fail_on_deadlock().await;
    let admin = host.platform_admin().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(id_of(&make(host, &admin, json!({"name": "x"})).await));
    }
    let calls: Vec<Call> = (0..16)
        .map(|n| {
            let (child, parent) = (&ids[n % 4], &ids[(n + 1 + n / 4) % 4]);
            patch(host, &admin, child, &json!({"parent_id": parent}))
        })
        .collect();
    for answer in join_all(calls.iter().map(Call::settle)).await {
        assert!(matches!(answer.status, 200 | 422), "{answer}");
    }
    let chains = host
        .query(
            "SELECT count(*) FROM billing_accounts a JOIN billing_accounts p ON p.id = a.parent_id
              WHERE p.parent_id IS NOT NULL OR a.parent_organization_id <> p.organization_id",
        )
        .await;
    assert_eq!(chains[0].get::<_, i64>(0), 0);
}
