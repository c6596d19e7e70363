use futures::future::join_all;
use serde_json::json;
use shared::ids::OrganizationId;
use turnpike_tests::personas::{BALANCE, ME, sql_id};
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::refusals::refuse;

/// Members who are made the owner at once.
const RACERS: usize = 4;
const ROUNDS: usize = 25;

fn path(user: &User) -> String {
    format!("/api/v1/users/{}", user.id)
}

fn set(host: &TestHost, caller: &User, user: &User, disabled: bool) -> Call {
    host.patch(path(user))
        .bearer(&caller.token)
        .json(&json!({"disabled": disabled}))
}

async fn administrator(host: &TestHost) -> User {
    let user = host.new_user("admin").await;
    host.execute(&format!(
        "UPDATE users SET platform_role = 'platform_admin' WHERE id = {}",
        sql_id(user.id)
    ))
    .await;
    user
}

api_tests![
    a_way_back_for_an_organization_without_an_owner,
    ownerships_at_once_leave_one_owner,
    refuses,
];

api_tests![
    fresh_too:
    a_disabled_user_is_out_at_once,
];

async fn a_disabled_user_is_out_at_once(host: &TestHost) {
    let admin = administrator(host).await;
    let ada = host.new_user("ada").await;
    let organization = host.organization_of(&ada).await;
    let boss = host.member_of(organization, "admin").await;
    let key = host.issue_api_key(&ada, &["credits:read"]).await.key;
    let refresh_token = host.issue_session(&ada).await.refresh_token;
    let read = host.get(path(&ada)).bearer(&admin.token);
    let found = read.send().await.expect(200);
    assert_eq!(
        (found.text_at("/email"), &found.json()["disabled_at"]),
        (ada.email.clone(), &json!(null))
    );
    let of_session = [ME, BALANCE].map(|path| host.get(path).bearer(&ada.token));
    let of_key = [ME, BALANCE].map(|path| host.get(path).bearer(&key));
    let asked = host.introspect_call(&boss.token, &ada.token);
    for call in of_session.iter().chain(&of_key).chain([&asked]) {
        host.warm(call).await;
    }
    for _ in 0..2 {
        let disabled = set(host, &admin, &ada, true).send().await.expect(200);
        assert!(disabled.json()["disabled_at"].is_string(), "{disabled}");
        for call in of_session.iter().chain(&of_key) {
            call.send().await.expect_problem(401, "unauthenticated");
        }
        let seen = asked.send().await.expect(200);
        assert_eq!(seen.json(), json!({"active": false}));
    }
    host.login_call(&ada.email, turnpike_tests::personas::PASSWORD)
        .send()
        .await
        .expect_problem(401, "invalid_credentials");

    let enabled = set(host, &admin, &ada, false).send().await.expect(200);
    assert_eq!(enabled.json()["disabled_at"], json!(null));
    assert_eq!(read.send().await.expect(200).json(), enabled.json());
    for call in of_session.iter().chain(&of_key) {
        call.send().await.expect_problem(401, "unauthenticated");
    }
    host.refresh_call(&refresh_token)
        .send()
        .await
        .expect_problem(401, "invalid_refresh_token");
    host.login(&ada.email).await;
    let rows = host
        .query(&format!(
            "SELECT e.event_type FROM audit_events e
              WHERE e.actor_id = {} AND e.event_type IN ('user.disabled', 'user.enabled')
              ORDER BY e.sequence",
            sql_id(admin.id)
        ))
        .await;
    let events: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(events, ["user.disabled", "user.enabled"]);
}

fn own(host: &TestHost, caller: &User, user: &User, organization: OrganizationId) -> Call {
    host.post(format!("{}/ownerships", path(user)))
        .bearer(&caller.token)
        .json(&json!({"organization_id": organization}))
}

