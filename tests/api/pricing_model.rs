//! The default custom pricing model, and the worked example in its place.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use turnpike_tests::environment::example_component;
use turnpike_tests::{Settings, TestHost, User, api_tests, run};

use crate::plan_versions::version;
use crate::plans::plan;

/// How long an estimate may take until its models have run, of many at once on a busy machine.
const TURN_PATIENCE: Duration = Duration::from_secs(120);

const ESTIMATE: &str = "/api/v1/pricing/estimate";

api_tests![
    the_lowest_of_several_prices_counts,
    lines_are_rounded_and_take_part,
    a_version_can_have_one,
    what_it_cannot_price_is_an_error_of_the_charge
];

#[test]
fn a_worked_example_takes_its_place() {
    let example = example_component("pricing-demand-charge");
    for settings in [Settings::pooled(), Settings::fresh()] {
        let settings = settings.with_source("pricing-model", &example);
        run(settings, demand_is_charged_for);
    }
}

/// Terms with a fee of 10 and a charge with the model's parameters, and its usage.
pub fn terms(parameters: &Value, usage: &Value) -> Value {
    json!({
        "currency": "USD",
        "charges": [
            {"code": "base", "name": "Base", "model": {"type": "flat", "amount": "10"}},
            {"code": "used", "name": "Used", "metric": "used",
             "model": {"type": "custom", "parameters": parameters}},
        ],
        "usage": {"used": usage},
    })
}

/// An estimate whose models had their turn, for which a busy machine may leave no time.
pub async fn estimate(host: &TestHost, user: &User, body: &Value) -> Value {
    let began = Instant::now();
    loop {
        let got = estimate_once(host, user, body).await;
        let lines = got["lines"].as_array().cloned().unwrap_or_default();
        let has_waited = |line: &Value| line["error"]["code"] == "model_timed_out";
        if !lines.iter().any(has_waited) || began.elapsed() > TURN_PATIENCE {
            return got;
        }
    }
}

/// An estimate, whether or not its models had their turn.
pub async fn estimate_once(host: &TestHost, user: &User, body: &Value) -> Value {
    let call = host.post(ESTIMATE).bearer(&user.token).json(body);
    call.send().await.expect(200).json()
}

fn texts(line: &Value) -> Vec<&str> {
    let steps = line["steps"].as_array().map(Vec::as_slice);
    let texts = steps.unwrap_or_default().iter();
    texts.filter_map(|step| step["text"].as_str()).collect()
}

async fn the_lowest_of_several_prices_counts(host: &TestHost) {
    let user = host.new_user("ada").await;
    let quantities = json!({"models": [
        {"type": "per_unit", "unit_price": "1"},
        {"type": "graduated", "tiers": [{"up_to": "10", "unit_price": "2"}, {"unit_price": "0.5"}]},
        {"type": "flat", "amount": "70"},
    ]});
    let events = json!({"models": [
        {"type": "dynamic"},
        {"type": "percentage", "rate_percent": "50", "fixed_fee": "1"},
    ]});
    let hours = json!({"models": [
        {"type": "time_of_use", "windows": [{"name": "night", "hours": {"from": 22, "to": 6}, "unit_price": "1"}],
         "fallback_unit_price": "3"},
        {"type": "time_of_use", "windows": [{"name": "all", "unit_price": "2"}]},
    ]});
    let cells = json!({"models": [
        {"type": "matrix", "dimensions": ["region"], "cells": [{"values": ["eu"], "unit_price": "2"}], "default_unit_price": "1"},
        {"type": "matrix", "dimensions": ["region"], "cells": [], "default_unit_price": "1.75"},
    ]});
    let hour = |hour: u8| json!({"month": 12, "weekday": "sunday", "hour": hour, "quantity": "1"});
    let cell = |region: &str| json!({"values": [region], "quantity": "4"});
    let table = [
        (
            &quantities,
            json!({"quantity": "10"}),
            "10",
            vec![
                "10 × 1 = 10",
                "the lowest of per_unit 10, graduated 20 and flat 70: per_unit",
            ],
        ),
        (
            &quantities,
            json!({"quantity": "100"}),
            "65",
            vec![
                "tier 1, 0 to 10: 10 × 2 = 20",
                "tier 2, above 10: 90 × 0.5 = 45",
                "the lowest of per_unit 100, graduated 65 and flat 70: graduated",
            ],
        ),
        (
            &quantities,
            json!({"quantity": "1000"}),
            "70",
            vec![
                "flat: 70",
                "the lowest of per_unit 1000, graduated 515 and flat 70: flat",
            ],
        ),
        (
            &events,
            json!({"events": ["4", "6"]}),
            "7",
            vec![
                "50% of 10 = 5",
                "2 events × 1 = 2",
                "the lowest of dynamic 10 and percentage 7: percentage",
            ],
        ),
        (
            &hours,
            json!({"hours": [hour(23), hour(12)]}),
            "4",
            vec![
                "night: 1 × 1 = 1",
                "other hours: 1 × 3 = 3",
                "the lowest of time_of_use 4 and time_of_use 4: time_of_use",
            ],
        ),
        (
            &cells,
            json!({"cells": [cell("eu"), cell("us")]}),
            "12",
            vec![
                "eu: 4 × 2 = 8",
                "us (default): 4 × 1 = 4",
                "the lowest of matrix 12 and matrix 14: matrix",
            ],
        ),
    ];
    for (parameters, usage, amount, steps) in table {
        let got = estimate(host, &user, &terms(parameters, &usage)).await;
        let line = &got["lines"][1];
        assert_eq!(line["exact_amount"], amount, "{usage}: {got}");
        assert_eq!(texts(line), steps, "{usage}");
        assert_eq!(
            (&line["charge"], &line["description"]),
            (&json!("used"), &json!("Used"))
        );
    }
}

