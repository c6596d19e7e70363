use futures::future::join_all;
use serde_json::{Value, json};
use turnpike_tests::personas::fresh_key;
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::metering::{METERS, meter};
use crate::refusals::refuse;

pub const ENTITLEMENTS: &str = "/api/v1/entitlements";

/// An entitlement to the feature `tokens` by what the meter `sum` adds up.
pub fn metered(subject: &str, limit: &str, period: &str) -> Value {
    json!({"feature": "tokens", "subject": subject, "type": "metered", "meter": "sum", "limit": limit,
           "period": period})
}

/// An entitlement that nothing is counted of.
pub fn boolean(subject: &str, feature: &str) -> Value {
    json!({"feature": feature, "subject": subject, "type": "boolean"})
}

/// The same with another field.
pub fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

/// A request that gives an entitlement.
pub fn give_call(host: &TestHost, user: &User, body: &Value) -> Call {
    host.post(ENTITLEMENTS).bearer(&user.token).json(body)
}

/// Gives an entitlement; returns its path.
pub async fn give(host: &TestHost, user: &User, body: &Value) -> String {
    let given = give_call(host, user, body).settle().await.expect(201);
    format!("{ENTITLEMENTS}/{}", given.text_at("/entitlement/id"))
}

/// A request that resets an entitlement.
pub fn reset_call(host: &TestHost, user: &User, path: &str, key: &str) -> Call {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    host.post(format!("{path}/reset?{query}"))
        .bearer(&user.token)
        .idempotency_key(key)
}

/// Somebody whose meter `sum` adds up `n` of the calls.
pub async fn owner(host: &TestHost, name: &str) -> User {
    let user = host.new_user(name).await;
    meter(host, &user.token, "sum", "sum", json!({})).await;
    user
}

/// The features and subjects that a list shows.
async fn listed(host: &TestHost, user: &User, query: &str) -> Vec<(String, Option<String>)> {
    let call = host.get(format!("{ENTITLEMENTS}?{query}"));
    let body = call.bearer(&user.token).send().await.expect(200).json();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let entitlements = body["entitlements"].as_array().cloned().unwrap_or_default();
    entitlements
        .iter()
        .map(|e| (text(&e["feature"]).unwrap_or_default(), text(&e["subject"])))
        .collect()
}

/// The types of what was audited of entitlements, oldest first.
async fn audited(host: &TestHost) -> Vec<String> {
    let rows = host
        .query(
            "SELECT event_type FROM audit_events WHERE event_type LIKE 'entitlement.%'
              ORDER BY occurred_at, sequence",
        )
        .await;
    rows.iter().map(|row| row.get(0)).collect()
}

/// How many are current, as counted and as they are.
async fn counts(host: &TestHost) -> (i64, i64) {
    let rows = host
        .query(
            "SELECT (SELECT coalesce(sum(current), 0) FROM entitlement_counts),
                    (SELECT count(*) FROM entitlements e FULL JOIN entitlement_names n ON n.entitlement_id = e.id
                      WHERE e.is_current OR e.id IS NULL OR n.subject IS NOT NULL)",
        )
        .await;
    (rows[0].get(0), rows[0].get(1))
}

api_tests![
    is_given_shown_changed_and_revoked,
    is_listed_by_pages_subject_and_feature,
    of_those_given_at_once_there_is_one,
    one_that_expired_makes_room,
    there_are_so_many,
    a_reset_that_is_sent_twice_is_one,
    what_is_boolean_or_over_keeps_its_terms,
    only_the_platform_gives_an_organization_anything,
    belongs_to_its_organization,
    refuses,
    refuses_terms
];

