use futures::future::join_all;
use serde_json::{Value, json};
use shared::ids::OrganizationId;
use turnpike_tests::personas::{fresh_key, sql_id};
use turnpike_tests::pools::billing_path;
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::refusals::{check_currency_parameter, refuse};

api_tests![
    says_what_a_member_may_take,
    another_limit_keeps_what_was_used,
    another_reset_begins_a_period,
    periods_are_those_of_the_calendar,
    lists_them_in_pages,
    lists_all_currencies_or_one,
    of_many_at_once_one_stays,
    goes_with_the_membership,
    is_audited,
    stops_at_the_most_allocations,
    refuses,
];

fn path(organization: OrganizationId, user: &User) -> String {
    billing_path(
        organization,
        &format!("credit-pool/allocations/{}", user.id),
    )
}

fn remove(host: &TestHost, caller: &User, organization: OrganizationId, user: &User) -> Call {
    host.delete(path(organization, user)).bearer(&caller.token)
}

async fn people(host: &TestHost) -> (User, OrganizationId, User) {
    let owner = host.new_user("owner").await;
    let organization = host.organization_of(&owner).await;
    let member = host.member_of(organization, "member").await;
    (owner, organization, member)
}

async fn says_what_a_member_may_take(host: &TestHost) {
    let (owner, organization, member) = people(host).await;
    let made = host
        .allocate(&owner, organization, &member, "12.5", "never")
        .await;
    let money = |amount: &str| json!({"amount": amount, "currency": "USD"});
    let expected = json!({
        "user_id": member.id, "limit": money("12.50"), "used": money("0.00"),
        "remaining": money("12.50"), "reset": "never",
        "period_started_at": made["period_started_at"], "period_ends_at": null,
    });
    assert_eq!(made, expected);
    let again = host
        .allocate(&owner, organization, &member, "12.50", "never")
        .await;
    assert_eq!(again, expected, "the same again is no change");
    // One in each currency.
    let yen = json!({"limit": {"amount": "0", "currency": "JPY"}, "reset": "day"});
    let call = host.put(path(organization, &member)).bearer(&owner.token);
    let made = call.json(&yen).send().await.expect(200);
    assert_eq!(made.text_at("/limit/amount"), "0", "{made}");
    let admin = host.member_of(organization, "admin").await;
    host.allocate(&admin, organization, &admin, "1", "week")
        .await;
    let removed = remove(host, &owner, organization, &member).send().await;
    assert_eq!(removed.expect(200).json(), json!({"status": "removed"}));
    let call = remove(host, &owner, organization, &member);
    refuse(host, call, 404, "not_found", &[]).await;
    let in_yen = format!("{}?currency=JPY", path(organization, &member));
    let call = host.delete(&in_yen).bearer(&owner.token);
    call.send().await.expect(200);
    refuse(host, call, 404, "not_found", &[]).await;
}

async fn another_limit_keeps_what_was_used(host: &TestHost) {
    let (owner, organization, _) = host.organization_with("100").await;
    let member = host.member_with(&owner, organization, "10", "month").await;
    host.pool_spend(&member, organization, "6").await;
    for (limit, remaining) in [
        ("4", "0.00"),
        ("6", "0.00"),
        ("6.5", "0.50"),
        ("20", "14.00"),
    ] {
        let made = host
            .allocate(&owner, organization, &member, limit, "month")
            .await;
        assert_eq!(made["used"]["amount"], "6.00", "{made}");
        assert_eq!(made["remaining"]["amount"], remaining, "{made}");
    }
    // What was given below what was used allocates nothing, and takes nothing from the others.
    host.allocate(&owner, organization, &member, "4", "month")
        .await;
    assert_eq!(
        host.pool(&owner, organization).await,
        ["94.00", "0.00", "94.00"]
    );
}

async fn another_reset_begins_a_period(host: &TestHost) {
    let (owner, organization, _) = host.organization_with("100").await;
    let member = host.member_with(&owner, organization, "10", "never").await;
    for reset in ["day", "week", "month", "never"] {
        host.pool_spend(&member, organization, "6").await;
        let before = host.time_in("0").await;
        let made = host
            .allocate(&owner, organization, &member, "10", reset)
            .await;
        assert_eq!(made["used"]["amount"], "0.00", "{made}");
        let started = made["period_started_at"].as_str().unwrap_or_default();
        assert!(started >= before.as_str(), "{started} is before {before}");
    }
}

