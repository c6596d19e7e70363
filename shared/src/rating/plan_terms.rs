//! What a version of a plan charges. A version consists of this document, and an
//! estimate can bring one of its own.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::http::input::{self, FromText, Input, Invalid, Reader};
use crate::http::problem::{FieldError, Problem};
use crate::money::Currency;
use crate::rating::{Charge, IncludedUnits, MAX_NAME_CHARS, Number, Plan, Trial};

/// Longest code of a plan.
pub const MAX_PLAN_CODE_CHARS: usize = 64;

/// Most charges of a version.
pub const MAX_PLAN_CHARGES: usize = 100;

/// Most versions of a plan: one each week for nineteen years.
pub const MAX_PLAN_VERSIONS: i32 = 1_000;

/// Most bytes of a document: 256 KiB. That is 2,600 for each of 100 charges, or one
/// matrix of 1,000 cells of 250 bytes each.
pub const MAX_TERMS_BYTES: usize = 256 * 1024;

crate::text_type! {
    /// The code of a plan.
    PlanCode, |text| input::length(text, 1..=MAX_PLAN_CODE_CHARS).and_then(plan_code), {
        "type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$", "minLength": 1, "maxLength": 64,
        "description": "The code of a plan.",
        "examples": ["team"],
    }
}

fn plan_code(text: &str) -> Result<String, Invalid> {
    let first = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let rest = |b: u8| first(b) || matches!(b, b'-' | b'_');
    if text.bytes().next().is_some_and(first) && text.bytes().all(rest) {
        return Ok(text.to_owned());
    }
    Err(Invalid::new(
        "invalid",
        "must begin with a lower-case letter or a digit and have only those, '-' and '_'",
    ))
}

crate::text_type! {
    /// The name of a plan.
    PlanName, |text| input::name(text, 1..=MAX_NAME_CHARS), {
        "type": "string", "pattern": input::NAME_PATTERN, "minLength": 1, "maxLength": 200,
        "description": "The name of a plan. White space around it is dropped.",
        "examples": ["Team"],
    }
}

/// The number of a version, as a path names it: digits without a zero before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionNumber(pub i32);

impl FromText for VersionNumber {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        let is_plain = !text.starts_with(['0', '+']);
        let number = text.parse().ok().filter(|_| is_plain);
        number
            .filter(|number| (1..=MAX_PLAN_VERSIONS).contains(number))
            .map(Self)
            .ok_or_else(|| {
                let message = format!("must be a number from 1 to {MAX_PLAN_VERSIONS}");
                Invalid::new("invalid", message)
            })
    }
}

crate::describe!(VersionNumber as "VersionNumber", {
    "type": "integer", "minimum": 1, "maximum": 1000,
    "description": "The number of a version. The first is 1.",
});

/// 404: there is no such plan.
pub fn plan_not_found() -> Problem {
    Problem::not_found("There is no plan with this code.")
}

/// 404: the plan has no such version.
pub fn version_not_found() -> Problem {
    Problem::not_found("The plan has no such version.")
}

/// Prices, and what holds for all of them together. A version is answered with numbers in
/// their shortest form and with defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(crate::schemars::JsonSchema),
    schemars(crate = "crate::schemars", deny_unknown_fields)
)]
pub struct PlanTerms {
    /// The currency of all prices.
    pub currency: Currency,
    /// What is charged, in the order of the invoice.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "Charges"))]
    pub charges: Vec<Charge>,
    /// Units of a metric that cost nothing. The charges for it share them, after their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(
            with = "Option<input::List<IncludedUnits, 0, { crate::rating::MAX_INCLUDED_METRICS }>>"
        )
    )]
    pub included_units: Vec<IncludedUnits>,
    /// The least that a period costs, in whole minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_commitment: Option<Number>,
    /// The most that a period costs, in whole minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_spend: Option<Number>,
    /// How a subscription begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
}

