use futures::future::join_all;
use serde_json::{Value, json};
use shared::ids::{BillingAccountId, OrganizationId};
use turnpike_tests::personas::{ORGANIZATIONS, sql_digest, sql_id, unique};
use turnpike_tests::{Call, Response, TestHost, User, api_tests};

use crate::refusals::refuse;

mod changes;
mod lists;
mod owners;
mod parents;

/// Where accounts are.
pub const ACCOUNTS: &str = "/api/v1/accounts";

/// Who ask at once.
const RACERS: usize = 8;

api_tests![
    every_organization_has_one,
    is_made_and_changed,
    a_statement_that_is_sent_twice_is_done_once,
    a_person_has_one_in_an_organization,
    an_external_id_is_used_once,
    is_closed_when_nothing_runs,
    a_currency_that_was_billed_stays,
    refuses,
];

api_tests![
    fresh_too:
    shows_at_once,
    the_right_to_see_it_ends_at_once,
];

/// The account of an organization.
pub fn account_of(organization: OrganizationId) -> BillingAccountId {
    BillingAccountId::from_uuid(organization.as_uuid())
}

fn path(id: impl std::fmt::Display) -> String {
    format!("{ACCOUNTS}/{id}")
}

fn patch(host: &TestHost, caller: &User, id: &str, body: &Value) -> Call {
    host.patch(path(id)).bearer(&caller.token).json(body)
}

fn post(host: &TestHost, caller: &User, body: &Value) -> Call {
    host.post(ACCOUNTS).bearer(&caller.token).json(body)
}

/// Makes an account, and returns it.
async fn make(host: &TestHost, admin: &User, body: Value) -> Value {
    post(host, admin, &body).settle().await.expect(201).json()
}

fn id_of(account: &Value) -> String {
    account["id"].as_str().unwrap_or_default().to_owned()
}

/// Everything that an account can be made with.
fn full() -> Value {
    json!({
        "name": "Analytical Engines Ltd", "external_id": format!("crm-{}", unique()),
        "email": "Billing@Example.com", "phone": "+44 20 7946 0958",
        "billing_address": {"line1": "12 St James's Square", "city": "London",
                            "postal_code": "SW1Y 4LE", "country": "GB"},
        "shipping_address": {"line1": "1 Ockham Road", "region": "Surrey", "country": "GB"},
        "tax_ids": [{"type": "gb_vat", "value": "GB123456789"}], "currency": "GBP",
        "time_zone": "Europe/London", "locale": "en-GB", "payment_terms_days": 30,
        "invoice_settings": {"grace_days": 3, "consolidation": "subscription", "footer": "Thank\nyou."},
        "metadata": {"tier": "gold", "empty": ""},
    })
}

fn tag(response: &Response) -> String {
    response.header("etag").unwrap_or_default().to_owned()
}

async fn every_organization_has_one(host: &TestHost) {
    let owner = host.new_user("owner").await;
    let organization = host.organization_of(&owner).await;
    let made = host
        .post(ORGANIZATIONS)
        .bearer(&owner.token)
        .json(&json!({"name": "Second Engines"}))
        .settle()
        .await
        .expect(201);
    let second: OrganizationId = made.text_at("/id").parse().expect("it is an id");
    let admin = host.platform_admin().await;
    for (organization, name) in [
        (organization, owner.email.as_str()),
        (second, "Second Engines"),
    ] {
        let call = host
            .get(path(account_of(organization)))
            .bearer(&admin.token);
        let shown = call.send().await.expect(200);
        assert_eq!(tag(&shown), "\"v1\"", "{shown}");
        assert_eq!(shown.db_queries(), 1, "{shown}");
        let account = shown.json();
        let expected = json!({
            "id": account_of(organization), "organization_id": organization, "user_id": null,
            "kind": "organization", "name": name, "external_id": null, "email": null, "phone": null,
            "billing_address": null, "shipping_address": null, "tax_ids": [], "currency": null,
            "time_zone": "UTC", "locale": null, "payment_terms_days": 0,
            "invoice_settings": {"grace_days": 0, "consolidation": "account", "footer": null},
            "metadata": {}, "parent_id": null, "status": "active", "is_test": false,
            "test_clock_at": null, "version": 1, "created_at": account["created_at"],
            "updated_at": account["created_at"], "closed_at": null,
        });
        assert_eq!(account, expected);
    }
    let missing = host
        .query(
            "SELECT count(*) FROM organizations o
              WHERE NOT EXISTS (SELECT 1 FROM billing_accounts a WHERE a.organization_id = o.id AND a.id = o.id)",
        )
        .await;
    assert_eq!(missing[0].get::<_, i64>(0), 0);
}

