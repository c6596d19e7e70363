//! Charges together: included units, commitments, limits and trials.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;

/// A seat fee in advance, and two charges for one metric.
fn plan(change: &Value) -> Plan {
    let mut plan = json!({
        "code": "pro", "name": "Pro", "currency": "USD",
        "charges": [
            {
                "code": "base", "name": "Base", "billing": "advance",
                "model": {"type": "flat", "amount": "20"},
            },
            {
                "code": "calls", "name": "Calls", "metric": "calls",
                "included_units": "10", "model": {"type": "per_unit", "unit_price": "1"},
            },
            {
                "code": "slow-calls", "name": "Slow calls", "metric": "calls",
                "model": {"type": "per_unit", "unit_price": "2"},
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

fn calls(rows: &[(&str, &str)]) -> BTreeMap<String, Usage> {
    rows.iter()
        .map(|(code, units)| ((*code).to_owned(), Usage::Quantity(number(units))))
        .collect()
}

#[test]
fn lines_of_plans() {
    use Phase::{Paid, Trial};
    let check = |change: Value, rows: &[(&str, &str)], phase: Phase, expected: &[&str]| {
        let plan = plan(&change);
        let rated = plan
            .explain(&calls(rows), phase)
            .unwrap_or_else(|error| panic!("{change}, {rows:?}: {error}"));
        let mut lines: Vec<String> = rated
            .lines
            .iter()
            .map(|line| format!("{} {}", line.item, line.amount.format_amount()))
            .collect();
        lines.push(format!("total {}", rated.total.format_amount()));
        assert_eq!(lines, expected, "{change}, {rows:?}, {phase:?}");
        for line in &rated.lines {
            assert!(line.adds_up() && !line.steps.is_empty(), "{line:#?}");
        }
        let fast = plan.rate(&calls(rows), phase);
        assert_eq!(fast.map(|rated| rated.total), Ok(rated.total));
    };
    let both = [("calls", "25"), ("slow-calls", "10")];
    check(
        json!({}),
        &[],
        Paid,
        &[
            "charge base 20.00",
            "charge calls 0.00",
            "charge slow-calls 0.00",
            "total 20.00",
        ],
    );
    check(
        json!({}),
        &both,
        Paid,
        &[
            "charge base 20.00",
            "charge calls 15.00",
            "charge slow-calls 20.00",
            "total 55.00",
        ],
    );
    // The charge's own ten are used first, then fifteen of the plan's. The other charge
    // has the rest.
    check(
        json!({"included_units": [{"metric": "calls", "units": "18.5"}]}),
        &both,
        Paid,
        &[
            "charge base 20.00",
            "charge calls 0.00",
            "charge slow-calls 13.00",
            "total 33.00",
        ],
    );
    check(
        json!({"minimum_commitment": "55.01"}),
        &both,
        Paid,
        &[
            "charge base 20.00",
            "charge calls 15.00",
            "charge slow-calls 20.00",
            "minimum commitment 0.01",
            "total 55.01",
        ],
    );
    check(
        json!({"minimum_commitment": "55", "maximum_spend": "55"}),
        &both,
        Paid,
        &[
            "charge base 20.00",
            "charge calls 15.00",
            "charge slow-calls 20.00",
            "total 55.00",
        ],
    );
    check(
        json!({"minimum_commitment": "50", "maximum_spend": "54.99"}),
        &both,
        Paid,
        &[
            "charge base 20.00",
            "charge calls 15.00",
            "charge slow-calls 20.00",
            "maximum spend -0.01",
            "total 54.99",
        ],
    );
    check(
        json!({"trial": {"days": 14}, "minimum_commitment": "100"}),
        &both,
        Trial,
        &[
            "charge base 20.00",
            "charge calls 15.00",
            "charge slow-calls 20.00",
            "trial -55.00",
            "total 0.00",
        ],
    );
    check(
        json!({"trial": {"days": 14, "covers": "advance_charges"}, "maximum_spend": "30"}),
        &both,
        Trial,
        &[
            "charge base 20.00",
            "charge calls 15.00",
            "charge slow-calls 20.00",
            "trial -20.00",
            "maximum spend -5.00",
            "total 30.00",
        ],
    );
    check(
        json!({"trial": {"days": 14}}),
        &both,
        Paid,
        &[
            "charge base 20.00",
            "charge calls 15.00",
            "charge slow-calls 20.00",
            "total 55.00",
        ],
    );
}

#[test]
fn plans_name_what_cannot_be_rated() {
    let check = |rows: &[(&str, &str)], expected: &str| {
        assert_eq!(
            plan(&json!({}))
                .rate(&calls(rows), Phase::Paid)
                .map_err(|error| error.to_string()),
            Err(expected.to_owned()),
            "{rows:?}"
        );
    };
    check(
        &[("storage", "1")],
        "charge storage: the plan has no such charge.",
    );
    check(
        &[("base", "1")],
        "charge base: the usage is of another kind than the model prices.",
    );
    check(
        &[("slow-calls", "500000000000")],
        "charge slow-calls: the amount is too large to be exact.",
    );
    // Each line fits, but the sum of both does not.
    check(
        &[("calls", "999999999980"), ("slow-calls", "10")],
        "charge slow-calls: the amount is too large to be exact.",
    );
}

#[test]
fn a_trial_that_the_plan_does_not_have_is_not_rated() {
    let committed = json!({"minimum_commitment": "100"});
    for (change, expected) in [
        (&committed, Err("trial: the plan has no trial.")),
        (
            &json!({"trial": {"days": 14}, "minimum_commitment": "100"}),
            Ok("0.00 USD"),
        ),
    ] {
        let plan = plan(change);
        let shown = |rated: Result<Rated, RatingError>| {
            rated
                .map(|rated| rated.total.to_string())
                .map_err(|error| error.to_string())
        };
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        let usage = calls(&[("calls", "25")]);
        assert_eq!(shown(plan.rate(&usage, Phase::Trial)), expected, "{change}");
        assert_eq!(
            shown(plan.explain(&usage, Phase::Trial)),
            expected,
            "{change}"
        );
    }
}

#[test]
fn adjustments_are_explained() {
    let rated = plan(&json!({"minimum_commitment": "100"}))
        .rate(&calls(&[("calls", "25")]), Phase::Paid)
        .unwrap_or_else(|error| panic!("{error}"));
    let last = rated.lines.last().map(sentences);
    assert_eq!(
        last.as_deref(),
        Some(&["committed 100, charged 35: 65".to_owned()][..])
    );
    assert!(rated.lines[0].steps.is_empty(), "others only when asked");
}

#[test]
fn rated_plans_round_trip_through_json() {
    let rated = plan(&json!({"maximum_spend": "30"}))
        .explain(&calls(&[("calls", "25")]), Phase::Paid)
        .unwrap_or_else(|error| panic!("{error}"));
    let json = serde_json::to_value(&rated).unwrap_or_default();
    assert_eq!(
        json["lines"][1],
        json!({
            "kind": "charge", "charge": "calls", "description": "Calls", "quantity": "25",
            "unit_price": "1", "exact_amount": "15", "rounding": "half_even",
            "amount": {"amount": "15.00", "currency": "USD"},
            "steps": [
                {"step": "included", "quantity": "10"},
                {"step": "units", "quantity": "15", "unit_price": "1", "subtotal": "15"},
            ],
        })
    );
    assert_eq!(
        json["lines"][3],
        json!({
            "kind": "maximum_spend", "description": "Maximum spend", "exact_amount": "-5",
            "rounding": "half_even", "amount": {"amount": "-5.00", "currency": "USD"},
            "steps": [
                {"step": "spend_limit", "maximum": "30", "charged": "35", "subtotal": "-5"},
            ],
        })
    );
    assert_eq!(serde_json::from_value::<Rated>(json).ok(), Some(rated));
}
