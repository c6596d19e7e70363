use std::time::Duration;

use futures::future::join_all;
use rust_decimal::Decimal;
use serde_json::json;
use turnpike_tests::personas::{decimal, fresh_key, sql_id};
use turnpike_tests::pools::billing_path;
use turnpike_tests::{Random, Response, TestHost, api_tests};

use crate::refusals::{check_money_input, refuse};

api_tests![
    spends_within_the_allocation,
    is_done_once_for_each_key,
    has_names_and_usage,
    never_exceeds_the_allocation_nor_the_pool,
    many_members_share_what_there_is,
    one_key_spends_once,
    a_period_holds_no_more_than_its_limit,
    a_removed_member_spends_nothing_more,
    a_lowered_limit_holds_at_once,
    leaves_sound_books,
    refuses,
];

fn count(responses: &[Response], status: u16) -> usize {
    responses.iter().filter(|r| r.status == status).count()
}

async fn spends_within_the_allocation(host: &TestHost) {
    let (owner, organization, _) = host.organization_with("100").await;
    let member = host.member_of(organization, "member").await;
    let send = |amount: &str| host.pool_spend_call(&member, organization, amount, &fresh_key());
    refuse(host, send("1"), 403, "allocation_required", &[]).await;
    host.allocate(&owner, organization, &member, "10", "month")
        .await;
    let response = send("2.5").send().await.expect(201);
    assert_eq!(response.db_queries(), 1, "one statement\n{response}");
    let answer = response.json();
    let transaction = &answer["transaction"];
    assert_eq!(transaction["kind"], "consume", "{response}");
    assert_eq!(transaction["amount"]["amount"], "-2.50", "{response}");
    assert_eq!(
        transaction["available_after"]["amount"], "97.50",
        "{response}"
    );
    assert_eq!(answer["allocation"]["used"]["amount"], "2.50", "{response}");
    assert_eq!(answer["allocation"]["remaining"]["amount"], "7.50");
    assert_eq!(answer["allocation"]["user_id"], json!(member.id));
    let refused = send("7.51").send().await;
    let refused = refused.expect_problem(402, "allocation_exceeded");
    assert!(refused.text_at("/detail").contains("7.50 USD"), "{refused}");
    send("7.5").send().await.expect(201);
    // An allocation is in one currency.
    let path = billing_path(organization, "credit-pool/consume");
    let call = host
        .post(path)
        .bearer(&member.token)
        .idempotency_key(&fresh_key())
        .json(&json!({"amount": "1", "currency": "EUR"}));
    refuse(host, call, 403, "allocation_required", &[]).await;
    // It is a limit, and no credits.
    host.allocate(&owner, organization, &member, "1000", "month")
        .await;
    let refused = send("90.01").send().await;
    let refused = refused.expect_problem(402, "insufficient_credits");
    assert!(
        refused.text_at("/detail").contains("90.00 USD"),
        "{refused}"
    );
    send("90").send().await.expect(201);
    // What one has of one's own is not touched.
    let rows = host
        .query(&format!(
            "SELECT count(*) FROM credit_accounts WHERE user_id = {}",
            sql_id(member.id)
        ))
        .await;
    assert_eq!(rows[0].get::<_, i64>(0), 0);
}

async fn is_done_once_for_each_key(host: &TestHost) {
    let (owner, organization, admin) = host.organization_with("10").await;
    let member = host.member_with(&owner, organization, "5", "day").await;
    let send = |amount: &str, key: &str| host.pool_spend_call(&member, organization, amount, key);
    let first = send("4", "one").send().await.expect(201);
    let again = send("4", "one").send().await.expect(201);
    assert_eq!(first.body, again.body);
    refuse(host, send("3", "one"), 422, "idempotency_key_reused", &[]).await;
    // A decision is kept, and so is that there is not enough.
    send("2", "two")
        .send()
        .await
        .expect_problem(402, "allocation_exceeded");
    host.allocate(&owner, organization, &member, "50", "day")
        .await;
    send("2", "two")
        .send()
        .await
        .expect_problem(402, "allocation_exceeded");
    send("20", "three")
        .send()
        .await
        .expect_problem(402, "insufficient_credits");
    host.pool_grant(&admin, organization, "90", json!({})).await;
    send("20", "three")
        .send()
        .await
        .expect_problem(402, "insufficient_credits");
    send("20", "four").send().await.expect(201);
    // What was answered is answered again when nothing is allocated any more.
    let allocation = format!("credit-pool/allocations/{}", member.id);
    host.delete(billing_path(organization, &allocation))
        .bearer(&owner.token)
        .send()
        .await
        .expect(200);
    let again = send("4", "one").send().await.expect(201);
    assert_eq!(first.body, again.body);
    // That nothing is allocated is no decision.
    let call = send("1", "five");
    refuse(host, call.clone(), 403, "allocation_required", &[]).await;
    host.allocate(&owner, organization, &member, "1", "day")
        .await;
    call.send().await.expect(201);
}

