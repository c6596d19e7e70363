//! Accounts that nobody signs in for are given to a person.

use futures::future::join_all;
use serde_json::json;
use shared::ids::OrganizationId;
use turnpike_tests::personas::sql_id;
use turnpike_tests::{Call, TestHost, User, api_tests};

use super::{ACCOUNTS, full, id_of, make, path};
use crate::refusals::refuse;

api_tests![is_given_to_a_person, of_owners_at_once_one_is_given,];

fn own(host: &TestHost, admin: &User, id: &str, user: &User) -> Call {
    host.put(format!("{}/owner", path(id)))
        .bearer(&admin.token)
        .json(&json!({"user_id": user.id}))
}

async fn is_given_to_a_person(host: &TestHost) {
    let admin = host.platform_admin().await;
    let made = make(host, &admin, full()).await;
    let id = id_of(&made);
    let organization: OrganizationId = made["organization_id"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .expect("it has one");
    let [ada, eve] = [
        host.verified_user("ada").await,
        host.verified_user("eve").await,
    ];
    // Whoever registered with her email is given nothing.
    let stranger = host.new_user("stranger").await;
    let call = own(host, &admin, &id, &stranger);
    refuse(host, call, 422, "invalid_fields", &["user_id"]).await;
    for _ in 0..2 {
        let given = own(host, &admin, &id, &ada).send().await.expect(200);
        let expected =
            json!({"account_id": id, "organization_id": organization, "user_id": ada.id});
        assert_eq!(given.json(), expected);
    }
    refuse(
        host,
        own(host, &admin, &id, &eve),
        409,
        "owner_present",
        &[],
    )
    .await;
    // She acts there, and finds what was kept for her.
    let token = host.token_in(&ada, organization).await;
    let listed = host.get(ACCOUNTS).bearer(&token).send().await.expect(200);
    assert_eq!(listed.json()["accounts"], json!([made]));
    let rows = host
        .query(&format!(
            "SELECT count(*) FROM audit_events WHERE event_type = 'account.owner_set' AND organization_id = '{}'",
            organization.as_uuid()
        ))
        .await;
    assert_eq!(rows[0].get::<_, i64>(0), 1);

    let other = id_of(&make(host, &admin, json!({"name": "x"})).await);
    host.execute(&format!(
        "UPDATE users SET disabled_at = now() WHERE id = {}",
        sql_id(eve.id)
    ))
    .await;
    refuse(
        host,
        own(host, &admin, &other, &eve),
        422,
        "invalid_fields",
        &["user_id"],
    )
    .await;
    let key = host.issue_api_key(&admin, &["accounts:manage"]).await.key;
    let program = User {
        token: key,
        ..admin.clone()
    };
    refuse(
        host,
        own(host, &program, &other, &ada),
        403,
        "session_required",
        &[],
    )
    .await;
    refuse(host, own(host, &ada, &other, &ada), 403, "forbidden", &[]).await;
    let nobody = "acc_0199a2c4e2447b3c8d5e6f708192a3b4";
    refuse(host, own(host, &admin, nobody, &ada), 404, "not_found", &[]).await;
    host.execute(&format!(
        "UPDATE sessions SET authenticated_at = now() - interval '11 minutes' WHERE user_id = {}",
        sql_id(admin.id)
    ))
    .await;
    refuse(
        host,
        own(host, &admin, &other, &ada),
        403,
        "recent_login_required",
        &[],
    )
    .await;
}

async fn of_owners_at_once_one_is_given(host: &TestHost) {
    let admin = host.platform_admin().await;
    let id = id_of(&make(host, &admin, json!({"name": "x"})).await);
    let mut calls = Vec::new();
    for _ in 0..4 {
        calls.push(own(host, &admin, &id, &host.verified_user("racer").await));
    }
    let answers = join_all(calls.iter().map(Call::settle)).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409]);
}
