use futures::future::join_all;
use serde_json::{Value, json};
use shared::ids::OrganizationId;
use turnpike_tests::personas::{ORGANIZATIONS, decimal, sql_id};
use turnpike_tests::pools::billing_path;
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::refusals::refuse;

api_tests![
    is_set_and_shown,
    keeps_what_is_not_said,
    the_same_terms_again_change_nothing,
    moves_the_revenue,
    of_changes_of_one_version_at_once_one_is_done,
    of_a_closed_account_none_begins,
    refuses,
];

api_tests![
    fresh_too:
    shows_at_once,
    the_right_to_see_it_ends_at_once,
];

fn path(organization: OrganizationId) -> String {
    billing_path(organization, "subscription")
}

fn terms() -> Value {
    json!({
        "plan": "team", "seats": 3, "status": "active", "billing_period": "month",
        "seat_price": {"amount": "12.50", "currency": "USD"},
    })
}

/// The terms with others instead.
fn with(others: Value) -> Value {
    let mut body = terms();
    if let (Some(body), Some(others)) = (body.as_object_mut(), others.as_object()) {
        body.extend(others.clone());
    }
    body
}

fn put(host: &TestHost, admin: &User, organization: OrganizationId, body: &Value) -> Call {
    host.put(path(organization)).bearer(&admin.token).json(body)
}

fn get(host: &TestHost, caller: &User, organization: OrganizationId) -> Call {
    host.get(path(organization)).bearer(&caller.token)
}

async fn people(host: &TestHost) -> (User, OrganizationId, User) {
    let owner = host.new_user("owner").await;
    let organization = host.organization_of(&owner).await;
    (owner, organization, host.platform_admin().await)
}

/// Every change of the organization: its number, its movement and the revenue after it.
async fn changes(host: &TestHost, organization: OrganizationId) -> Vec<(i64, String, String)> {
    let rows = host
        .query(&format!(
            "SELECT version, movement, trim_scale(mrr_after)::text FROM subscription_changes
              WHERE organization_id = '{}' ORDER BY version",
            organization.as_uuid()
        ))
        .await;
    rows.iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect()
}

async fn of_a_closed_account_none_begins(host: &TestHost) {
    let (_, organization, admin) = people(host).await;
    let account = format!("/api/v1/accounts/acc_{}", organization.as_uuid().simple());
    let set = async |action: &str| {
        let call = host.post(format!("{account}/{action}"));
        call.bearer(&admin.token).settle().await
    };
    set("close").await.expect(200);
    let call = put(host, &admin, organization, &terms());
    refuse(host, call, 409, "account_closed", &[]).await;
    set("reopen").await.expect(200);
    put(host, &admin, organization, &terms())
        .send()
        .await
        .expect(201);
    set("close").await.expect_problem(409, "account_in_use");
}

async fn is_set_and_shown(host: &TestHost) {
    let (owner, organization, admin) = people(host).await;
    let call = get(host, &owner, organization);
    refuse(host, call, 404, "not_found", &[]).await;
    let body = with(json!({
        "period_started_at": "2026-01-31T02:00:00+02:00", "version": 0,
    }));
    let created = put(host, &admin, organization, &body)
        .send()
        .await
        .expect(201);
    let expected = json!({
        "organization_id": organization, "plan": "team", "seats": 3, "status": "active",
        "billing_period": "month", "seat_price": {"amount": "12.50", "currency": "USD"},
        "mrr": {"amount": "37.50", "currency": "USD"},
        "period_started_at": "2026-01-31T00:00:00.000000Z",
        "period_ends_at": "2026-02-28T00:00:00.000000Z", "version": 1,
        "created_at": created.json()["created_at"], "updated_at": created.json()["created_at"],
    });
    assert_eq!(created.json(), expected, "{created}");
    assert_eq!(created.db_queries(), 1, "one statement\n{created}");
    let bookkeeper = host.member_of(organization, "admin").await;
    for caller in [&owner, &bookkeeper, &admin] {
        let shown = get(host, caller, organization).send().await.expect(200);
        assert_eq!(shown.json(), expected, "{shown}");
    }
    let rows = host
        .query(&format!(
            "SELECT subject, actor_id = {}, detail::text FROM audit_events
              WHERE event_type = 'subscription.changed' AND organization_id = '{}'",
            sql_id(admin.id),
            organization.as_uuid()
        ))
        .await;
    assert_eq!(rows.len(), 1);
    let (subject, is_admin): (String, bool) = (rows[0].get(0), rows[0].get(1));
    assert_eq!((subject, is_admin), (organization.to_string(), true));
    let detail: Value = serde_json::from_str(rows[0].get(2)).unwrap_or_default();
    assert_eq!(detail["version"], 1);
    assert_eq!(detail["mrr"], "37.500000000");
}

