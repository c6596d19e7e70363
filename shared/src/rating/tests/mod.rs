//! Tests of the engine as a whole.

mod checks;
mod custom;
mod known_answers;
mod models;
mod plans;
mod properties;

use serde_json::{Value, json};

use super::*;
use crate::money::Currency;

/// A number of a table.
fn number(text: &str) -> Number {
    Number::parse(text).unwrap_or_else(|error| panic!("{text:?} in the table: {error}"))
}

/// The JSON of a charge with this model.
fn charge_json(model: &Value) -> Value {
    let mut charge = json!({"code": "usage", "name": "Usage", "model": model});
    if model["type"] != "flat" {
        charge["metric"] = "units".into();
    }
    charge
}

/// A charge as a client writes it.
fn read_charge(json: &Value) -> Charge {
    serde_json::from_value(json.clone())
        .unwrap_or_else(|error| panic!("{json} in the table: {error}"))
}

/// A valid charge with this model.
fn charge(model: &Value) -> Charge {
    let charge = read_charge(&charge_json(model));
    assert_eq!(charge.check(Currency::USD), [], "{model} in the table");
    charge
}

/// Usage as it is written in JSON.
fn usage(json: &Value) -> Usage {
    serde_json::from_value(json.clone())
        .unwrap_or_else(|error| panic!("{json} in the table: {error}"))
}

/// Rates in both ways and compares the two. Returns the exact amount or the code of the
/// error.
#[track_caller]
fn exact(charge: &Charge, usage: &Usage) -> Result<String, &'static str> {
    let fast = charge.rate(Currency::USD, usage);
    let explained = charge.explain(Currency::USD, usage);
    match (fast, explained) {
        (Ok(fast), Ok(explained)) => {
            assert!(explained.adds_up(), "{explained:#?} does not add up");
            assert!(
                !explained.steps.is_empty() || explained.exact_amount == ExactAmount::ZERO,
                "an amount has a step"
            );
            assert_eq!(
                fast,
                Line {
                    steps: vec![],
                    ..explained.clone()
                },
                "the fast way must give the same line"
            );
            Ok(explained.exact_amount.to_string())
        }
        (Err(fast), Err(explained)) => {
            assert_eq!(fast, explained);
            assert_eq!(
                fast.item,
                Item::Charge {
                    charge: charge.code.clone()
                }
            );
            Err(fast.reason.code())
        }
        (fast, explained) => panic!("{fast:?} is not {explained:?}"),
    }
}

/// Checks a charge against rows of usage and exact amount, or code of the error.
#[track_caller]
fn check_rows(model: &Value, rows: &[(Value, Result<&str, &'static str>)]) {
    let charge = charge(model);
    for (json, expected) in rows {
        assert_eq!(
            exact(&charge, &usage(json)),
            expected.map(str::to_owned),
            "{model} for {json}: fix the model or this row"
        );
    }
}

/// The sentences of the steps.
fn sentences(line: &Line) -> Vec<String> {
    line.steps.iter().map(Step::to_string).collect()
}
