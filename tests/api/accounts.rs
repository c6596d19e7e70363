use futures::future::join_all;
use serde_json::{Value, json};
use shared::ids::{BillingAccountId, OrganizationId};
use turnpike_tests::personas::{ORGANIZATIONS, sql_digest, sql_id, unique};
use turnpike_tests::{Call, Response, TestHost, User, api_tests};

use crate::refusals::refuse;

/// Where accounts are.
pub const ACCOUNTS: &str = "/api/v1/accounts";

/// Who ask at once.
const RACERS: usize = 8;

api_tests![
    every_organization_has_one,
    is_made_and_changed,
    a_statement_that_is_sent_twice_is_done_once,
    a_change_is_merged_into_what_is_there,
    the_same_again_changes_nothing,
    a_lost_update_is_refused,
    of_changes_of_one_version_at_once_one_is_done,
    an_organization_changes_what_is_its_own,
    a_person_has_one_in_an_organization,
    an_external_id_is_used_once,
    a_parent_pays_for_its_children,
    of_parents_at_once_no_chain_comes,
    is_closed_when_nothing_runs,
    a_currency_that_was_billed_stays,
    is_given_to_a_person,
    of_owners_at_once_one_is_given,
    is_listed_by_what_is_asked_for,
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

async fn a_change_is_merged_into_what_is_there(host: &TestHost) {
    let admin = host.platform_admin().await;
    let table = [
        (
            json!({"billing_address": {"line1": null, "city": "Bath"}}),
            "billing_address",
            json!({"city": "Bath", "postal_code": "SW1Y 4LE", "country": "GB"}),
        ),
        (
            json!({"billing_address": null}),
            "billing_address",
            json!(null),
        ),
        (
            json!({"shipping_address": {"line1": null, "region": null, "country": null}}),
            "shipping_address",
            json!(null),
        ),
        (
            json!({"metadata": {"tier": null, "new": "x"}}),
            "metadata",
            json!({"empty": "", "new": "x"}),
        ),
        (json!({"metadata": null}), "metadata", json!({})),
        (
            json!({"invoice_settings": {"grace_days": null}}),
            "invoice_settings",
            json!({"grace_days": 0, "consolidation": "subscription", "footer": "Thank\nyou."}),
        ),
        (
            json!({"invoice_settings": null}),
            "invoice_settings",
            json!({"grace_days": 0, "consolidation": "account", "footer": null}),
        ),
        (
            json!({"tax_ids": [{"type": "eu_vat", "value": "DE1"}]}),
            "tax_ids",
            json!([{"type": "eu_vat", "value": "DE1"}]),
        ),
        (json!({"tax_ids": null}), "tax_ids", json!([])),
        (json!({"email": null}), "email", json!(null)),
        (json!({"external_id": null}), "external_id", json!(null)),
        (json!({"currency": "EUR"}), "currency", json!("EUR")),
        (
            json!({"time_zone": "MET"}),
            "time_zone",
            json!("Europe/Brussels"),
        ),
    ];
    for (change, field, expected) in table {
        let before = make(host, &admin, full()).await;
        let is_same = before[field] == expected;
        let id = id_of(&before);
        let after = patch(host, &admin, &id, &change)
            .send()
            .await
            .expect(200)
            .json();
        assert_eq!(after[field], expected, "{change}");
        let mut others = after.clone();
        for name in [field, "version", "updated_at"] {
            others[name] = before[name].clone();
        }
        assert_eq!(others, before, "{change} changes nothing else");
        assert_eq!(after["version"], if is_same { 1 } else { 2 }, "{change}");
    }
    // It may be said to be what it is.
    let id = id_of(&make(host, &admin, full()).await);
    let call = host
        .patch(path(&id))
        .bearer(&admin.token)
        .header("content-type", "application/merge-patch+json")
        .body(json!({"phone": null}).to_string());
    assert_eq!(call.send().await.expect(200).json()["phone"], json!(null));
}

async fn the_same_again_changes_nothing(host: &TestHost) {
    let admin = host.platform_admin().await;
    let body = full();
    let made = make(host, &admin, body.clone()).await;
    let id = id_of(&made);
    for change in [
        body,
        json!({}),
        json!({"billing_address": {"line2": null}, "metadata": {"none": null}}),
    ] {
        let same = patch(host, &admin, &id, &change).send().await.expect(200);
        assert_eq!(same.json(), made, "{change}");
    }
    let rows = host
        .query(&format!(
            "SELECT count(*) FROM audit_events WHERE event_type = 'account.changed' AND subject = '{id}'"
        ))
        .await;
    assert_eq!(rows[0].get::<_, i64>(0), 0);
}

async fn a_lost_update_is_refused(host: &TestHost) {
    let admin = host.platform_admin().await;
    let id = id_of(&make(host, &admin, full()).await);
    let change = |name: &str, wanted: &str| {
        patch(host, &admin, &id, &json!({"name": name})).header("if-match", wanted)
    };
    let table = [
        ("first", "\"v1\"", 200, "\"v2\""),
        // Whoever lost the answer sends it again.
        ("first", "\"v1\"", 200, "\"v2\""),
        ("second", "\"v1\"", 412, ""),
        ("second", "\"v3\"", 412, ""),
        ("second", "\"v2\"", 200, "\"v3\""),
        ("third", "*", 200, "\"v4\""),
    ];
    for (name, wanted, status, expected) in table {
        let response = change(name, wanted).send().await;
        let response = match status {
            200 => response.expect(200),
            _ => response.expect_problem(412, "version_conflict"),
        };
        assert_eq!(tag(&response), expected, "{name} {wanted}");
    }
    for wanted in ["v4", "4", "W/\"v4\"", "\"v4\", \"v5\"", "\"v0\"", "\"x\""] {
        let call = change("fourth", wanted);
        refuse(host, call, 400, "invalid_parameter", &["if-match"]).await;
    }
    let twice = change("fourth", "\"v4\"").header("if-match", "\"v4\"");
    refuse(host, twice, 400, "invalid_parameter", &["if-match"]).await;
}

async fn of_changes_of_one_version_at_once_one_is_done(host: &TestHost) {
    let admin = host.platform_admin().await;
    let id = id_of(&make(host, &admin, full()).await);
    let calls: Vec<Call> = (0..2 * RACERS)
        .map(|n| {
            patch(host, &admin, &id, &json!({"name": n.to_string()})).header("if-match", "\"v1\"")
        })
        .collect();
    let answers = join_all(calls.iter().map(Call::settle)).await;
    let mut done = Vec::new();
    for answer in answers {
        match answer.status {
            200 => done.push(answer.json()),
            _ => {
                answer.expect_problem(412, "version_conflict");
            }
        }
    }
    assert_eq!(done.len(), 1);
    let shown = host
        .get(path(&id))
        .bearer(&admin.token)
        .send()
        .await
        .expect(200);
    assert_eq!(shown.json(), done[0]);
    // Without a version all are done, one after the other.
    let calls: Vec<Call> = (0..2 * RACERS)
        .map(|n| {
            patch(
                host,
                &admin,
                &id,
                &json!({"metadata": {n.to_string(): "x"}}),
            )
        })
        .collect();
    let answers = join_all(calls.iter().map(Call::settle)).await;
    let mut versions: Vec<u64> = Vec::new();
    for answer in answers {
        versions.extend(answer.expect(200).json()["version"].as_u64());
    }
    versions.sort_unstable();
    assert_eq!(versions, (3..3 + 2 * RACERS as u64).collect::<Vec<_>>());
    let shown = host
        .get(path(&id))
        .bearer(&admin.token)
        .send()
        .await
        .expect(200);
    let metadata = shown.json()["metadata"]
        .as_object()
        .map(|members| members.len());
    assert_eq!(metadata, Some(2 + 2 * RACERS));
}

async fn an_organization_changes_what_is_its_own(host: &TestHost) {
    let owner = host.new_user("owner").await;
    let organization = host.organization_of(&owner).await;
    let id = account_of(organization).to_string();
    let clerk = host.member_of(organization, "admin").await;
    let member = host.member_of(organization, "member").await;
    let eve = host.new_user("eve").await;
    let own = json!({
        "name": "Mine", "email": "a@example.com", "phone": "1", "billing_address": {"country": "DE"},
        "shipping_address": {"city": "Ulm"}, "tax_ids": [], "locale": "de",
    });
    for caller in [&owner, &clerk] {
        let changed = patch(host, caller, &id, &own).send().await.expect(200);
        assert_eq!(changed.json()["name"], "Mine");
    }
    for change in [
        json!({"external_id": "x"}),
        json!({"currency": "EUR"}),
        json!({"time_zone": "Europe/Berlin"}),
        json!({"payment_terms_days": 90}),
        json!({"invoice_settings": {"grace_days": 30}}),
        json!({"metadata": {"tier": "gold"}}),
        json!({"parent_id": null}),
        json!({"name": "Mine", "payment_terms_days": 90}),
    ] {
        let call = patch(host, &owner, &id, &change);
        refuse(host, call, 403, "forbidden", &[]).await;
        let call = patch(host, &eve, &id, &change);
        refuse(host, call, 404, "not_found", &[]).await;
    }
    refuse(host, patch(host, &member, &id, &own), 403, "forbidden", &[]).await;
    refuse(host, patch(host, &eve, &id, &own), 404, "not_found", &[]).await;
    for call in [
        post(host, &owner, &json!({"name": "Free"})),
        host.post(format!("{}/close", path(&id)))
            .bearer(&owner.token),
        host.post(format!("{}/reopen", path(&id)))
            .bearer(&owner.token),
    ] {
        refuse(host, call, 403, "forbidden", &[]).await;
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

async fn a_parent_pays_for_its_children(host: &TestHost) {
    let admin = host.platform_admin().await;
    let new = |more: Value| {
        let mut body = json!({"name": "x"});
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        async { id_of(&make(host, &admin, body).await) }
    };
    let [parent, closed] = [new(json!({})).await, new(json!({})).await];
    let in_test = new(json!({"is_test": true})).await;
    let child = new(json!({"parent_id": parent})).await;
    let alone = new(json!({})).await;
    let close = |id: &str| {
        host.post(format!("{}/close", path(id)))
            .bearer(&admin.token)
    };
    close(&closed).settle().await.expect(200);
    let table = [
        (&alone, &alone, "conflict"),
        (&alone, &child, "conflict"),
        (&alone, &closed, "unknown"),
        (&alone, &in_test, "mismatch"),
        (&in_test, &parent, "mismatch"),
        (&parent, &alone, "not_allowed"),
    ];
    for (id, parent_id, code) in table {
        let call = patch(host, &admin, id, &json!({"parent_id": parent_id}));
        let refused = call
            .send()
            .await
            .expect_fields(422, "invalid_fields", &["parent_id"]);
        assert_eq!(refused.text_at("/errors/0/code"), code, "{refused}");
    }
    let nobody = json!({"parent_id": "acc_0199a2c4e2447b3c8d5e6f708192a3b4"});
    refuse(
        host,
        patch(host, &admin, &alone, &nobody),
        422,
        "invalid_fields",
        &["parent_id"],
    )
    .await;
    let call = post(host, &admin, &json!({"name": "x", "parent_id": child}));
    refuse(host, call, 422, "invalid_fields", &["parent_id"]).await;
    refuse(host, close(&parent), 409, "account_in_use", &[]).await;
    // One that is closed can be reopened, and is paid for then.
    close(&child).settle().await.expect(200);
    refuse(host, close(&parent), 409, "account_in_use", &[]).await;
    // Whoever pays for others pays in their currency.
    let currency =
        |id: &str, currency: &str| patch(host, &admin, id, &json!({"currency": currency}));
    currency(&parent, "USD").send().await.expect(200);
    let other = currency(&child, "EUR").send().await;
    other.expect_fields(422, "invalid_fields", &["parent_id"]);
    currency(&child, "USD").send().await.expect(200);
    refuse(host, currency(&parent, "EUR"), 409, "currency_fixed", &[]).await;
    let freed = patch(host, &admin, &child, &json!({"parent_id": null}))
        .send()
        .await
        .expect(200);
    assert_eq!(freed.json()["parent_id"], json!(null));
    close(&parent).settle().await.expect(200);
}

async fn of_parents_at_once_no_chain_comes(host: &TestHost) {
    host.fail_on_deadlock().await;
    let admin = host.platform_admin().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(id_of(&make(host, &admin, json!({"name": "x"})).await));
    }
    let calls: Vec<Call> = (0..16)
        .map(|n| {
            let (child, parent) = (&ids[n % 4], &ids[(n + 1 + n / 4) % 4]);
            patch(host, &admin, child, &json!({"parent_id": parent}))
        })
        .collect();
    for answer in join_all(calls.iter().map(Call::settle)).await {
        assert!(matches!(answer.status, 200 | 422), "{answer}");
    }
    let chains = host
        .query(
            "SELECT count(*) FROM billing_accounts a JOIN billing_accounts p ON p.id = a.parent_id
              WHERE p.parent_id IS NOT NULL OR a.parent_organization_id <> p.organization_id",
        )
        .await;
    assert_eq!(chains[0].get::<_, i64>(0), 0);
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

fn own(host: &TestHost, admin: &User, id: &str, user: &User) -> Call {
    host.put(format!("{}/owner", path(id)))
        .bearer(&admin.token)
        .json(&json!({"user_id": user.id}))
}

async fn is_given_to_a_person(host: &TestHost) {
    let admin = host.platform_admin().await;
    let made = make(host, &admin, full()).await;
    let id = id_of(&made);
    let organization: OrganizationId = made["organization_id"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .expect("it has one");
    let [ada, eve] = [
        host.verified_user("ada").await,
        host.verified_user("eve").await,
    ];
    // Whoever registered with her email is given nothing.
    let stranger = host.new_user("stranger").await;
    let call = own(host, &admin, &id, &stranger);
    refuse(host, call, 422, "invalid_fields", &["user_id"]).await;
    for _ in 0..2 {
        let given = own(host, &admin, &id, &ada).send().await.expect(200);
        let expected =
            json!({"account_id": id, "organization_id": organization, "user_id": ada.id});
        assert_eq!(given.json(), expected);
    }
    refuse(
        host,
        own(host, &admin, &id, &eve),
        409,
        "owner_present",
        &[],
    )
    .await;
    // She acts there, and finds what was kept for her.
    let token = host.token_in(&ada, organization).await;
    let listed = host.get(ACCOUNTS).bearer(&token).send().await.expect(200);
    assert_eq!(listed.json()["accounts"], json!([made]));
    let rows = host
        .query(&format!(
            "SELECT count(*) FROM audit_events WHERE event_type = 'account.owner_set' AND organization_id = '{}'",
            organization.as_uuid()
        ))
        .await;
    assert_eq!(rows[0].get::<_, i64>(0), 1);

    let other = id_of(&make(host, &admin, json!({"name": "x"})).await);
    host.execute(&format!(
        "UPDATE users SET disabled_at = now() WHERE id = {}",
        sql_id(eve.id)
    ))
    .await;
    refuse(
        host,
        own(host, &admin, &other, &eve),
        422,
        "invalid_fields",
        &["user_id"],
    )
    .await;
    let key = host.issue_api_key(&admin, &["accounts:manage"]).await.key;
    let program = User {
        token: key,
        ..admin.clone()
    };
    refuse(
        host,
        own(host, &program, &other, &ada),
        403,
        "session_required",
        &[],
    )
    .await;
    refuse(host, own(host, &ada, &other, &ada), 403, "forbidden", &[]).await;
    let nobody = "acc_0199a2c4e2447b3c8d5e6f708192a3b4";
    refuse(host, own(host, &admin, nobody, &ada), 404, "not_found", &[]).await;
    host.execute(&format!(
        "UPDATE sessions SET authenticated_at = now() - interval '11 minutes' WHERE user_id = {}",
        sql_id(admin.id)
    ))
    .await;
    refuse(
        host,
        own(host, &admin, &other, &ada),
        403,
        "recent_login_required",
        &[],
    )
    .await;
}

async fn of_owners_at_once_one_is_given(host: &TestHost) {
    let admin = host.platform_admin().await;
    let id = id_of(&make(host, &admin, json!({"name": "x"})).await);
    let mut calls = Vec::new();
    for _ in 0..4 {
        calls.push(own(host, &admin, &id, &host.verified_user("racer").await));
    }
    let answers = join_all(calls.iter().map(Call::settle)).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409]);
}

/// The names of a list's accounts, page by page.
async fn names(host: &TestHost, caller: &User, query: &str, limit: usize) -> Vec<String> {
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let target = format!("{ACCOUNTS}?{query}&limit={limit}{cursor}");
        let page = host
            .get(target)
            .bearer(&caller.token)
            .send()
            .await
            .expect(200);
        let body = page.json();
        let accounts = body["accounts"].as_array().cloned().unwrap_or_default();
        assert!(accounts.len() <= limit, "{page}");
        names.extend(
            accounts
                .iter()
                .map(|a| a["name"].as_str().unwrap_or_default().to_owned()),
        );
        match body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return names,
        }
    }
}

