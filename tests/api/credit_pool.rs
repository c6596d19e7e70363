use serde_json::{Value, json};
use shared::ids::OrganizationId;
use turnpike_tests::personas::{fresh_key, sql_id};
use turnpike_tests::pools::billing_path;
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::refusals::{check_currency_parameter, check_money_input, refuse};

api_tests![
    is_nothing_before_the_first_grant,
    takes_grants_on_terms,
    is_granted_once_for_each_key,
    gives_back_what_is_voided,
    gives_back_what_is_refunded,
    what_lapses_is_gone_when_it_says,
    lists_who_spent_what,
    refuses,
    refuses_grants,
];

api_tests![
    fresh_too:
    shows_at_once,
    the_right_to_see_it_ends_at_once,
];

fn money(amount: &str) -> Value {
    json!({"amount": amount, "currency": "USD"})
}

async fn is_nothing_before_the_first_grant(host: &TestHost) {
    let owner = host.new_user("owner").await;
    let organization = host.organization_of(&owner).await;
    let shown = host
        .pool_call(&owner, organization)
        .send()
        .await
        .expect(200);
    let expected = json!({
        "organization_id": organization, "available": money("0.00"), "held": money("0.00"),
        "total": money("0.00"), "pending": money("0.00"), "allocated": money("0.00"),
        "unallocated": money("0.00"),
    });
    assert_eq!(shown.json(), expected, "{shown}");
    let yen = billing_path(organization, "credit-pool?currency=JPY");
    let shown = host.get(yen).bearer(&owner.token).send().await.expect(200);
    assert_eq!(shown.text_at("/available/amount"), "0", "{shown}");
    let ledger = billing_path(organization, "credit-pool/transactions");
    let listed = host.get(ledger).bearer(&owner.token).send().await;
    let expected = json!({"transactions": [], "next_cursor": null});
    assert_eq!(listed.expect(200).json(), expected);
}

async fn takes_grants_on_terms(host: &TestHost) {
    let (owner, organization, admin) = host.organization_with("10").await;
    let terms = json!({
        "kind": "promotional", "priority": 7, "description": "welcome 🎁",
        "effective_at": "2130-01-01T01:00:00+02:00", "expires_at": "2131-01-01T00:00:00.5Z",
    });
    let call = host.pool_grant_call(&admin, organization, "5.5", terms);
    let granted = call.send().await.expect(201);
    assert_eq!(granted.db_queries(), 1, "one statement\n{granted}");
    assert_eq!(granted.json()["organization_id"], json!(organization));
    let grant = &granted.json()["grant"];
    let expected = [
        ("kind", json!("promotional")),
        ("priority", json!(7)),
        ("state", json!("pending")),
        ("amount", money("5.50")),
        ("description", json!("welcome 🎁")),
        ("effective_at", json!("2129-12-31T23:00:00.000000Z")),
        ("expires_at", json!("2131-01-01T00:00:00.500000Z")),
    ];
    for (member, value) in expected {
        assert_eq!(grant[member], value, "{member} of {grant}");
    }
    let shown = host
        .pool_call(&owner, organization)
        .send()
        .await
        .expect(200);
    assert_eq!(shown.json()["available"], money("10.00"), "{shown}");
    assert_eq!(shown.json()["pending"], money("5.50"), "{shown}");
    assert_eq!(shown.json()["unallocated"], money("10.00"), "{shown}");
    // It is nobody's own.
    assert_eq!(host.balance(&owner).await.to_string(), "0.00");
}

async fn is_granted_once_for_each_key(host: &TestHost) {
    let (owner, organization, admin) = host.organization_with("10").await;
    let path = billing_path(organization, "credit-pool/grants");
    let send = |amount: &str| {
        host.post(&path)
            .bearer(&admin.token)
            .idempotency_key("one")
            .json(&json!({"amount": amount, "currency": "USD"}))
    };
    let first = send("5").send().await.expect(201);
    let again = send("5").send().await.expect(201);
    assert_eq!(first.body, again.body);
    refuse(host, send("6"), 422, "idempotency_key_reused", &[]).await;
    assert_eq!(host.pool(&owner, organization).await[0], "15.00");
}

