use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::plans::{self, PLANS, audited, plan};
use crate::refusals::refuse;

api_tests![
    are_added_shown_and_listed,
    the_same_terms_again_make_none,
    take_every_model,
    made_at_once_are_numbered_without_a_gap,
    the_same_made_at_once_is_made_once,
    a_currency_is_the_plans,
    without_a_currency_take_one_statement,
    never_change,
    an_archived_plan_gets_none,
    there_are_so_many,
    who_made_one_is_the_platforms_affair,
    names_what_is_wrong_by_its_place,
    refuses
];

fn path(code: &str) -> String {
    format!("{PLANS}/{code}/versions")
}

/// Terms that charge one amount.
pub fn flat(amount: &str) -> Value {
    let model = json!({"type": "flat", "amount": amount});
    json!({"currency": "USD", "charges": [{"code": "base", "name": "Base", "model": model}]})
}

fn post(host: &TestHost, admin: &User, code: &str, terms: &Value) -> Call {
    host.post(path(code)).bearer(&admin.token).json(terms)
}

/// Adds a version; returns its number.
pub async fn version(host: &TestHost, admin: &User, code: &str, terms: &Value) -> i64 {
    let made = post(host, admin, code, terms).send().await.expect(201);
    match made.json()["version"].as_i64() {
        Some(number) => number,
        None => made.fail("the version must have a number"),
    }
}

async fn are_added_shown_and_listed(host: &TestHost) {
    let admin = host.platform_admin().await;
    plan(host, &admin, "team").await;
    for number in 1..=5 {
        let terms = flat(&number.to_string());
        let made = post(host, &admin, "team", &terms).send().await.expect(201);
        let body = made.json();
        assert_eq!(
            (&body["plan"], &body["version"], &body["charge_count"]),
            (&json!("team"), &json!(number), &json!(1))
        );
        let amount = body.pointer("/terms/charges/0/model/amount");
        assert_eq!(amount, Some(&json!(number.to_string())));
        let read = host.get(format!("{}/{number}", path("team")));
        let read = read.bearer(&admin.token).send().await.expect(200);
        assert_eq!(read.json(), body);
        let plan = host.get(format!("{PLANS}/team")).bearer(&admin.token);
        let plan = plan.send().await.expect(200);
        assert_eq!(plan.json()["plan"]["newest_version"], number);
    }
    let mut listed = Vec::new();
    let mut query = "limit=2".to_owned();
    for page in 0..3 {
        let call = host.get(format!("{}?{query}", path("team")));
        let body = call.bearer(&admin.token).send().await.expect(200).json();
        let versions = body["versions"].as_array().cloned().unwrap_or_default();
        assert!(versions.iter().all(|version| version["terms"].is_null()));
        listed.extend(versions.iter().map(|version| version["version"].clone()));
        match body["next_cursor"].as_str() {
            Some(cursor) => query = format!("limit=2&cursor={cursor}"),
            None => assert_eq!(page, 2),
        }
    }
    assert_eq!(listed, [5, 4, 3, 2, 1].map(|number| json!(number)));
    let audited = audited(host).await;
    let versioned: Vec<&Value> = audited
        .iter()
        .filter(|(event_type, _)| event_type == "plan.versioned")
        .map(|(_, detail)| &detail["version"])
        .collect();
    assert_eq!(
        versioned,
        [1, 2, 3, 4, 5].map(|number| json!(number)).each_ref()
    );
    host.assert_audit_log_is_sound().await;
}

async fn a_currency_is_the_plans(host: &TestHost) {
    let admin = host.platform_admin().await;
    plan(host, &admin, "team").await;
    let mut left_out = flat("1");
    left_out
        .as_object_mut()
        .map(|terms| terms.remove("currency"));
    let made = post(host, &admin, "team", &left_out).send().await;
    let made = made.expect(201);
    assert_eq!(made.json()["terms"]["currency"], "USD");
    assert_eq!(
        made.db_queries(),
        1,
        "the statement knows the plan's currency"
    );
    let mut null = left_out.clone();
    null["currency"] = json!(null);
    for same in [&null, &flat("1")] {
        let again = post(host, &admin, "team", same).send().await.expect(200);
        assert_eq!(again.json(), made.json());
    }
    let mut other = flat("1");
    other["currency"] = json!("EUR");
    let call = post(host, &admin, "team", &other);
    refuse(host, call, 422, "invalid_fields", &["currency"]).await;
    let call = post(host, &admin, "none", &null);
    refuse(host, call, 404, "not_found", &[]).await;
    let user = host.new_user("ada").await;
    let call = post(host, &user, "team", &null);
    refuse(host, call, 403, "forbidden", &[]).await;
}

