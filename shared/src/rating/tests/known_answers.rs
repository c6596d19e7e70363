//! Answers that other systems' own tests publish.

use chrono::NaiveDate;
use serde_json::json;

use super::*;
use crate::money::{AnchoredPeriod, Proration, prorate};

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
        assert_eq!(charge.check(Currency::USD), []);
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

/// A flat charge for a part of a period is its line, prorated.
#[test]
fn prorated_flat_charges() {
    use Proration::{Day, Fixed30};
    let date = |text: &str| {
        text.parse::<NaiveDate>()
            .unwrap_or_else(|error| panic!("{text:?} in the table is no date: {error}"))
    };
    let january = ("2026-01-01", "2026-02-01", 1);
    let mid_may = ("2026-05-15", "2026-06-15", 15);
    for (amount, currency, policy, period, from, to, expected) in [
        (
            "100",
            Currency::USD,
            Day,
            january,
            "2026-01-17",
            "2026-02-01",
            "48.39 USD",
        ),
        (
            "100",
            Currency::USD,
            Day,
            january,
            "2026-01-22",
            "2026-02-01",
            "32.26 USD",
        ),
        (
            "1000",
            Currency::JPY,
            Day,
            january,
            "2026-01-01",
            "2026-01-11",
            "323 JPY",
        ),
        (
            "19.95",
            Currency::USD,
            Fixed30,
            mid_may,
            "2026-05-15",
            "2026-05-23",
            "5.32 USD",
        ),
        (
            "19.95",
            Currency::USD,
            Fixed30,
            mid_may,
            "2026-05-23",
            "2026-06-15",
            "14.63 USD",
        ),
    ] {
        let line = charge(&json!({"type": "flat", "amount": amount}))
            .rate(currency, &Usage::Nothing)
            .unwrap_or_else(|error| panic!("{error}"));
        let period = AnchoredPeriod::new(date(period.0)..date(period.1), period.2)
            .unwrap_or_else(|error| panic!("{error}"));
        let part = prorate(
            line.amount,
            policy,
            &period,
            date(from)..date(to),
            line.rounding,
        );
        assert_eq!(
            part.map(|part| part.to_string()),
            Ok(expected.to_owned()),
            "{amount} from {from} to {to}, {policy:?}"
        );
    }
}
