//! Every model: boundaries, nothing, fractions, and the largest numbers.

use serde_json::json;

use super::*;
use crate::money::Rounding;

/// The largest number.
const LARGEST: &str = "999999999999.999999999";

fn quantity(text: &str) -> Value {
    json!({"quantity": text})
}

fn events(amounts: &[&str]) -> Value {
    json!({"events": amounts})
}

#[test]
fn flat() {
    check_rows(
        &json!({"type": "flat", "amount": "29.9"}),
        &[
            (json!("nothing"), Ok("29.9")),
            (quantity("1"), Err("usage_of_another_kind")),
        ],
    );
    check_rows(
        &json!({"type": "flat", "amount": "999999999999.99"}),
        &[(json!("nothing"), Ok("999999999999.99"))],
    );
}

#[test]
fn per_unit() {
    check_rows(
        &json!({"type": "per_unit", "unit_price": "0.000000001"}),
        &[
            (json!("nothing"), Ok("0")),
            (quantity("0"), Ok("0")),
            (quantity("0.000000001"), Ok("0.000000000000000001")),
            (quantity(LARGEST), Ok("999.999999999999999999")),
            (events(&["1"]), Err("usage_of_another_kind")),
        ],
    );
    check_rows(
        &json!({"type": "per_unit", "unit_price": LARGEST}),
        &[
            (quantity("0"), Ok("0")),
            (quantity("0.5"), Ok("499999999999.9999999995")),
            (quantity("2"), Err("amount_too_large")),
            (quantity(LARGEST), Err("amount_too_large")),
        ],
    );
}

#[test]
fn graduated() {
    check_rows(
        &json!({"type": "graduated", "tiers": [
            {"up_to": "0.5", "unit_price": "1"},
            {"up_to": "1.25", "unit_price": "0.000000001", "flat_fee": "7"},
            {"unit_price": "3"},
        ]}),
        &[
            (json!("nothing"), Ok("0")),
            (quantity("0.5"), Ok("0.5")),
            (quantity("0.500000001"), Ok("7.500000000000000001")),
            (quantity("1.25"), Ok("7.50000000075")),
            (quantity("2.25"), Ok("10.50000000075")),
            (quantity(LARGEST), Err("amount_too_large")),
        ],
    );
    check_rows(
        &json!({"type": "graduated", "tiers": [{"unit_price": "0", "flat_fee": "5"}]}),
        &[(quantity("0"), Ok("5")), (quantity(LARGEST), Ok("5"))],
    );
}

#[test]
fn volume() {
    check_rows(
        &json!({"type": "volume", "tiers": [
            {"up_to": "1.5", "unit_price": "2"},
            {"up_to": "10", "unit_price": "1", "flat_fee": "0.01"},
            {"unit_price": "0"},
        ]}),
        &[
            (json!("nothing"), Ok("0")),
            (quantity("1.5"), Ok("3")),
            (quantity("1.500000001"), Ok("1.510000001")),
            (quantity("10"), Ok("10.01")),
            (quantity("10.1"), Ok("0")),
            (quantity(LARGEST), Ok("0")),
            (json!({"hours": []}), Err("usage_of_another_kind")),
        ],
    );
}

#[test]
fn package() {
    check_rows(
        &json!({"type": "package", "package_size": "0.5", "package_price": "3"}),
        &[
            (json!("nothing"), Ok("0")),
            (quantity("0"), Ok("0")),
            (quantity("0.000000001"), Ok("3")),
            (quantity("0.5"), Ok("3")),
            (quantity("0.500000001"), Ok("6")),
            (quantity("400000000000"), Err("amount_too_large")),
            (quantity(LARGEST), Err("quantity_too_large")),
        ],
    );
    check_rows(
        &json!({"type": "package", "package_size": LARGEST, "package_price": "1"}),
        &[(quantity("1"), Ok("1")), (quantity(LARGEST), Ok("1"))],
    );
    check_rows(
        &json!({"type": "package", "package_size": "0.000000001", "package_price": "1"}),
        &[(quantity("1"), Ok("1000000000"))],
    );
}