/// Terms without a currency are checked in the plan's, by one statement whatever comes of it.
async fn without_a_currency_take_one_statement(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = host.new_user("ada").await;
    for currency in ["USD", "JPY", "KWD", "CLF"] {
        let code = currency.to_lowercase();
        let mut body = plans::valid(&code);
        body["currency"] = json!(currency);
        plans::create(host, &admin, &body).send().await.expect(201);
    }
    let commitment = "minimum_commitment";
    let name = "charges[0].name";
    // A plan, a commitment and the name of a charge, and what is answered.
    type Row<'a> = (&'a str, &'a str, &'a str, u16, &'a [&'a str]);
    let table: [Row<'_>; 16] = [
        ("usd", "10", "Base", 201, &[]),
        ("usd", "10", "Base", 200, &[]),
        ("usd", "10.5", "Base", 201, &[]),
        ("usd", "10.505", "Base", 422, &[commitment]),
        ("usd", "10.50555", "Base", 422, &[commitment]),
        ("jpy", "10", "Base", 201, &[]),
        ("jpy", "10.0", "Base", 200, &[]),
        ("jpy", "10.5", "Base", 422, &[commitment]),
        ("kwd", "10.505", "Base", 201, &[]),
        ("kwd", "10.5055", "Base", 422, &[commitment]),
        ("clf", "10.5055", "Base", 201, &[]),
        ("clf", "10.50555", "Base", 422, &[commitment]),
        // A name that is wrong in every currency.
        ("jpy", "10.5", "", 422, &[name, commitment]),
        ("usd", "10", "", 422, &[name]),
        ("none", "10.5", "", 404, &[]),
        ("none", "10", "Base", 404, &[]),
    ];
    for (code, amount, charge, status, fields) in table {
        let mut terms = flat("1");
        terms["currency"] = json!(null);
        terms[commitment] = json!(amount);
        terms["charges"][0]["name"] = json!(charge);
        let answer = post(host, &admin, code, &terms).send().await;
        assert_eq!(answer.db_queries(), 1, "{code} {terms}");
        if status < 300 {
            let shown = answer.expect(status).json();
            assert_eq!(shown["terms"]["currency"], code.to_uppercase());
            continue;
        }
        let problem = match status {
            404 => "not_found",
            _ => "invalid_fields",
        };
        answer.expect_fields(status, problem, fields);
        let call = post(host, &user, code, &terms);
        refuse(host, call, 403, "forbidden", &[]).await;
    }
    let rows = host.query("SELECT count(*) FROM plan_versions").await;
    assert_eq!(rows[0].get::<_, i64>(0), 5);
    let rows = "SELECT count(*) FROM plan_versions JOIN plans ON plans.id = plan_id
                 WHERE terms ->> 'currency' <> currency";
    let rows = host.query(rows).await;
    assert_eq!(rows[0].get::<_, i64>(0), 0, "each in its plan's currency");
}

async fn the_same_terms_again_make_none(host: &TestHost) {
    let admin = host.platform_admin().await;
    plan(host, &admin, "team").await;
    let first = post(host, &admin, "team", &flat("1"))
        .send()
        .await
        .expect(201);
    // Written otherwise, and the same.
    let mut same = flat("1.00");
    same["charges"][0]["rounding"] = json!("half_even");
    same["trial"] = json!(null);
    for terms in [&flat("1"), &same] {
        let again = post(host, &admin, "team", terms).send().await.expect(200);
        assert_eq!(again.json(), first.json());
    }
    assert_eq!(version(host, &admin, "team", &flat("2")).await, 2);
    // Like an older one, and not like the newest.
    assert_eq!(version(host, &admin, "team", &flat("1")).await, 3);
}

