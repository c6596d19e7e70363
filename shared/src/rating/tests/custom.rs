//! Charges whose lines are given from outside.

use serde_json::json;

use super::*;

/// A fee in advance, a custom charge, and one by the unit.
fn plan(change: &Value) -> Plan {
    let mut plan = json!({
        "code": "pro", "name": "Pro", "currency": "USD",
        "charges": [
            {
                "code": "base", "name": "Base", "billing": "advance",
                "model": {"type": "flat", "amount": "20"},
            },
            {
                "code": "power", "name": "Power", "metric": "kwh", "rounding": "up",
                "model": {"type": "custom", "parameters": {"price": "0.3"}},
            },
            {
                "code": "calls", "name": "Calls", "metric": "calls",
                "model": {"type": "per_unit", "unit_price": "1"},
            },
        ],
    });
    for (name, value) in change.as_object().into_iter().flatten() {
        plan[name] = value.clone();
    }
    let plan: Plan =
        serde_json::from_value(plan).unwrap_or_else(|error| panic!("{change}: {error}"));
    assert_eq!(plan.check(), [], "{change}");
    plan
}

fn lines(amounts: &[&str]) -> Vec<PricedLine> {
    let amount = |text: &str| {
        ExactAmount::parse(text).unwrap_or_else(|error| panic!("{text} in the table: {error}"))
    };
    let line = |text: &&str| PricedLine {
        description: format!("Part of {text}"),
        quantity: None,
        unit_price: None,
        exact_amount: amount(text),
        steps: vec![PricedStep {
            text: format!("all of {text}"),
            subtotal: amount(text),
        }],
    };
    amounts.iter().map(line).collect()
}

fn prices(priced: Result<Vec<PricedLine>, PricingFailure>) -> CustomPrices {
    CustomPrices::from([("power".to_owned(), priced)])
}

