use serde_json::{Value, json};
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::plan_versions::{flat, version};
use crate::plans::{PLANS, plan};
use crate::refusals::refuse;

const ESTIMATE: &str = "/api/v1/pricing/estimate";

api_tests![
    rates_what_others_publish,
    rates_a_version_and_the_newest,
    explains_each_line,
    knows_commitments_limits_and_trials,
    refuses_what_cannot_be_rated,
    a_trial_must_be_the_plans,
    refuses,
];

api_tests![
    fresh_too:
    keeps_the_plans_that_it_has_read,
];

fn call(host: &TestHost, user: &User, body: &Value) -> Call {
    host.post(ESTIMATE).bearer(&user.token).json(body)
}

async fn estimate(host: &TestHost, user: &User, body: &Value) -> Value {
    call(host, user, body).send().await.expect(200).json()
}

/// A request with one charge of its own, and so much usage.
fn of_one(charge: &Value, usage: &Value) -> Value {
    let mut charge = charge.clone();
    for (name, value) in [("code", "used"), ("name", "Used"), ("metric", "used")] {
        charge[name] = json!(value);
    }
    json!({"currency": "USD", "charges": [charge], "usage": {"used": usage}})
}

/// Cases that other systems' own tests publish.
async fn rates_what_others_publish(host: &TestHost) {
    let user = host.new_user("ada").await;
    let tier = |up_to: &str, unit_price: &str, flat_fee: &str| match up_to {
        "" => json!({"unit_price": unit_price, "flat_fee": flat_fee}),
        _ => json!({"up_to": up_to, "unit_price": unit_price, "flat_fee": flat_fee}),
    };
    let tiered = |model: &str, tiers: &[Value]| json!({"model": {"type": model, "tiers": tiers}});
    let package = |included: &str| {
        json!({
            "model": {"type": "package", "package_size": "10", "package_price": "100"},
            "included_units": included,
        })
    };
    let table: [(Value, &[(&str, &str)]); 6] = [
        (
            tiered(
                "graduated",
                &[
                    tier("10", "10", "2"),
                    tier("20", "5", "3"),
                    tier("", "5", "3"),
                ],
            ),
            &[
                ("0", "2"),
                ("1", "12"),
                ("10", "102"),
                ("11", "110"),
                ("12", "115"),
                ("21", "163"),
            ],
        ),
        (
            tiered(
                "graduated",
                &[
                    tier("5", "0", "100"),
                    tier("10", "0", "50"),
                    tier("15", "10", "0"),
                    tier("", "5", "0"),
                ],
            ),
            &[
                ("0", "100"),
                ("5", "100"),
                ("5.001", "150"),
                ("12", "170"),
                ("22", "235"),
            ],
        ),
        (
            tiered(
                "volume",
                &[
                    tier("100", "2", "10"),
                    tier("200", "1", "0"),
                    tier("", "0.5", "50"),
                ],
            ),
            &[("0", "10"), ("100", "210"), ("101", "101"), ("300", "200")],
        ),
        (package("0"), &[("121", "1300")]),
        (package("10"), &[("121", "1200")]),
        (package("200"), &[("121", "0")]),
    ];
    for (charge, cases) in table {
        for (quantity, expected) in cases {
            let body = of_one(&charge, &json!({"quantity": quantity}));
            let got = estimate(host, &user, &body).await;
            assert_eq!(got["lines"][0]["exact_amount"], *expected, "{body}");
            assert_eq!(
                got["total"],
                json!({"amount": format!("{expected}.00"), "currency": "USD"}),
                "{body}"
            );
        }
    }
    let share = json!({"model": {"type": "percentage", "rate_percent": "2.9"}});
    let got = estimate(host, &user, &of_one(&share, &json!({"events": ["4"]}))).await;
    assert_eq!(got["lines"][0]["exact_amount"], "0.116");
    assert_eq!(got["total"]["amount"], "0.12");
}