async fn gives_back_what_is_voided(host: &TestHost) {
    let (owner, organization, admin) = host.organization_with("10").await;
    let member = host.member_with(&owner, organization, "100", "never").await;
    let second = host
        .pool_grant(&admin, organization, "5", json!({"priority": 10}))
        .await;
    host.pool_spend(&member, organization, "2").await;
    host.warm(&host.pool_call(&owner, organization)).await;
    let voided = host.void_call(&admin, &second, "void").send().await;
    let voided = voided.expect(200);
    assert_eq!(voided.json()["organization_id"], json!(organization));
    assert_eq!(voided.json()["user_id"], Value::Null, "{voided}");
    assert_eq!(voided.json()["transaction"]["amount"], money("-3.00"));
    assert_eq!(host.pool(&owner, organization).await[0], "10.00");
    let again = host.void_call(&admin, &second, "void").send().await;
    assert_eq!(again.expect(200).body, voided.body);
    let call = host.void_call(&owner, &second, &fresh_key());
    refuse(host, call, 403, "forbidden", &[]).await;
}

/// A refund gives the credits back to the pool, and the room to the member who spent them, if
/// they have their allocation still and its period lasts.
async fn gives_back_what_is_refunded(host: &TestHost) {
    let (owner, organization, admin) = host.organization_with("100").await;
    let member = host.member_with(&owner, organization, "10", "month").await;
    let used = async || host.used_of_allocation(&member).await;
    let refund = async |id: &str, amount: Option<&str>| {
        let call = host.refund_call(&admin, id, amount, &fresh_key());
        let response = call.send().await.expect(201);
        assert_eq!(response.json()["organization_id"], json!(organization));
        assert_eq!(response.json()["user_id"], Value::Null, "{response}");
    };
    let spent = host.pool_spend(&member, organization, "6").await;
    host.warm(&host.pool_call(&owner, organization)).await;
    refund(&spent, Some("2")).await;
    assert_eq!(used().await.as_deref(), Some("4.000000000"));
    assert_eq!(
        host.pool(&owner, organization).await,
        ["96.00", "6.00", "90.00"]
    );
    // Another reset is another period, to which the spend does not belong.
    host.allocate(&owner, organization, &member, "10", "day")
        .await;
    refund(&spent, Some("1")).await;
    assert_eq!(used().await.as_deref(), Some("0.000000000"));
    // So it is once a period is over, whether or not another has been seen.
    let spent = host.pool_spend(&member, organization, "6").await;
    host.execute(
        "UPDATE credit_pool_allocations
            SET period_started_at = clock_timestamp() - interval '1 minute',
                period_ends_at = clock_timestamp()",
    )
    .await;
    refund(&spent, Some("1")).await;
    let second = host.pool_spend(&member, organization, "3").await;
    assert_eq!(used().await.as_deref(), Some("3.000000000"));
    refund(&spent, None).await;
    assert_eq!(used().await.as_deref(), Some("3.000000000"));
    refund(&second, None).await;
    assert_eq!(used().await.as_deref(), Some("0.000000000"));
    // And where there is no allocation any more.
    let spent = host.pool_spend(&member, organization, "3").await;
    let allocation = format!("credit-pool/allocations/{}", member.id);
    host.delete(billing_path(organization, &allocation))
        .bearer(&owner.token)
        .send()
        .await
        .expect(200);
    refund(&spent, None).await;
    assert_eq!(used().await, None);
    assert_eq!(host.pool(&owner, organization).await[0], "97.00");
}