/// Amounts, or lines.
type Texts<'a> = &'a [&'a str];

#[test]
fn lines_are_rounded_by_the_charge_and_take_part() {
    use Phase::{Paid, Trial};
    let base_and_calls = |amounts: &[&str]| -> Vec<String> {
        let power = amounts
            .iter()
            .map(|amount| format!("charge power {amount}"));
        let base = ["charge base 20.00".to_owned()];
        base.into_iter()
            .chain(power)
            .chain(["charge calls 3.00".to_owned()])
            .collect()
    };
    let table: [(Value, Texts<'_>, Phase, Texts<'_>, Texts<'_>); 6] = [
        (
            json!({}),
            &["1.001", "2.5"],
            Paid,
            &["1.01", "2.50"],
            &["total 26.51"],
        ),
        (json!({}), &["0"], Paid, &["0.00"], &["total 23.00"]),
        (
            json!({"minimum_commitment": "30"}),
            &["1.001"],
            Paid,
            &["1.01"],
            &["minimum commitment 5.99", "total 30.00"],
        ),
        (
            json!({"maximum_spend": "25"}),
            &["1.001", "2.5"],
            Paid,
            &["1.01", "2.50"],
            &["maximum spend -1.51", "total 25.00"],
        ),
        (
            json!({"trial": {"days": 14}}),
            &["1.001", "2.5"],
            Trial,
            &["1.01", "2.50"],
            &["trial -26.51", "total 0.00"],
        ),
        (
            json!({"trial": {"days": 14, "covers": "advance_charges"}}),
            &["1.001", "2.5"],
            Trial,
            &["1.01", "2.50"],
            &["trial -20.00", "total 6.51"],
        ),
    ];
    for (change, amounts, phase, rounded, rest) in table {
        let usage = [("calls".to_owned(), Usage::Quantity(3.into()))].into();
        let outcome = plan(&change).explain_with(&usage, &prices(Ok(lines(amounts))), phase);
        let Ok(Outcome::Rated(rated)) = outcome else {
            panic!("{change}: {outcome:?}");
        };
        let mut shown: Vec<String> = rated
            .lines
            .iter()
            .map(|line| format!("{} {}", line.item, line.amount.format_amount()))
            .collect();
        shown.push(format!("total {}", rated.total.format_amount()));
        let mut expected = base_and_calls(rounded);
        expected.extend(rest.iter().map(|line| (*line).to_owned()));
        assert_eq!(shown, expected, "{change}");
        for line in &rated.lines {
            assert!(line.adds_up(), "{line:#?}");
        }
        assert_eq!(
            sentences(&rated.lines[1]),
            [format!("all of {}", amounts[0])]
        );
    }
}

#[test]
fn a_failure_leaves_the_other_lines_and_no_sum() {
    let change = json!({"minimum_commitment": "100", "maximum_spend": "200", "trial": {"days": 1}});
    for phase in [Phase::Paid, Phase::Trial] {
        let failure = PricingFailure::refused("no tariff");
        let outcome =
            plan(&change).explain_with(&Default::default(), &prices(Err(failure.clone())), phase);
        let Ok(Outcome::Unpriced(lines)) = outcome else {
            panic!("{outcome:?}");
        };
        let shown: Vec<Result<String, &UnpricedCharge>> = lines
            .iter()
            .map(|line| match line {
                Ok(line) => Ok(format!("{} {}", line.item, line.amount.format_amount())),
                Err(charge) => Err(charge),
            })
            .collect();
        let unpriced = UnpricedCharge {
            item: Item::Charge {
                charge: "power".to_owned(),
            },
            description: "Power".to_owned(),
            failure,
        };
        assert_eq!(
            shown,
            [
                Ok("charge base 20.00".to_owned()),
                Err(&unpriced),
                Ok("charge calls 0.00".to_owned()),
            ]
        );
    }
}

#[test]
fn lines_must_be_given() {
    let plan = plan(&json!({}));
    let usage = Default::default();
    let expected = "charge power: the charge has a custom model, whose lines were not given.";
    for refused in [
        plan.rate(&usage, Phase::Paid).err(),
        plan.explain(&usage, Phase::Paid).err(),
        plan.explain_with(&usage, &CustomPrices::new(), Phase::Paid)
            .err(),
        plan.charges[1].rate(Currency::USD, &Usage::Nothing).err(),
        plan.charges[1]
            .explain(Currency::USD, &Usage::Nothing)
            .err(),
    ] {
        assert_eq!(
            refused.map(|error| error.to_string()).as_deref(),
            Some(expected)
        );
    }
}

#[test]
fn requests_are_for_usage_of_every_kind() {
    let plan = plan(&json!({}));
    let hours = |month: u8, hour: u8| json!({"hours": [{"month": month, "weekday": "friday", "hour": hour, "quantity": "1"}]});
    for (json, expected) in [
        (json!("nothing"), Ok(())),
        (json!({"quantity": "2"}), Ok(())),
        (json!({"events": ["1"]}), Ok(())),
        (
            json!({"cells": [{"values": ["eu"], "quantity": "1"}]}),
            Ok(()),
        ),
        (hours(1, 0), Ok(())),
        (hours(12, 23), Ok(())),
        (hours(0, 0), Err("no_such_hour")),
        (hours(13, 0), Err("no_such_hour")),
        (hours(1, 24), Err("no_such_hour")),
    ] {
        let usage = usage(&json);
        let request = plan.charges[1].pricing_request(Currency::USD, &usage);
        match request {
            Ok(Some(request)) => {
                let wire = serde_json::to_value(&request).unwrap_or_default();
                assert_eq!(wire["usage"], json);
                assert_eq!(wire["parameters"], json!({"price": "0.3"}));
                let read = serde_json::from_value::<PricingRequest<'_>>(wire);
                assert_eq!(read.ok(), Some(request), "{json}");
                assert_eq!(expected, Ok(()), "{json}");
            }
            Ok(None) => panic!("the charge has a custom model"),
            Err(error) => assert_eq!(Err(error.reason.code()), expected, "{json}"),
        }
        let other = plan.charges[0].pricing_request(Currency::USD, &usage);
        assert_eq!(other, Ok(None), "only custom models are asked");
    }
}

#[test]
fn what_a_custom_charge_must_be() {
    let custom = |parameters: Value| json!({"type": "custom", "parameters": parameters});
    let fill = |bytes: usize| json!({"a": "x".repeat(bytes - r#"{"a":""}"#.len())});
    let nest = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({"a": inner}));
    let list = |levels: usize| json!({"a": (1..levels).fold(json!(1), |inner, _| json!([inner]))});
    for (field, value, expected) in [
        ("model", custom(json!({})), &[][..]),
        ("model", json!({"type": "custom"}), &[]),
        ("model", custom(fill(MAX_PARAMETERS_BYTES)), &[]),
        (
            "model",
            custom(fill(MAX_PARAMETERS_BYTES + 1)),
            &["model.parameters too_large"],
        ),
        ("model", custom(nest(MAX_PARAMETERS_DEPTH)), &[]),
        ("model", custom(list(MAX_PARAMETERS_DEPTH)), &[]),
        (
            "model",
            custom(nest(MAX_PARAMETERS_DEPTH + 1)),
            &["model.parameters too_deep"],
        ),
        (
            "model",
            custom(list(MAX_PARAMETERS_DEPTH + 1)),
            &["model.parameters too_deep"],
        ),
        ("minimum", json!("1"), &["minimum not_allowed"]),
        ("maximum", json!("1"), &["maximum not_allowed"]),
        (
            "included_units",
            json!("1"),
            &["included_units not_countable"],
        ),
        (
            "billing",
            json!("advance"),
            &["billing not_known_in_advance"],
        ),
        ("metric", json!(null), &["metric required"]),
    ] {
        let mut charge = charge_json(&custom(json!({})));
        charge[field] = value.clone();
        let errors = read_charge(&charge).check(Currency::USD);
        let found: Vec<String> = errors
            .iter()
            .map(|error| format!("{} {}", error.field, error.code))
            .collect();
        assert_eq!(found, expected, "{field}");
    }
    for (count, expected) in [
        (MAX_CUSTOM_CHARGES, None),
        (MAX_CUSTOM_CHARGES + 1, Some("charges")),
    ] {
        let mut many = plan(&json!({}));
        let charge = many.charges[1].clone();
        many.charges = (0..count)
            .map(|number| Charge {
                code: format!("power-{number}"),
                ..charge.clone()
            })
            .collect();
        let errors = many.check();
        assert_eq!(
            errors.first().map(|error| &*error.field),
            expected,
            "{count}"
        );
    }
}

#[test]
fn parameters_have_no_floats() {
    for (json, is_right) in [
        (
            r#"{"a": 1, "b": -1, "c": [true, null, {"d": "1.5"}]}"#,
            true,
        ),
        (r#"{"a": 18446744073709551615}"#, true),
        (r#"{"a": 1.5}"#, false),
        (r#"{"a": [1e3]}"#, false),
        (r#"{"a": {"b": 18446744073709551616}}"#, false),
        (r#"{"a": "x\u0000"}"#, false),
        (r#"{"a\u0000": 1}"#, false),
        ("[]", false),
        ("null", false),
        (r#""x""#, false),
    ] {
        let read = serde_json::from_str::<Parameters>(json);
        assert_eq!(read.is_ok(), is_right, "{json}: {read:?}");
    }
}

#[test]
fn replies_are_json() {
    for (reply, expected) in [
        (
            PricingReply::Lines(lines(&["1.5"])),
            json!({"lines": [{
                "description": "Part of 1.5", "exact_amount": "1.5",
                "steps": [{"text": "all of 1.5", "subtotal": "1.5"}],
            }]}),
        ),
        (
            PricingReply::Error(PricingFailure::timed_out()),
            json!({"error": {
                "code": "model_timed_out", "message": "The pricing model did not answer in time.",
            }}),
        ),
    ] {
        let json = serde_json::to_value(&reply).unwrap_or_default();
        assert_eq!(json, expected);
        assert_eq!(
            serde_json::from_value::<PricingReply>(json).ok(),
            Some(reply)
        );
    }
}