async fn keeps_what_is_not_said(host: &TestHost) {
    let (_, organization, admin) = people(host).await;
    let send = |others: Value| {
        let call = put(host, &admin, organization, &with(others));
        async move { call.send().await.json() }
    };
    let first = send(json!({})).await;
    let started = first["period_started_at"].as_str().unwrap_or_default();
    assert!(started.ends_with(".000000Z"), "to the second: {started}");
    let more = send(json!({"seats": 4})).await;
    for name in ["period_started_at", "period_ends_at", "created_at"] {
        assert_eq!(more[name], first[name], "{name}");
    }
    // Another beginning has an end of its own, and so has another billing period.
    let moved = send(json!({"period_started_at": "2026-03-01T00:00:00Z"})).await;
    assert_eq!(moved["period_ends_at"], "2026-04-01T00:00:00.000000Z");
    let ended = send(json!({"period_ends_at": "2026-03-20T00:00:00Z"})).await;
    assert_eq!(ended["period_started_at"], moved["period_started_at"]);
    assert_eq!(ended["period_ends_at"], "2026-03-20T00:00:00.000000Z");
    let yearly = send(json!({"billing_period": "year"})).await;
    assert_ne!(yearly["period_started_at"], moved["period_started_at"]);
    let years = [&yearly["period_started_at"], &yearly["period_ends_at"]].map(|time| {
        let text = time.as_str().unwrap_or_default();
        text[..4].parse::<i32>().unwrap_or_default()
    });
    assert_eq!(years[1] - years[0], 1);
    assert_eq!(yearly["version"], 5);
}

async fn the_same_terms_again_change_nothing(host: &TestHost) {
    let (_, organization, admin) = people(host).await;
    let first = put(host, &admin, organization, &terms())
        .send()
        .await
        .expect(201);
    // However the same amount and the same time are written.
    let again = [
        terms(),
        with(json!({"seat_price": {"amount": "12.5", "currency": "USD"}, "version": 1})),
        with(json!({"period_started_at": first.json()["period_started_at"]})),
        with(json!({"period_started_at": null, "period_ends_at": null, "version": null})),
    ];
    for body in again {
        let response = put(host, &admin, organization, &body)
            .send()
            .await
            .expect(200);
        assert_eq!(response.json(), first.json(), "{response}");
    }
    assert_eq!(changes(host, organization).await.len(), 1);
}

async fn moves_the_revenue(host: &TestHost) {
    let (_, organization, admin) = people(host).await;
    let cheap = json!({"amount": "0.000000018", "currency": "USD"});
    let table = [
        (json!({"status": "trialing"}), "none", "0"),
        (json!({"status": "active"}), "new", "37.5"),
        (json!({"seats": 4}), "expansion", "50"),
        (json!({"seats": 4, "plan": "pro"}), "none", "50"),
        (json!({"seats": 4, "status": "past_due"}), "none", "50"),
        (json!({"status": "paused"}), "churned", "0"),
        (json!({}), "reactivation", "37.5"),
        (json!({"billing_period": "year"}), "contraction", "3.125"),
        (
            json!({"billing_period": "year", "seats": 1, "seat_price": cheap}),
            "contraction",
            // A twelfth of 18 billionths are 1.5, which goes to the even 2.
            "0.000000002",
        ),
        (json!({"status": "canceled"}), "churned", "0"),
        (json!({"status": "trialing"}), "none", "0"),
        (
            json!({"seats": 1_000_000, "seat_price": {"amount": "999999999999.999999999", "currency": "USD"}}),
            "reactivation",
            "999999999999999999.999",
        ),
    ];
    let mut expected = Vec::new();
    for (index, (others, movement, mrr)) in table.into_iter().enumerate() {
        let version = index as i64 + 1;
        let body = with(others);
        let response = put(host, &admin, organization, &body).send().await;
        let status = if version == 1 { 201 } else { 200 };
        let response = response.expect(status);
        let shown = decimal(&response.text_at("/mrr/amount"));
        assert_eq!(shown, decimal(mrr), "{response}");
        expected.push((version, movement.to_owned(), mrr.to_owned()));
    }
    assert_eq!(changes(host, organization).await, expected);
    let rows = host
        .query(
            "SELECT count(*) FROM subscription_changes c
               JOIN subscription_changes b ON b.organization_id = c.organization_id AND b.version = c.version - 1
              WHERE (c.plan_before, c.seats_before, c.status_before, c.mrr_before)
                    IS DISTINCT FROM (b.plan_after, b.seats_after, b.status_after, b.mrr_after)",
        )
        .await;
    assert_eq!(rows[0].get::<_, i64>(0), 0, "each begins where one ended");
}

