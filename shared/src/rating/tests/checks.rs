//! Mistakes in a charge or a plan are named by their path.

use serde_json::json;

use super::*;
use crate::http::problem::FieldError;

fn found(errors: &[FieldError]) -> Vec<String> {
    errors
        .iter()
        .map(|error| format!("{} {}", error.field, error.code))
        .collect()
}

#[test]
fn fields_of_a_charge() {
    let per_unit = json!({"type": "per_unit", "unit_price": "1"});
    let percentage = json!({"type": "percentage", "rate_percent": "1"});
    let flat = json!({"type": "flat", "amount": "1"});
    let long = "a".repeat(MAX_CODE_BYTES);
    for (model, field, value, expected) in [
        (&per_unit, "code", json!(long), &[][..]),
        (
            &per_unit,
            "code",
            json!(format!("{long}a")),
            &["code wrong_length"],
        ),
        (&per_unit, "code", json!(""), &["code wrong_length"]),
        (&per_unit, "code", json!("Tokens"), &["code invalid"]),
        (&per_unit, "name", json!(""), &["name wrong_length"]),
        (&per_unit, "name", json!("ü".repeat(MAX_NAME_CHARS)), &[]),
        (
            &per_unit,
            "name",
            json!("ü".repeat(MAX_NAME_CHARS + 1)),
            &["name wrong_length"],
        ),
        (
            &per_unit,
            "name",
            json!("a\nb"),
            &["name invalid_character"],
        ),
        (&per_unit, "metric", json!(null), &["metric required"]),
        (&per_unit, "metric", json!("a b"), &["metric invalid"]),
        (&flat, "metric", json!("units"), &["metric not_allowed"]),
        (&flat, "billing", json!("advance"), &[]),
        (&per_unit, "billing", json!("advance"), &[]),
        (
            &percentage,
            "billing",
            json!("advance"),
            &["billing not_known_in_advance"],
        ),
        (&per_unit, "included_units", json!("1"), &[]),
        (
            &flat,
            "included_units",
            json!("1"),
            &["included_units not_countable"],
        ),
        (
            &percentage,
            "included_units",
            json!("1"),
            &["included_units not_countable"],
        ),
    ] {
        let mut json = charge_json(model);
        json[field] = value.clone();
        assert_eq!(
            found(&read_charge(&json).check(Currency::USD)),
            expected,
            "{field} {value} of {model}"
        );
    }
    let mut bounds = charge_json(&per_unit);
    bounds["minimum"] = "2".into();
    bounds["maximum"] = "1.99".into();
    let errors = read_charge(&bounds).check(Currency::USD);
    assert_eq!(found(&errors), ["maximum below_minimum"]);
    assert_eq!(errors[0].message, "must not be below the minimum of 2");
}

/// What is billed as it is must be an amount that can be billed. What is multiplied
/// first may be finer.
#[test]
fn amounts_that_are_billed_have_whole_minor_units() {
    let per_unit = json!({"type": "per_unit", "unit_price": "0.000000001"});
    let with = |field: &str, amount: &str| {
        let mut charge = charge_json(&per_unit);
        charge[field] = amount.into();
        charge
    };
    let flat = |amount: &str| charge_json(&json!({"type": "flat", "amount": amount}));
    let tiers = |model: &str, fee: &str| {
        charge_json(&json!({"type": model, "tiers": [
            {"up_to": "0.5", "flat_fee": "1"}, {"flat_fee": fee},
        ]}))
    };
    let events = json!({
        "type": "percentage", "rate_percent": "0.1", "fixed_fee": "0.005", "free_amount": "0.005",
        "per_event_minimum": "0.001", "per_event_maximum": "0.005",
    });
    let package = json!({"type": "package", "package_size": "1", "package_price": "0.005"});
    let fine = |field: &str| vec![format!("{field} too_fine")];
    let fee = || fine("model.tiers[1].flat_fee");
    let dinar = Currency::parse("KWD").unwrap_or_else(|error| panic!("{error}"));
    for (charge, currency, expected) in [
        (with("maximum", "99.99"), Currency::USD, vec![]),
        (with("maximum", "99.990"), Currency::USD, vec![]),
        (with("maximum", "99.995"), Currency::USD, fine("maximum")),
        (with("minimum", "99.995"), Currency::USD, fine("minimum")),
        (with("minimum", "100.4"), Currency::JPY, fine("minimum")),
        (with("minimum", "100"), Currency::JPY, vec![]),
        (with("minimum", "0.004"), dinar, vec![]),
        (with("minimum", "0.0004"), dinar, fine("minimum")),
        (flat("9.99"), Currency::USD, vec![]),
        (flat("9.995"), Currency::USD, fine("model.amount")),
        (flat("0.5"), Currency::JPY, fine("model.amount")),
        (tiers("graduated", "0.01"), Currency::USD, vec![]),
        (tiers("graduated", "0.005"), Currency::USD, fee()),
        (tiers("volume", "0.005"), Currency::USD, fee()),
        (tiers("graduated_percentage", "0.005"), Currency::USD, fee()),
        (charge_json(&per_unit), Currency::JPY, vec![]),
        (charge_json(&events), Currency::USD, vec![]),
        (charge_json(&package), Currency::USD, vec![]),
    ] {
        let errors = read_charge(&charge).check(currency);
        assert_eq!(found(&errors), expected, "{charge} in {currency}");
    }
    let messages = [Currency::USD, Currency::JPY].map(|currency| {
        read_charge(&flat("9.995")).check(currency)[0]
            .message
            .clone()
    });
    let expected = [
        "must have at most 2 digits after the point",
        "must have no digits after the point",
    ];
    assert_eq!(messages, expected);
}