async fn is_made_and_changed(host: &TestHost) {
    let admin = host.platform_admin().await;
    let body = full();
    let made = post(host, &admin, &body).settle().await.expect(201);
    assert_eq!(made.db_queries(), 1, "{made}");
    let account = made.json();
    let id = id_of(&account);
    for (name, value) in body.as_object().into_iter().flatten() {
        let expected = match name.as_str() {
            "email" => &json!("billing@example.com"),
            _ => value,
        };
        assert_eq!(&account[name], expected, "{name}");
    }
    // It comes with an organization of its own, which is there at once.
    assert_eq!(id.replace("acc_", "org_"), account["organization_id"]);
    let shown = host
        .get(path(&id))
        .bearer(&admin.token)
        .send()
        .await
        .expect(200);
    assert_eq!((shown.json(), tag(&shown)), (account.clone(), tag(&made)));
    let changed = patch(
        host,
        &admin,
        &id,
        &json!({"name": "Other", "payment_terms_days": null}),
    )
    .send()
    .await
    .expect(200);
    assert_eq!(changed.db_queries(), 1, "{changed}");
    assert_eq!(tag(&changed), "\"v2\"");
    let changed = changed.json();
    assert_eq!(
        (
            &changed["name"],
            &changed["payment_terms_days"],
            &changed["version"]
        ),
        (&json!("Other"), &json!(0), &json!(2))
    );
    let rows = host
        .query(&format!(
            "SELECT event_type, detail::text, subject, actor_id = {} FROM audit_events
              WHERE event_type LIKE 'account.%' AND subject = '{id}' ORDER BY sequence",
            sql_id(admin.id)
        ))
        .await;
    let events: Vec<(String, String, bool)> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(3)))
        .collect();
    assert_eq!(
        events,
        [
            (
                "account.created".to_owned(),
                r#"{"kind": "organization", "is_test": false}"#.to_owned(),
                true
            ),
            (
                "account.changed".to_owned(),
                // Names of fields, and no values.
                r#"{"fields": ["name", "payment_terms_days"], "version": 2}"#.to_owned(),
                true
            ),
        ]
    );
    host.assert_audit_log_is_sound().await;
}

/// A statement whose connection was lost is sent again, and may have taken effect.
async fn a_statement_that_is_sent_twice_is_done_once(host: &TestHost) {
    let admin = host.platform_admin().await;
    let owner = host.new_user("owner").await;
    let organization = host.organization_of(&owner).await.as_uuid();
    let digest = sql_digest(&admin.token);
    let item = |more: Value| {
        let mut item = json!({"op": "create", "is_test": false, "patch": {"name": "Ada"}});
        if let (Some(item), Some(more)) = (item.as_object_mut(), more.as_object()) {
            item.extend(more.clone());
        }
        item
    };
    let own = OrganizationId::new(7, &[3; 10]).as_uuid().to_string();
    let person = BillingAccountId::owned(OrganizationId::from_uuid(organization), 7, &[3; 10]);
    let person = person.as_uuid().to_string();
    let change = json!({"op": "update", "id": own, "version": 1, "patch": {"phone": "1"}});
    let table = [
        (
            "billing_account_create",
            item(json!({"id": own, "kind": "organization"})),
            1,
        ),
        (
            "billing_account_create",
            item(
                json!({"id": person, "kind": "person", "organization_id": organization.to_string(),
                        "user_id": owner.id.as_uuid().to_string()}),
            ),
            1,
        ),
        ("billing_account_change", change, 1),
        ("billing_account_close", json!({"id": own}), 1),
    ];
    for (function, item, events) in table {
        let count = || async {
            let rows = host
                .query("SELECT count(*) FROM audit_events WHERE event_type LIKE 'account.%'")
                .await;
            rows[0].get::<_, i64>(0)
        };
        let before = count().await;
        let arguments = match function {
            "billing_account_close" => format!("'{own}', true"),
            _ => format!("'{item}'"),
        };
        let sql = format!(
            "SELECT audit_asker('127.0.0.1', {digest}), {function}({digest}, {arguments})::text"
        );
        let first: String = host.query(&sql).await[0].get(1);
        let second: String = host.query(&sql).await[0].get(1);
        assert_eq!(second, first, "{function} {item}");
        assert!(!first.contains("refusal"), "{function} {item}: {first}");
        assert_eq!(count().await, before + events, "{function} {item}");
    }
}

