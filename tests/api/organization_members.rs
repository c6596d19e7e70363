use futures::future::join_all;
use serde_json::{Value, json};
use shared::ids::OrganizationId;
use turnpike_tests::personas::{BALANCE, INTROSPECT, ME, ORGANIZATIONS, sql_id};
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::refusals::refuse;

fn path(organization: OrganizationId, user: &User) -> String {
    format!("{ORGANIZATIONS}/{organization}/members/{}", user.id)
}

fn change(
    host: &TestHost,
    caller: &User,
    organization: OrganizationId,
    user: &User,
    role: &str,
) -> Call {
    host.patch(path(organization, user))
        .bearer(&caller.token)
        .json(&json!({"role": role}))
}

fn remove(host: &TestHost, caller: &User, organization: OrganizationId, user: &User) -> Call {
    host.delete(path(organization, user)).bearer(&caller.token)
}

async fn role_of(host: &TestHost, organization: OrganizationId, user: &User) -> Option<String> {
    let rows = host
        .query(&format!(
            "SELECT role FROM memberships WHERE organization_id = '{}' AND user_id = {}",
            organization.as_uuid(),
            sql_id(user.id)
        ))
        .await;
    rows.first().map(|row| row.get(0))
}

api_tests![
    lists_the_members_in_pages,
    anyone_but_the_last_owner_may_leave,
    an_owner_is_left_whatever_happens_at_once,
    nobody_reaches_beyond_their_own_role,
    refuses,
];

api_tests![
    fresh_too:
    a_new_role_holds_for_the_next_request,
    a_removal_ends_cached_access,
];

async fn lists_the_members_in_pages(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let organization = host.organization_of(&ada).await;
    let mut expected = vec![json!(ada.id)];
    for role in ["admin", "member", "member"] {
        expected.insert(0, json!(host.member_of(organization, role).await.id));
    }
    let mut seen: Vec<Value> = Vec::new();
    let mut cursor = Some(String::new());
    while let Some(after) = cursor {
        let target = format!("{ORGANIZATIONS}/{organization}/members?limit=3{after}");
        let page = host.get(target).bearer(&ada.token).send().await.expect(200);
        let body = page.json();
        for member in body["members"].as_array().into_iter().flatten() {
            seen.push(member["user_id"].clone());
        }
        cursor = body["next_cursor"]
            .as_str()
            .map(|text| format!("&cursor={text}"));
    }
    assert_eq!(seen, expected, "the latest joined first");
}

async fn a_new_role_holds_for_the_next_request(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let organization = host.organization_of(&ada).await;
    host.own_role(organization, "guest", &["organization:read"])
        .await;
    let admin = host.member_of(organization, "admin").await;
    let me = host.get(ME).bearer(&admin.token);
    let balance = host.get(BALANCE).bearer(&admin.token);
    let asks = host.introspect_call(&admin.token, &ada.token);
    let asked = host.introspect_call(&ada.token, &admin.token);
    for call in [&me, &balance, &asks, &asked] {
        host.warm(call).await;
    }
    for _ in 0..2 {
        let changed = change(host, &ada, organization, &admin, "guest")
            .send()
            .await
            .expect(200);
        assert_eq!(changed.text_at("/role"), "guest");
        let seen = me.send().await.expect(200);
        assert_eq!(seen.json()["permissions"], json!(["organization:read"]));
        refuse(host, balance.clone(), 403, "forbidden", &[]).await;
        refuse(host, asks.clone(), 403, "forbidden", &[]).await;
        let seen = asked.send().await.expect(200);
        assert_eq!(seen.json()["scope"], json!("organization:read"), "{seen}");
    }
    change(host, &ada, organization, &admin, "member")
        .send()
        .await
        .expect(200);
    balance.send().await.expect(200);
    let rows = host
        .query(
            "SELECT detail::text FROM audit_events WHERE event_type = 'member.role_changed'
              ORDER BY sequence",
        )
        .await;
    let details: Vec<Value> = rows
        .iter()
        .map(|row| serde_json::from_str(row.get(0)).unwrap_or_default())
        .collect();
    assert_eq!(
        details,
        [
            json!({"role": "guest", "previous_role": "admin"}),
            json!({"role": "member", "previous_role": "guest"})
        ],
        "the same role again is no change"
    );
}