async fn a_way_back_for_an_organization_without_an_owner(host: &TestHost) {
    let admin = administrator(host).await;
    let ada = host.new_user("ada").await;
    let organization = host.organization_of(&ada).await;
    let [bob, eve] = [
        host.member_of(organization, "member").await,
        host.member_of(organization, "admin").await,
    ];
    let stranger = host.new_user("stranger").await;
    let call = own(host, &admin, &bob, organization);
    refuse(host, call.clone(), 409, "owner_present", &[]).await;
    set(host, &admin, &ada, true).send().await.expect(200);
    for nobody in [&stranger, &ada] {
        let call = own(host, &admin, nobody, organization);
        refuse(host, call, 404, "not_found", &[]).await;
    }
    let roles = host.get(format!("/api/v1/organizations/{organization}/roles"));
    let put = host
        .put(format!("/api/v1/organizations/{organization}/roles/clerk"))
        .bearer(&bob.token)
        .json(&json!({"permissions": []}));
    refuse(host, put.clone(), 403, "forbidden", &[]).await;
    host.warm(&host.get(ME).bearer(&bob.token)).await;
    for _ in 0..2 {
        let made = call.send().await.expect(200);
        assert_eq!(
            made.json(),
            json!({"organization_id": organization, "user_id": bob.id, "role": "owner"})
        );
    }
    put.settle().await.expect(200);
    roles.bearer(&bob.token).send().await.expect(200);
    // There is an owner now, whoever else is to be one. The one of before is one still.
    let call = own(host, &admin, &eve, organization);
    refuse(host, call, 409, "owner_present", &[]).await;
    set(host, &admin, &ada, false).send().await.expect(200);
    let rows = host
        .query(&format!(
            "SELECT count(*) FROM audit_events
              WHERE organization_id = '{}' AND event_type = 'member.ownership_given' AND actor_id = {}",
            organization.as_uuid(),
            sql_id(admin.id)
        ))
        .await;
    assert_eq!(rows[0].get::<_, i64>(0), 1);
}

async fn ownerships_at_once_leave_one_owner(host: &TestHost) {
    let admin = administrator(host).await;
    for round in 0..ROUNDS {
        let ada = host.new_user("ada").await;
        let organization = host.organization_of(&ada).await;
        let mut calls = Vec::new();
        for _ in 0..RACERS {
            let member = host.member_of(organization, "member").await;
            calls.push(own(host, &admin, &member, organization));
        }
        set(host, &admin, &ada, true).send().await.expect(200);
        let answers = join_all(calls.iter().map(Call::settle)).await;
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409, 409, 409], "round {round}");
    }
}

async fn refuses(host: &TestHost) {
    let admin = host.platform_admin().await;
    let ada = host.new_user("ada").await;
    let one = path(&ada);
    let valid = json!({"disabled": false});
    for disabled in [json!(null), json!("true"), json!(1)] {
        let call = host
            .patch(&one)
            .bearer(&admin.token)
            .json(&json!({"disabled": disabled}));
        refuse(host, call, 422, "invalid_fields", &["disabled"]).await;
    }
    for organization in [json!(null), json!(1), json!("org_1"), json!(ada.id)] {
        let call = host
            .post(format!("{one}/ownerships"))
            .bearer(&admin.token)
            .json(&json!({"organization_id": organization}));
        refuse(host, call, 422, "invalid_fields", &["organization_id"]).await;
    }
    let organization = host.organization_of(&ada).await;
    let call = own(host, &ada, &ada, organization);
    refuse(host, call, 403, "forbidden", &[]).await;
    // An owner is no platform's administrator, not even of themselves.
    for call in [host.get(&one), host.patch(&one).json(&valid)] {
        refuse(host, call.bearer(&ada.token), 403, "forbidden", &[]).await;
    }
    refuse(host, set(host, &admin, &admin, true), 409, "own_user", &[]).await;
    host.get(ME).bearer(&admin.token).send().await.expect(200);
    for id in ["usr_1", "usr_0193e7a1b2c37d4e8f90a1b2c3d4e5f6", "%00"] {
        let call = host.get(format!("/api/v1/users/{id}")).bearer(&admin.token);
        refuse(host, call, 404, "not_found", &[]).await;
        let call = host
            .patch(format!("/api/v1/users/{id}"))
            .bearer(&admin.token)
            .json(&valid);
        refuse(host, call, 404, "not_found", &[]).await;
    }
}