#[test]
fn tiers() {
    let tier = |up_to: Option<&str>| json!({"up_to": up_to, "unit_price": "1"});
    let closed = |count: usize| -> Vec<Value> {
        let mut tiers: Vec<Value> = (1..count)
            .map(|number| tier(Some(&number.to_string())))
            .collect();
        tiers.push(tier(None));
        tiers
    };
    for (tiers, expected) in [
        (vec![], &["model.tiers wrong_length"][..]),
        (closed(MAX_TIERS), &[]),
        (closed(MAX_TIERS + 1), &["model.tiers wrong_length"]),
        (vec![tier(Some("1"))], &["model.tiers[0].up_to not_open"]),
        (
            vec![tier(None), tier(Some("1")), tier(None)],
            &["model.tiers[0].up_to required"],
        ),
        (
            vec![tier(Some("0")), tier(None)],
            &["model.tiers[0].up_to not_ascending"],
        ),
        (
            vec![
                tier(Some("2")),
                tier(Some("2.0")),
                tier(Some("1")),
                tier(None),
            ],
            &[
                "model.tiers[1].up_to not_ascending",
                "model.tiers[2].up_to not_ascending",
            ],
        ),
        (
            vec![tier(Some("2")), tier(Some("2.000000001")), tier(None)],
            &[],
        ),
    ] {
        for model in ["graduated", "volume"] {
            let charge = read_charge(&charge_json(&json!({"type": model, "tiers": tiers})));
            assert_eq!(
                found(&charge.check(Currency::USD)),
                expected,
                "{model} {tiers:?}"
            );
        }
    }
    let rates =
        json!({"type": "graduated_percentage", "tiers": [{"rate_percent": "1", "up_to": "1"}]});
    assert_eq!(
        found(&read_charge(&charge_json(&rates)).check(Currency::USD)),
        ["model.tiers[0].up_to not_open"]
    );
}

#[test]
fn parameters_of_models() {
    let cell = |values: &[&str]| json!({"values": values, "unit_price": "1"});
    let many: Vec<Value> = (0..=MAX_CELLS).map(|n| cell(&[&n.to_string()])).collect();
    let matrix = |dimensions: &[&str], cells: &[Value]| json!({"type": "matrix", "dimensions": dimensions, "cells": cells});
    for (model, expected) in [
        (
            json!({"type": "package", "package_size": "0", "package_price": "1"}),
            &["model.package_size not_positive"][..],
        ),
        (
            json!({
                "type": "percentage", "per_event_minimum": "2", "per_event_maximum": "1",
            }),
            &["model.per_event_maximum below_minimum"],
        ),
        (
            matrix(&[], &[]),
            &["model.dimensions wrong_length", "model.cells wrong_length"],
        ),
        (
            matrix(
                &["a", "b", "c", "d", "e"],
                &[cell(&["1", "2", "3", "4", "5"])],
            ),
            &["model.dimensions wrong_length"],
        ),
        (
            matrix(&["a", "a"], &[cell(&["1", "2"])]),
            &["model.dimensions[1] repeated"],
        ),
        (matrix(&["a"], &many[..MAX_CELLS]), &[]),
        (matrix(&["a"], &many), &["model.cells wrong_length"]),
        (
            matrix(
                &["a"],
                &[cell(&["1"]), cell(&["1"]), cell(&["1", "2"]), cell(&[""])],
            ),
            &[
                "model.cells[1].values repeated",
                "model.cells[2].values wrong_length",
                "model.cells[3].values[0] wrong_length",
            ],
        ),
    ] {
        let charge = read_charge(&charge_json(&model));
        assert_eq!(found(&charge.check(Currency::USD)), expected, "{model}");
    }
}

