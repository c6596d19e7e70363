//! Answers that other systems' own tests publish.

use chrono::NaiveDate;
use serde_json::json;

use super::*;
use crate::money::{Money, Proration, Rounding, fixed_30, prorate};

fn check_quantities(model: &Value, rows: &[(&str, &str)]) {
    let rows: Vec<_> = rows
        .iter()
        .map(|(quantity, amount)| (json!({"quantity": quantity}), Ok(*amount)))
        .collect();
    check_rows(model, &rows);
}

#[test]
fn graduated() {
    check_quantities(
        &json!({"type": "graduated", "tiers": [
            {"up_to": "10", "unit_price": "10", "flat_fee": "2"},
            {"up_to": "20", "unit_price": "5", "flat_fee": "3"},
            {"unit_price": "5", "flat_fee": "3"},
        ]}),
        &[
            ("0", "2"),
            ("1", "12"),
            ("10", "102"),
            ("11", "110"),
            ("12", "115"),
            ("21", "163"),
        ],
    );
    check_quantities(
        &json!({"type": "graduated", "tiers": [
            {"up_to": "5", "unit_price": "0", "flat_fee": "100"},
            {"up_to": "10", "unit_price": "0", "flat_fee": "50"},
            {"up_to": "15", "unit_price": "10"},
            {"unit_price": "5"},
        ]}),
        &[
            ("0", "100"),
            ("5", "100"),
            ("5.001", "150"),
            ("12", "170"),
            ("22", "235"),
        ],
    );
}

#[test]
fn volume() {
    check_quantities(
        &json!({"type": "volume", "tiers": [
            {"up_to": "100", "unit_price": "2", "flat_fee": "10"},
            {"up_to": "200", "unit_price": "1"},
            {"unit_price": "0.5", "flat_fee": "50"},
        ]}),
        &[("0", "10"), ("100", "210"), ("101", "101"), ("300", "200")],
    );
}

#[test]
fn package() {
    let model = json!({"type": "package", "package_size": "10", "package_price": "100"});
    for (free_units, expected) in [("0", "1300"), ("10", "1200"), ("200", "0")] {
        let mut json = charge_json(&model);
        json["included_units"] = free_units.into();
        let charge = read_charge(&json);
        assert_eq!(charge.check(), []);
        assert_eq!(
            exact(&charge, &usage(&json!({"quantity": "121"}))),
            Ok(expected.to_owned()),
            "121 units, of which {free_units} are free"
        );
    }
}

#[test]
fn percentage() {
    let model = json!({"type": "percentage", "rate_percent": "2.9"});
    check_rows(&model, &[(json!({"events": ["4"]}), Ok("0.116"))]);
    let line = charge(&model).rate(Currency::USD, &usage(&json!({"events": ["4"]})));
    assert_eq!(
        line.map(|line| line.amount.to_string()),
        Ok("0.12 USD".to_owned())
    );
}

/// A flat charge for a part of a month is its line, prorated.
#[test]
fn prorated_flat_charges() {
    let january = |day| NaiveDate::from_ymd_opt(2026, 1, day).unwrap_or_default();
    let february = NaiveDate::from_ymd_opt(2026, 2, 1).unwrap_or_default();
    let line = |amount: &str, currency| -> Money {
        charge(&json!({"type": "flat", "amount": amount}))
            .rate(currency, &Usage::Nothing)
            .map(|line| line.amount)
            .unwrap_or_else(|error| panic!("{error}"))
    };
    for (amount, currency, from, to, expected) in [
        ("100", Currency::USD, january(17), february, "48.39 USD"),
        ("100", Currency::USD, january(22), february, "32.26 USD"),
        ("1000", Currency::JPY, january(1), january(11), "323 JPY"),
    ] {
        let part = prorate(
            line(amount, currency),
            Proration::Actual,
            january(1)..february,
            from..to,
            Rounding::HalfEven,
        );
        assert_eq!(part.map(|part| part.to_string()), Ok(expected.to_owned()));
    }
    let part = fixed_30(line("19.95", Currency::USD), 8, Rounding::HalfEven);
    assert_eq!(part.map(|part| part.to_string()), Ok("5.32 USD".to_owned()));
}