#[test]
fn percentage() {
    check_rows(
        &json!({"type": "percentage", "rate_percent": "2.9", "fixed_fee": "0.3"}),
        &[
            (json!("nothing"), Ok("0")),
            (events(&[]), Ok("0")),
            // An event of nothing has its fixed fee.
            (events(&["0"]), Ok("0.3")),
            (events(&["100", "4"]), Ok("3.616")),
            (events(&[LARGEST, "1"]), Err("quantity_too_large")),
            (quantity("4"), Err("usage_of_another_kind")),
        ],
    );
    check_rows(
        &json!({"type": "percentage", "rate_percent": "1000", "free_events": 1}),
        &[
            (events(&[LARGEST]), Ok("0")),
            (events(&["1", "2", "3"]), Ok("50")),
            (events(&["0", "99999999999.99"]), Ok("999999999999.9")),
            (events(&["0", "100000000000"]), Err("amount_too_large")),
        ],
    );
    // The first event is free, and takes nothing of the free amount.
    check_rows(
        &json!({
            "type": "percentage", "rate_percent": "10", "fixed_fee": "1",
            "free_events": 1, "free_amount": "50",
        }),
        &[
            (events(&["1000", "30", "0"]), Ok("0")),
            (events(&["1000", "50"]), Ok("0")),
            // Of the third event 20 is free and 10 is not: 1 and the fee.
            (events(&["1000", "30", "30"]), Ok("2")),
            // Nothing is left of the free amount, and the fixed fee is due.
            (events(&["1000", "50", "0"]), Ok("1")),
        ],
    );
    check_rows(
        &json!({
            "type": "percentage", "rate_percent": "10", "fixed_fee": "0.25",
            "per_event_minimum": "1", "per_event_maximum": "2",
        }),
        &[
            (events(&["0"]), Ok("1")),
            (events(&["7.5"]), Ok("1")),
            (events(&["10"]), Ok("1.25")),
            (events(&["17.5"]), Ok("2")),
            (events(&["1000"]), Ok("2")),
            (events(&["0", "10", "1000"]), Ok("4.25")),
        ],
    );
}

#[test]
fn graduated_percentage() {
    check_rows(
        &json!({"type": "graduated_percentage", "tiers": [
            {"up_to": "100", "rate_percent": "3", "flat_fee": "1"},
            {"rate_percent": "0.5", "flat_fee": "2"},
        ]}),
        &[
            (json!("nothing"), Ok("1")),
            (events(&["40", "60"]), Ok("4")),
            (events(&["40", "60", "0.000000001"]), Ok("6.000000000005")),
            (events(&["300"]), Ok("7")),
            (events(&[LARGEST]), Ok("5000000005.499999999995")),
        ],
    );
}

#[test]
fn dynamic() {
    check_rows(
        &json!({"type": "dynamic"}),
        &[
            (json!("nothing"), Ok("0")),
            (events(&["0.000000001", "2.5", "2.5"]), Ok("5.000000001")),
            (events(&[LARGEST, LARGEST]), Err("quantity_too_large")),
        ],
    );
}

#[test]
fn matrix() {
    let cell = |values: &[&str], quantity: &str| json!({"values": values, "quantity": quantity});
    let model = json!({
        "type": "matrix", "dimensions": ["region", "model"],
        "cells": [
            {"values": ["eu", "large"], "unit_price": "2"},
            {"values": ["us", "large"], "unit_price": "1.5"},
        ],
    });
    let rows = [
        (json!("nothing"), Ok("0")),
        (json!({"cells": []}), Ok("0")),
        (
            json!({"cells": [
                cell(&["us", "large"], "2"), cell(&["eu", "large"], "0.5"), cell(&["us", "large"], "2"),
            ]}),
            Ok("7"),
        ),
        (
            json!({"cells": [cell(&["large", "us"], "1")]}),
            Err("no_such_cell"),
        ),
        (json!({"cells": [cell(&["us"], "1")]}), Err("no_such_cell")),
        (
            json!({"cells": [cell(&["eu", "large"], LARGEST)]}),
            Err("amount_too_large"),
        ),
        (
            json!({"cells": [cell(&["eu", "large"], LARGEST), cell(&["eu", "large"], "1")]}),
            Err("quantity_too_large"),
        ),
    ];
    check_rows(&model, &rows);
    let mut with_default = model;
    with_default["default_unit_price"] = "10".into();
    check_rows(
        &with_default,
        &[
            (json!({"cells": [cell(&["ap", "small"], "3")]}), Ok("30")),
            // A value is missing, so there is no price.
            (json!({"cells": [cell(&["us"], "1")]}), Err("no_such_cell")),
        ],
    );
}