async fn is_given_shown_changed_and_revoked(host: &TestHost) {
    let user = owner(host, "ada").await;
    let expires_at = "2100-01-01T00:00:00.000000Z";
    let body = with(
        metered("cus_42", "1000000", "month"),
        "expires_at",
        json!(expires_at),
    );
    let given = give_call(host, &user, &body).send().await.expect(201);
    let shown = given.json()["entitlement"].clone();
    assert!(given.text_at("/entitlement/id").starts_with("ent_"));
    for (name, value) in body.as_object().into_iter().flatten() {
        assert_eq!(&shown[name], value, "{name}");
    }
    assert_eq!(
        (&shown["is_soft"], &shown["revoked_at"]),
        (&json!(false), &Value::Null)
    );
    let path = format!("{ENTITLEMENTS}/{}", given.text_at("/entitlement/id"));
    let get = host.get(&path).bearer(&user.token);
    assert_eq!(get.send().await.expect(200).json(), given.json());
    let table = [
        (json!({}), "1000000", false, json!(expires_at)),
        (
            json!({"limit": null, "is_soft": null}),
            "1000000",
            false,
            json!(expires_at),
        ),
        (
            json!({"limit": "0.50", "is_soft": true}),
            "0.5",
            true,
            json!(expires_at),
        ),
        (json!({"expires_at": null}), "0.5", true, json!(null)),
        (json!({"limit": "0.5"}), "0.5", true, json!(null)),
        (
            json!({"is_soft": false, "expires_at": expires_at}),
            "0.5",
            false,
            json!(expires_at),
        ),
    ];
    for (change, limit, is_soft, expires_at) in table {
        let patch = host.patch(&path).bearer(&user.token).json(&change);
        let saved = patch.send().await.expect(200);
        let entitlement = &saved.json()["entitlement"];
        assert_eq!(
            (
                &entitlement["limit"],
                &entitlement["is_soft"],
                &entitlement["expires_at"]
            ),
            (&json!(limit), &json!(is_soft), &expires_at),
            "{change}"
        );
        assert_eq!(get.send().await.expect(200).json(), saved.json());
    }
    let revoke = host.delete(&path).bearer(&user.token);
    let revoked = revoke.send().await.expect(200);
    assert!(
        revoked.json()["entitlement"]["revoked_at"].is_string(),
        "{revoked}"
    );
    let again = revoke.send().await.expect(200);
    assert_eq!(again.json(), revoked.json(), "twice is once");
    assert_eq!(get.send().await.expect(200).json(), revoked.json());
    assert!(listed(host, &user, "").await.is_empty());
    assert_eq!(counts(host).await, (0, 0));
    give(host, &user, &body).await;
    assert_eq!(counts(host).await, (1, 1));
    let expected = [
        "created", "changed", "changed", "changed", "revoked", "created",
    ];
    assert_eq!(
        audited(host).await,
        expected.map(|name| format!("entitlement.{name}"))
    );
    host.assert_audit_log_is_sound().await;
}