async fn rates_a_version_and_the_newest(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = host.new_user("ada").await;
    plan(host, &admin, "team").await;
    for amount in ["1", "2", "3"] {
        version(host, &admin, "team", &flat(amount)).await;
    }
    let table = [
        (json!({"code": "team"}), 3, "3.00"),
        (json!({"code": "team", "version": null}), 3, "3.00"),
        (json!({"code": "team", "version": 1}), 1, "1.00"),
        (json!({"code": "team", "version": 2.0}), 2, "2.00"),
    ];
    for (named, number, total) in table {
        let response = call(host, &user, &json!({"plan": named})).send().await;
        let response = response.expect(200);
        assert_eq!(
            (response.db_queries(), response.cache()),
            (1, "bypass"),
            "{response}"
        );
        let got = response.json();
        assert_eq!(
            got["plan"],
            json!({"code": "team", "name": "Team", "version": number})
        );
        assert_eq!(got["total"]["amount"], total);
    }
    let archive = host.patch(format!("{PLANS}/team")).bearer(&admin.token);
    let archive = archive.json(&json!({"archived": true}));
    archive.send().await.expect(200);
    let got = estimate(host, &user, &json!({"plan": {"code": "team"}})).await;
    assert_eq!(
        got["total"]["amount"], "3.00",
        "an archived plan is still paid"
    );
    for body in [
        json!({"plan": {"code": "none"}}),
        json!({"plan": {"code": "Team"}}),
        json!({"plan": {"code": "team", "version": 4}}),
    ] {
        refuse(host, call(host, &user, &body), 404, "not_found", &[]).await;
    }
    plan(host, &admin, "empty").await;
    let body = json!({"plan": {"code": "empty"}});
    refuse(host, call(host, &user, &body), 404, "not_found", &[]).await;
}

/// An instance keeps what it has read, and still sees every change at once.
async fn keeps_the_plans_that_it_has_read(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = host.new_user("ada").await;
    plan(host, &admin, "team").await;
    for number in 1..=3 {
        let amount = number.to_string();
        version(host, &admin, "team", &flat(&amount)).await;
        let rename = host.patch(format!("{PLANS}/team")).bearer(&admin.token);
        let rename = rename.json(&json!({"name": format!("Team {number}")}));
        rename.send().await.expect(200);
        for _ in 0..3 {
            for named in [
                json!({"code": "team"}),
                json!({"code": "team", "version": number}),
            ] {
                let got = estimate(host, &user, &json!({"plan": named})).await;
                assert_eq!(got["total"]["amount"], format!("{number}.00"));
                let name = format!("Team {number}");
                let shown = json!({"code": "team", "name": name, "version": number});
                assert_eq!(got["plan"], shown);
            }
        }
    }
    // Who may not ask is not helped by what is kept.
    let organization = host.organization_of(&user).await;
    host.own_role(organization, "guest", &["credits:read"])
        .await;
    let guest = host.member_of(organization, "guest").await;
    let named = json!({"plan": {"code": "team"}});
    refuse(host, call(host, &guest, &named), 403, "forbidden", &[]).await;
}

async fn explains_each_line(host: &TestHost) {
    let user = host.new_user("ada").await;
    let charge = |code: &str, model: Value| json!({"code": code, "name": code, "metric": code, "model": model});
    let body = json!({
        "currency": "JPY",
        "charges": [
            charge("tokens", json!({"type": "graduated", "tiers": [
                {"up_to": "10", "unit_price": "10", "flat_fee": "2"},
                {"unit_price": "5", "flat_fee": "3"},
            ]})),
            charge("rows", json!({"type": "matrix", "dimensions": ["region"], "default_unit_price": "3",
                "cells": [{"values": ["eu"], "unit_price": "0.5"}]})),
            charge("power", json!({"type": "time_of_use", "fallback_unit_price": "1",
                "windows": [{"name": "peak", "hours": {"from": 8, "to": 20}, "unit_price": "2"}]})),
            charge("fees", json!({"type": "dynamic"})),
        ],
        "usage": {
            "tokens": {"quantity": "12"},
            "rows": {"cells": [{"values": ["eu"], "quantity": "3"}, {"values": ["us"], "quantity": "1"}]},
            "power": {"hours": [
                {"month": 1, "weekday": "monday", "hour": 8, "quantity": "2"},
                {"month": 1, "weekday": "sunday", "hour": 20, "quantity": "3"},
            ]},
            "fees": {"events": ["1.25", "2"]},
        },
    });
    let got = estimate(host, &user, &body).await;
    let texts = |line: usize| -> Vec<String> {
        let steps = got["lines"][line]["steps"].as_array().cloned();
        let steps = steps.unwrap_or_default();
        let text = |step: &Value| step["text"].as_str().unwrap_or_default().to_owned();
        steps.iter().map(text).collect()
    };
    assert_eq!(got["plan"], json!(null));
    assert_eq!(
        texts(0),
        [
            "tier 1, 0 to 10: 10 × 10 + 2 = 102",
            "tier 2, above 10: 2 × 5 + 3 = 13"
        ]
    );
    assert_eq!(texts(1), ["eu: 3 × 0.5 = 1.5", "us (default): 1 × 3 = 3"]);
    assert_eq!(texts(2), ["peak: 2 × 2 = 4", "other hours: 3 × 1 = 3"]);
    assert_eq!(got["lines"][0]["steps"][1]["step"], "tier");
    assert_eq!(got["lines"][0]["steps"][1]["subtotal"], "13");
    let amounts: Vec<&Value> = (0..4)
        .map(|line| &got["lines"][line]["amount"]["amount"])
        .collect();
    // 4.5 and 3.25 are rounded to whole yen, half to even.
    assert_eq!(amounts, ["115", "4", "7", "3"]);
    assert_eq!(got["total"], json!({"amount": "129", "currency": "JPY"}));
    assert_eq!(got["currency"], "JPY");
}

