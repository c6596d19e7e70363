use futures::future::join_all;
use serde_json::{Value, json};
use shared::ids::OrganizationId;
use turnpike_tests::personas::{ACCEPT, ORGANIZATIONS};
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::refusals::refuse;

fn path(organization: OrganizationId) -> String {
    format!("{ORGANIZATIONS}/{organization}/invitations")
}

fn invite(
    host: &TestHost,
    caller: &User,
    organization: OrganizationId,
    email: &str,
    role: &str,
) -> Call {
    host.post(path(organization))
        .bearer(&caller.token)
        .json(&json!({"email": email, "role": role}))
}

async fn listed(host: &TestHost, caller: &User, organization: OrganizationId) -> Vec<Value> {
    let call = host.get(path(organization)).bearer(&caller.token);
    let body = call.send().await.expect(200).json();
    body["invitations"].as_array().cloned().unwrap_or_default()
}

api_tests![
    mails_a_token_that_is_stored_nowhere,
    a_second_one_replaces_the_first,
    is_taken_back,
    are_bounded,
    nobody_invites_beyond_their_own_role,
    refuses
];

async fn mails_a_token_that_is_stored_nowhere(host: &TestHost) {
    let ada = host.verified_user("ada").await;
    let organization = host.organization_of(&ada).await;
    let call = invite(host, &ada, organization, "Bob@Example.COM", "member");
    let made = call.send().await.expect(201);
    assert_eq!(made.text_at("/email"), "bob@example.com");
    assert_eq!(made.text_at("/invited_by"), ada.id.to_string());
    assert_eq!(listed(host, &ada, organization).await, [made.json()]);
    let rows = host
        .query(
            "SELECT recipient, token, detail::text FROM outbox_messages WHERE kind = 'invitation'",
        )
        .await;
    assert_eq!(rows.len(), 1);
    let (recipient, token): (&str, &str) = (rows[0].get(0), rows[0].get(1));
    assert_eq!(recipient, "bob@example.com");
    assert!(token.starts_with("tpe_"), "{token}");
    assert!(
        !String::from_utf8_lossy(&made.body).contains(token),
        "the token is for the mail alone\n{made}"
    );
    let detail: Value = serde_json::from_str(rows[0].get(2)).unwrap_or_default();
    assert_eq!(
        detail,
        json!({"organization_name": ada.email, "inviter_email": ada.email, "role": "member"})
    );
}

async fn a_second_one_replaces_the_first(host: &TestHost) {
    host.fail_on_deadlock().await;
    let ada = host.verified_user("ada").await;
    let organization = host.organization_of(&ada).await;
    let bob = host.new_user("bob").await;
    let first = invite(host, &ada, organization, &bob.email, "member");
    let first = first.send().await.expect(201);
    let old = host.newest_mail_token("invitation", &bob.email).await;
    host.execute("DELETE FROM outbox_messages").await;
    let second = invite(host, &ada, organization, &bob.email.to_uppercase(), "admin");
    let second = second.send().await.expect(201);
    assert_eq!(first.text_at("/id"), second.text_at("/id"));
    assert_eq!(listed(host, &ada, organization).await, [second.json()]);
    let new = host.newest_mail_token("invitation", &bob.email).await;
    let accept = |token: &str| {
        host.post(ACCEPT)
            .bearer(&bob.token)
            .json(&json!({"token": token}))
    };
    refuse(host, accept(&old), 422, "invalid_fields", &["token"]).await;
    let accepted = accept(&new).send().await.expect(200);
    assert_eq!(accepted.text_at("/role"), "admin");
    assert_eq!(listed(host, &ada, organization).await.len(), 0);
    let call = invite(host, &ada, organization, &bob.email, "member");
    refuse(host, call, 409, "already_member", &[]).await;
    // At the same moment, one is left and its token is the one that counts.
    let call = invite(host, &ada, organization, "carl@example.com", "member");
    let calls = vec![call.clone(); 5];
    for response in join_all(calls.iter().map(Call::settle)).await {
        response.expect(201);
    }
    assert_eq!(listed(host, &ada, organization).await.len(), 1);
    // Five mails an hour are enough for anybody.
    refuse(host, call, 429, "too_many_requests", &[]).await;
}

async fn is_taken_back(host: &TestHost) {
    let ada = host.verified_user("ada").await;
    let organization = host.organization_of(&ada).await;
    let bob = host.new_user("bob").await;
    let made = invite(host, &ada, organization, &bob.email, "member");
    let made = made.send().await.expect(201);
    let token = host.newest_mail_token("invitation", &bob.email).await;
    let revoke = host
        .delete(format!("{}/{}", path(organization), made.text_at("/id")))
        .bearer(&ada.token);
    for _ in 0..2 {
        let revoked = revoke.send().await.expect(200);
        assert_eq!(revoked.json(), json!({"status": "revoked"}));
    }
    assert_eq!(listed(host, &ada, organization).await.len(), 0);
    let accept = host
        .post(ACCEPT)
        .bearer(&bob.token)
        .json(&json!({"token": token}));
    refuse(host, accept, 422, "invalid_fields", &["token"]).await;
    // What was accepted is an invitation no more.
    let made = invite(host, &ada, organization, &bob.email, "member");
    let made = made.send().await.expect(201);
    host.execute("UPDATE invitations SET accepted_at = now() WHERE revoked_at IS NULL")
        .await;
    let revoke = host
        .delete(format!("{}/{}", path(organization), made.text_at("/id")))
        .bearer(&ada.token);
    refuse(host, revoke, 404, "not_found", &[]).await;
    let rows = host
        .query(
            "SELECT event_type FROM audit_events WHERE event_type LIKE 'invitation.%'
              ORDER BY sequence",
        )
        .await;
    let events: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        events,
        [
            "invitation.created",
            "invitation.revoked",
            "invitation.created"
        ]
    );
}