/// Gives US dollars that lapse a second and a half from now, or later if the machine is too slow
/// to make such a grant in time.
async fn pool_grant_for_a_moment(
    host: &TestHost,
    admin: &User,
    organization: OrganizationId,
    amount: &str,
) {
    for millis in [1_500, 6_000, 24_000, 96_000] {
        let expires_at = host.time_in(&format!("{millis} milliseconds")).await;
        let terms = json!({"expires_at": expires_at});
        let call = host.pool_grant_call(admin, organization, amount, terms);
        let response = call.settle().await;
        if response.status == 201 {
            return;
        }
        response.expect_fields(422, "invalid_fields", &["expires_at"]);
    }
    panic!("no grant was made before its own end");
}

async fn what_lapses_is_gone_when_it_says(host: &TestHost) {
    let (owner, organization, admin) = host.organization_with("2").await;
    let member = host.member_with(&owner, organization, "100", "never").await;
    pool_grant_for_a_moment(host, &admin, organization, "5").await;
    // Read again and again, so that it is in the cache unless the machine is very slow.
    for _ in 0..5 {
        host.pool(&owner, organization).await;
    }
    host.wait_until_due("credit_grants", "expires_at").await;
    assert_eq!(host.pool(&owner, organization).await[0], "2.00");
    host.pool_spend_call(&member, organization, "2.01", &fresh_key())
        .send()
        .await
        .expect_problem(402, "insufficient_credits");
    let (lapsed, _) = list(host, &owner, organization, "?kind=expire").await;
    assert_eq!(lapsed.len(), 1);
}

async fn list(
    host: &TestHost,
    caller: &User,
    organization: OrganizationId,
    query: &str,
) -> (Vec<Value>, Option<String>) {
    let rest = format!("credit-pool/transactions{query}");
    let call = host.get(billing_path(organization, &rest));
    let body = call.bearer(&caller.token).send().await.expect(200).json();
    let listed = body["transactions"].as_array().cloned().unwrap_or_default();
    (listed, body["next_cursor"].as_str().map(str::to_owned))
}