#[test]
fn time_of_use() {
    let hour = |month: u8, weekday: &str, hour: u8, quantity: &str| json!({"month": month, "weekday": weekday, "hour": hour, "quantity": quantity});
    let model = json!({
        "type": "time_of_use",
        "windows": [
            {
                "name": "summer peak", "hours": {"from": 16, "to": 21}, "months": [6, 7, 8, 9],
                "weekdays": ["monday", "tuesday", "wednesday", "thursday", "friday"],
                "unit_price": "0.5",
            },
            {"name": "night", "hours": {"from": 22, "to": 6}, "unit_price": "0.1"},
        ],
        "fallback_unit_price": "0.3",
    });
    for (row, expected) in [
        (hour(7, "monday", 15, "1"), Ok("0.3")),
        (hour(7, "monday", 16, "1"), Ok("0.5")),
        (hour(7, "friday", 20, "1"), Ok("0.5")),
        (hour(7, "friday", 21, "1"), Ok("0.3")),
        (hour(7, "saturday", 16, "1"), Ok("0.3")),
        (hour(10, "monday", 16, "1"), Ok("0.3")),
        (hour(1, "sunday", 22, "1"), Ok("0.1")),
        (hour(1, "sunday", 23, "1"), Ok("0.1")),
        (hour(1, "monday", 0, "1"), Ok("0.1")),
        (hour(12, "monday", 5, "1"), Ok("0.1")),
        (hour(12, "monday", 6, "1.5"), Ok("0.45")),
        (hour(12, "monday", 24, "1"), Err("no_such_hour")),
        (hour(0, "monday", 1, "1"), Err("no_such_hour")),
        (hour(13, "monday", 1, "1"), Err("no_such_hour")),
        (hour(255, "monday", 255, "1"), Err("no_such_hour")),
    ] {
        check_rows(&model, &[(json!({"hours": [row]}), expected)]);
    }
    let year: Vec<Value> = (1..=12)
        .flat_map(|month| (0..24).map(move |h| hour(month, "monday", h, "1")))
        .collect();
    // 4 * 5 peak hours at 0.5, 12 * 8 at night at 0.1, and 172 others at 0.3.
    check_rows(&model, &[(json!({"hours": year}), Ok("71.2"))]);
}

#[test]
fn included_units_minimum_and_maximum() {
    let charge = |included: &str, bounds: &[(&str, &str)]| {
        let mut json = charge_json(&json!({"type": "per_unit", "unit_price": "2"}));
        json["included_units"] = included.into();
        for (name, bound) in bounds {
            json[*name] = (*bound).into();
        }
        read_charge(&json)
    };
    let both = [("minimum", "5"), ("maximum", "20")];
    for (included, bounds, units, expected) in [
        ("3", &[][..], "2", "0"),
        ("3", &[], "3", "0"),
        ("3", &[], "3.5", "1"),
        ("0", &both, "0", "5"),
        ("0", &both, "2.5", "5"),
        ("0", &both, "2.6", "5.2"),
        ("0", &both, "10", "20"),
        ("0", &both, "11", "20"),
        ("8", &both, "11", "6"),
    ] {
        assert_eq!(
            exact(&charge(included, bounds), &Usage::Quantity(number(units))),
            Ok(expected.to_owned()),
            "{units} units, {included} included, {bounds:?}"
        );
    }
}

#[test]
fn lines_are_rounded_once_by_their_policy() {
    for (policy, expected) in [
        ("half_even", "0.12 USD"),
        ("half_up", "0.13 USD"),
        ("up", "0.13 USD"),
        ("down", "0.12 USD"),
    ] {
        // Each tier alone would be 0.06 or 0.07.
        let mut json = charge_json(&json!({"type": "graduated", "tiers": [
            {"up_to": "1", "unit_price": "0.0625"}, {"unit_price": "0.0625"},
        ]}));
        json["rounding"] = policy.into();
        let line = read_charge(&json).rate(Currency::USD, &Usage::Quantity(number("2")));
        assert_eq!(
            line.map(|line| line.amount.to_string()),
            Ok(expected.to_owned()),
            "0.125 by {policy}"
        );
    }
    let charge = charge(&json!({"type": "per_unit", "unit_price": "0.5"}));
    assert_eq!(charge.rounding, Rounding::HalfEven, "the default");
}