async fn is_listed_by_what_is_asked_for(host: &TestHost) {
    let admin = host.platform_admin().await;
    // Words of this test alone, because the database has others' accounts.
    let mark = unique().to_string();
    let name = |name: &str| format!("{mark} {name}");
    let table = [
        ("Zoë", "XPF", "gold", Some("zoe")),
        ("ada", "XPF", "gold", None),
        ("Ada", "USD", "gold", None),
        ("Bob", "XPF", "iron", None),
    ];
    for (person, currency, tier, external_id) in table {
        let body = json!({
            "name": name(person), "currency": currency, "email": format!("{mark}.{}@example.com", person.len()),
            "metadata": {"tier": format!("{mark}={tier}"), "person": person},
            "external_id": external_id.map(|id| format!("{mark}{id}")),
        });
        let id = id_of(&make(host, &admin, body).await);
        if person == "ada" {
            host.post(format!("{}/close", path(&id)))
                .bearer(&admin.token)
                .settle()
                .await
                .expect(200);
        }
    }
    let gold = format!("metadata=tier%3D{mark}%3Dgold");
    let table: [(String, &[&str]); 13] = [
        (gold.clone(), &["Ada", "ada", "Zoë"]),
        (format!("{gold}&currency=XPF"), &["ada", "Zoë"]),
        (format!("{gold}&currency=XPF&status=active"), &["Zoë"]),
        (format!("{gold}&status=closed"), &["ada"]),
        (format!("external_id={mark}zoe"), &["Zoë"]),
        (format!("external_id={mark}zoe&currency=USD"), &[]),
        (format!("external_id={mark}ZOE"), &[]),
        // By their names and emails in the order of letters; what is equal by their ids.
        (format!("q={mark}+"), &["ada", "Ada", "Bob", "Zoë"]),
        (format!("q={mark}+ADA"), &["ada", "Ada"]),
        (format!("q={mark}+zo%C3%8B"), &["Zoë"]),
        // Zoë has four bytes.
        (format!("q={mark}.3"), &["ada", "Ada", "Bob"]),
        (format!("q={mark}.4%40&status=active"), &["Zoë"]),
        (format!("q={mark}%25"), &[]),
    ];
    for (query, expected) in &table {
        let expected: Vec<String> = expected.iter().map(|person| name(person)).collect();
        for limit in [1, 2, 100] {
            assert_eq!(
                names(host, &admin, query, limit).await,
                expected,
                "{query} {limit}"
            );
        }
    }
    // What is asked for without a name of this test begins with its newest.
    for query in ["status=active", "currency=XPF", ""] {
        let target = format!("{ACCOUNTS}?{query}&limit=100");
        let page = host
            .get(target)
            .bearer(&admin.token)
            .send()
            .await
            .expect(200);
        let accounts = page.json()["accounts"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let ids: Vec<String> = accounts.iter().map(id_of).collect();
        assert!(ids.is_sorted_by(|a, b| a > b), "{query}: newest first");
        let is_right = |account: &Value| match query {
            "status=active" => account["status"] == "active",
            "currency=XPF" => account["currency"] == "XPF",
            _ => true,
        };
        assert!(
            !accounts.is_empty() && accounts.iter().all(is_right),
            "{query}"
        );
    }
    // A cursor is good for its own parameters.
    let page = host
        .get(format!("{ACCOUNTS}?{gold}&limit=1"))
        .bearer(&admin.token)
        .send()
        .await
        .expect(200);
    let cursor = page.text_at("/next_cursor");
    for query in [
        format!("{gold}&status=active"),
        format!("q={mark}"),
        String::new(),
    ] {
        let target = format!("{ACCOUNTS}?{query}&cursor={cursor}");
        let call = host.get(target).bearer(&admin.token);
        refuse(host, call, 400, "invalid_parameter", &["cursor"]).await;
    }

    // An organization sees its own.
    let owner = host.new_user("owner").await;
    let organization = host.organization_of(&owner).await;
    for person in ["Cyd", "Dot"] {
        let member = host.member_of(organization, "member").await;
        let body = json!({"name": name(person), "organization_id": organization, "user_id": member.id,
                          "currency": "XPF", "metadata": {"tier": format!("{mark}=gold")}});
        make(host, &admin, body).await;
    }
    let table: [(String, &[&str]); 6] = [
        (gold.clone(), &["Dot", "Cyd"]),
        ("currency=XPF".to_owned(), &["Dot", "Cyd"]),
        (format!("q={mark}"), &["Cyd", "Dot"]),
        (format!("q={mark}+d&status=active"), &["Dot"]),
        ("status=closed".to_owned(), &[]),
        (format!("external_id={mark}zoe"), &[]),
    ];
    for (query, expected) in &table {
        let expected: Vec<String> = expected.iter().map(|person| name(person)).collect();
        for limit in [1, 100] {
            assert_eq!(
                names(host, &owner, query, limit).await,
                expected,
                "{query} {limit}"
            );
        }
    }
    assert_eq!(names(host, &owner, "", 1).await.len(), 3);
    for (query, field) in [
        ("status=open", "status"),
        ("currency=usd", "currency"),
        ("metadata=tier", "metadata"),
        ("metadata=%3Dgold", "metadata"),
        ("metadata=a%00%3Dgold", "metadata"),
        ("q=", "q"),
        ("q=a%00", "q"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
        ("external_id=", "external_id"),
    ] {
        let call = host.get(format!("{ACCOUNTS}?{query}")).bearer(&owner.token);
        refuse(host, call, 400, "invalid_parameter", &[field]).await;
    }
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