async fn lists_who_spent_what(host: &TestHost) {
    let (owner, organization, admin) = host.organization_with("100").await;
    let mut expected = vec![json!(["grant", admin.id, "100.00"])];
    for amount in ["1", "2", "3"] {
        let member = host.member_with(&owner, organization, "10", "week").await;
        let spent = host.pool_spend(&member, organization, amount).await;
        expected.push(json!(["consume", member.id, format!("-{amount}.00")]));
        if amount == "3" {
            host.refund_call(&admin, &spent, Some("1"), &fresh_key())
                .send()
                .await
                .expect(201);
            expected.push(json!(["refund", admin.id, "1.00"]));
        }
    }
    expected.reverse();
    let mut seen = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let (page, cursor) = list(host, &owner, organization, &query).await;
        seen.extend(
            page.iter()
                .map(|t| json!([t["kind"], t["actor_id"], t["amount"]["amount"]])),
        );
        let Some(cursor) = cursor else { break };
        query = format!("?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, expected);
    let (grants, _) = list(host, &owner, organization, "?kind=grant").await;
    assert_eq!(grants.len(), 1);
    let since = "?since=2100-01-01T00:00:00Z";
    assert_eq!(list(host, &owner, organization, since).await.0.len(), 0);
    let until = "?until=2100-01-01T00:00:00Z&currency=USD";
    assert_eq!(list(host, &owner, organization, until).await.0.len(), 5);
    // What fell due has no actor.
    host.execute(
        "UPDATE credit_grants SET effective_at = now() - interval '2 days', expires_at = now();
         UPDATE credit_accounts SET next_due_at = now()",
    )
    .await;
    let (lapsed, _) = list(host, &owner, organization, "?limit=1").await;
    assert_eq!(lapsed[0]["kind"], "expire");
    assert_eq!(lapsed[0]["actor_id"], Value::Null);
}

/// Whatever changes the pool or what is allocated of it, the next read has it.
async fn shows_at_once(host: &TestHost) {
    let (owner, organization, admin) = host.organization_with("100").await;
    let member = host.member_with(&owner, organization, "10", "never").await;
    let warm = async |expected: [&str; 3]| {
        let shown = host.warm(&host.pool_call(&owner, organization)).await;
        assert_eq!(shown.db_queries(), 0, "{shown}");
        assert_eq!(host.pool(&owner, organization).await, expected);
    };
    warm(["100.00", "10.00", "90.00"]).await;
    let spent = host.pool_spend(&member, organization, "4").await;
    warm(["96.00", "6.00", "90.00"]).await;
    host.refund_call(&admin, &spent, None, &fresh_key())
        .send()
        .await
        .expect(201);
    warm(["100.00", "10.00", "90.00"]).await;
    host.allocate(&owner, organization, &member, "200", "month")
        .await;
    warm(["100.00", "200.00", "0.00"]).await;
    host.pool_grant(&admin, organization, "300", json!({}))
        .await;
    warm(["400.00", "200.00", "200.00"]).await;
    // A period ends by itself.
    host.pool_spend(&member, organization, "50").await;
    host.execute(
        "UPDATE credit_pool_allocations SET period_ends_at = clock_timestamp() + interval '1500 milliseconds'",
    )
    .await;
    host.allocate(&owner, organization, &member, "201", "month")
        .await;
    let shown = host.pool(&owner, organization).await;
    assert!(shown[1] == "151.00" || shown[1] == "201.00", "{shown:?}");
    for _ in 0..5 {
        host.pool(&owner, organization).await;
    }
    host.wait_until_due("credit_pool_allocations", "period_ends_at")
        .await;
    warm(["350.00", "201.00", "149.00"]).await;
    host.delete(format!(
        "/api/v1/organizations/{organization}/members/{}",
        member.id
    ))
    .bearer(&owner.token)
    .send()
    .await
    .expect(200);
    warm(["350.00", "0.00", "350.00"]).await;
}

/// The pool is one entry for all; who may see it is looked at for each.
async fn the_right_to_see_it_ends_at_once(host: &TestHost) {
    let (owner, organization, admin) = host.organization_with("10").await;
    let demoted = host.member_of(organization, "admin").await;
    for caller in [&owner, &demoted] {
        host.warm(&host.pool_call(caller, organization)).await;
    }
    // The platform sees subscriptions, and no pools.
    let subscription = billing_path(organization, "subscription");
    host.put(&subscription)
        .bearer(&admin.token)
        .json(&json!({
            "plan": "team", "seats": 1, "status": "active", "billing_period": "month",
            "seat_price": money("1"),
        }))
        .send()
        .await
        .expect(201);
    host.warm(&host.get(&subscription).bearer(&admin.token))
        .await;
    let call = host.pool_call(&admin, organization);
    refuse(host, call, 404, "not_found", &[]).await;
    let member = host.member_of(organization, "member").await;
    let call = host.pool_call(&member, organization);
    refuse(host, call, 403, "forbidden", &[]).await;
    host.patch(format!(
        "/api/v1/organizations/{organization}/members/{}",
        demoted.id
    ))
    .bearer(&owner.token)
    .json(&json!({"role": "member"}))
    .send()
    .await
    .expect(200);
    let call = host.pool_call(&demoted, organization);
    refuse(host, call, 403, "forbidden", &[]).await;
    let elsewhere = host.organization_of(&demoted).await;
    let moved = User {
        token: host.token_in(&demoted, elsewhere).await,
        ..demoted
    };
    let call = host.pool_call(&moved, organization);
    refuse(host, call, 404, "not_found", &[]).await;
}

/// A read of the pool and one of its ledger, by a credential.
fn reads(host: &TestHost, organization: OrganizationId, token: &str) -> [Call; 2] {
    ["credit-pool", "credit-pool/transactions"]
        .map(|rest| host.get(billing_path(organization, rest)).bearer(token))
}

async fn refuses(host: &TestHost) {
    let owner = host.new_user("ada").await;
    let organization = host.organization_of(&owner).await;
    let eve = host.new_user("eve").await;
    let member = host.member_of(organization, "member").await;
    for rest in ["credit-pool", "credit-pool/transactions"] {
        let path = billing_path(organization, rest);
        check_currency_parameter(host, |query| {
            host.get(format!("{path}?{query}")).bearer(&owner.token)
        })
        .await;
    }
    for call in reads(host, organization, &eve.token) {
        refuse(host, call, 404, "not_found", &[]).await;
    }
    for call in reads(host, organization, &member.token) {
        refuse(host, call, 403, "forbidden", &[]).await;
    }
    let ledger = billing_path(organization, "credit-pool/transactions");
    for query in [
        "limit=0",
        "limit=101",
        "cursor=x",
        "kind=gift",
        "since=yesterday",
        "until=2026-01-01",
    ] {
        let name = query.split('=').next().unwrap_or_default();
        let call = host.get(format!("{ledger}?{query}")).bearer(&owner.token);
        refuse(host, call, 400, "invalid_parameter", &[name]).await;
    }
    for id in ["org_1", "%00", "org_0193e7a1b2c37d4e8f90a1b2c3d4e5f6"] {
        let target = format!("{}/{id}/credit-pool", turnpike_tests::pools::ORG_BILLING);
        let call = host.get(target).bearer(&owner.token);
        refuse(host, call, 404, "not_found", &[]).await;
    }
}

async fn refuses_grants(host: &TestHost) {
    let admin = host.platform_admin().await;
    let owner = host.new_user("owner").await;
    let organization = host.organization_of(&owner).await;
    let path = billing_path(organization, "credit-pool/grants");
    let valid = json!({"amount": "1", "currency": "USD"});
    let with_token = || host.post(&path).bearer(&admin.token);
    check_money_input(host, with_token, &valid).await;
    let table = [
        (json!({"kind": "free"}), "kind"),
        (json!({"priority": 101}), "priority"),
        (json!({"effective_at": "soon"}), "effective_at"),
        (json!({"expires_at": "2020-01-01T00:00:00Z"}), "expires_at"),
        (json!({"user_id": owner.id}), "user_id"),
    ];
    for (terms, field) in table {
        let call = host.pool_grant_call(&admin, organization, "1", terms);
        refuse(host, call, 422, "invalid_fields", &[field]).await;
    }
    // Nobody gives to their own organization.
    let call = host.pool_grant_call(&owner, organization, "1", json!({}));
    refuse(host, call, 403, "forbidden", &[]).await;
    let nowhere = OrganizationId::new(1, &[9; shared::ids::RANDOM_BYTES]);
    let call = host.pool_grant_call(&admin, nowhere, "1", json!({}));
    refuse(host, call, 404, "not_found", &[]).await;
    // The rules are those of every account.
    host.execute(&format!(
        "SELECT credit_pool_grant(digest, 'grant-' || n, token_hash(digest), gen_random_uuid(), gen_random_uuid(),
                                  gen_random_uuid(), '{}', 'USD', 1, '', 'paid', 50, NULL, now() + interval '1 hour')
           FROM generate_series(1, max_due_grants()) AS n,
                (SELECT token_digest(t.organization_id, digest) AS digest
                   FROM access_tokens t JOIN sessions s ON s.id = t.session_id
                  WHERE s.user_id = {} LIMIT 1) token, audit_asker('127.0.0.1', digest)",
        organization.as_uuid(),
        sql_id(admin.id)
    ))
    .await;
    let expires_at = json!({"expires_at": "2130-01-01T00:00:00Z"});
    let call = host.pool_grant_call(&admin, organization, "1", expires_at);
    refuse(host, call, 409, "too_many_open_grants", &[]).await;
}
