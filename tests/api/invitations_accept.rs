use futures::future::join_all;
use serde_json::json;
use shared::ids::OrganizationId;
use shared::token::TokenKind;
use turnpike_tests::personas::{
    ACCEPT, ME, ORGANIZATIONS, SESSION_ORGANIZATION, invented_in, sql_id,
};
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::refusals::refuse;

fn accept(host: &TestHost, user: &User, token: &str) -> Call {
    host.post(ACCEPT)
        .bearer(&user.token)
        .json(&json!({"token": token}))
}

/// Invites the user; returns the token that they are mailed.
async fn invite(
    host: &TestHost,
    caller: &User,
    organization: OrganizationId,
    user: &User,
    role: &str,
) -> String {
    host.execute("DELETE FROM outbox_messages").await;
    host.post(format!("{ORGANIZATIONS}/{organization}/invitations"))
        .bearer(&caller.token)
        .json(&json!({"email": user.email, "role": role}))
        .send()
        .await
        .expect(201);
    host.newest_mail_token("invitation", &user.email).await
}

api_tests![
    makes_its_recipient_a_member,
    makes_one_membership_of_many_at_once,
    is_for_its_recipient_alone,
    is_dead_once_expired_or_used,
    refuses
];

async fn makes_its_recipient_a_member(host: &TestHost) {
    let ada = host.verified_user("ada").await;
    let bob = host.new_user("bob").await;
    let organization = host.organization_of(&ada).await;
    let token = invite(host, &ada, organization, &bob, "member").await;
    let me = host.get(ME).bearer(&bob.token);
    host.warm(&me).await;
    // A repetition after a lost answer is answered alike.
    for _ in 0..2 {
        let accepted = accept(host, &bob, &token).send().await.expect(200);
        assert_eq!(accepted.text_at("/id"), organization.to_string());
        assert_eq!(accepted.text_at("/role"), "member");
    }
    let seen = me.send().await.expect(200);
    assert_ne!(
        seen.text_at("/organization_id"),
        organization.to_string(),
        "the session goes on where it was"
    );
    let changed = host
        .put(SESSION_ORGANIZATION)
        .bearer(&bob.token)
        .json(&json!({"organization_id": organization}))
        .send()
        .await
        .expect(200);
    let me = host.get(ME).bearer(&changed.text_at("/access_token"));
    let seen = me.send().await.expect(200);
    assert_eq!(seen.text_at("/organization_id"), organization.to_string());
    let rows = host
        .query(&format!(
            "SELECT (SELECT email_verified_at IS NOT NULL FROM users WHERE id = {0}),
                    (SELECT count(*) FROM audit_events WHERE event_type = 'member.joined' AND actor_id = {0})",
            sql_id(bob.id)
        ))
        .await;
    assert!(rows[0].get::<_, bool>(0), "the mail arrived");
    assert_eq!(rows[0].get::<_, i64>(1), 1);
}

async fn makes_one_membership_of_many_at_once(host: &TestHost) {
    host.fail_on_deadlock().await;
    let ada = host.verified_user("ada").await;
    let bob = host.new_user("bob").await;
    let organization = host.organization_of(&ada).await;
    let token = invite(host, &ada, organization, &bob, "member").await;
    let calls: Vec<Call> = (0..8).map(|_| accept(host, &bob, &token)).collect();
    for response in join_all(calls.iter().map(Call::settle)).await {
        response.expect(200);
    }
    let rows = host
        .query(&format!(
            "SELECT (SELECT count(*) FROM memberships WHERE user_id = {0}),
                    (SELECT count(*) FROM audit_events WHERE event_type = 'member.joined')",
            sql_id(bob.id)
        ))
        .await;
    assert_eq!(rows[0].get::<_, i64>(0), 2, "their own, and the other");
    assert_eq!(rows[0].get::<_, i64>(1), 1);
}

async fn is_for_its_recipient_alone(host: &TestHost) {
    let ada = host.verified_user("ada").await;
    let (bob, eve) = (host.new_user("bob").await, host.new_user("eve").await);
    let organization = host.organization_of(&ada).await;
    let token = invite(host, &ada, organization, &bob, "member").await;
    let before = accept(host, &eve, &token);
    refuse(host, before.clone(), 403, "wrong_recipient", &[]).await;
    let key = host.issue_api_key(&bob, &["organization:read"]).await.key;
    let call = host
        .post(ACCEPT)
        .bearer(&key)
        .json(&json!({"token": token}));
    refuse(host, call, 403, "session_required", &[]).await;
    accept(host, &bob, &token).send().await.expect(200);
    refuse(host, before, 403, "wrong_recipient", &[]).await;
}

async fn is_dead_once_expired_or_used(host: &TestHost) {
    let ada = host.verified_user("ada").await;
    let bob = host.new_user("bob").await;
    let organization = host.organization_of(&ada).await;
    let token = invite(host, &ada, organization, &bob, "member").await;
    host.execute("UPDATE invitations SET expires_at = now() - interval '1 second'")
        .await;
    refuse(
        host,
        accept(host, &bob, &token),
        422,
        "invalid_fields",
        &["token"],
    )
    .await;

    let token = invite(host, &ada, organization, &bob, "member").await;
    accept(host, &bob, &token).send().await.expect(200);
    host.delete(format!("{ORGANIZATIONS}/{organization}/members/{}", bob.id))
        .bearer(&ada.token)
        .send()
        .await
        .expect(200);
    // It made a member once, and brings back nobody who was removed.
    refuse(
        host,
        accept(host, &bob, &token),
        422,
        "invalid_fields",
        &["token"],
    )
    .await;

    host.own_role(organization, "guest", &[]).await;
    let token = invite(host, &ada, organization, &bob, "guest").await;
    host.execute("DELETE FROM roles WHERE name = 'guest'").await;
    refuse(host, accept(host, &bob, &token), 409, "role_gone", &[]).await;
    host.own_role(organization, "guest", &[]).await;
    accept(host, &bob, &token).send().await.expect(200);
}

async fn refuses(host: &TestHost) {
    let ada = host.new_user("ada").await;
    for token in [
        json!(""),
        json!("x".repeat(513)),
        json!("a\0b"),
        json!(null),
        json!(1),
    ] {
        let call = host
            .post(ACCEPT)
            .bearer(&ada.token)
            .json(&json!({"token": token}));
        refuse(host, call, 422, "invalid_fields", &["token"]).await;
    }
    let organization = host.organization_of(&ada).await;
    let [of_nobody, invented] = [OrganizationId::NONE, organization]
        .map(|organization| invented_in(organization, TokenKind::Email, ada.id));
    for token in ["tpe_x", &ada.token, &of_nobody, &invented] {
        refuse(
            host,
            accept(host, &ada, token),
            422,
            "invalid_fields",
            &["token"],
        )
        .await;
    }
}