async fn a_person_has_one_in_an_organization(host: &TestHost) {
    let admin = host.platform_admin().await;
    let owner = host.new_user("owner").await;
    let organization = host.organization_of(&owner).await;
    let bob = host.member_of(organization, "member").await;
    let eve = host.new_user("eve").await;
    let body =
        |user: &User| json!({"name": "Bob", "organization_id": organization, "user_id": user.id});
    let answers =
        join_all((0..RACERS).map(|_| async { post(host, &admin, &body(&bob)).settle().await }))
            .await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    // The winner's answer may be lost on a busy machine, and its second attempt be too late.
    assert!(made <= 1);
    refuse(
        host,
        post(host, &admin, &body(&bob)),
        409,
        "account_exists",
        &[],
    )
    .await;
    let listed = host
        .get(ACCOUNTS)
        .bearer(&owner.token)
        .send()
        .await
        .expect(200);
    let accounts = listed.json()["accounts"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    assert_eq!(accounts.len(), 2, "the organization's and the person's");
    let account = &accounts[0];
    assert_eq!(account["user_id"], bob.id.to_string());
    assert_eq!(account["kind"], "person");
    let id = id_of(account);
    assert_eq!(id[id.len() - 4..], organization.to_string()[32..]);
    refuse(
        host,
        post(host, &admin, &body(&eve)),
        422,
        "invalid_fields",
        &["user_id"],
    )
    .await;
    let nowhere = json!({"name": "Bob", "organization_id": "org_0199a2c4e2447b3c8d5e6f708192a3b4", "user_id": bob.id});
    refuse(
        host,
        post(host, &admin, &nowhere),
        422,
        "invalid_fields",
        &["user_id"],
    )
    .await;
    let stranger = host.get(path(&id)).bearer(&eve.token);
    refuse(host, stranger, 404, "not_found", &[]).await;
}

async fn an_external_id_is_used_once(host: &TestHost) {
    let admin = host.platform_admin().await;
    let organizations = || async {
        let rows = host.query("SELECT count(*) FROM organizations").await;
        rows[0].get::<_, i64>(0)
    };
    let before = organizations().await;
    let external_id = format!("crm-{}", unique());
    let body = json!({"name": "Ada", "external_id": external_id});
    let answers =
        join_all((0..RACERS).map(|_| async { post(host, &admin, &body).settle().await })).await;
    assert!(answers.iter().filter(|answer| answer.status == 201).count() <= 1);
    refuse(
        host,
        post(host, &admin, &body),
        409,
        "external_id_taken",
        &[],
    )
    .await;
    assert_eq!(organizations().await, before + 1, "one came with it");
    let other = id_of(&make(host, &admin, json!({"name": "Eve"})).await);
    let change = json!({"external_id": external_id});
    refuse(
        host,
        patch(host, &admin, &other, &change),
        409,
        "external_id_taken",
        &[],
    )
    .await;
    // Upper case is another.
    let change = json!({"external_id": external_id.to_uppercase()});
    patch(host, &admin, &other, &change)
        .send()
        .await
        .expect(200);
}

async fn is_closed_when_nothing_runs(host: &TestHost) {
    let admin = host.platform_admin().await;
    let owner = host.new_user("owner").await;
    let organization = host.organization_of(&owner).await;
    let account = path(account_of(organization));
    let post = |what: &str| host.post(format!("{account}/{what}")).bearer(&admin.token);
    let terms = |status: &str| {
        let body = json!({"plan": "team", "seats": 1, "status": status, "billing_period": "month",
                          "seat_price": {"amount": "1", "currency": "USD"}});
        host.put(format!(
            "/api/v1/org-billing/organizations/{organization}/subscription"
        ))
        .bearer(&admin.token)
        .json(&body)
    };
    terms("active").settle().await.expect(201);
    refuse(host, post("close"), 409, "account_in_use", &[]).await;
    terms("canceled").settle().await.expect(200);
    let table = [
        ("close", "closed", 2),
        ("close", "closed", 2),
        ("reopen", "active", 3),
        ("reopen", "active", 3),
    ];
    for (what, status, version) in table {
        let answer = post(what).send().await.expect(200);
        let shown = answer.json();
        assert_eq!(
            (&shown["status"], &shown["version"]),
            (&json!(status), &json!(version)),
            "{what}"
        );
        assert_eq!(shown["closed_at"].is_string(), status == "closed", "{what}");
        assert_eq!(tag(&answer), format!("\"v{version}\""));
    }
    for what in ["close", "reopen"] {
        let target = format!("{ACCOUNTS}/acc_0199a2c4e2447b3c8d5e6f708192a3b4/{what}");
        refuse(
            host,
            host.post(target).bearer(&admin.token),
            404,
            "not_found",
            &[],
        )
        .await;
    }
}

async fn a_currency_that_was_billed_stays(host: &TestHost) {
    let admin = host.platform_admin().await;
    let made = make(host, &admin, json!({"name": "x", "currency": "USD"})).await;
    let id = id_of(&made);
    patch(host, &admin, &id, &json!({"currency": "EUR"}))
        .send()
        .await
        .expect(200);
    let organization: OrganizationId = made["organization_id"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .expect("it has one");
    host.execute(&format!(
        "BEGIN; SET LOCAL session_replication_role = replica;
         INSERT INTO subscriptions (organization_id, id, account_id, plan_id, plan_version, currency, quantity,
                                    billing_unit, billing_count, alignment, anchor_at, anchor_day, time_zone,
                                    proration, status, starts_at, period_index, period_started_at, period_ends_at,
                                    ended_at, version, is_test, created_at, updated_at)
         SELECT organization_id, owned_id(organization_id, gen_random_uuid()), id, gen_random_uuid(), 1, 'EUR', 1,
                'month', 1, 'calendar', now(), 1, 'UTC', 'day', 'canceled', now(), 0, now(), now() + interval '1 month',
                now(), 1, false, now(), now()
           FROM billing_accounts WHERE organization_id = '{}';
         COMMIT",
        organization.as_uuid()
    ))
    .await;
    for currency in [json!("USD"), json!(null)] {
        let call = patch(host, &admin, &id, &json!({"currency": currency}));
        refuse(host, call, 409, "currency_fixed", &[]).await;
    }
    patch(host, &admin, &id, &json!({"currency": "EUR", "name": "y"}))
        .send()
        .await
        .expect(200);
    // What was canceled does not run.
    host.post(format!("{}/close", path(&id)))
        .bearer(&admin.token)
        .settle()
        .await
        .expect(200);
}

async fn shows_at_once(host: &TestHost) {
    let admin = host.platform_admin().await;
    let owner = host.new_user("owner").await;
    let organization = host.organization_of(&owner).await;
    let id = account_of(organization).to_string();
    let read = |caller: &User| host.get(path(&id)).bearer(&caller.token);
    for round in 0..3 {
        let name = format!("Name {round}");
        patch(host, &owner, &id, &json!({"name": name}))
            .settle()
            .await
            .expect(200);
        for caller in [&owner, &admin] {
            let shown = read(caller).send().await.expect(200);
            assert_eq!(shown.json()["name"], name, "{shown}");
            let cached = host.warm(&read(caller)).await;
            assert_eq!((cached.json(), tag(&cached)), (shown.json(), tag(&shown)));
            assert_eq!(cached.db_queries(), 0, "{cached}");
        }
        let closed = ["close", "reopen"][round % 2];
        host.post(format!("{}/{closed}", path(&id)))
            .bearer(&admin.token)
            .settle()
            .await
            .expect(200);
        let shown = read(&owner).send().await.expect(200);
        assert_eq!(
            shown.json()["status"] == "closed",
            closed == "close",
            "{shown}"
        );
    }
}

/// The account is one entry for all; who may see it is looked at for each.
async fn the_right_to_see_it_ends_at_once(host: &TestHost) {
    let owner = host.new_user("owner").await;
    let organization = host.organization_of(&owner).await;
    let clerk = host.member_of(organization, "admin").await;
    let eve = host.new_user("eve").await;
    let read =
        |caller: &User, of: OrganizationId| host.get(path(account_of(of))).bearer(&caller.token);
    for caller in [&owner, &clerk] {
        host.warm(&read(caller, organization)).await;
    }
    // What is cached of others, and for others, opens nothing.
    host.warm(&read(&eve, host.organization_of(&eve).await))
        .await;
    refuse(host, read(&eve, organization), 404, "not_found", &[]).await;
    let member = host.member_of(organization, "member").await;
    refuse(host, read(&member, organization), 403, "forbidden", &[]).await;
    host.patch(format!(
        "{ORGANIZATIONS}/{organization}/members/{}",
        clerk.id
    ))
    .bearer(&owner.token)
    .json(&json!({"role": "member"}))
    .settle()
    .await
    .expect(200);
    refuse(host, read(&clerk, organization), 403, "forbidden", &[]).await;
}

async fn refuses(host: &TestHost) {
    let admin = host.platform_admin().await;
    let made = make(host, &admin, json!({"name": "x"})).await;
    let id = id_of(&made);
    let members = |count: usize| {
        let members = (0..count).map(|n| (n.to_string(), json!("x")));
        Value::from(members.collect::<serde_json::Map<_, _>>())
    };
    let table = [
        (json!({"name": ""}), "name"),
        (json!({"name": null}), "name"),
        (json!({"name": "x".repeat(201)}), "name"),
        (json!({"name": "a\nb"}), "name"),
        (json!({"external_id": " "}), "external_id"),
        (json!({"email": "ada@"}), "email"),
        (json!({"phone": 1}), "phone"),
        (json!({"billing_address": "London"}), "billing_address"),
        (
            json!({"billing_address": {"country": "UK "}}),
            "billing_address.country",
        ),
        (
            json!({"shipping_address": {"line1": "x".repeat(201)}}),
            "shipping_address.line1",
        ),
        (
            json!({"tax_ids": [{"type": "VAT", "value": "1"}]}),
            "tax_ids[0].type",
        ),
        (json!({"tax_ids": {}}), "tax_ids"),
        (json!({"currency": "XXX"}), "currency"),
        (json!({"time_zone": "Mars/Olympus"}), "time_zone"),
        (json!({"time_zone": "a\0"}), "time_zone"),
        (json!({"locale": "english"}), "locale"),
        (json!({"payment_terms_days": 366}), "payment_terms_days"),
        (json!({"payment_terms_days": "30"}), "payment_terms_days"),
        (
            json!({"invoice_settings": {"grace_days": -1}}),
            "invoice_settings.grace_days",
        ),
        (json!({"metadata": members(51)}), "metadata"),
        (json!({"metadata": {"": "x"}}), "metadata."),
        (json!({"metadata": {"a": {}}}), "metadata.a"),
        (json!({"metadata": {"a\0": "x"}}), "metadata.a\0"),
        (json!({"parent_id": 1}), "parent_id"),
        (json!({"status": "closed"}), "status"),
        (json!({"version": 1}), "version"),
    ];
    for (change, field) in &table {
        let call = patch(host, &admin, &id, change);
        refuse(host, call, 422, "invalid_fields", &[field]).await;
        let mut body = json!({"name": "x"});
        if let (Some(body), Some(change)) = (body.as_object_mut(), change.as_object()) {
            body.extend(change.clone());
        }
        let call = post(host, &admin, &body);
        refuse(host, call, 422, "invalid_fields", &[field]).await;
    }
    // Members that are there count.
    patch(host, &admin, &id, &json!({"metadata": members(50)}))
        .send()
        .await
        .expect(200);
    let call = patch(host, &admin, &id, &json!({"metadata": {"more": "x"}}));
    refuse(host, call, 422, "invalid_fields", &["metadata"]).await;
    patch(
        host,
        &admin,
        &id,
        &json!({"metadata": {"more": "x", "0": null}}),
    )
    .send()
    .await
    .expect(200);
    // What is fixed is no field of a change.
    for change in [
        json!({"kind": "person"}),
        json!({"is_test": true}),
        json!({"user_id": null}),
    ] {
        let field = change
            .as_object()
            .and_then(|members| members.keys().next().cloned());
        let call = patch(host, &admin, &id, &change);
        refuse(
            host,
            call,
            422,
            "invalid_fields",
            &[&field.unwrap_or_default()],
        )
        .await;
    }
    for id in [
        "acc_1",
        "org_0193e7a1b2c37d4e8f90a1b2c3d4e5f6",
        "acc_0193e7a1b2c37d4e8f90a1b2c3d4e5f6",
        "%00",
    ] {
        for call in [
            host.get(path(id)),
            host.patch(path(id)).json(&json!({"name": "y"})),
            host.post(format!("{}/close", path(id))),
            host.put(format!("{}/owner", path(id)))
                .json(&json!({"user_id": admin.id})),
        ] {
            refuse(host, call.bearer(&admin.token), 404, "not_found", &[]).await;
        }
    }
}