/// Prices as a request brings them, in the form of [`PlanTerms`] and not yet checked.
#[shared::body]
pub struct NewPlanTerms {
    /// The plan's own currency when absent, which it must be when it is given.
    pub currency: Option<Currency>,
    /// What is charged, in the order of the invoice.
    charges: Charges,
    /// Units of a metric that cost nothing. The charges for it share them, after their own.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(
            with = "Option<input::List<IncludedUnits, 0, { crate::rating::MAX_INCLUDED_METRICS }>>"
        )
    )]
    included_units: Option<Vec<IncludedUnits>>,
    /// The least that a period costs, in whole minor units.
    minimum_commitment: Option<Number>,
    /// The most that a period costs, in whole minor units.
    maximum_spend: Option<Number>,
    /// How a subscription begins.
    trial: Option<Trial>,
}

/// The charges of a version.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(crate::schemars::JsonSchema),
    schemars(crate = "crate::schemars", inline)
)]
struct Charges(
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "input::List<Charge, 1, MAX_PLAN_CHARGES>")
    )]
    Vec<Charge>,
);

impl Input for Charges {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        if reader.list(value)?.len() > MAX_PLAN_CHARGES {
            let message = format!("must have 1 to {MAX_PLAN_CHARGES} items");
            reader.refuse(Invalid::new("wrong_length", message));
            return None;
        }
        Vec::read(value, reader).map(Self)
    }
}

impl NewPlanTerms {
    /// The currencies in which [`Self::priced_in`] takes the terms, in the order of their codes.
    /// The currency of the terms is not looked at. Two currencies differ only by the decimals of
    /// their minor units.
    pub fn right_currencies(&self) -> Vec<Currency> {
        let mut is_right_with = BTreeMap::new();
        Currency::all()
            .filter(|currency| {
                *is_right_with
                    .entry(currency.exponent())
                    .or_insert_with(|| self.clone().priced_in(*currency).is_ok())
            })
            .collect()
    }

    /// The terms in this currency, checked against the rules of the rating engine.
    ///
    /// # Errors
    /// A 422 that names every mistake by its place.
    pub fn priced_in(self, currency: Currency) -> Result<PlanTerms, Problem> {
        let terms = self.unchecked(currency);
        match terms.violations() {
            violations if violations.is_empty() => Ok(terms),
            violations => Err(Problem::invalid_fields(violations)),
        }
    }

    fn unchecked(self, currency: Currency) -> PlanTerms {
        PlanTerms {
            currency,
            charges: self.charges.0,
            included_units: self.included_units.unwrap_or_default(),
            minimum_commitment: self.minimum_commitment,
            maximum_spend: self.maximum_spend,
            trial: self.trial,
        }
    }
}

impl Input for PlanTerms {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let object = reader.object(value)?;
        if object.get("currency").is_none_or(Value::is_null) {
            reader.refuse_member("currency", Invalid::new("required", "is required"));
        }
        let mistakes = reader.mistakes();
        let terms = NewPlanTerms::read(value, reader)?;
        let terms = terms.currency.map(|currency| terms.unchecked(currency))?;
        reader.refuse_all(terms.violations());
        reader.is_right_since(mistakes).then_some(terms)
    }
}

impl PlanTerms {
    /// The terms of a stored version, which were checked before they were stored.
    ///
    /// # Errors
    /// A 500 if they cannot be read.
    pub fn stored(document: &Value) -> Result<Self, Problem> {
        let terms: NewPlanTerms = input::value(document).map_err(|_| Problem::internal())?;
        let currency = terms.currency.ok_or_else(Problem::internal)?;
        Ok(terms.unchecked(currency))
    }

    /// Everything that is wrong with the terms by the rules of the rating engine.
    fn violations(&self) -> Vec<FieldError> {
        self.clone().into_plan("plan", "Plan").check()
    }