/// Days, ISO weeks and months of UTC, over the end of a year, a leap day and a long week.
async fn periods_are_those_of_the_calendar(host: &TestHost) {
    let table = [
        (
            "day",
            "2026-12-31 23:59:59.999999Z",
            "2026-12-31",
            "2027-01-01",
        ),
        ("day", "2027-01-01 00:00:00Z", "2027-01-01", "2027-01-02"),
        ("week", "2027-01-03 23:59:59Z", "2026-12-28", "2027-01-04"),
        ("week", "2027-01-04 00:00:00Z", "2027-01-04", "2027-01-11"),
        ("month", "2028-02-29 12:00:00Z", "2028-02-01", "2028-03-01"),
        (
            "month",
            "2026-12-31 23:30:00-02",
            "2027-01-01",
            "2027-02-01",
        ),
    ];
    for zone in ["UTC", "America/New_York", "Pacific/Kiritimati"] {
        host.execute(&format!("SET TIME ZONE '{zone}'")).await;
        for (reset, now, start, end) in table {
            let rows = host
                .query(&format!(
                    "SELECT to_char(allocation_period_start('{reset}', '{now}') AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'),
                            to_char(allocation_period_end('{reset}', '{now}') AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
                ))
                .await;
            let got: [String; 2] = [rows[0].get(0), rows[0].get(1)];
            let expected = [start, end].map(|day| format!("{day} 00:00:00.000000"));
            assert_eq!(got, expected, "{reset} of {now} in {zone}");
        }
    }
    host.execute("RESET TIME ZONE").await;
    // A period that is over is not shown, though nothing has been spent since.
    let (owner, organization, _) = host.organization_with("100").await;
    let member = host.member_with(&owner, organization, "10", "week").await;
    host.pool_spend(&member, organization, "6").await;
    host.execute(
        "UPDATE credit_pool_allocations SET period_started_at = now() - interval '30 days',
                                            period_ends_at = now() - interval '23 days'",
    )
    .await;
    let listed = list(host, &owner, organization, "").await.0;
    assert_eq!(listed[0]["used"]["amount"], "0.00", "{listed:?}");
    let rows = host
        .query("SELECT rfc3339(date_trunc('week', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')")
        .await;
    let monday: String = rows[0].get(0);
    assert_eq!(listed[0]["period_started_at"], json!(monday));
    assert_eq!(host.pool(&owner, organization).await[1], "10.00");
    host.pool_spend(&member, organization, "10").await;
    let used = host.used_of_allocation(&member).await;
    assert_eq!(used.as_deref(), Some("10.000000000"));
    // This test moved a period under the ledger's feet.
    remove(host, &owner, organization, &member)
        .send()
        .await
        .expect(200);
}

async fn list(
    host: &TestHost,
    caller: &User,
    organization: OrganizationId,
    query: &str,
) -> (Vec<Value>, Option<String>) {
    let target = billing_path(organization, &format!("credit-pool/allocations{query}"));
    let call = host.get(target).bearer(&caller.token);
    let body = call.send().await.expect(200).json();
    let listed = body["allocations"].as_array().cloned().unwrap_or_default();
    (listed, body["next_cursor"].as_str().map(str::to_owned))
}

async fn lists_them_in_pages(host: &TestHost) {
    let (owner, organization, _) = people(host).await;
    let mut expected = Vec::new();
    for limit in ["1", "2", "3", "4", "5"] {
        let member = host.member_with(&owner, organization, limit, "day").await;
        expected.insert(0, json!([member.id, format!("{limit}.00")]));
    }
    let mut seen = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let (page, cursor) = list(host, &owner, organization, &query).await;
        seen.extend(
            page.iter()
                .map(|a| json!([a["user_id"], a["limit"]["amount"]])),
        );
        let Some(cursor) = cursor else { break };
        query = format!("?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, expected);
    let in_yen = list(host, &owner, organization, "?currency=JPY").await;
    assert_eq!(in_yen, (vec![], None));
}

/// Without a currency the list has all, and with one what is in it, however long the pages are.
async fn lists_all_currencies_or_one(host: &TestHost) {
    let (owner, organization, member) = people(host).await;
    let mut made = Vec::new();
    for currency in ["USD", "JPY", "EUR"] {
        let terms = json!({"limit": {"amount": "5", "currency": currency}, "reset": "day"});
        for of in [&member, &owner] {
            let call = host.put(path(organization, of)).bearer(&owner.token);
            made.insert(0, call.json(&terms).settle().await.expect(200).json());
        }
    }
    for currency in [None, Some("USD"), Some("JPY"), Some("EUR"), Some("GBP")] {
        let is_wanted = |a: &Value| currency.is_none_or(|code| a["limit"]["currency"] == code);
        let expected: Vec<_> = made.iter().filter(|a| is_wanted(a)).cloned().collect();
        let named = currency.map_or_else(String::new, |code| format!("&currency={code}"));
        for limit in 1..=made.len() + 1 {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let query = format!("?limit={limit}{named}{cursor}");
                let (page, next) = list(host, &owner, organization, &query).await;
                seen.extend(page);
                match next {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(seen, expected, "{currency:?} in pages of {limit}");
        }
    }
}

async fn of_many_at_once_one_stays(host: &TestHost) {
    host.fail_on_deadlock().await;
    let (owner, organization, member) = people(host).await;
    let calls = (1..=16).map(|limit| {
        let limit = limit.to_string();
        let call = host.allocate_call(&owner, organization, &member, &limit, "day");
        async move { call.settle().await.expect(200) }
    });
    join_all(calls).await;
    let (listed, _) = list(host, &owner, organization, "").await;
    assert_eq!(listed.len(), 1);
    let rows = host
        .query(
            "SELECT count(*) FROM audit_events a LEFT JOIN audit_events b
                 ON b.event_type = a.event_type AND b.detail ->> 'limit' = a.detail ->> 'previous_limit'
              WHERE a.event_type = 'allocation.changed'
                AND (b.sequence IS NULL) = (a.detail ->> 'previous_limit' IS NULL)",
        )
        .await;
    assert_eq!(
        rows[0].get::<_, i64>(0),
        16,
        "each replaced the one before it"
    );
}

/// Whoever leaves or is removed leaves what was allocated to them.
async fn goes_with_the_membership(host: &TestHost) {
    let (owner, organization, admin) = host.organization_with("100").await;
    let removed = host.member_with(&owner, organization, "10", "day").await;
    let left = host.member_with(&owner, organization, "20", "day").await;
    host.pool_spend(&left, organization, "5").await;
    assert_eq!(
        host.pool(&owner, organization).await,
        ["95.00", "25.00", "70.00"]
    );
    for (caller, member) in [(&owner, &removed), (&left, &left)] {
        let target = format!("/api/v1/organizations/{organization}/members/{}", member.id);
        host.delete(target)
            .bearer(&caller.token)
            .send()
            .await
            .expect(200);
        assert_eq!(host.used_of_allocation(member).await, None);
    }
    assert_eq!(
        host.pool(&owner, organization).await,
        ["95.00", "0.00", "95.00"]
    );
    // Coming back brings no allocation back.
    host.execute(&format!(
        "INSERT INTO memberships (organization_id, user_id, role) VALUES ('{}', {}, 'member')",
        organization.as_uuid(),
        sql_id(left.id)
    ))
    .await;
    let back = User {
        token: host.token_in(&left, organization).await,
        ..left
    };
    let call = host.pool_spend_call(&back, organization, "1", &fresh_key());
    refuse(host, call, 403, "allocation_required", &[]).await;
    let call = host.allocate_call(&owner, organization, &removed, "1", "day");
    refuse(host, call, 404, "not_found", &[]).await;
    let call = host.allocate_call(&owner, organization, &admin, "1", "day");
    refuse(host, call, 404, "not_found", &[]).await;
}

async fn is_audited(host: &TestHost) {
    let (owner, organization, member) = people(host).await;
    for (limit, reset) in [("5", "day"), ("5", "day"), ("6", "never")] {
        host.allocate(&owner, organization, &member, limit, reset)
            .await;
    }
    let target = format!("/api/v1/organizations/{organization}/members/{}", member.id);
    host.delete(target)
        .bearer(&owner.token)
        .send()
        .await
        .expect(200);
    let rows = host
        .query(&format!(
            "SELECT json_build_array(event_type, subject, actor_id = {}, detail)::text FROM audit_events
              WHERE organization_id = '{}' AND event_type LIKE 'allocation.%' ORDER BY sequence",
            sql_id(owner.id),
            organization.as_uuid()
        ))
        .await;
    let events: Vec<Value> = rows
        .iter()
        .map(|row| serde_json::from_str(row.get(0)).unwrap_or_default())
        .collect();
    let subject = member.id.to_string();
    let (five, six) = ("5.000000000", "6.000000000");
    let expected = [
        json!(["allocation.changed", subject, true, {"currency": "USD", "limit": five, "reset": "day",
               "previous_limit": null, "previous_reset": null}]),
        json!(["allocation.changed", subject, true, {"currency": "USD", "limit": six, "reset": "never",
               "previous_limit": five, "previous_reset": "day"}]),
        json!(["allocation.removed", subject, true, {"currency": "USD",
               "previous_limit": six, "previous_reset": "never"}]),
    ];
    assert_eq!(events, expected, "the same again is no change");
}

async fn stops_at_the_most_allocations(host: &TestHost) {
    let (owner, organization, member) = people(host).await;
    host.execute(&format!(
        "INSERT INTO users (id, email, password_hash)
         SELECT gen_random_uuid(), 'crowd-' || n || '@example.com', '-' FROM generate_series(1, 10000) n;
         INSERT INTO memberships (organization_id, user_id, role, sequence)
         SELECT '{0}', id, 'member', 1000 + row_number() OVER () FROM users WHERE email LIKE 'crowd-%';
         INSERT INTO credit_pool_allocations (organization_id, user_id, currency, spending_limit, reset,
                                              period_started_at, period_ends_at, sequence)
         SELECT '{0}', id, 'USD', 1, 'never', now(), 'infinity', 1000 + row_number() OVER ()
           FROM users WHERE email LIKE 'crowd-%'",
        organization.as_uuid()
    ))
    .await;
    let call = host.allocate_call(&owner, organization, &member, "1", "day");
    refuse(host, call, 409, "allocation_limit", &[]).await;
    // There is room in another currency, and the sum of so many is still answered.
    let yen = json!({"limit": {"amount": "5", "currency": "JPY"}, "reset": "day"});
    let call = host.put(path(organization, &member)).bearer(&owner.token);
    call.json(&yen).send().await.expect(200);
    assert_eq!(host.pool(&owner, organization).await[1], "10000.00");
}

async fn refuses(host: &TestHost) {
    let owner = host.new_user("ada").await;
    let organization = host.organization_of(&owner).await;
    let member = host.member_of(organization, "member").await;
    let eve = host.new_user("eve").await;
    let all = billing_path(organization, "credit-pool/allocations");
    let one = path(organization, &member);
    let valid = json!({"limit": {"amount": "1", "currency": "USD"}, "reset": "day"});
    for target in [&all, &one] {
        check_currency_parameter(host, |query| {
            let target = format!("{target}?{query}");
            let call = match target.contains("usr_") {
                true => host.delete(target),
                false => host.get(target),
            };
            call.bearer(&owner.token)
        })
        .await;
    }
    let limit = |amount: Value, currency: &str| json!({"limit": {"amount": amount, "currency": currency}, "reset": "day"});
    let table = [
        (limit(json!("-1"), "USD"), "limit.amount"),
        (limit(json!("1e3"), "USD"), "limit.amount"),
        (limit(json!("1000000000000"), "USD"), "limit.amount"),
        (limit(json!(1), "USD"), "limit.amount"),
        (limit(json!("1"), "usd"), "limit.currency"),
        (json!({"limit": "1", "reset": "day"}), "limit"),
        (json!({"reset": "day"}), "limit"),
        (
            json!({"limit": {"amount": "1", "currency": "USD", "per": "day"}, "reset": "day"}),
            "limit.per",
        ),
        (json!({"limit": valid["limit"], "reset": "year"}), "reset"),
        (json!({"limit": valid["limit"], "reset": null}), "reset"),
        (json!({"limit": valid["limit"]}), "reset"),
        (
            json!({"limit": valid["limit"], "reset": "day", "used": "0"}),
            "used",
        ),
    ];
    for (body, field) in table {
        let call = host.put(&one).bearer(&owner.token).json(&body);
        refuse(host, call, 422, "invalid_fields", &[field]).await;
    }
    for query in ["limit=0", "limit=101", "cursor=x"] {
        let name = query.split('=').next().unwrap_or_default();
        let call = host.get(format!("{all}?{query}")).bearer(&owner.token);
        refuse(host, call, 400, "invalid_parameter", &[name]).await;
    }
    let calls = |token: &str| {
        [
            host.get(&all),
            host.put(&one).json(&valid),
            host.delete(&one),
        ]
        .map(|call| call.bearer(token))
    };
    for call in calls(&eve.token) {
        refuse(host, call, 404, "not_found", &[]).await;
    }
    for call in calls(&member.token) {
        refuse(host, call, 403, "forbidden", &[]).await;
    }
    // Who is no member cannot be given anything.
    let call = host.allocate_call(&owner, organization, &eve, "1", "day");
    refuse(host, call, 404, "not_found", &[]).await;
    for id in ["usr_1", "usr_0193e7a1b2c37d4e8f90a1b2c3d4e5f6", "%00"] {
        let target = format!("{all}/{id}");
        let call = host.delete(&target).bearer(&owner.token);
        refuse(host, call, 404, "not_found", &[]).await;
        let call = host.put(&target).bearer(&owner.token).json(&valid);
        refuse(host, call, 404, "not_found", &[]).await;
    }
}