async fn of_changes_of_one_version_at_once_one_is_done(host: &TestHost) {
    let (_, organization, admin) = people(host).await;
    put(host, &admin, organization, &terms())
        .send()
        .await
        .expect(201);
    let calls = (0..16).map(|index| {
        let body = with(json!({"seats": 10 + index, "version": 1}));
        let call = put(host, &admin, organization, &body);
        async move { call.settle().await }
    });
    let responses = join_all(calls).await;
    let done = responses.iter().filter(|response| response.status == 200);
    // The winner's answer may be lost on a busy machine, and its second attempt be too late.
    assert!(done.count() <= 1);
    for response in responses.into_iter().filter(|r| r.status != 200) {
        response.expect_problem(409, "version_conflict");
    }
    assert_eq!(changes(host, organization).await.len(), 2);
}

async fn shows_at_once(host: &TestHost) {
    let (owner, organization, admin) = people(host).await;
    let bookkeeper = host.member_of(organization, "admin").await;
    put(host, &admin, organization, &terms())
        .send()
        .await
        .expect(201);
    for seats in 4..8 {
        for caller in [&owner, &bookkeeper, &admin] {
            let shown = host.warm(&get(host, caller, organization)).await;
            assert_eq!(shown.json()["seats"], seats - 1, "{shown}");
            assert_eq!(shown.db_queries(), 0, "{shown}");
        }
        let body = with(json!({"seats": seats}));
        put(host, &admin, organization, &body)
            .send()
            .await
            .expect(200);
        for caller in [&owner, &bookkeeper, &admin] {
            let shown = get(host, caller, organization).send().await.expect(200);
            assert_eq!(shown.json()["seats"], seats, "{shown}");
        }
    }
}

/// The subscription is one entry for all; who may see it is looked at for each.
async fn the_right_to_see_it_ends_at_once(host: &TestHost) {
    let (owner, organization, admin) = people(host).await;
    let demoted = host.member_of(organization, "admin").await;
    let removed = host.member_of(organization, "admin").await;
    let other = host.new_user("eve").await;
    put(host, &admin, organization, &terms())
        .send()
        .await
        .expect(201);
    for caller in [&owner, &demoted, &removed, &admin] {
        host.warm(&get(host, caller, organization)).await;
    }
    // What is cached for others opens nothing.
    let call = get(host, &other, organization);
    refuse(host, call, 404, "not_found", &[]).await;
    let member = host.member_of(organization, "member").await;
    let call = get(host, &member, organization);
    refuse(host, call, 403, "forbidden", &[]).await;
    let members = format!("{ORGANIZATIONS}/{organization}/members");
    host.patch(format!("{members}/{}", demoted.id))
        .bearer(&owner.token)
        .json(&json!({"role": "member"}))
        .send()
        .await
        .expect(200);
    let call = get(host, &demoted, organization);
    refuse(host, call, 403, "forbidden", &[]).await;
    host.delete(format!("{members}/{}", removed.id))
        .bearer(&owner.token)
        .send()
        .await
        .expect(200);
    let call = get(host, &removed, organization);
    refuse(host, call, 401, "unauthenticated", &[]).await;
    let shown = get(host, &owner, organization).send().await.expect(200);
    assert_eq!(
        shown.cache(),
        "hit",
        "the others' right is not touched\n{shown}"
    );
}