async fn has_names_and_usage(host: &TestHost) {
    let (owner, organization, admin) = host.organization_with("10").await;
    let member = host.member_with(&owner, organization, "5", "day").await;
    let path = billing_path(organization, "credit-pool/consume");
    let send = |body: serde_json::Value| {
        host.post(&path)
            .bearer(&member.token)
            .idempotency_key(&fresh_key())
            .json(&body)
    };
    let spent = send(json!({
        "amount": "2", "currency": "USD", "description": "d", "service": "chat", "model": "gpt-x",
    }))
    .send()
    .await
    .expect(201);
    assert_eq!(spent.text_at("/transaction/service"), "chat");
    assert_eq!(spent.text_at("/transaction/model"), "gpt-x");
    let id = spent.text_at("/transaction/id");
    let refunded = host
        .refund_call(&admin, &id, Some("0.5"), &fresh_key())
        .send()
        .await;
    let refunded = refunded.expect(201);
    assert_eq!(refunded.text_at("/transaction/service"), "chat");
    let rows = host
        .query("SELECT service, model, (spent, refunded) = (2, 0.5) FROM credit_usage_daily")
        .await;
    assert_eq!(rows.len(), 1);
    let names: [String; 2] = [rows[0].get(0), rows[0].get(1)];
    assert_eq!(names, ["chat", "gpt-x"]);
    assert!(rows[0].get::<_, bool>(2), "2 were spent, and 0.50 refunded");
    for (name, value) in [
        ("service", json!("")),
        ("service", json!("a\nb")),
        ("model", json!("m".repeat(65))),
        ("model", json!(7)),
    ] {
        let mut body = json!({"amount": "1", "currency": "USD"});
        body[name] = value;
        refuse(host, send(body), 422, "invalid_fields", &[name]).await;
    }
}

async fn never_exceeds_the_allocation_nor_the_pool(host: &TestHost) {
    host.fail_on_deadlock().await;
    for (pool, limit, affordable) in [("100", "20", 20), ("30", "64", 30)] {
        let (owner, organization, _) = host.organization_with(pool).await;
        let member = host.member_with(&owner, organization, limit, "never").await;
        let spends = (0..64).map(|_| {
            let call = host.pool_spend_call(&member, organization, "1", &fresh_key());
            async move { call.settle().await }
        });
        let responses = join_all(spends).await;
        assert_eq!(count(&responses, 201), affordable);
        assert_eq!(count(&responses, 402), 64 - affordable);
        let used = host.used_of_allocation(&member).await;
        assert_eq!(used, Some(format!("{affordable}.000000000")));
    }
}

async fn many_members_share_what_there_is(host: &TestHost) {
    host.fail_on_deadlock().await;
    let (owner, organization, _) = host.organization_with("40").await;
    let mut members = Vec::new();
    for _ in 0..8 {
        members.push(host.member_with(&owner, organization, "8", "week").await);
    }
    // Limits together exceed the pool.
    assert_eq!(
        host.pool(&owner, organization).await,
        ["40.00", "64.00", "0.00"]
    );
    let spends = (0..80).map(|index| {
        let call = host.pool_spend_call(&members[index % 8], organization, "1", &fresh_key());
        async move { call.settle().await }
    });
    let responses = join_all(spends).await;
    assert_eq!(count(&responses, 201), 40, "all that there is, and no more");
    assert_eq!(count(&responses, 402), 40);
    let mut sum = Decimal::ZERO;
    for member in &members {
        let used = decimal(&host.used_of_allocation(member).await.unwrap_or_default());
        assert!(used <= decimal("8"), "{used}");
        sum += used;
    }
    assert_eq!(sum, decimal("40"));
    assert_eq!(
        host.pool(&owner, organization).await,
        ["0.00", "24.00", "0.00"]
    );
}

async fn one_key_spends_once(host: &TestHost) {
    let (owner, organization, _) = host.organization_with("100").await;
    let member = host.member_with(&owner, organization, "100", "day").await;
    let call = host.pool_spend_call(&member, organization, "3", "one-key");
    let responses = join_all((0..32).map(|_| call.settle())).await;
    let first = responses[0].body.clone();
    for response in responses {
        let response = response.expect(201);
        assert_eq!(response.body, first, "{response}");
    }
    let used = host.used_of_allocation(&member).await;
    assert_eq!(used.as_deref(), Some("3.000000000"));
}