async fn knows_commitments_limits_and_trials(host: &TestHost) {
    let user = host.new_user("ada").await;
    let mut body = json!({
        "currency": "USD",
        "charges": [
            {"code": "base", "name": "Base", "billing": "advance", "model": {"type": "flat", "amount": "10"}},
            {"code": "calls", "name": "Calls", "metric": "calls", "model": {"type": "per_unit", "unit_price": "1"}},
        ],
        "included_units": [{"metric": "calls", "units": "5"}],
        "minimum_commitment": "20", "maximum_spend": "50",
        "trial": {"days": 14, "covers": "advance_charges"},
    });
    let table = [
        ("0", json!(null), "minimum_commitment", "10.00", "20.00"),
        ("17", json!("paid"), "charge", "12.00", "22.00"),
        ("105", json!("paid"), "maximum_spend", "-60.00", "50.00"),
        ("17", json!("trial"), "trial", "-10.00", "12.00"),
    ];
    for (calls, phase, last_kind, last_amount, total) in table {
        body["usage"] = json!({"calls": {"quantity": calls}});
        body["phase"] = phase;
        let got = estimate(host, &user, &body).await;
        let last = got["lines"].as_array().and_then(|lines| lines.last());
        let last = last.cloned().unwrap_or_default();
        assert_eq!(
            (
                &last["kind"],
                &last["amount"]["amount"],
                &got["total"]["amount"]
            ),
            (&json!(last_kind), &json!(last_amount), &json!(total)),
            "{body}"
        );
    }
}

async fn refuses_what_cannot_be_rated(host: &TestHost) {
    let admin = host.platform_admin().await;
    let terms = json!({"currency": "USD", "charges": [
        {"code": "base", "name": "Base", "model": {"type": "flat", "amount": "1"}},
        {"code": "calls", "name": "Calls", "metric": "calls",
         "model": {"type": "per_unit", "unit_price": "999999999999"}},
        {"code": "rows", "name": "Rows", "metric": "rows", "model": {"type": "matrix",
         "dimensions": ["region"], "cells": [{"values": ["eu"], "unit_price": "1"}]}},
        {"code": "power", "name": "Power", "metric": "power", "model": {"type": "time_of_use",
         "windows": [{"name": "all", "unit_price": "1"}]}},
        {"code": "fees", "name": "Fees", "metric": "fees", "model": {"type": "dynamic"}},
    ]});
    plan(host, &admin, "team").await;
    version(host, &admin, "team", &terms).await;
    let hour = |month: u8, hour: u8| json!({"hours": [{"month": month, "weekday": "friday", "hour": hour, "quantity": "1"}]});
    let cells = |values: Value| json!({"cells": [{"values": values, "quantity": "1"}]});
    let table = [
        (
            "calls",
            json!({"quantity": "2"}),
            "charges[1]",
            "amount_too_large",
        ),
        (
            "calls",
            json!({"events": ["2"]}),
            "usage.calls",
            "usage_of_another_kind",
        ),
        (
            "base",
            json!({"quantity": "2"}),
            "usage.base",
            "usage_of_another_kind",
        ),
        ("rows", cells(json!(["us"])), "usage.rows", "no_such_cell"),
        (
            "rows",
            cells(json!(["eu", "eu"])),
            "usage.rows",
            "no_such_cell",
        ),
        ("power", hour(0, 1), "usage.power", "no_such_hour"),
        ("power", hour(1, 24), "usage.power", "no_such_hour"),
        (
            "fees",
            json!({"events": ["999999999999", "1"]}),
            "usage.fees",
            "quantity_too_large",
        ),
        (
            "none",
            json!({"quantity": "1"}),
            "usage.none",
            "no_such_charge",
        ),
        ("none", json!("nothing"), "usage.none", "no_such_charge"),
        ("calls", json!("some"), "usage.calls", "invalid"),
        ("calls", json!(null), "usage.calls", "wrong_type"),
        ("calls", json!({}), "usage.calls", "invalid"),
        (
            "calls",
            json!({"quantity": 1}),
            "usage.calls.quantity",
            "wrong_type",
        ),
        (
            "calls",
            json!({"quantity": "-1"}),
            "usage.calls.quantity",
            "negative",
        ),
        (
            "calls",
            json!({"quantity": "-0"}),
            "usage.calls.quantity",
            "amount_not_plain_decimal",
        ),
        (
            "fees",
            json!({"events": ["1", "-0.00"]}),
            "usage.fees.events[1]",
            "amount_not_plain_decimal",
        ),
        (
            "calls",
            json!({"quantity": "1000000000000"}),
            "usage.calls.quantity",
            "amount_too_many_integer_digits",
        ),
        (
            "calls",
            json!({"quantity": "1", "events": []}),
            "usage.calls",
            "invalid",
        ),
        (
            "fees",
            json!({"events": ["1", 2]}),
            "usage.fees.events[1]",
            "wrong_type",
        ),
        (
            "power",
            json!({"hours": [{"month": 1, "hour": 1, "quantity": "1"}]}),
            "usage.power.hours[0].weekday",
            "required",
        ),
        ("power", hour(1, 255), "usage.power", "no_such_hour"),
    ];
    for (charge, usage, place, code) in table {
        let mut own = terms.clone();
        own["usage"] = json!({charge: usage});
        let named = json!({"plan": {"code": "team"}, "usage": {charge: usage}});
        for body in [own, named] {
            let refused = call(host, &admin, &body).send().await;
            let refused = refused.expect_fields(422, "invalid_fields", &[place]);
            assert_eq!(refused.json()["errors"][0]["code"], code, "{body}");
        }
    }
}