#[test]
fn windows_of_time() {
    let window = |fields: Value| {
        let mut window = json!({"name": "peak", "unit_price": "1"});
        for (name, value) in fields.as_object().into_iter().flatten() {
            window[name] = value.clone();
        }
        window
    };
    let hours = |from: u8, to: u8| window(json!({"hours": {"from": from, "to": to}}));
    let many = |count: u8| -> Vec<Value> {
        (0..count)
            .map(|n| {
                window(json!({"months": [n % 12 + 1], "hours": {"from": n / 12, "to": n / 12 + 1}}))
            })
            .collect()
    };
    let out_of_range = &["model.windows[0].hours out_of_range"][..];
    for (windows, fallback, expected) in [
        (vec![], true, &["model.windows wrong_length"][..]),
        (many(100), true, &[]),
        (many(101), true, &["model.windows wrong_length"]),
        (vec![hours(0, 24)], false, &[]),
        (vec![hours(23, 1)], true, &[]),
        (vec![hours(24, 1)], true, out_of_range),
        (vec![hours(0, 25)], true, out_of_range),
        (vec![hours(3, 0)], true, out_of_range),
        (vec![hours(3, 3)], true, out_of_range),
        (vec![hours(0, 12), hours(12, 24)], false, &[]),
        (
            vec![hours(0, 12), hours(13, 24)],
            false,
            &["model.fallback_unit_price required"],
        ),
        (vec![hours(0, 12), hours(13, 24)], true, &[]),
        (
            vec![hours(6, 12), hours(22, 7)],
            true,
            &["model.windows[1] overlap"],
        ),
        (vec![hours(6, 12), hours(22, 6)], true, &[]),
        (
            vec![
                window(json!({"weekdays": ["saturday"], "months": [1]})),
                window(json!({"weekdays": ["saturday", "sunday"], "months": [2]})),
                window(json!({"weekdays": ["sunday"], "months": [1, 2]})),
            ],
            true,
            &["model.windows[2] overlap"],
        ),
        (
            vec![window(
                json!({"months": [0, 13, 13], "weekdays": ["sunday", "sunday"]}),
            )],
            true,
            &[
                "model.windows[0].weekdays repeated",
                "model.windows[0].months repeated",
                "model.windows[0].months out_of_range",
            ],
        ),
        (
            vec![window(json!({"name": ""}))],
            true,
            &["model.windows[0].name wrong_length"],
        ),
    ] {
        let mut model = json!({"type": "time_of_use", "windows": windows});
        if fallback {
            model["fallback_unit_price"] = "1".into();
        }
        let charge = read_charge(&charge_json(&model));
        assert_eq!(found(&charge.check(Currency::USD)), expected, "{model}");
    }
    let charge = read_charge(&charge_json(&json!({
        "type": "time_of_use", "windows": [window(json!({"months": [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]}))],
    })));
    assert_eq!(
        charge.check(Currency::USD)[0].message,
        "is required: no window has Monday 0:00 in month 2"
    );
}