async fn refuses(host: &TestHost) {
    let owner = host.new_user("ada").await;
    let organization = host.organization_of(&owner).await;
    let admin = host.platform_admin().await;
    let eve = host.new_user("eve").await;
    let price = |amount: Value, currency: &str| json!({"seat_price": {"amount": amount, "currency": currency}});
    let table = [
        (json!({"plan": ""}), "plan"),
        (json!({"plan": "Team"}), "plan"),
        (json!({"plan": "_a"}), "plan"),
        (json!({"plan": "a".repeat(65)}), "plan"),
        (json!({"plan": null}), "plan"),
        (json!({"seats": 0}), "seats"),
        (json!({"seats": 1_000_001}), "seats"),
        (json!({"seats": 1.5}), "seats"),
        (json!({"seats": "3"}), "seats"),
        (json!({"status": "ended"}), "status"),
        (json!({"billing_period": "week"}), "billing_period"),
        (json!({"seat_price": "12.50"}), "seat_price"),
        (json!({"seat_price": null}), "seat_price"),
        (price(json!("-0.01"), "USD"), "seat_price.amount"),
        (price(json!(12.5), "USD"), "seat_price.amount"),
        (price(json!("0.0000000001"), "USD"), "seat_price.amount"),
        (price(json!("1"), "usd"), "seat_price.currency"),
        (
            json!({"seat_price": {"amount": "1", "currency": "USD", "tax": "0"}}),
            "seat_price.tax",
        ),
        (
            json!({"period_started_at": "2026-01-01"}),
            "period_started_at",
        ),
        (
            json!({"period_started_at": "1999-12-31T23:59:59Z"}),
            "period_started_at",
        ),
        (
            json!({"period_ends_at": "9999-01-01T00:00:00Z"}),
            "period_ends_at",
        ),
        (
            json!({"period_started_at": "2026-01-01T00:00:00Z", "period_ends_at": "2026-01-01T00:00:00Z"}),
            "period_ends_at",
        ),
        (json!({"version": -1}), "version"),
        (json!({"version": "1"}), "version"),
        (json!({"mrr": "1"}), "mrr"),
    ];
    for (others, field) in table {
        let call = put(host, &admin, organization, &with(others));
        refuse(host, call, 422, "invalid_fields", &[field]).await;
    }
    let conflict = |others: Value, code: &'static str| {
        let call = put(host, &admin, organization, &with(others));
        async move { refuse(host, call, 409, code, &[]).await }
    };
    conflict(json!({"version": 1}), "version_conflict").await;
    put(host, &admin, organization, &terms())
        .send()
        .await
        .expect(201);
    conflict(json!({"version": 0}), "version_conflict").await;
    conflict(json!({"version": 2}), "version_conflict").await;
    let in_euros = put(
        host,
        &admin,
        organization,
        &with(price(json!("12.50"), "EUR")),
    );
    refuse(
        host,
        in_euros,
        422,
        "invalid_fields",
        &["seat_price.currency"],
    )
    .await;
    put(
        host,
        &admin,
        organization,
        &with(json!({"status": "canceled"})),
    )
    .send()
    .await
    .expect(200);
    for others in [
        json!({"status": "paused"}),
        json!({"status": "past_due"}),
        json!({"status": "canceled", "seats": 9}),
    ] {
        conflict(others, "subscription_canceled").await;
    }
    // Nobody sets the price of their own.
    for caller in [&owner, &eve] {
        let call = put(host, caller, organization, &terms());
        refuse(host, call, 403, "forbidden", &[]).await;
    }
    refuse(host, get(host, &eve, organization), 404, "not_found", &[]).await;
    for id in [
        "org_1",
        "usr_0193e7a1b2c37d4e8f90a1b2c3d4e5f6",
        "org_0193e7a1b2c37d4e8f90a1b2c3d4e5f6",
        "%00",
    ] {
        let target = format!("{}/{id}/subscription", turnpike_tests::pools::ORG_BILLING);
        let call = host.get(&target).bearer(&admin.token);
        refuse(host, call, 404, "not_found", &[]).await;
        let call = host.put(&target).bearer(&admin.token).json(&terms());
        refuse(host, call, 404, "not_found", &[]).await;
    }
}
