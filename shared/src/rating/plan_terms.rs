//! What a version of a plan charges. A version consists of this document, and an
//! estimate can bring one of its own.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::fields::{self, Fields};
use crate::http::located_json::{self, Located, Mistake};
use crate::http::problem::{FieldError, Problem};
use crate::money::{Currency, Rounding};
use crate::rating::{
    Billing, Charge, IncludedUnits, Matrix, Model, Number, Parameters, Percentage, Plan, RateTier,
    Tier, TimeOfUse, Trial,
};

/// Longest code of a plan.
pub const MAX_PLAN_CODE_CHARS: usize = 64;

/// Most charges of a version.
pub const MAX_PLAN_CHARGES: usize = 100;

/// Most versions of a plan: one each week for nineteen years.
pub const MAX_PLAN_VERSIONS: i32 = 1_000;

/// Most bytes of a document: 256 KiB. That is 2,600 for each of 100 charges, or one
/// matrix of 1,000 cells of 250 bytes each.
pub const MAX_TERMS_BYTES: usize = 256 * 1024;

/// Prices, and what holds for all of them together.
///
/// Only [`PlanTerms::take`] reads it, also when it comes from the database. A second
/// reader of so many types makes a component a sixth larger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanTerms {
    /// The currency of all prices.
    pub currency: Currency,
    /// What is charged, in the order of the invoice.
    pub charges: Vec<Charge>,
    /// Units of a metric that cost nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub included_units: Vec<IncludedUnits>,
    /// The least that a period costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_commitment: Option<Number>,
    /// The most that a period costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_spend: Option<Number>,
    /// How a subscription begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
}

/// Whether a text can be a plan's code.
pub fn is_plan_code(text: &str) -> bool {
    let first = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let rest = |b: u8| first(b) || matches!(b, b'-' | b'_');
    text.len() <= MAX_PLAN_CODE_CHARS
        && text.bytes().next().is_some_and(first)
        && text.bytes().all(rest)
}

/// 404: there is no such plan.
pub fn plan_not_found() -> Problem {
    Problem::not_found("There is no plan with this code.")
}

/// 404: the plan has no such version.
pub fn version_not_found() -> Problem {
    Problem::not_found("The plan has no such version.")
}

impl PlanTerms {
    /// Takes the terms from a body. It finds mistakes of form. [`PlanTerms::check`]
    /// finds mistakes of meaning.
    pub fn take(fields: &mut Fields) -> Option<Self> {
        let currency = fields.required("currency", fields::parsed::<Currency>);
        Self::take_in(fields, currency)
    }

    /// Takes the terms without their currency.
    fn take_in(fields: &mut Fields, currency: Option<Currency>) -> Option<Self> {
        let charges = fields.required_nested("charges", charges);
        let included_units =
            fields.optional_nested("included_units", |value| nested(value, "included_units"));
        let minimum_commitment = fields.optional_nested("minimum_commitment", |value| {
            nested(value, "minimum_commitment")
        });
        let maximum_spend =
            fields.optional_nested("maximum_spend", |value| nested(value, "maximum_spend"));
        let trial = fields.optional_nested("trial", |value| nested(value, "trial"));
        Some(Self {
            currency: currency?,
            charges: charges?,
            included_units: included_units?.unwrap_or_default(),
            minimum_commitment: minimum_commitment?,
            maximum_spend: maximum_spend?,
            trial: trial?,
        })
    }

    /// Reads a body that consists of the terms and nothing else.
    ///
    /// # Errors
    /// A 422 that names every mistake by its place.
    pub fn read(mut fields: Fields) -> Result<Self, Problem> {
        let terms = Self::take(&mut fields);
        let terms = fields.finish(|| terms)?;
        terms.check()?;
        Ok(terms)
    }

    /// As [`PlanTerms::read`], for a body that leaves the currency out.
    ///
    /// # Errors
    /// Those of [`PlanTerms::read`].
    pub fn read_in(mut fields: Fields, currency: Currency) -> Result<Self, Problem> {
        // A currency that is null counts as left out.
        fields.optional("currency", |_| Ok(()));
        let terms = Self::take_in(&mut fields, Some(currency));
        let terms = fields.finish(|| terms)?;
        terms.check()?;
        Ok(terms)
    }

    /// The terms of a stored version.
    ///
    /// # Errors
    /// A 500 if they cannot be read, which does not happen to terms that were checked.
    pub fn stored(document: Value) -> Result<Self, Problem> {
        let mut fields = Fields::new(document).map_err(|_| Problem::internal())?;
        Self::take(&mut fields).ok_or_else(Problem::internal)
    }

    /// Checks the terms against the rules of the rating engine.
    ///
    /// # Errors
    /// A 422 that names every mistake by its place.
    pub fn check(&self) -> Result<(), Problem> {
        let violations = self.clone().into_plan("plan", "Plan").check();
        if violations.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid_fields(violations))
        }
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

