use futures::future::{join, join_all};
use serde_json::{Value, json};
use shared::ids::OrganizationId;
use turnpike_tests::personas::{BALANCE, ME, ORGANIZATIONS, sql_id};
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::refusals::refuse;

fn path(organization: OrganizationId, name: &str) -> String {
    format!("{ORGANIZATIONS}/{organization}/roles/{name}")
}

fn put(
    host: &TestHost,
    caller: &User,
    organization: OrganizationId,
    name: &str,
    permissions: &[&str],
) -> Call {
    host.put(path(organization, name))
        .bearer(&caller.token)
        .json(&json!({"permissions": permissions}))
}

fn assign(host: &TestHost, caller: &User, organization: OrganizationId, user: &User) -> Call {
    host.patch(format!(
        "{ORGANIZATIONS}/{organization}/members/{}",
        user.id
    ))
    .bearer(&caller.token)
    .json(&json!({"role": "auditor"}))
}

api_tests![
    are_made_changed_listed_and_deleted,
    nobody_gives_what_they_lack,
    are_bounded,
    refuses,
];

api_tests![
    fresh_too:
    a_change_holds_for_the_next_request_of_every_holder,
    a_change_reaches_who_is_given_the_role_meanwhile,
];

async fn are_made_changed_listed_and_deleted(host: &TestHost) {
    let ada = host.verified_user("ada").await;
    let organization = host.organization_of(&ada).await;
    let made = put(
        host,
        &ada,
        organization,
        "auditor",
        &["credits:read", "audit:read", "audit:read"],
    );
    let expected = json!({"name": "auditor", "is_built_in": false, "permissions": ["audit:read", "credits:read"]});
    for _ in 0..2 {
        assert_eq!(made.send().await.expect(200).json(), expected);
    }
    let list = host
        .get(format!("{ORGANIZATIONS}/{organization}/roles"))
        .bearer(&ada.token);
    let listed = list.send().await.expect(200).json();
    let names: Vec<&Value> = listed["roles"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|role| &role["name"])
        .collect();
    assert_eq!(names, ["admin", "member", "owner", "auditor"]);
    let delete = host
        .delete(path(organization, "auditor"))
        .bearer(&ada.token);
    let member = host.member_of(organization, "auditor").await;
    refuse(host, delete.clone(), 409, "role_in_use", &[]).await;
    host.execute(&format!(
        "UPDATE memberships SET role = 'member' WHERE user_id = {} AND role = 'auditor'",
        sql_id(member.id)
    ))
    .await;
    let invitations = format!("{ORGANIZATIONS}/{organization}/invitations");
    let invited = host
        .post(&invitations)
        .bearer(&ada.token)
        .json(&json!({"email": "bob@example.com", "role": "auditor"}))
        .send()
        .await
        .expect(201);
    refuse(host, delete.clone(), 409, "role_in_use", &[]).await;
    host.delete(format!("{invitations}/{}", invited.text_at("/id")))
        .bearer(&ada.token)
        .send()
        .await
        .expect(200);
    let deleted = delete.send().await.expect(200);
    assert_eq!(deleted.json(), json!({"status": "deleted"}));
    refuse(host, delete, 404, "not_found", &[]).await;
    let rows = host
        .query(
            "SELECT event_type FROM audit_events WHERE event_type LIKE 'role.%' ORDER BY sequence",
        )
        .await;
    let events: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(events, ["role.created", "role.deleted"]);
}

async fn a_change_holds_for_the_next_request_of_every_holder(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let organization = host.organization_of(&ada).await;
    put(
        host,
        &ada,
        organization,
        "auditor",
        &["credits:read", "tokens:introspect", "api_keys:manage"],
    )
    .send()
    .await
    .expect(200);
    let mut calls = Vec::new();
    for _ in 0..3 {
        let holder = host.member_of(organization, "auditor").await;
        let key = host.issue_api_key(&holder, &["credits:read"]).await.key;
        calls.push([
            host.get(ME).bearer(&holder.token),
            host.introspect_call(&ada.token, &holder.token),
            host.get(BALANCE).bearer(&holder.token),
            host.introspect_call(&holder.token, &ada.token),
            host.get(BALANCE).bearer(&key),
        ]);
    }
    for _ in 0..2 {
        for call in calls.iter().flatten() {
            host.warm(call).await;
        }
        put(host, &ada, organization, "auditor", &["audit:read"])
            .send()
            .await
            .expect(200);
        for [me, asked, lost @ ..] in &calls {
            let seen = me.send().await.expect(200);
            assert_eq!(seen.json()["permissions"], json!(["audit:read"]), "{seen}");
            let seen = asked.send().await.expect(200);
            assert_eq!(seen.json()["scope"], json!("audit:read"), "{seen}");
            for call in lost {
                refuse(host, call.clone(), 403, "forbidden", &[]).await;
            }
        }
        put(
            host,
            &ada,
            organization,
            "auditor",
            &["credits:read", "tokens:introspect"],
        )
        .send()
        .await
        .expect(200);
    }
}