async fn are_bounded(host: &TestHost) {
    host.fail_on_deadlock().await;
    let ada = host.verified_user("ada").await;
    let organization = host.organization_of(&ada).await;
    host.execute(&format!(
        "INSERT INTO invitations (organization_id, id, email, role, invited_by, digest, expires_at)
         SELECT m.organization_id, owned_id(m.organization_id, gen_random_uuid()), n || '@example.com', 'member', m.user_id,
                sha256(n::text::bytea), now() + interval '1 day'
           FROM generate_series(1, 98) n, memberships m WHERE m.organization_id = '{}'",
        organization.as_uuid()
    ))
    .await;
    let calls: Vec<Call> = (0..5)
        .map(|n| {
            invite(
                host,
                &ada,
                organization,
                &format!("new-{n}@example.com"),
                "member",
            )
        })
        .collect();
    let responses = join_all(calls.iter().map(Call::settle)).await;
    let made = responses.iter().filter(|r| r.status == 201).count();
    assert_eq!(made, 2, "98 of 100 were pending");
    for response in responses {
        if response.status != 201 {
            response.expect_problem(409, "invitation_limit");
        }
    }
    invite(host, &ada, organization, "7@example.com", "member")
        .send()
        .await
        .expect(201);
    assert_eq!(listed(host, &ada, organization).await.len(), 100);
    // What has expired makes room.
    host.execute("UPDATE invitations SET expires_at = now() WHERE email = '8@example.com'")
        .await;
    assert_eq!(listed(host, &ada, organization).await.len(), 99);
    invite(host, &ada, organization, "last@example.com", "member")
        .send()
        .await
        .expect(201);
}

async fn nobody_invites_beyond_their_own_role(host: &TestHost) {
    let ada = host.verified_user("ada").await;
    let organization = host.organization_of(&ada).await;
    let admin = host.member_of(organization, "admin").await;
    host.verify_email(&admin).await;
    let made = invite(host, &ada, organization, "bob@example.com", "owner");
    let made = made.send().await.expect(201);
    let call = invite(host, &admin, organization, "carl@example.com", "owner");
    refuse(host, call, 403, "role_exceeds_own", &[]).await;
    let call = invite(host, &admin, organization, "bob@example.com", "member");
    refuse(host, call, 403, "role_exceeds_own", &[]).await;
    let call = host
        .delete(format!("{}/{}", path(organization), made.text_at("/id")))
        .bearer(&admin.token);
    refuse(host, call, 403, "role_exceeds_own", &[]).await;
    let key = host.issue_api_key(&ada, &["members:manage"]).await.key;
    let call = host
        .post(path(organization))
        .bearer(&key)
        .json(&json!({"email": "carl@example.com", "role": "member"}));
    refuse(host, call, 403, "role_exceeds_own", &[]).await;
    assert_eq!(listed(host, &ada, organization).await, [made.json()]);
    invite(host, &admin, organization, "carl@example.com", "admin")
        .send()
        .await
        .expect(201);
}

async fn refuses(host: &TestHost) {
    let ada = host.verified_user("ada").await;
    let eve = host.new_user("eve").await;
    let organization = host.organization_of(&ada).await;
    let member = host.member_of(organization, "member").await;
    let all = path(organization);
    let made = invite(host, &ada, organization, "bob@example.com", "member");
    let made = made.send().await.expect(201);
    let one = format!("{all}/{}", made.text_at("/id"));
    let valid = json!({"email": "bob@example.com", "role": "member"});
    let table = [
        (json!({}), vec!["email", "role"]),
        (json!({"email": "bob", "role": "member"}), vec!["email"]),
        (
            json!({"email": "bob@example.com\r\nbcc:eve@example.com", "role": "member"}),
            vec!["email"],
        ),
        (json!({"email": 1, "role": 1}), vec!["email", "role"]),
        (
            json!({"email": "bob@example.com", "role": "boss"}),
            vec!["role"],
        ),
        (
            json!({"email": "bob@example.com", "role": "platform_admin"}),
            vec!["role"],
        ),
    ];
    for (body, fields) in table {
        let call = host.post(&all).bearer(&ada.token).json(&body);
        refuse(host, call, 422, "invalid_fields", &fields).await;
    }
    for call in [
        host.get(&all),
        host.post(&all).json(&valid),
        host.delete(&one),
    ] {
        let call_of_member = call.clone().bearer(&member.token);
        refuse(host, call_of_member, 403, "forbidden", &[]).await;
        refuse(host, call.bearer(&eve.token), 404, "not_found", &[]).await;
    }
    for id in ["ivt_1", "ivt_0193e7a1b2c37d4e8f90a1b2c3d4e5f6", "%00"] {
        let call = host.delete(format!("{all}/{id}")).bearer(&ada.token);
        refuse(host, call, 404, "not_found", &[]).await;
    }
    assert_eq!(listed(host, &ada, organization).await, [made.json()]);
}