async fn lines_are_rounded_and_take_part(host: &TestHost) {
    let user = host.new_user("ada").await;
    let parameters = json!({"models": [{"type": "per_unit", "unit_price": "0.001"}]});
    let table = [
        ("half_even", json!({}), "paid", "0.00", "10.00", 2),
        ("up", json!({}), "paid", "0.01", "10.01", 2),
        (
            "up",
            json!({"minimum_commitment": "20"}),
            "paid",
            "0.01",
            "20.00",
            3,
        ),
        (
            "up",
            json!({"maximum_spend": "10"}),
            "paid",
            "0.01",
            "10.00",
            3,
        ),
        (
            "up",
            json!({"trial": {"days": 3}}),
            "trial",
            "0.01",
            "0.00",
            3,
        ),
    ];
    for (rounding, change, phase, amount, total, lines) in table {
        let mut body = terms(&parameters, &json!({"quantity": "1"}));
        body["charges"][1]["rounding"] = json!(rounding);
        body["phase"] = json!(phase);
        for (name, value) in change.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let got = estimate(host, &user, &body).await;
        assert_eq!(got["lines"][1]["amount"]["amount"], amount, "{body}");
        assert_eq!(got["total"]["amount"], total, "{body}");
        assert_eq!(got["lines"].as_array().map(Vec::len), Some(lines), "{body}");
    }
}

async fn a_version_can_have_one(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = host.new_user("ada").await;
    plan(host, &admin, "team").await;
    let mut own = terms(
        &json!({"models": [{"type": "per_unit", "unit_price": "0.25"}]}),
        &json!({"quantity": "3"}),
    );
    let usage = own.as_object_mut().and_then(|own| own.remove("usage"));
    version(host, &admin, "team", &own).await;
    let body = json!({"plan": {"code": "team"}, "usage": usage});
    for _ in 0..3 {
        let call = host.post(ESTIMATE).bearer(&user.token).json(&body);
        let response = call.send().await.expect(200);
        assert_eq!(response.db_queries(), 1, "{response}");
        assert_eq!(response.json()["total"]["amount"], "10.75");
    }
}

async fn what_it_cannot_price_is_an_error_of_the_charge(host: &TestHost) {
    let user = host.new_user("ada").await;
    let table = [
        (json!({}), "The parameters must be"),
        (json!({"models": []}), "There must be 1 to 10 models"),
        (
            json!({"models": [{"type": "custom"}]}),
            "A custom model cannot be one of the models.",
        ),
        (
            json!({"models": [{"type": "volume", "tiers": []}]}),
            "models[0], volume: model.tiers",
        ),
        (
            json!({"models": [{"type": "dynamic"}]}),
            "models[0], dynamic: the usage is of another kind",
        ),
    ];
    for (parameters, message) in table {
        let got = estimate(host, &user, &terms(&parameters, &json!({"quantity": "1"}))).await;
        let error = &got["lines"][1]["error"];
        assert_eq!(error["code"], "model_refused", "{parameters}");
        let said = error["message"].as_str().unwrap_or_default();
        assert!(said.starts_with(message), "{parameters}: {said}");
        assert_eq!(got["lines"][0]["amount"]["amount"], "10.00");
        assert_eq!(got["total"], json!(null));
    }
}

async fn demand_is_charged_for(host: &TestHost) {
    let user = host.new_user("ada").await;
    let tariff = json!({"energy_price": "0.12", "demand_price": "9.50"});
    let hour = |hour: u8, quantity: &str| json!({"month": 1, "weekday": "monday", "hour": hour, "quantity": quantity});
    let table = [
        (json!("nothing"), ["0.00", "0.00"], "10.00"),
        (
            json!({"hours": [hour(9, "40"), hour(10, "62.5")]}),
            ["12.30", "593.75"],
            "616.05",
        ),
        (
            json!({"hours": [hour(0, "0.001")]}),
            ["0.00", "0.01"],
            "10.01",
        ),
    ];
    for (usage, amounts, total) in table {
        let got = estimate(host, &user, &terms(&tariff, &usage)).await;
        let lines: Vec<&Value> = (1..3)
            .map(|line| &got["lines"][line]["amount"]["amount"])
            .collect();
        assert_eq!(lines, amounts, "{usage}: {got}");
        assert_eq!(got["total"]["amount"], total, "{usage}");
    }
    let usage = json!({"hours": [hour(9, "40"), hour(10, "62.5")]});
    let got = estimate(host, &user, &terms(&tariff, &usage)).await;
    assert_eq!(
        got["lines"][2],
        json!({
            "kind": "charge", "charge": "used", "description": "Used: demand",
            "quantity": "62.5", "unit_price": "9.5", "exact_amount": "593.75",
            "rounding": "half_even", "amount": {"amount": "593.75", "currency": "USD"},
            "steps": [{"step": "custom", "text": "62.5 kW × 9.5 = 593.75", "subtotal": "593.75"}],
        })
    );
    for (tariff, usage, message) in [
        (
            &tariff,
            json!({"quantity": "1"}),
            "The usage must be in hours.",
        ),
        (
            &json!({}),
            json!("nothing"),
            "The parameter energy_price must be",
        ),
    ] {
        let got = estimate(host, &user, &terms(tariff, &usage)).await;
        let error = &got["lines"][1]["error"];
        let said = error["message"].as_str().unwrap_or_default();
        assert!(said.starts_with(message), "{usage}: {error}");
    }
}