async fn take_every_model(host: &TestHost) {
    let admin = host.platform_admin().await;
    plan(host, &admin, "team").await;
    let models = [
        json!({"type": "flat", "amount": "10"}),
        json!({"type": "per_unit", "unit_price": "0.000000001"}),
        json!({"type": "graduated", "tiers": [{"up_to": "10.5", "unit_price": "1", "flat_fee": "2"}, {"unit_price": "0.5"}]}),
        json!({"type": "volume", "tiers": [{"unit_price": "0"}]}),
        json!({"type": "package", "package_size": "10", "package_price": "100"}),
        json!({"type": "percentage", "rate_percent": "2.9", "fixed_fee": "0.3", "free_events": 2, "free_amount": "5", "per_event_minimum": "0.5", "per_event_maximum": "9"}),
        json!({"type": "graduated_percentage", "tiers": [{"up_to": "100", "rate_percent": "2"}, {"rate_percent": "1"}]}),
        json!({"type": "dynamic"}),
        json!({"type": "matrix", "dimensions": ["region", "model"], "cells": [{"values": ["eu", "large"], "unit_price": "1"}], "default_unit_price": "2"}),
        json!({"type": "custom", "parameters": {"models": [1, "2.5", {"deep": [null, true]}], "a": ""}}),
        json!({"type": "time_of_use", "windows": [{"name": "peak", "hours": {"from": 22, "to": 6}, "weekdays": ["monday"], "months": [1, 12], "unit_price": "1"}], "fallback_unit_price": "0.5"}),
    ];
    let charges: Vec<Value> = models
        .iter()
        .enumerate()
        .map(|(index, model)| {
            let metric = (index > 0).then(|| format!("metric-{index}"));
            json!({"code": format!("charge-{index}"), "name": "Charge", "metric": metric, "model": model})
        })
        .collect();
    let terms = json!({
        "currency": "USD", "charges": charges,
        "included_units": [{"metric": "metric-1", "units": "5"}],
        "minimum_commitment": "100.50", "maximum_spend": "1000",
        "trial": {"days": 14, "covers": "advance_charges"},
    });
    let made = post(host, &admin, "team", &terms).send().await.expect(201);
    let body = made.json();
    for (index, model) in models.iter().enumerate() {
        let shown = &body["terms"]["charges"][index]["model"];
        assert_eq!(shown["type"], model["type"]);
    }
    assert_eq!(body["terms"]["minimum_commitment"], "100.5");
    let again = post(host, &admin, "team", &body["terms"]).send().await;
    assert_eq!(again.expect(200).json(), body, "what is shown can be sent");
}

async fn made_at_once_are_numbered_without_a_gap(host: &TestHost) {
    let admin = host.platform_admin().await;
    plan(host, &admin, "team").await;
    let calls: Vec<Call> = (0..16)
        .map(|amount| post(host, &admin, "team", &flat(&amount.to_string())))
        .collect();
    let made = join_all(calls.iter().map(Call::settle)).await;
    let mut numbers = BTreeSet::new();
    for answer in made {
        let answer = answer.expect(201);
        let number = answer.json()["version"].as_i64().unwrap_or_default();
        assert!(numbers.insert(number), "{number} was given twice");
        let shown = host.get(format!("{}/{number}", path("team")));
        let shown = shown.bearer(&admin.token).send().await.expect(200);
        assert_eq!(shown.json(), answer.json());
    }
    assert_eq!(numbers, (1..=16).collect());
}

async fn the_same_made_at_once_is_made_once(host: &TestHost) {
    let admin = host.platform_admin().await;
    plan(host, &admin, "team").await;
    let mut left_out = flat("1");
    left_out["currency"] = json!(null);
    let calls = [&flat("1"), &left_out].map(|terms| post(host, &admin, "team", terms));
    let made = join_all((0..16).map(|n| calls[n % 2].settle())).await;
    let count = |status: u16| made.iter().filter(|answer| answer.status == status).count();
    // The winner's answer may be lost on a busy machine, and its second attempt be too late.
    assert!(count(201) <= 1 && count(201) + count(200) == 16);
    let rows = host.query("SELECT count(*) FROM plan_versions").await;
    assert_eq!(rows[0].get::<_, i64>(0), 1);
}

async fn never_change(host: &TestHost) {
    let admin = host.platform_admin().await;
    plan(host, &admin, "team").await;
    version(host, &admin, "team", &flat("1")).await;
    for statement in [
        "UPDATE plan_versions SET terms = '{}'",
        "UPDATE plan_versions SET version = 2",
        "DELETE FROM plan_versions",
        "TRUNCATE plan_versions",
        "UPDATE plans SET versions = 0",
        "DELETE FROM plans",
    ] {
        let refused = host.db().batch_execute(statement).await;
        assert!(
            refused.is_err(),
            "versions are append-only, but this was done: {statement}"
        );
    }
}