/// Sixteen clients spend across the end of a period: what came to pass before it and after it
/// is within the limit each time.
async fn a_period_holds_no_more_than_its_limit(host: &TestHost) {
    for millis in [1_200, 5_000, 20_000, 80_000] {
        if spend_across_the_end(host, &format!("{millis} milliseconds")).await {
            return;
        }
    }
    panic!("ten spends never came in before the end of the period");
}

/// Spends across the end of a period that is so near. Answers whether the first period was used up,
/// which takes more time on a busy machine.
async fn spend_across_the_end(host: &TestHost, lead: &str) -> bool {
    let (owner, organization, _) = host.organization_with("1000").await;
    let member = host.member_with(&owner, organization, "10", "day").await;
    let boundary = host.time_in(lead).await;
    let id = organization.as_uuid();
    host.execute(&format!(
        "UPDATE credit_pool_allocations SET period_ends_at = '{boundary}' WHERE organization_id = '{id}'"
    ))
    .await;
    // Until the second period is used up, too.
    let clients = (0..16).map(|_| async {
        loop {
            let begins = host.time_in("0").await;
            let call = host.pool_spend_call(&member, organization, "1", &fresh_key());
            let response = call.settle().await;
            if response.status != 201 {
                response.expect_problem(402, "allocation_used_up");
                if begins > boundary {
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    join_all(clients).await;
    let rows = host
        .query(&format!(
            "SELECT count(*) FILTER (WHERE t.occurred_at < '{boundary}'),
                    count(*) FILTER (WHERE t.occurred_at >= '{boundary}')
               FROM ledger_transfers t JOIN credit_accounts a ON (a.organization_id, a.id) = (t.organization_id, t.account_id)
              WHERE t.kind = 'consume' AND a.organization_id = '{id}'"
        ))
        .await;
    let spent: (i64, i64) = (rows[0].get(0), rows[0].get(1));
    assert!(
        spent.0 <= 10 && spent.1 == 10,
        "each period's limit, and no more: {spent:?}"
    );
    let rows = host
        .query(&format!(
            "SELECT used = 10 AND period_started_at = '{boundary}'
                    AND period_ends_at = (date_trunc('day', '{boundary}'::timestamptz AT TIME ZONE 'UTC')
                                          + interval '1 day') AT TIME ZONE 'UTC'
               FROM credit_pool_allocations WHERE organization_id = '{id}'"
        ))
        .await;
    assert!(
        rows[0].get::<_, bool>(0),
        "the new period begins where the old one ended"
    );
    spent.0 == 10
}

/// A spend that is answered after a removal was answered is refused, whatever was under way.
async fn a_removed_member_spends_nothing_more(host: &TestHost) {
    host.fail_on_deadlock().await;
    for round in 0..4 {
        let (owner, organization, _) = host.organization_with("1000").await;
        let member = host
            .member_with(&owner, organization, "1000", "never")
            .await;
        let spends = (0..24).map(|index: u64| {
            let call = host.pool_spend_call(&member, organization, "1", &fresh_key());
            async move {
                tokio::time::sleep(Duration::from_millis(index)).await;
                call.settle().await
            }
        });
        let removal = async {
            tokio::time::sleep(Duration::from_millis(8)).await;
            let path = match round % 2 {
                0 => format!("/api/v1/organizations/{organization}/members/{}", member.id),
                _ => billing_path(
                    organization,
                    &format!("credit-pool/allocations/{}", member.id),
                ),
            };
            host.delete(path)
                .bearer(&owner.token)
                .settle()
                .await
                .expect(200);
            let rows = host
                .query("SELECT sum(consumed)::text FROM credit_accounts")
                .await;
            rows[0].get::<_, String>(0)
        };
        let (responses, consumed) = futures::future::join(join_all(spends), removal).await;
        let rows = host
            .query("SELECT sum(consumed)::text FROM credit_accounts")
            .await;
        assert_eq!(
            rows[0].get::<_, String>(0),
            consumed,
            "nothing is spent after a removal was answered"
        );
        assert_eq!(host.used_of_allocation(&member).await, None);
        let done = Decimal::from(count(&responses, 201));
        let [available, allocated, _] = host.pool(&owner, organization).await;
        assert_eq!(decimal(&available), decimal("1000") - done);
        assert_eq!(allocated, "0.00");
        for response in responses.iter().filter(|r| r.status != 201) {
            assert!(matches!(response.status, 401 | 403), "{response}");
        }
    }
}

/// Limits that change while 48 spend: what was used is never above the highest limit, and after
/// the last change nothing is spent above that.
async fn a_lowered_limit_holds_at_once(host: &TestHost) {
    host.fail_on_deadlock().await;
    let (owner, organization, _) = host.organization_with("1000").await;
    let member = host.member_with(&owner, organization, "40", "month").await;
    let spends = (0..48).map(|index: u64| {
        let call = host.pool_spend_call(&member, organization, "1", &fresh_key());
        async move {
            tokio::time::sleep(Duration::from_millis(index)).await;
            call.settle().await
        }
    });
    let changes = async {
        for limit in ["30", "20", "10"] {
            tokio::time::sleep(Duration::from_millis(6)).await;
            host.allocate(&owner, organization, &member, limit, "month")
                .await;
        }
        host.used_of_allocation(&member).await.unwrap_or_default()
    };
    let (responses, used_then) = futures::future::join(join_all(spends), changes).await;
    let used = decimal(&host.used_of_allocation(&member).await.unwrap_or_default());
    assert_eq!(used, Decimal::from(count(&responses, 201)));
    assert!(used <= decimal("40"), "{used}");
    // Another limit keeps what was used.
    assert!(
        used <= decimal(&used_then).max(decimal("10")),
        "{used} was used of 10, of which {used_then} were before"
    );
    for response in responses.into_iter().filter(|r| r.status != 201) {
        response.expect_problem(402, "allocation_used_up");
    }
}

/// Whatever members, their managers and the platform do at once, each allocation is what the
/// ledger says; the host checks that, and the ledger, when the test ends.
async fn leaves_sound_books(host: &TestHost) {
    host.fail_on_deadlock().await;
    let mut random = Random::seeded("pools");
    let (owner, organization, admin) = host.organization_with("200").await;
    let mut members = Vec::new();
    for reset in ["never", "day", "week", "month"] {
        members.push(host.member_with(&owner, organization, "20", reset).await);
    }
    let (members, owner, admin) = (&members, &owner, &admin);
    let clients = (0..12).map(|_| {
        let mut random = random.fork();
        async move {
            let mut spent: Vec<String> = Vec::new();
            for _ in 0..25 {
                let member = &members[random.below(4) as usize];
                let amount = format!("{}.{:09}", random.below(4), 1 + random.below(999_999_999));
                let call = match random.below(12) {
                    0 => {
                        let terms = json!({"priority": random.below(100)});
                        host.pool_grant_call(admin, organization, &amount, terms)
                    }
                    1 => {
                        let reset = ["never", "day", "week", "month"][random.below(4) as usize];
                        let limit = (10 + random.below(30)).to_string();
                        host.allocate_call(owner, organization, member, &limit, reset)
                    }
                    2 => {
                        let path = format!("credit-pool/allocations/{}", member.id);
                        host.delete(billing_path(organization, &path))
                            .bearer(&owner.token)
                    }
                    3..=5 if !spent.is_empty() => {
                        let id = &spent[random.below(spent.len() as u64) as usize];
                        let part = (random.below(2) == 0).then_some("0.5");
                        host.refund_call(admin, id, part, &fresh_key())
                    }
                    _ => host.pool_spend_call(member, organization, &amount, &fresh_key()),
                };
                let response = call.settle().await;
                match response.status {
                    201 if response.json()["allocation"].is_object() => {
                        spent.push(response.text_at("/transaction/id"));
                    }
                    200 | 201 | 402 | 403 | 404 => {}
                    409 => {
                        response.expect_problem(409, "exceeds_refundable");
                    }
                    _ => response.fail("it is done, or refused for a reason of its own"),
                }
            }
        }
    });
    join_all(clients).await;
}

async fn refuses(host: &TestHost) {
    let owner = host.new_user("ada").await;
    let organization = host.organization_of(&owner).await;
    let admin = host.platform_admin().await;
    host.pool_grant(&admin, organization, "5", json!({})).await;
    host.allocate(&owner, organization, &owner, "5", "never")
        .await;
    let path = billing_path(organization, "credit-pool/consume");
    let valid = json!({"amount": "1", "currency": "USD"});
    let with_token = || host.post(&path).bearer(&owner.token);
    check_money_input(host, with_token, &valid).await;
    // Another organization's pool is not found, by whoever has a pool of their own too.
    let eve = host.new_user("eve").await;
    let elsewhere = host.organization_of(&eve).await;
    host.allocate(&eve, elsewhere, &eve, "5", "never").await;
    host.pool_grant(&admin, elsewhere, "5", json!({})).await;
    for caller in [&eve, &admin] {
        let call = host.pool_spend_call(caller, organization, "1", &fresh_key());
        refuse(host, call, 404, "not_found", &[]).await;
    }
    let call = host.pool_spend_call(&owner, elsewhere, "1", &fresh_key());
    refuse(host, call, 404, "not_found", &[]).await;
    host.own_role(organization, "reader", &["billing:read"])
        .await;
    let reader = host.member_of(organization, "reader").await;
    host.allocate(&owner, organization, &reader, "5", "never")
        .await;
    let call = host.pool_spend_call(&reader, organization, "1", &fresh_key());
    refuse(host, call, 403, "forbidden", &[]).await;
}