async fn is_listed_by_pages_subject_and_feature(host: &TestHost) {
    let user = host.new_user("ada").await;
    for subject in ["cus_1", "cus_2", "cus 3&é"] {
        for feature in ["sso", "seats"] {
            give(host, &user, &boolean(subject, feature)).await;
        }
    }
    let row = |feature: &str, subject: &str| (feature.to_owned(), Some(subject.to_owned()));
    let all = [
        row("seats", "cus 3&é"),
        row("sso", "cus 3&é"),
        row("seats", "cus_2"),
        row("sso", "cus_2"),
        row("seats", "cus_1"),
        row("sso", "cus_1"),
    ];
    assert_eq!(listed(host, &user, "").await, all, "newest first");
    let table = [
        ("subject=cus_2", all[2..4].to_vec()),
        ("subject=cus%203%26%C3%A9", all[..2].to_vec()),
        (
            "feature=sso",
            vec![all[1].clone(), all[3].clone(), all[5].clone()],
        ),
        ("feature=seats&subject=cus_1", vec![all[4].clone()]),
        ("subject=none", vec![]),
        ("feature=none", vec![]),
    ];
    for (query, expected) in table {
        assert_eq!(listed(host, &user, query).await, expected, "{query}");
    }
    for filter in ["", "&feature=sso", "&subject=cus_1"] {
        let whole = listed(host, &user, filter).await;
        let mut pages = Vec::new();
        let mut query = format!("limit=2{filter}");
        loop {
            pages.extend(listed(host, &user, &query).await);
            let call = host.get(format!("{ENTITLEMENTS}?{query}"));
            let body = call.bearer(&user.token).send().await.expect(200).json();
            match body["next_cursor"].as_str() {
                Some(cursor) => query = format!("limit=2{filter}&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(pages, whole, "{filter}");
    }
}

async fn of_those_given_at_once_there_is_one(host: &TestHost) {
    let user = host.new_user("ada").await;
    let call = give_call(host, &user, &boolean("cus_42", "sso"));
    let answers = join_all((0..16).map(|_| call.settle())).await;
    let count = |status: u16| answers.iter().filter(|a| a.status == status).count();
    // The winner's answer may be lost on a busy machine, and its second attempt be too late.
    assert!(count(201) <= 1 && count(201) + count(409) == 16);
    assert_eq!(counts(host).await, (1, 1));
    assert_eq!(audited(host).await.len(), 1);
    refuse(host, call, 409, "entitlement_exists", &[]).await;
    // Another subject's, and another feature, are others.
    give(host, &user, &boolean("cus_43", "sso")).await;
    give(host, &user, &boolean("cus_42", "sso2")).await;
}

async fn one_that_expired_makes_room(host: &TestHost) {
    let user = host.new_user("ada").await;
    let body = boolean("cus_42", "sso");
    let expires_at = host.time_in("1 day").await;
    let path = give(
        host,
        &user,
        &with(body.clone(), "expires_at", json!(expires_at)),
    )
    .await;
    let call = give_call(host, &user, &body);
    host.execute("UPDATE entitlements SET expires_at = clock_timestamp()")
        .await;
    let answers = join_all((0..8).map(|_| call.settle())).await;
    let count = answers.iter().filter(|a| a.status == 201).count();
    assert!(count <= 1, "of those side by side one");
    assert_eq!(counts(host).await, (1, 1));
    // The one before can be seen and revoked, and not be had back.
    let get = host.get(&path).bearer(&user.token);
    get.send().await.expect(200);
    let patch = host.patch(&path).bearer(&user.token);
    let patch = patch.json(&json!({"expires_at": null}));
    refuse(host, patch, 409, "entitlement_ended", &[]).await;
    let revoke = host.delete(&path).bearer(&user.token);
    revoke.send().await.expect(200);
    assert_eq!(counts(host).await, (1, 1));
    // One that expired and was not replaced can be had back.
    let expired = listed(host, &user, "feature=sso").await;
    assert_eq!(expired.len(), 1);
    host.execute(
        "UPDATE entitlements SET expires_at = now() - interval '1 second' WHERE is_current",
    )
    .await;
    let rows = host
        .query("SELECT prefixed_id('ent_', id) FROM entitlements WHERE is_current")
        .await;
    let path = format!("{ENTITLEMENTS}/{}", rows[0].get::<_, String>(0));
    let patch = host.patch(&path).bearer(&user.token);
    patch
        .json(&json!({"expires_at": null}))
        .send()
        .await
        .expect(200);
    refuse(host, call, 409, "entitlement_exists", &[]).await;
}

async fn there_are_so_many(host: &TestHost) {
    let user = host.new_user("ada").await;
    let path = give(host, &user, &boolean("cus_42", "sso")).await;
    host.execute("UPDATE entitlement_counts SET current = 99999")
        .await;
    give(host, &user, &boolean("cus_42", "last")).await;
    let over = give_call(host, &user, &boolean("cus_42", "over"));
    refuse(host, over.clone(), 409, "entitlement_limit", &[]).await;
    let revoke = host.delete(&path).bearer(&user.token);
    revoke.send().await.expect(200);
    over.send().await.expect(201);
    // Others have theirs.
    let eve = host.new_user("eve").await;
    give(host, &eve, &boolean("cus_42", "sso")).await;
}

async fn a_reset_that_is_sent_twice_is_one(host: &TestHost) {
    let user = owner(host, "ada").await;
    let path = give(host, &user, &metered("cus_42", "10", "month")).await;
    let call = reset_call(host, &user, &path, "first");
    let answers = join_all((0..8).map(|_| call.settle())).await;
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer}");
        assert_eq!(answer.json(), answers[0].json());
    }
    assert_eq!(answers[0].text_at("/used_before"), "0");
    let second = reset_call(host, &user, &path, "second");
    let second = second.send().await.expect(200);
    // After another one the first changes nothing either.
    let third = call.send().await.expect(200);
    assert_eq!(
        third.text_at("/entitlement/reset_at"),
        second.text_at("/entitlement/reset_at")
    );
    let expected = ["created", "reset", "reset"];
    assert_eq!(
        audited(host).await,
        expected.map(|name| format!("entitlement.{name}"))
    );
    host.assert_audit_log_is_sound().await;
}

async fn what_is_boolean_or_over_keeps_its_terms(host: &TestHost) {
    let user = owner(host, "ada").await;
    let path = give(host, &user, &boolean("cus_42", "sso")).await;
    let patch = |path: &str, body: Value| host.patch(path).bearer(&user.token).json(&body);
    let reset = |path: &str| reset_call(host, &user, path, &fresh_key());
    for body in [json!({"limit": "1"}), json!({"is_soft": true})] {
        let call = patch(&path, body);
        refuse(host, call, 409, "entitlement_not_metered", &[]).await;
    }
    refuse(host, reset(&path), 409, "entitlement_not_metered", &[]).await;
    let path = give(host, &user, &metered("cus_42", "1", "day")).await;
    let revoke = host.delete(&path).bearer(&user.token);
    revoke.send().await.expect(200);
    for call in [patch(&path, json!({"limit": "2"})), reset(&path)] {
        refuse(host, call, 409, "entitlement_ended", &[]).await;
    }
}

async fn only_the_platform_gives_an_organization_anything(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = owner(host, "ada").await;
    let organization = host.organization_of(&user).await;
    let own = json!({"feature": "tokens", "type": "metered", "meter": "sum", "limit": "5", "period": "month",
                     "organization_id": organization});
    let call = give_call(host, &user, &own);
    refuse(host, call, 403, "forbidden", &[]).await;
    let unnamed = json!({"feature": "sso", "type": "boolean"});
    let call = give_call(host, &user, &unnamed);
    refuse(host, call, 403, "forbidden", &[]).await;
    let call = give_call(host, &admin, &unnamed);
    refuse(host, call, 422, "invalid_fields", &["organization_id"]).await;
    let unknown = json!("org_0199a2c4e2447b3c8d5e6f708192a3b4");
    let call = give_call(host, &admin, &with(unnamed, "organization_id", unknown));
    refuse(host, call, 422, "invalid_fields", &["organization_id"]).await;

    let given = give_call(host, &admin, &own).send().await.expect(201);
    assert_eq!(given.json()["entitlement"]["subject"], Value::Null);
    let path = format!("{ENTITLEMENTS}/{}", given.text_at("/entitlement/id"));
    // The organization sees it, and does not change it.
    let get = host.get(&path).bearer(&user.token);
    assert_eq!(get.send().await.expect(200).json(), given.json());
    assert_eq!(listed(host, &user, "").await, [("tokens".to_owned(), None)]);
    let change = json!({"limit": "500"});
    for call in [
        host.patch(&path).bearer(&user.token).json(&change),
        host.delete(&path).bearer(&user.token),
        reset_call(host, &user, &path, "key"),
    ] {
        refuse(host, call, 403, "forbidden", &[]).await;
    }
    // The platform does, if it says whose it is.
    let get = host.get(&path).bearer(&admin.token);
    refuse(host, get, 404, "not_found", &[]).await;
    let named = format!("{path}?organization_id={organization}");
    let get = host.get(&named).bearer(&admin.token);
    assert_eq!(get.send().await.expect(200).json(), given.json());
    let patch = host.patch(&named).bearer(&admin.token).json(&change);
    assert_eq!(
        patch.send().await.expect(200).text_at("/entitlement/limit"),
        "500"
    );
    reset_call(host, &admin, &named, "key")
        .send()
        .await
        .expect(200);
    let subjects = with(
        boolean("cus_42", "sso"),
        "organization_id",
        json!(organization),
    );
    give(host, &admin, &subjects).await;
    let query = format!("organization_id={organization}");
    assert_eq!(listed(host, &admin, &query).await.len(), 2);
    assert!(listed(host, &admin, "").await.is_empty());
    let revoke = host.delete(&named).bearer(&admin.token);
    revoke.send().await.expect(200);
    // It is in the log of the organization that it concerns.
    let rows = host
        .query(&format!(
            "SELECT count(*) FROM audit_events
              WHERE event_type LIKE 'entitlement.%' AND organization_id = '{}'",
            organization.as_uuid()
        ))
        .await;
    assert_eq!(rows[0].get::<_, i64>(0), 5);
    host.assert_audit_log_is_sound().await;
}

async fn belongs_to_its_organization(host: &TestHost) {
    let (ada, eve) = (owner(host, "ada").await, owner(host, "eve").await);
    let path = give(host, &ada, &metered("cus_42", "10", "month")).await;
    assert!(listed(host, &eve, "").await.is_empty());
    let change = json!({"limit": "1"});
    let calls = |path: &str, token: &str| {
        [
            host.get(path).bearer(token),
            host.patch(path).bearer(token).json(&change),
            host.delete(path).bearer(token),
        ]
    };
    for call in calls(&path, &eve.token) {
        refuse(host, call, 404, "not_found", &[]).await;
    }
    let call = reset_call(host, &eve, &path, "key");
    refuse(host, call, 404, "not_found", &[]).await;
    // To name it is the platform's.
    let organization = host.organization_of(&ada).await;
    let query = format!("organization_id={organization}");
    for call in calls(&format!("{path}?{query}"), &eve.token) {
        refuse(host, call, 403, "forbidden", &[]).await;
    }
    let call = host.get(format!("{ENTITLEMENTS}?{query}"));
    refuse(host, call.bearer(&eve.token), 403, "forbidden", &[]).await;
    let other = with(
        boolean("cus_42", "sso"),
        "organization_id",
        json!(organization),
    );
    let call = give_call(host, &eve, &other);
    refuse(host, call, 403, "forbidden", &[]).await;
    // One's own may be named.
    give(host, &ada, &other).await;
    assert_eq!(listed(host, &ada, &query).await.len(), 2);
    // Another organization's meter is none.
    meter(host, &eve.token, "eves", "count", json!({})).await;
    let body = with(metered("cus_1", "1", "day"), "meter", json!("eves"));
    let call = give_call(host, &ada, &body);
    refuse(host, call, 422, "invalid_fields", &["meter"]).await;
    // The same subject and feature is another's own.
    give(host, &eve, &metered("cus_42", "10", "month")).await;
    // A member sees, and does not change.
    let member = host.member_of(organization, "member").await;
    assert_eq!(listed(host, &member, "").await.len(), 2);
    let [get, patch, delete] = calls(&path, &member.token);
    get.send().await.expect(200);
    for call in [patch, delete, give_call(host, &member, &other)] {
        refuse(host, call, 403, "forbidden", &[]).await;
    }
}

async fn refuses(host: &TestHost) {
    let user = owner(host, "ada").await;
    let path = give(host, &user, &metered("cus_42", "10", "month")).await;
    let reset = format!("{path}/reset");
    let change = json!({"limit": "20", "is_soft": true, "expires_at": null});
    for query in [
        "limit=0",
        "limit=101",
        "cursor=x",
        "subject=",
        "feature=",
        "feature=SSO",
        "organization_id=acme",
        "organization_id=",
        "subject=a%00",
        "subject=a&subject=b",
    ] {
        let call = host.get(format!("{ENTITLEMENTS}?{query}"));
        let name = query.split('=').next().unwrap_or_default();
        let call = call.bearer(&user.token);
        refuse(host, call, 400, "invalid_parameter", &[name]).await;
    }
    for id in [
        "ent_",
        "ent_0199a2c4e2447b3c8d5e6f708192a3b4",
        "mtr_0199a2c4e2447b3c8d5e6f708192a3b4",
        "%00",
        "x'y",
    ] {
        let path = format!("{ENTITLEMENTS}/{id}");
        for call in [
            host.get(&path).bearer(&user.token),
            host.patch(&path).bearer(&user.token).json(&change),
            host.delete(&path).bearer(&user.token),
            reset_call(host, &user, &path, "key"),
        ] {
            refuse(host, call, 404, "not_found", &[]).await;
        }
    }
    let field = ["idempotency-key"];
    let keyless = host.post(&reset).bearer(&user.token);
    refuse(host, keyless.clone(), 400, "invalid_parameter", &field).await;
    for key in ["", "a b", &"a".repeat(256)] {
        let call = keyless.clone().idempotency_key(key);
        refuse(host, call, 400, "invalid_parameter", &field).await;
    }
    assert_eq!(counts(host).await, (1, 1), "nothing was given or taken");
}

async fn refuses_terms(host: &TestHost) {
    let user = owner(host, "ada").await;
    let path = give(host, &user, &metered("cus_42", "10", "month")).await;
    for aggregation in [
        "min",
        "max",
        "average",
        "unique_count",
        "latest",
        "time_weighted_sum",
    ] {
        let slug = aggregation.replace('_', "-");
        meter(host, &user.token, &slug, aggregation, json!({})).await;
        let body = with(metered("cus_1", "1", "day"), "meter", json!(slug));
        let call = give_call(host, &user, &body);
        refuse(host, call, 422, "invalid_fields", &["meter"]).await;
    }
    meter(host, &user.token, "old", "count", json!({})).await;
    let archive = host.delete(format!("{METERS}/old")).bearer(&user.token);
    archive.send().await.expect(200);
    let past = host.time_in("-1 second").await;
    let table = [
        ("feature", json!("Tokens")),
        ("feature", json!("1st")),
        ("feature", json!("")),
        ("feature", json!("f".repeat(65))),
        ("feature", json!(null)),
        ("feature", json!(1)),
        ("subject", json!("")),
        ("subject", json!("s".repeat(129))),
        ("subject", json!("a\0")),
        ("subject", json!(42)),
        ("type", json!("static")),
        ("type", json!(null)),
        ("meter", json!("none")),
        ("meter", json!("old")),
        ("meter", json!("Sum")),
        ("meter", json!(null)),
        ("limit", json!("0")),
        ("limit", json!("-1")),
        ("limit", json!(1)),
        ("limit", json!("1e3")),
        ("limit", json!("1000000000000")),
        ("limit", json!("0.0000000001")),
        ("limit", json!(null)),
        ("period", json!("week")),
        ("period", json!(1)),
        ("period", json!(null)),
        ("is_soft", json!("no")),
        ("expires_at", json!(past)),
        ("expires_at", json!("2100-01-01")),
        ("expires_at", json!(1)),
        ("organization_id", json!("acme")),
        ("quantity", json!("1")),
    ];
    for (name, value) in table {
        let body = with(metered("cus_1", "1", "day"), name, value);
        let call = give_call(host, &user, &body);
        refuse(host, call, 422, "invalid_fields", &[name]).await;
    }
    for (name, value) in [
        ("meter", json!("sum")),
        ("limit", json!("1")),
        ("period", json!("day")),
        ("is_soft", json!(false)),
    ] {
        let body = with(boolean("cus_1", "sso"), name, value);
        let call = give_call(host, &user, &body);
        refuse(host, call, 422, "invalid_fields", &[name]).await;
    }
    for (name, value) in [
        ("limit", json!("0")),
        ("limit", json!(1)),
        ("is_soft", json!(1)),
        ("expires_at", json!(past)),
        ("expires_at", json!("soon")),
        ("feature", json!("sso")),
        ("period", json!("day")),
        ("meter", json!("sum")),
    ] {
        let call = host.patch(&path).bearer(&user.token);
        let call = call.json(&json!({name: value}));
        refuse(host, call, 422, "invalid_fields", &[name]).await;
    }
    assert_eq!(counts(host).await, (1, 1), "nothing was given");
}