async fn a_removal_ends_cached_access(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let organization = host.organization_of(&ada).await;
    let admin = host.member_of(organization, "admin").await;
    let own = host.organization_of(&admin).await;
    let elsewhere = host.token_in(&admin, own).await;
    let key = host
        .issue_api_key(&admin, &["credits:read", "tokens:introspect"])
        .await;
    let calls = [
        host.get(ME).bearer(&admin.token),
        host.get(BALANCE).bearer(&admin.token),
        host.introspect_call(&admin.token, &ada.token),
        host.get(ME).bearer(&key.key),
        host.get(BALANCE).bearer(&key.key),
    ];
    let asked = host.introspect_call(&ada.token, &admin.token);
    for call in calls.iter().chain([&asked]) {
        host.warm(call).await;
    }
    let removed = remove(host, &ada, organization, &admin)
        .send()
        .await
        .expect(200);
    assert_eq!(removed.json(), json!({"status": "removed"}));
    for call in &calls {
        call.send().await.expect_problem(401, "unauthenticated");
    }
    let seen = asked.send().await.expect(200);
    assert_eq!(seen.json(), json!({"active": false}));
    refuse(
        host,
        remove(host, &ada, organization, &admin),
        404,
        "not_found",
        &[],
    )
    .await;
    // Elsewhere they are who they were.
    host.get(ME).bearer(&elsewhere).send().await.expect(200);
    // Coming back brings no session and no key back.
    host.execute(&format!(
        "INSERT INTO memberships (organization_id, user_id, role) VALUES ('{}', {}, 'admin')",
        organization.as_uuid(),
        sql_id(admin.id)
    ))
    .await;
    for call in &calls {
        call.send().await.expect_problem(401, "unauthenticated");
    }
}

async fn anyone_but_the_last_owner_may_leave(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let organization = host.organization_of(&ada).await;
    let member = host.member_of(organization, "member").await;
    // A key leaves for nobody.
    let key = host.issue_api_key(&member, &["organization:read"]).await;
    let call = host.delete(path(organization, &member)).bearer(&key.key);
    refuse(host, call, 403, "forbidden", &[]).await;
    remove(host, &member, organization, &member)
        .send()
        .await
        .expect(200);
    assert_eq!(role_of(host, organization, &member).await, None);
    let call = remove(host, &ada, organization, &ada);
    refuse(host, call, 409, "last_owner", &[]).await;
    let call = change(host, &ada, organization, &ada, "admin");
    refuse(host, call, 409, "last_owner", &[]).await;
    // An owner who cannot sign in keeps no organization.
    let other = host.member_of(organization, "owner").await;
    host.execute(&format!(
        "UPDATE users SET disabled_at = now() WHERE id = {}",
        sql_id(other.id)
    ))
    .await;
    let call = remove(host, &ada, organization, &ada);
    refuse(host, call, 409, "last_owner", &[]).await;
    host.execute("UPDATE users SET disabled_at = NULL").await;
    remove(host, &ada, organization, &ada)
        .send()
        .await
        .expect(200);
    assert_eq!(
        role_of(host, organization, &other).await.as_deref(),
        Some("owner")
    );
}

async fn an_owner_is_left_whatever_happens_at_once(host: &TestHost) {
    host.fail_on_deadlock().await;
    for round in 0..4 {
        let ada = host.new_user("ada").await;
        let organization = host.organization_of(&ada).await;
        let bob = host.member_of(organization, "owner").await;
        let pairs = [(&ada, &bob), (&bob, &ada), (&ada, &ada), (&bob, &bob)];
        let calls = pairs.map(|(caller, user)| match round % 2 {
            0 => change(host, caller, organization, user, "member"),
            _ => remove(host, caller, organization, user),
        });
        let responses = join_all(calls.iter().map(Call::settle)).await;
        // To be made a member twice is to be one: so one or two are done.
        assert!(responses.iter().any(|response| response.status == 200));
        let rows = host
            .query(&format!(
                "SELECT count(*) FROM memberships WHERE organization_id = '{}' AND role = 'owner'",
                organization.as_uuid()
            ))
            .await;
        assert_eq!(rows[0].get::<_, i64>(0), 1);
    }
}