#[test]
fn what_is_no_charge_is_not_read() {
    for (model, reason) in [
        (json!({"type": "per_unit", "unit_price": 1}), "JSON string"),
        (
            json!({"type": "per_unit", "unit_price": 0.1}),
            "JSON string",
        ),
        (json!({"type": "per_unit", "unit_price": "-1"}), "negative"),
        (
            json!({"type": "per_unit", "unit_price": "1e3"}),
            "plain decimal",
        ),
        (
            json!({"type": "per_unit", "unit_price": "1", "price": "1"}),
            "price",
        ),
        (json!({"type": "per_unit"}), "unit_price"),
        (
            json!({"type": "percentage", "rate_percent": "0.00000001"}),
            "7 digits",
        ),
        (json!({"type": "percentage", "rate": "1"}), "rate"),
        (json!({"type": "cubic"}), "cubic"),
        (json!({"unit_price": "1"}), "type"),
        (
            json!({"type": "time_of_use", "windows": [
                {"name": "a", "unit_price": "1", "weekdays": ["Mon"]},
            ]}),
            "Mon",
        ),
    ] {
        match serde_json::from_value::<Charge>(charge_json(&model)) {
            Ok(charge) => panic!("{model} was read as {charge:?}"),
            Err(error) => assert!(
                error.to_string().contains(reason),
                "{model}: the error must say {reason:?}, not {error}"
            ),
        }
    }
}

#[test]
fn violations_are_limited() {
    let cells: Vec<Value> = (0..MAX_CELLS)
        .map(|_| json!({"values": ["a"], "unit_price": "1"}))
        .collect();
    let model = json!({"type": "matrix", "dimensions": ["a"], "cells": cells});
    assert_eq!(
        read_charge(&charge_json(&model)).check(Currency::USD).len(),
        MAX_VIOLATIONS
    );
}

#[test]
fn fields_of_a_plan() {
    let plan = |change: Value| -> Plan {
        let mut plan = json!({
            "code": "pro", "name": "Pro", "currency": "USD",
            "charges": [
                charge_json(&json!({"type": "per_unit", "unit_price": "1"})),
            ],
        });
        for (name, value) in change.as_object().into_iter().flatten() {
            plan[name] = value.clone();
        }
        serde_json::from_value(plan).unwrap_or_else(|error| panic!("{change}: {error}"))
    };
    let per_unit = charge_json(&json!({"type": "per_unit", "unit_price": "1"}));
    let percentage = charge_json(&json!({"type": "percentage", "rate_percent": "1"}));
    let charges: Vec<Value> = (0..=MAX_CHARGES)
        .map(|number| {
            let mut charge = per_unit.clone();
            charge["code"] = number.to_string().into();
            charge
        })
        .collect();
    let included = |metrics: &[&str]| {
        let list = metrics
            .iter()
            .map(|metric| json!({"metric": metric, "units": "5"}));
        json!(list.collect::<Vec<_>>())
    };
    for (change, expected) in [
        (json!({}), &[][..]),
        (json!({"code": "Pro"}), &["code invalid"]),
        (json!({"name": ""}), &["name wrong_length"]),
        (json!({"charges": []}), &["charges wrong_length"]),
        (json!({"charges": charges[..MAX_CHARGES]}), &[]),
        (json!({"charges": charges}), &["charges wrong_length"]),
        (
            json!({"charges": [per_unit, per_unit]}),
            &["charges[1].code repeated"],
        ),
        (
            json!({"charges": [charge_json(&json!({"type": "graduated", "tiers": []}))]}),
            &["charges[0].model.tiers wrong_length"],
        ),
        (json!({"included_units": included(&["units"])}), &[]),
        (
            json!({"included_units": included(&["units", "units", "bytes"])}),
            &[
                "included_units[1].metric repeated",
                "included_units[2].metric unknown",
            ],
        ),
        (
            json!({"charges": [percentage], "included_units": included(&["units"])}),
            &["included_units[0].metric not_countable"],
        ),
        (
            json!({"minimum_commitment": "100.50", "maximum_spend": "100.5"}),
            &[],
        ),
        (
            json!({"minimum_commitment": "100.51", "maximum_spend": "100.505"}),
            &["maximum_spend too_fine", "maximum_spend below_minimum"],
        ),
        (
            json!({"currency": "JPY", "minimum_commitment": "0.5"}),
            &["minimum_commitment too_fine"],
        ),
        (
            json!({"currency": "JPY", "charges": [charge_json(&json!({"type": "flat", "amount": "9.95"}))]}),
            &["charges[0].model.amount too_fine"],
        ),
        (json!({"trial": {"days": 0}}), &["trial.days out_of_range"]),
        (json!({"trial": {"days": MAX_TRIAL_DAYS}}), &[]),
        (
            json!({"trial": {"days": MAX_TRIAL_DAYS + 1, "covers": "advance_charges"}}),
            &["trial.days out_of_range"],
        ),
    ] {
        assert_eq!(found(&plan(change.clone()).check()), expected, "{change}");
    }
}