async fn an_archived_plan_gets_none(host: &TestHost) {
    let admin = host.platform_admin().await;
    plan(host, &admin, "team").await;
    version(host, &admin, "team", &flat("1")).await;
    let archive = |archived: bool| {
        let patch = host.patch(format!("{PLANS}/team")).bearer(&admin.token);
        patch.json(&json!({"archived": archived}))
    };
    archive(true).send().await.expect(200);
    let call = post(host, &admin, "team", &flat("2"));
    refuse(host, call.clone(), 409, "plan_archived", &[]).await;
    let same = post(host, &admin, "team", &flat("1"));
    same.send().await.expect(200);
    let read = host.get(format!("{}/1", path("team"))).bearer(&admin.token);
    read.send().await.expect(200);
    archive(false).send().await.expect(200);
    call.send().await.expect(201);
}

async fn there_are_so_many(host: &TestHost) {
    let admin = host.platform_admin().await;
    plan(host, &admin, "team").await;
    host.execute(
        "UPDATE plans SET versions = 999;
         INSERT INTO plan_versions (plan_id, version, id, terms, created_at, created_by)
         SELECT plans.id, n, gen_random_uuid(), '{\"charges\": [1]}', now(), plans.id
           FROM plans, generate_series(1, 999) n",
    )
    .await;
    assert_eq!(version(host, &admin, "team", &flat("1")).await, 1_000);
    let call = post(host, &admin, "team", &flat("2"));
    refuse(host, call, 409, "version_limit", &[]).await;
}

async fn who_made_one_is_the_platforms_affair(host: &TestHost) {
    let admin = host.platform_admin().await;
    plan(host, &admin, "team").await;
    version(host, &admin, "team", &flat("1")).await;
    let reader = host.new_user("reader").await;
    let one = format!("{}/1", path("team"));
    for (user, expected) in [
        (&admin, json!(admin.id.to_string())),
        (&reader, json!(null)),
    ] {
        let read = host.get(&one).bearer(&user.token).send().await.expect(200);
        assert_eq!(read.json()["created_by"], expected);
        let listed = host.get(path("team")).bearer(&user.token);
        let listed = listed.send().await.expect(200);
        assert_eq!(listed.json()["versions"][0]["created_by"], expected);
    }
    let call = post(host, &reader, "team", &flat("2"));
    refuse(host, call, 403, "forbidden", &[]).await;
}