/// A plan without a trial is not estimated as if its commitment were dropped.
async fn a_trial_must_be_the_plans(host: &TestHost) {
    let admin = host.platform_admin().await;
    let mut terms = flat("1");
    terms["minimum_commitment"] = json!("20");
    plan(host, &admin, "team").await;
    version(host, &admin, "team", &terms).await;
    terms["phase"] = json!("trial");
    let named = json!({"plan": {"code": "team"}, "phase": "trial"});
    for body in [&terms, &named] {
        let refused = call(host, &admin, body).send().await;
        let refused = refused.expect_fields(422, "invalid_fields", &["phase"]);
        assert_eq!(refused.json()["errors"][0]["code"], "no_trial", "{body}");
    }
    terms["trial"] = json!({"days": 14});
    let got = estimate(host, &admin, &terms).await;
    assert_eq!(got["total"]["amount"], "0.00", "{got}");
}

async fn refuses(host: &TestHost) {
    let user = host.new_user("ada").await;
    let named = json!({"plan": {"code": "team"}});
    let with = |name: &str, value: Value| {
        let mut body = flat("1");
        body[name] = value;
        body
    };
    let table: [(Value, &[&str]); 14] = [
        (json!({}), &["currency", "charges"]),
        (json!({"plan": null}), &["currency", "charges"]),
        (json!({"plan": "team"}), &["plan"]),
        (json!({"plan": {}}), &["plan.code"]),
        (json!({"plan": {"code": 1}}), &["plan.code"]),
        (
            json!({"plan": {"code": "team", "version": 0}}),
            &["plan.version"],
        ),
        (
            json!({"plan": {"code": "team", "version": 1.5}}),
            &["plan.version"],
        ),
        (
            json!({"plan": {"code": "team", "version": "1"}}),
            &["plan.version"],
        ),
        (
            with("plan", json!({"code": "team"})),
            &["charges", "currency"],
        ),
        (with("phase", json!("later")), &["phase"]),
        (with("usage", json!([])), &["usage"]),
        (with("currency", json!("XYZ")), &["currency"]),
        (
            with("minimum_commitment", json!("0.001")),
            &["minimum_commitment"],
        ),
        (
            with("charges", json!([{"code": "a"}])),
            &["charges[0].name", "charges[0].model"],
        ),
    ];
    for (body, fields) in table {
        let refused = call(host, &user, &body);
        refuse(host, refused, 422, "invalid_fields", fields).await;
    }
    let organization = host.organization_of(&user).await;
    host.own_role(organization, "guest", &["credits:read"])
        .await;
    let guest = host.member_of(organization, "guest").await;
    for body in [&flat("1"), &named] {
        refuse(host, call(host, &guest, body), 403, "forbidden", &[]).await;
    }
    let key = host.issue_api_key(&user, &["plans:read"]).await.key;
    let by_key = host.post(ESTIMATE).bearer(&key).json(&flat("1"));
    by_key.send().await.expect(200);
}