async fn nobody_reaches_beyond_their_own_role(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let organization = host.organization_of(&ada).await;
    let admin = host.member_of(organization, "admin").await;
    let member = host.member_of(organization, "member").await;
    host.own_role(organization, "role_maker", &["roles:manage"])
        .await;
    for (user, role) in [
        (&admin, "owner"),
        (&member, "owner"),
        (&member, "role_maker"),
        (&ada, "member"),
    ] {
        let call = change(host, &admin, organization, user, role);
        refuse(host, call, 403, "role_exceeds_own", &[]).await;
    }
    let call = remove(host, &admin, organization, &ada);
    refuse(host, call, 403, "role_exceeds_own", &[]).await;
    // A key reaches as far as its scopes, and not as far as its user.
    let key = host.issue_api_key(&ada, &["members:manage"]).await.key;
    let call = host
        .patch(path(organization, &member))
        .bearer(&key)
        .json(&json!({"role": "admin"}));
    refuse(host, call, 403, "role_exceeds_own", &[]).await;
    let call = host.delete(path(organization, &member)).bearer(&key);
    refuse(host, call, 403, "role_exceeds_own", &[]).await;
    // The platform's role is for no membership, whoever gives it.
    let platform = host.new_user("platform").await;
    host.execute(&format!(
        "UPDATE users SET platform_role = 'platform_admin' WHERE id = {0};
         INSERT INTO memberships (organization_id, user_id, role) VALUES ('{1}', {0}, 'owner')",
        sql_id(platform.id),
        organization.as_uuid()
    ))
    .await;
    let token = host.token_in(&platform, organization).await;
    let call = host
        .patch(path(organization, &member))
        .bearer(&token)
        .json(&json!({"role": "platform_admin"}));
    refuse(host, call, 422, "invalid_fields", &["role"]).await;
    for (user, role) in [(&ada, "owner"), (&admin, "admin"), (&member, "member")] {
        assert_eq!(
            role_of(host, organization, user).await.as_deref(),
            Some(role)
        );
    }
    // An admin makes admins.
    change(host, &admin, organization, &member, "admin")
        .send()
        .await
        .expect(200);
}

async fn refuses(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let eve = host.new_user("eve").await;
    let organization = host.organization_of(&ada).await;
    let member = host.member_of(organization, "member").await;
    let all = format!("{ORGANIZATIONS}/{organization}/members");
    let one = path(organization, &member);
    let valid = json!({"role": "member"});
    for role in [
        json!(""),
        json!("x".repeat(33)),
        json!("nobody_has_it"),
        json!("Owner"),
        json!(null),
        json!(1),
    ] {
        let call = host
            .patch(&one)
            .bearer(&ada.token)
            .json(&json!({"role": role}));
        refuse(host, call, 422, "invalid_fields", &["role"]).await;
    }
    // Another organization's own role is none of this one's.
    let elsewhere = host.organization_of(&eve).await;
    host.own_role(elsewhere, "guest", &[]).await;
    let call = change(host, &ada, organization, &member, "guest");
    refuse(host, call, 422, "invalid_fields", &["role"]).await;
    for caller in [
        &eve.token,
        &host
            .token_in(&member, host.organization_of(&member).await)
            .await,
    ] {
        for call in [
            host.get(&all),
            host.patch(&one).json(&valid),
            host.delete(&one),
        ] {
            refuse(host, call.bearer(caller), 404, "not_found", &[]).await;
        }
    }
    let call = change(host, &ada, organization, &eve, "member");
    refuse(host, call, 404, "not_found", &[]).await;
    for id in ["usr_1", "usr_0193e7a1b2c37d4e8f90a1b2c3d4e5f6", "%00"] {
        let call = host.delete(format!("{all}/{id}")).bearer(&ada.token);
        refuse(host, call, 404, "not_found", &[]).await;
    }
    for query in ["limit=0", "limit=101", "cursor=x"] {
        let name = query.split('=').next().unwrap_or_default();
        let call = host.get(format!("{all}?{query}")).bearer(&ada.token);
        refuse(host, call, 400, "invalid_parameter", &[name]).await;
    }
    let call = change(host, &member, organization, &member, "member");
    refuse(host, call, 403, "forbidden", &[]).await;
    let call = remove(host, &member, organization, &ada);
    refuse(host, call, 403, "forbidden", &[]).await;
    let introspect = host.post(INTROSPECT).bearer(&member.token).form("token=x");
    refuse(host, introspect, 403, "forbidden", &[]).await;
}
