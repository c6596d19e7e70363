//! Accounts are changed by merge patches, and not by two who have seen the same version.

use futures::future::join_all;
use serde_json::json;
use turnpike_tests::{Call, TestHost, api_tests};

use super::{RACERS, account_of, full, id_of, make, patch, path, post, tag};
use crate::refusals::refuse;

api_tests![
    a_change_is_merged_into_what_is_there,
    the_same_again_changes_nothing,
    a_lost_update_is_refused,
    of_changes_of_one_version_at_once_one_is_done,
    an_organization_changes_what_is_its_own,
];

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