#[test]
fn steps_are_sentences() {
    let check = |charge: &Charge, json: &Value, expected: &[&str]| {
        let line = charge
            .explain(Currency::USD, &usage(json))
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(sentences(&line), expected, "{json}");
    };
    let tiers = json!([
        {"up_to": "10", "unit_price": "10", "flat_fee": "2"},
        {"unit_price": "5"},
    ]);
    let mut with_bounds = charge_json(&json!({"type": "graduated", "tiers": tiers}));
    with_bounds["included_units"] = "1".into();
    with_bounds["maximum"] = "100".into();
    check(
        &read_charge(&with_bounds),
        &quantity("13"),
        &[
            "included: 1 units cost nothing",
            "tier 1, 0 to 10: 10 × 10 + 2 = 102",
            "tier 2, above 10: 2 × 5 = 10",
            "cut to the maximum of 100: -12",
        ],
    );
    check(
        &charge(&json!({"type": "volume", "tiers": tiers})),
        &quantity("13"),
        &["tier 2, above 10: 13 × 5 = 65"],
    );
    check(
        &charge(&json!({"type": "package", "package_size": "10", "package_price": "3"})),
        &quantity("13"),
        &["13 in packages of 10: 2 × 3 = 6"],
    );
    check(
        &charge(&json!({
            "type": "percentage", "rate_percent": "10", "fixed_fee": "0.25", "free_events": 1,
            "free_amount": "5", "per_event_minimum": "1", "per_event_maximum": "2",
        })),
        &events(&["1", "2", "4", "100"]),
        &[
            "free: the first 1 events",
            "free: 5 of the amounts, 1 events wholly",
            "10% of 101 = 10.1",
            "2 events × 0.25 = 0.5",
            "1 events raised to the minimum: 0.65",
            "1 events cut to the maximum: -8.25",
        ],
    );
    check(
        &charge(&json!({
            "type": "matrix", "dimensions": ["region", "model"], "default_unit_price": "3",
            "cells": [{"values": ["eu", "large"], "unit_price": "2"}],
        })),
        &json!({"cells": [
            {"values": ["eu", "large"], "quantity": "2"},
            {"values": ["us", "large"], "quantity": "0.5"},
        ]}),
        &["eu, large: 2 × 2 = 4", "us, large (default): 0.5 × 3 = 1.5"],
    );
    check(
        &charge(&json!({"type": "dynamic"})),
        &events(&["1", "2.5"]),
        &["2 events: 3.5"],
    );
}

#[test]
fn a_part_billed_earlier_is_taken_off() {
    let charge = charge(&json!({"type": "per_unit", "unit_price": "0.004"}));
    let line = |units: &str| {
        charge
            .explain(Currency::USD, &Usage::Quantity(number(units)))
            .unwrap_or_else(|error| panic!("{error}"))
    };
    let rest = line("2")
        .beyond(&line("1"))
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(rest.adds_up());
    assert_eq!(
        rest.amount.to_string(),
        "0.01 USD",
        "0.00 was billed of 0.008"
    );
    assert_eq!(rest.quantity, Some(number("1")));
    assert_eq!(
        sentences(&rest),
        ["2 × 0.004 = 0.008", "rounded: 0.002", "billed earlier: 0"]
    );
    let mut other = line("1");
    other.item = Item::Trial;
    assert_eq!(
        line("2").beyond(&other).map_err(|error| error.reason),
        Err(Reason::LinesDiffer)
    );
    let yen = charge
        .rate(Currency::JPY, &Usage::Nothing)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        line("2").beyond(&yen).map_err(|error| error.to_string()),
        Err("charge usage: the lines are not of one charge, currency and rounding.".to_owned())
    );
}

/// A million events at the limit, and one more.
#[test]
fn usage_has_a_limit() {
    let charge = charge(&json!({"type": "percentage", "rate_percent": "1", "fixed_fee": "0.01"}));
    let mut amounts = vec![number("1"); MAX_USAGE_ROWS];
    assert_eq!(
        exact(&charge, &Usage::Events(amounts.clone())),
        Ok("20000".to_owned())
    );
    amounts.push(Number::ZERO);
    assert_eq!(
        exact(&charge, &Usage::Events(amounts)),
        Err("too_much_usage")
    );
}

/// A charge that fails its check is rated or refused, but it never panics.
#[test]
fn unchecked_charges_are_refused() {
    for (model, units) in [
        (json!({"type": "graduated", "tiers": []}), "0"),
        (json!({"type": "volume", "tiers": []}), "0"),
        (json!({"type": "graduated", "tiers": [{"up_to": "1"}]}), "2"),
        (json!({"type": "volume", "tiers": [{"up_to": "1"}]}), "2"),
        (
            json!({"type": "package", "package_size": "0", "package_price": "1"}),
            "2",
        ),
    ] {
        let charge = read_charge(&charge_json(&model));
        assert_ne!(charge.check(Currency::USD), [], "{model}");
        assert_eq!(
            exact(&charge, &Usage::Quantity(number(units))),
            Err("unchecked_charge"),
            "{model}"
        );
    }
}