fn nested<T: serde::de::DeserializeOwned>(
    value: &Value,
    place: &str,
) -> Result<T, Vec<FieldError>> {
    located_json::read(value, place).map_err(|error| vec![error])
}

/// The charges. Each names its first mistake.
fn charges(value: &Value) -> Result<Vec<Charge>, Vec<FieldError>> {
    let refused = |code, message: String| {
        vec![FieldError {
            field: "charges".into(),
            code,
            message: message.into(),
        }]
    };
    let items = value
        .as_array()
        .ok_or_else(|| refused("wrong_type", "must be a list".to_owned()))?;
    if items.len() > MAX_PLAN_CHARGES {
        let message = format!("must have at most {MAX_PLAN_CHARGES}");
        return Err(refused("too_many", message));
    }
    let mut charges = Vec::with_capacity(items.len());
    let mut errors = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let place = format!("charges[{index}]");
        match located_json::read_with(item, &place, |located: Located<'_>| {
            ChargeShape::deserialize(located) as Result<Charge, Mistake>
        }) {
            Ok(charge) => charges.push(charge),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(charges)
    } else {
        Err(errors)
    }
}

/// The form of a [`Charge`]. It differs only in how the model is read: by a
/// deserializer that keeps places.
#[derive(Deserialize)]
#[serde(remote = "Charge", deny_unknown_fields)]
struct ChargeShape {
    code: String,
    name: String,
    #[serde(default)]
    metric: Option<String>,
    #[serde(with = "ModelShape")]
    model: Model,
    #[serde(default)]
    billing: Billing,
    #[serde(default)]
    rounding: Rounding,
    #[serde(default)]
    included_units: Number,
    #[serde(default)]
    minimum: Option<Number>,
    #[serde(default)]
    maximum: Option<Number>,
}

/// The form of a [`Model`]. Its serde name is [`located_json::TAGGED`].
#[derive(Deserialize)]
#[serde(
    remote = "Model",
    rename = "by type",
    rename_all = "snake_case",
    deny_unknown_fields
)]
enum ModelShape {
    Flat {
        amount: Number,
    },
    PerUnit {
        unit_price: Number,
    },
    Graduated {
        tiers: Vec<Tier>,
    },
    Volume {
        tiers: Vec<Tier>,
    },
    Package {
        package_size: Number,
        package_price: Number,
    },
    Percentage(Percentage),
    GraduatedPercentage {
        tiers: Vec<RateTier>,
    },
    Dynamic {},
    Matrix(Matrix),
    TimeOfUse(TimeOfUse),
    Custom {
        #[serde(default)]
        parameters: Parameters,
    },
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
                vec![("charges[1].model.parameters.name", "invalid")],
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
            ("/charges", json!([]), vec![("charges", "too_few")]),
            ("/charges", json!({}), vec![("charges", "wrong_type")]),
            (
                "/charges",
                json!(vec![0; 101]),
                vec![("charges", "too_many")],
            ),
            (
                "/charges",
                json!([1, {}]),
                vec![
                    ("charges[0]", "wrong_type"),
                    ("charges[1].code", "required"),
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
                vec![("charges[1].model.tiers", "too_few")],
            ),
            (
                "/charges/1/model/tiers/0/up_to",
                json!("1e3"),
                vec![("charges[1].model.tiers[0].up_to", "invalid")],
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
                vec![("maximum_spend", "invalid")],
            ),
            (
                "/included_units",
                json!([{"metric": "x", "units": "5"}]),
                vec![("included_units[0].metric", "unknown_metric")],
            ),
            (
                "/included_units",
                json!([{"metric": "tokens"}]),
                vec![("included_units[0].units", "required")],
            ),
        ];
        for (path, value, expected) in table {
            let body = with(path, value);
            let read = Fields::new(body.clone()).and_then(PlanTerms::read);
            if let Ok(terms) = &read {
                let kept = serde_json::to_value(terms).map(PlanTerms::stored);
                assert_eq!(
                    kept.ok().and_then(Result::ok).as_ref(),
                    Some(terms),
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
            let read = Fields::new(body).and_then(|f| PlanTerms::read_in(f, Currency::JPY));
            assert_eq!(read.map(|terms| terms.currency), expected, "{currency:?}");
        }
        let mut body = with("/minimum_commitment", json!("10.50"));
        body["currency"] = json!(null);
        let refused = Fields::new(body).and_then(|f| PlanTerms::read_in(f, Currency::JPY));
        let errors = refused
            .err()
            .map(|problem| problem.errors)
            .unwrap_or_default();
        assert_eq!(errors[0].field, "minimum_commitment", "yen have no cents");
    }

    #[test]
    fn codes() {
        for (text, expected) in [
            ("team", true),
            ("9", true),
            ("a-1_b", true),
            (&"a".repeat(64), true),
            (&"a".repeat(65), false),
            ("", false),
            ("-a", false),
            ("_a", false),
            ("Team", false),
            ("a b", false),
            ("é", false),
        ] {
            assert_eq!(is_plan_code(text), expected, "{text:?}");
        }
    }
}