/// A change and assignments at the same time: afterwards every holder has what the role has.
async fn a_change_reaches_who_is_given_the_role_meanwhile(host: &TestHost) {
    host.fail_on_deadlock().await;
    let ada = host.new_user("ada").await;
    let organization = host.organization_of(&ada).await;
    let mut members = Vec::new();
    for _ in 0..6 {
        members.push(host.member_of(organization, "member").await);
    }
    put(host, &ada, organization, "auditor", &["credits:read"])
        .send()
        .await
        .expect(200);
    for member in &members {
        host.warm(&host.get(ME).bearer(&member.token)).await;
    }
    let assignments = join_all(members.iter().map(async |member| {
        let call = assign(host, &ada, organization, member);
        call.settle().await.expect(200);
        host.warm(&host.get(ME).bearer(&member.token)).await;
    }));
    let change = put(host, &ada, organization, "auditor", &["audit:read"]);
    let (_, changed) = join(assignments, change.settle()).await;
    changed.expect(200);
    for member in &members {
        let me = host.get(ME).bearer(&member.token).send().await.expect(200);
        assert_eq!(me.json()["permissions"], json!(["audit:read"]), "{me}");
    }
}

async fn nobody_gives_what_they_lack(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let organization = host.organization_of(&ada).await;
    host.own_role(
        organization,
        "role_maker",
        &["roles:manage", "credits:read"],
    )
    .await;
    host.own_role(organization, "strong", &["members:manage"])
        .await;
    let maker = host.member_of(organization, "role_maker").await;
    put(host, &maker, organization, "reader", &["credits:read"])
        .send()
        .await
        .expect(200);
    for (name, permissions) in [
        ("reader", ["members:manage"].as_slice()),
        ("mine", &["credits:read", "audit:read"]),
        ("role_maker", &["roles:manage", "audit:read"]),
        // Weakening a stronger role than one's own is reaching beyond it too.
        ("strong", &[]),
    ] {
        let call = put(host, &maker, organization, name, permissions);
        refuse(host, call, 403, "role_exceeds_own", &[]).await;
    }
    let call = host
        .delete(path(organization, "strong"))
        .bearer(&maker.token);
    refuse(host, call, 403, "role_exceeds_own", &[]).await;
    // What reaches across tenants is in no organization's role, even for one who has it.
    host.execute(&format!(
        "UPDATE users SET platform_role = 'platform_admin' WHERE id = {}",
        sql_id(ada.id)
    ))
    .await;
    for permission in ["credits:grant", "users:manage", "credits:reed", "*"] {
        let call = put(host, &ada, organization, "mine", &[permission]);
        refuse(host, call, 422, "invalid_fields", &["permissions"]).await;
    }
}

async fn are_bounded(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let organization = host.organization_of(&ada).await;
    host.execute(&format!(
        "INSERT INTO roles (organization_id, name, permissions)
         SELECT '{}', 'role_' || n, '{{}}' FROM generate_series(1, 100) n",
        organization.as_uuid()
    ))
    .await;
    let call = put(host, &ada, organization, "one_more", &[]);
    refuse(host, call, 409, "role_limit", &[]).await;
    put(host, &ada, organization, "role_1", &["credits:read"])
        .send()
        .await
        .expect(200);
    let hold = |count: i32| {
        format!(
            "WITH made AS (
                 INSERT INTO users (id, email, password_hash)
                 SELECT gen_random_uuid(), gen_random_uuid() || '@example.com', 'none'
                   FROM generate_series(1, {count}) RETURNING id)
             INSERT INTO memberships (organization_id, user_id, role)
             SELECT '{}', id, 'role_1' FROM made",
            organization.as_uuid()
        )
    };
    host.execute(&hold(500)).await;
    let call = put(host, &ada, organization, "role_1", &["audit:read"]);
    call.settle().await.expect(200);
    host.execute(&hold(1)).await;
    refuse(host, call, 409, "role_widely_held", &[]).await;
}

async fn refuses(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let eve = host.new_user("eve").await;
    let organization = host.organization_of(&ada).await;
    let admin = host.member_of(organization, "admin").await;
    host.own_role(organization, "guest", &[]).await;
    let all = format!("{ORGANIZATIONS}/{organization}/roles");
    let one = path(organization, "guest");
    let valid = json!({"permissions": ["credits:read"]});
    for (permissions, field) in [
        (json!(null), "permissions"),
        (json!("credits:read"), "permissions"),
        (json!([1]), "permissions[0]"),
        (json!(["credits:read", ""]), "permissions[1]"),
        (json!(vec!["credits:read"; 33]), "permissions"),
    ] {
        let call = host
            .put(&one)
            .bearer(&ada.token)
            .json(&json!({"permissions": permissions}));
        refuse(host, call, 422, "invalid_fields", &[field]).await;
    }
    for name in ["Guest", "2nd", "a-b", "a%20b", &"a".repeat(33)] {
        let call = put(host, &ada, organization, name, &[]);
        refuse(host, call, 400, "invalid_parameter", &["name"]).await;
    }
    for name in ["owner", "admin", "member", "platform_admin"] {
        let call = put(host, &ada, organization, name, &[]);
        refuse(host, call, 409, "role_is_built_in", &[]).await;
        let call = host.delete(path(organization, name)).bearer(&ada.token);
        refuse(host, call, 409, "role_is_built_in", &[]).await;
    }
    for call in [
        host.get(&all),
        host.put(&one).json(&valid),
        host.delete(&one),
    ] {
        refuse(host, call.bearer(&eve.token), 404, "not_found", &[]).await;
    }
    let call = put(host, &admin, organization, "guest", &[]);
    refuse(host, call, 403, "forbidden", &[]).await;
    let call = host.delete(&one).bearer(&admin.token);
    refuse(host, call, 403, "forbidden", &[]).await;
    let call = host.delete(path(organization, "gone")).bearer(&ada.token);
    refuse(host, call, 404, "not_found", &[]).await;
}