async fn names_what_is_wrong_by_its_place(host: &TestHost) {
    let admin = host.platform_admin().await;
    plan(host, &admin, "team").await;
    let terms = json!({"currency": "USD", "charges": [
        {"code": "base", "name": "Base", "model": {"type": "flat", "amount": "1"}},
        {"code": "tokens", "name": "Tokens", "metric": "tokens", "model": {
            "type": "graduated", "tiers": [{"up_to": "10", "unit_price": "1"}, {"unit_price": "2"}],
        }},
    ]});
    let model = "/charges/1/model";
    let table = [
        ("/currency", json!("EUR"), vec!["currency"]),
        ("/currency", json!("usd"), vec!["currency"]),
        ("/charges", json!([]), vec!["charges"]),
        ("/charges", json!("none"), vec!["charges"]),
        (
            "/charges",
            json!(vec![terms["charges"][0].clone(); 101]),
            vec!["charges"],
        ),
        (
            "/charges",
            json!([{}, 1]),
            vec![
                "charges[0].code",
                "charges[0].name",
                "charges[0].model",
                "charges[1]",
            ],
        ),
        ("/charges/1/code", json!("base"), vec!["charges[1].code"]),
        ("/charges/1/code", json!("A"), vec!["charges[1].code"]),
        ("/charges/1/name", json!("a\0b"), vec!["charges[1].name"]),
        (
            "/charges/1/metric",
            json!("a\0b"),
            vec!["charges[1].metric"],
        ),
        (model, json!(null), vec!["charges[1].model"]),
        (
            model,
            json!({"type": "linear"}),
            vec!["charges[1].model.type"],
        ),
        (
            model,
            json!({"type": "package", "package_size": "0", "package_price": "1"}),
            vec!["charges[1].model.package_size"],
        ),
        (
            model,
            json!({"type": "matrix", "dimensions": ["a\0b"], "cells": [{"values": ["\0"], "unit_price": "1"}]}),
            vec![
                "charges[1].model.dimensions[0]",
                "charges[1].model.cells[0].values[0]",
            ],
        ),
        (
            "/charges/1/model/tiers/0/up_to",
            json!("0"),
            vec!["charges[1].model.tiers[0].up_to"],
        ),
        (
            "/charges/1/model/tiers/0/up_to",
            json!(10),
            vec!["charges[1].model.tiers[0].up_to"],
        ),
        (
            "/charges/1/model/tiers/0/unit_price",
            json!("-1"),
            vec!["charges[1].model.tiers[0].unit_price"],
        ),
        (
            "/charges/1/model/tiers/1/unit_price",
            json!("1e3"),
            vec!["charges[1].model.tiers[1].unit_price"],
        ),
        (
            "/charges/1/model/tiers/1/unit_price",
            json!("-0"),
            vec!["charges[1].model.tiers[1].unit_price"],
        ),
        (
            "/charges/1/model/tiers/1/flat_fee",
            json!("0.005"),
            vec!["charges[1].model.tiers[1].flat_fee"],
        ),
        (
            "/charges/1/maximum",
            json!("99.995"),
            vec!["charges[1].maximum"],
        ),
        (
            "/charges/1/minimum",
            json!("99.995"),
            vec!["charges[1].minimum"],
        ),
    ];
    for (pointer, value, expected) in table {
        let mut body = terms.clone();
        match body.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => {
                let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
                let parent = body.pointer_mut(parent);
                parent.expect("the table names members of what is there")[name] = value;
            }
        }
        let call = post(host, &admin, "team", &body);
        refuse(host, call, 422, "invalid_fields", &expected).await;
    }
    for (name, value, expected) in [
        ("minimum_commitment", json!("0.001"), "minimum_commitment"),
        ("maximum_spend", json!("-1"), "maximum_spend"),
        ("trial", json!({"days": 0}), "trial.days"),
        (
            "included_units",
            json!([{"metric": "other", "units": "1"}]),
            "included_units[0].metric",
        ),
        ("code", json!("team"), "code"),
    ] {
        let mut body = terms.clone();
        body[name] = value;
        let call = post(host, &admin, "team", &body);
        refuse(host, call, 422, "invalid_fields", &[expected]).await;
    }
    // Which of the two prices would count, nobody could say.
    let custom =
        json!({"type": "custom", "parameters": {"models": [{"type": "flat", "amount": "7"}]}});
    let mut with_custom = terms.clone();
    with_custom["charges"][1]["model"] = custom;
    for (body, once, place) in [
        (&terms, r#""amount":"1""#, "charges[0].model.amount"),
        (
            &with_custom,
            r#""amount":"7""#,
            "charges[1].model.parameters.models[0].amount",
        ),
    ] {
        let text = body.to_string();
        let twice = text.replacen(once, &format!(r#"{once},"amount":"100""#), 1);
        assert_ne!(text, twice, "{once} is in the terms");
        let call = host
            .post(path("team"))
            .bearer(&admin.token)
            .json_text(twice);
        let refused = call.send().await;
        let refused = refused.expect_fields(422, "invalid_fields", &[place]);
        assert_eq!(refused.json()["errors"][0]["code"], "repeated");
    }
    let rows = host.query("SELECT count(*) FROM plan_versions").await;
    assert_eq!(rows[0].get::<_, i64>(0), 0);
}

async fn refuses(host: &TestHost) {
    let admin = host.platform_admin().await;
    plan(host, &admin, "team").await;
    let all = path("team");
    for code in ["none", "Team", "%00", "x'y"] {
        let call = host.get(path(code)).bearer(&admin.token);
        refuse(host, call, 404, "not_found", &[]).await;
        let call = host.get(format!("{}/1", path(code))).bearer(&admin.token);
        refuse(host, call, 404, "not_found", &[]).await;
        let call = post(host, &admin, code, &flat("1"));
        refuse(host, call, 404, "not_found", &[]).await;
    }
    version(host, &admin, "team", &flat("1")).await;
    for number in ["0", "2", "01", "+1", "-1", "1.0", "newest", "99999999999"] {
        let call = host.get(format!("{all}/{number}")).bearer(&admin.token);
        refuse(host, call, 404, "not_found", &[]).await;
    }
    for query in ["limit=0", "limit=101", "cursor=x"] {
        let call = host.get(format!("{all}?{query}")).bearer(&admin.token);
        let name = query.split('=').next().unwrap_or_default();
        refuse(host, call, 400, "invalid_parameter", &[name]).await;
    }
}
