//! What is decided with the usage: whether a customer may use more, and what it would cost.

use serde_json::{Map, Value, json};

/// The customer who is asked about.
pub const SUBJECT: &str = "cus_42";

/// What the customer may use so many tokens a month of: more than there are.
pub const FEATURE: &str = "tokens";
const LIMIT: &str = "999999999999";

/// The plan that is estimated.
const PLAN: &str = "ten-charges";

/// Tiers of its graduated charge.
const TIERS: u32 = 10;

/// Events of a charge that has a rate for each, and hours of the one that depends on the hour: a
/// week of them.
const EVENTS: usize = 20;
const HOURS: u32 = 24 * 7;

/// A model of each kind that is built in.
fn models() -> [Value; 10] {
    let tiers: Vec<Value> = (1..=TIERS)
        .map(|tier| {
            let up_to = (tier < TIERS).then(|| (tier * 1_000).to_string());
            json!({"up_to": up_to, "unit_price": format!("0.0{}", 21 - tier), "flat_fee": "0.5"})
        })
        .collect();
    [
        json!({"type": "flat", "amount": "49"}),
        json!({"type": "per_unit", "unit_price": "0.000002"}),
        json!({"type": "graduated", "tiers": tiers}),
        json!({"type": "volume", "tiers": [{"up_to": "1000", "unit_price": "0.02"}, {"unit_price": "0.01"}]}),
        json!({"type": "package", "package_size": "1000", "package_price": "5"}),
        json!({"type": "percentage", "rate_percent": "2.9", "fixed_fee": "0.3"}),
        json!({"type": "graduated_percentage", "tiers": [{"up_to": "100", "rate_percent": "2"}, {"rate_percent": "1"}]}),
        json!({"type": "dynamic"}),
        json!({"type": "matrix", "dimensions": ["region", "model"],
               "cells": [{"values": ["eu", "large"], "unit_price": "0.03"},
                         {"values": ["us", "large"], "unit_price": "0.02"}],
               "default_unit_price": "0.01"}),
        json!({"type": "time_of_use",
               "windows": [{"name": "night", "hours": {"from": 22, "to": 6}, "unit_price": "0.1"}],
               "fallback_unit_price": "0.3"}),
    ]
}

/// What is used of each, in the same order.
fn usages() -> [Value; 10] {
    const DAYS: [&str; 7] = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    let events = json!({"events": vec!["12.5"; EVENTS]});
    let quantity = |text: &str| json!({"quantity": text});
    let hours: Vec<Value> = (0..HOURS)
        .zip(DAYS.iter().cycle())
        .map(|(hour, day)| json!({"month": 6, "weekday": day, "hour": hour % 24, "quantity": "1.25"}))
        .collect();
    [
        json!("nothing"),
        quantity("10234567"),
        quantity("12345.5"),
        quantity("1500"),
        quantity("250001"),
        events.clone(),
        events.clone(),
        events,
        json!({"cells": [{"values": ["eu", "large"], "quantity": "10"},
                         {"values": ["us", "small"], "quantity": "20"}]}),
        json!({"hours": hours}),
    ]
}

fn code(number: usize) -> String {
    format!("charge-{number}")
}

/// Who makes something by way of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// The owner of the organization.
    Owner,
    /// An administrator of the platform.
    Admin,
}

/// What is made beforehand, by whom, where and of what: the entitlement and the plan.
pub fn made() -> [(Maker, String, Value); 3] {
    let charges: Vec<Value> = models()
        .into_iter()
        .enumerate()
        .map(|(number, model)| {
            let metric = (number > 0).then(|| format!("metric-{number}"));
            json!({"code": code(number), "name": "Charge", "metric": metric, "model": model})
        })
        .collect();
    [
        (
            Maker::Owner,
            "/api/v1/entitlements".to_owned(),
            json!({"feature": FEATURE, "subject": SUBJECT, "type": "metered", "meter": "tokens",
                   "limit": LIMIT, "period": "month"}),
        ),
        (
            Maker::Admin,
            "/api/v1/plans".to_owned(),
            json!({"code": PLAN, "name": "Ten charges", "currency": "USD", "billing_period": "month"}),
        ),
        (
            Maker::Admin,
            format!("/api/v1/plans/{PLAN}/versions"),
            json!({"currency": "USD", "charges": charges}),
        ),
    ]
}

/// What is sent to have the plan estimated.
pub fn estimate() -> String {
    let usages = usages().into_iter().enumerate();
    let usage: Map<String, Value> = usages
        .map(|(number, usage)| (code(number), usage))
        .collect();
    json!({"plan": {"code": PLAN}, "usage": usage}).to_string()
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use shared::http::input;
    use shared::rating::plan_terms::PlanTerms;
    use shared::rating::{ExactAmount, Phase, Usage};

    use super::*;

    #[test]
    fn every_charge_has_usage_that_costs() {
        let [.., (_, _, version)] = made();
        let terms: PlanTerms = input::value(&version).expect("the API takes them");
        let plan = terms.into_plan(PLAN, "Ten charges");
        let body: Value = serde_json::from_str(&estimate()).expect("a body is JSON");
        let usage: BTreeMap<String, Usage> =
            serde_json::from_value(body["usage"].clone()).expect("it has usages");
        let rated = plan.explain(&usage, Phase::Paid).expect("they fit");
        assert_eq!(rated.lines.len(), 10);
        for line in &rated.lines {
            assert_ne!(line.exact_amount, ExactAmount::ZERO, "{:?}", line.item);
        }
        let kinds: BTreeSet<String> = models()
            .iter()
            .map(|model| model["type"].to_string())
            .collect();
        assert_eq!(kinds.len(), 10, "every model is another");
    }
}