    /// The plan for the rating engine.
    pub fn into_plan(self, code: &str, name: &str) -> Plan {
        Plan {
            code: code.to_owned(),
            name: name.to_owned(),
            currency: self.currency,
            charges: self.charges,
            included_units: self.included_units,
            minimum_commitment: self.minimum_commitment,
            maximum_spend: self.maximum_spend,
            trial: self.trial,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(path: &str, value: Value) -> Value {
        let mut body = json!({
            "currency": "USD",
            "charges": [
                {"code": "base", "name": "Base fee", "model": {"type": "flat", "amount": "10"}},
                {"code": "tokens", "name": "Tokens", "metric": "tokens", "model": {
                    "type": "graduated",
                    "tiers": [{"up_to": "10", "unit_price": "0.5"}, {"unit_price": "0.25"}]
                }},
            ],
        });
        match body.pointer_mut(path) {
            Some(place) => *place = value,
            None => {
                let (parent, name) = path.rsplit_once('/').unwrap_or_default();
                body.pointer_mut(parent).expect("the table names parents")[name] = value;
            }
        }
        body
    }

    #[test]
    fn mistakes_are_named_by_their_places() {
        let model = "/charges/1/model";
        let table = [
            ("/trial", json!({"days": 14}), vec![]),
            ("/trial", json!(null), vec![]),
            (
                "/included_units",
                json!([{"metric": "tokens", "units": "5"}]),
                vec![],
            ),
            ("/minimum_commitment", json!("10.50"), vec![]),
            (model, json!({"type": "dynamic"}), vec![]),
            (model, json!({"type": "custom"}), vec![]),
            (
                model,
                json!({"type": "custom", "parameters": {"b": [1, "1.5", {"c": null, "a": true}], "a": -1}}),
                vec![],
            ),
            (
                model,
                json!({"type": "custom", "parameters": {"prices": [1, 1.5]}}),
                vec![("charges[1].model.parameters.prices[1]", "wrong_type")],
            ),
            (
                model,
                json!({"type": "custom", "parameters": {"name": "a\0b"}}),
                vec![("charges[1].model.parameters.name", "invalid_character")],
            ),
            (
                model,
                json!({"type": "custom", "parameters": []}),
                vec![("charges[1].model.parameters", "wrong_type")],
            ),
            (
                model,
                json!({"type": "custom", "parameters": {"a": "x".repeat(8_192)}}),
                vec![("charges[1].model.parameters", "too_large")],
            ),
            (
                model,
                json!({"type": "custom", "code": "x"}),
                vec![("charges[1].model.code", "unknown")],
            ),
            (
                model,
                json!({"type": "percentage", "rate_percent": "2.9", "free_events": 3}),
                vec![],
            ),
            (
                model,
                json!({"type": "matrix", "dimensions": ["region"], "cells": [{"values": ["eu"], "unit_price": "1"}]}),
                vec![],
            ),
            (
                model,
                json!({"type": "time_of_use", "windows": [{"name": "peak", "hours": {"from": 8, "to": 20}, "unit_price": "1"}], "fallback_unit_price": "0.5"}),
                vec![],
            ),
            ("/charges", json!([]), vec![("charges", "wrong_length")]),
            ("/charges", json!({}), vec![("charges", "wrong_type")]),
            (
                "/charges",
                json!(vec![0; 101]),
                vec![("charges", "wrong_length")],
            ),
            (
                "/charges",
                json!([1, {}]),
                vec![
                    ("charges[0]", "wrong_type"),
                    ("charges[1].code", "required"),
                    ("charges[1].name", "required"),
                    ("charges[1].model", "required"),
                ],
            ),
            ("/currency", json!("XYZ"), vec![("currency", "invalid")]),
            ("/plan", json!("x"), vec![("plan", "unknown")]),
            (
                "/charges/1/code",
                json!("base"),
                vec![("charges[1].code", "repeated")],
            ),
            (
                "/charges/1/code",
                json!(1),
                vec![("charges[1].code", "wrong_type")],
            ),
            (
                "/charges/1/metric",
                json!(null),
                vec![("charges[1].metric", "required")],
            ),
            (
                "/charges/1/price",
                json!("1"),
                vec![("charges[1].price", "unknown")],
            ),
            (
                "/charges/1/billing",
                json!("later"),
                vec![("charges[1].billing", "invalid")],
            ),
            (
                "/charges/1/minimum",
                json!(1),
                vec![("charges[1].minimum", "wrong_type")],
            ),
            (
                model,
                json!({"type": "linear"}),
                vec![("charges[1].model.type", "invalid")],
            ),
            (
                model,
                json!({"tiers": []}),
                vec![("charges[1].model.type", "required")],
            ),
            (
                model,
                json!({"type": "graduated"}),
                vec![("charges[1].model.tiers", "required")],
            ),
            (
                model,
                json!({"type": "graduated", "tiers": []}),
                vec![("charges[1].model.tiers", "wrong_length")],
            ),
            (
                "/charges/1/model/tiers/0/up_to",
                json!("1e3"),
                vec![(
                    "charges[1].model.tiers[0].up_to",
                    "amount_not_plain_decimal",
                )],
            ),
            (
                "/charges/1/model/tiers/0/unit_price",
                json!("-0"),
                vec![(
                    "charges[1].model.tiers[0].unit_price",
                    "amount_not_plain_decimal",
                )],
            ),
            (
                "/charges/1/model/tiers/0/up_to",
                json!(10),
                vec![("charges[1].model.tiers[0].up_to", "wrong_type")],
            ),
            (
                "/charges/1/model/tiers/1/up_to",
                json!("20"),
                vec![("charges[1].model.tiers[1].up_to", "not_open")],
            ),
            (
                "/charges/1/model/tiers/1/price",
                json!("2"),
                vec![("charges[1].model.tiers[1].price", "unknown")],
            ),
            (
                model,
                json!({"type": "percentage", "free_events": -1}),
                vec![("charges[1].model.free_events", "out_of_range")],
            ),
            (
                model,
                json!({"type": "time_of_use", "windows": [{"name": "a", "weekdays": ["funday"], "unit_price": "1"}]}),
                vec![("charges[1].model.windows[0].weekdays[0]", "invalid")],
            ),
            (
                "/trial",
                json!({"days": 0}),
                vec![("trial.days", "out_of_range")],
            ),
            ("/trial", json!({}), vec![("trial.days", "required")]),
            (
                "/minimum_commitment",
                json!("0.001"),
                vec![("minimum_commitment", "too_fine")],
            ),
            (
                "/maximum_spend",
                json!("-1"),
                vec![("maximum_spend", "negative")],
            ),
            (
                "/maximum_spend",
                json!("-0.0"),
                vec![("maximum_spend", "amount_not_plain_decimal")],
            ),
            (
                "/charges/1/maximum",
                json!("99.995"),
                vec![("charges[1].maximum", "too_fine")],
            ),
            (
                "/charges/0/model/amount",
                json!("9.995"),
                vec![("charges[0].model.amount", "too_fine")],
            ),
            (
                "/included_units",
                json!([{"metric": "x", "units": "5"}]),
                vec![("included_units[0].metric", "unknown")],
            ),
            (
                "/included_units",
                json!([{"metric": "tokens"}]),
                vec![("included_units[0].units", "required")],
            ),
        ];
        for (path, value, expected) in table {
            let body = with(path, value);
            let read = input::value::<PlanTerms>(&body);
            if let Ok(terms) = &read {
                let kept = serde_json::to_value(terms).expect("terms are JSON");
                assert_eq!(
                    PlanTerms::stored(&kept).as_ref(),
                    Ok(terms),
                    "what is kept is read as it was"
                );
            }
            let errors = read.err().map(|problem| problem.errors).unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| (&*e.field, e.code)).collect();
            assert_eq!(named, expected, "{body}");
        }
    }

    #[test]
    fn a_currency_can_be_left_out() {
        for (currency, expected) in [
            (None, Ok(Currency::JPY)),
            (Some(json!(null)), Ok(Currency::JPY)),
        ] {
            let mut body = with("/minimum_commitment", json!("10"));
            match &currency {
                Some(currency) => body["currency"] = currency.clone(),
                None => drop(body.as_object_mut().map(|body| body.remove("currency"))),
            }
            let read = input::value::<NewPlanTerms>(&body);
            let read = read.and_then(|terms| terms.priced_in(Currency::JPY));
            assert_eq!(read.map(|terms| terms.currency), expected, "{currency:?}");
            let errors = input::value_at::<PlanTerms>(&body, "terms").err();
            let errors = errors.unwrap_or_default();
            assert_eq!(errors[0].field, "terms.currency", "an estimate needs one");
        }
        let mut body = with("/minimum_commitment", json!("10.50"));
        body["currency"] = json!(null);
        let refused = input::value::<NewPlanTerms>(&body);
        let refused = refused.and_then(|terms| terms.priced_in(Currency::JPY));
        let errors = refused
            .err()
            .map(|problem| problem.errors)
            .unwrap_or_default();
        assert_eq!(errors[0].field, "minimum_commitment", "yen have no cents");
    }

    #[test]
    fn terms_are_right_in_the_currencies_that_take_them() {
        for (amount, expected) in [
            ("10", 165),
            ("10.5", 148),
            ("10.50", 148),
            ("10.505", 9),
            ("10.5055", 2),
            ("10.50555", 0),
        ] {
            let terms: NewPlanTerms =
                input::value(&with("/minimum_commitment", json!(amount))).expect("terms");
            let right = terms.right_currencies();
            for currency in Currency::all() {
                let is_right = terms.clone().priced_in(currency).is_ok();
                assert_eq!(right.contains(&currency), is_right, "{amount} {currency}");
            }
            assert_eq!(right.len(), expected, "{amount}");
        }
        let twice = with("/charges/1/code", json!("base"));
        let terms: NewPlanTerms = input::value(&twice).expect("terms");
        assert_eq!(terms.right_currencies(), [], "wrong in whichever currency");
    }

    #[test]
    fn mistakes_that_are_named_are_bounded() {
        let model = json!({"type": "graduated", "tiers": vec![0; 1_000]});
        let errors = input::value_at::<PlanTerms>(&with("/charges/1/model", model), "").err();
        let errors = errors.unwrap_or_default();
        assert_eq!(errors.len(), input::MAX_MISTAKES);
        assert_eq!(errors[99].field, "charges[1].model.tiers[99]");
    }

    #[test]
    fn codes() {
        let long = "a".repeat(65);
        for (text, expected) in [
            ("team", None),
            ("9", None),
            ("a-1_b", None),
            (&long[..64], None),
            (&long, Some("wrong_length")),
            ("", Some("wrong_length")),
            ("-a", Some("invalid")),
            ("_a", Some("invalid")),
            ("Team", Some("invalid")),
            ("a b", Some("invalid")),
            ("é", Some("invalid")),
        ] {
            let refused = input::text::<PlanCode>(text).err();
            assert_eq!(refused.map(|invalid| invalid.code), expected, "{text:?}");
        }
    }

    #[test]
    fn numbers_of_versions() {
        let table = [
            ("1", Some(1)),
            ("1000", Some(1000)),
            ("1001", None),
            ("0", None),
            ("01", None),
            ("+1", None),
            ("-1", None),
            ("", None),
            ("newest", None),
            ("99999999999", None),
        ];
        for (text, expected) in table {
            let read = input::text::<VersionNumber>(text).ok();
            assert_eq!(read.map(|number| number.0), expected, "{text:?}");
        }
    }
}
