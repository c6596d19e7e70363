//! An estimate is made by the code that invoices, of a version of a plan or of
//! terms that the request brings. Nothing is stored.

use std::collections::BTreeMap;

use serde_json::Value;
use shared::http::context::Context;
use shared::http::fields::{self, Fields, Invalid};
use shared::http::located_json;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::rating::plan_terms::{self, MAX_PLAN_VERSIONS, MAX_TERMS_BYTES, PlanTerms};
use shared::rating::{CustomPrices, Item, Outcome, Phase, Plan, RatingError, Reason, Usage};

use crate::answer::{Estimate, Rateable};
use crate::{custom_models, queries};

/// Whose prices are asked for.
#[derive(Debug, PartialEq, Eq)]
enum Prices {
    /// Those of a version, the newest one if none is named.
    Version { code: String, number: Option<i32> },
    /// The request's own.
    Own(PlanTerms),
}

#[derive(Debug, PartialEq, Eq)]
struct Input {
    prices: Prices,
    usage: BTreeMap<String, Usage>,
    phase: Phase,
}

fn phase(value: &Value) -> Result<Phase, Invalid> {
    match value.as_str() {
        Some("trial") => Ok(Phase::Trial),
        Some("paid") => Ok(Phase::Paid),
        Some(_) => Err(Invalid::new("invalid", "must be trial or paid")),
        None => Err(Invalid::new("wrong_type", "must be a string")),
    }
}

fn version(fields: &mut Fields) -> Option<Prices> {
    // What cannot be a code names no plan, which is a 404 like any other.
    let code = fields.required("code", |value| {
        fields::text(value, 1..=plan_terms::MAX_PLAN_CODE_CHARS)
    });
    let number = fields.optional("version", |value| {
        fields::whole_number(value, 1..=i64::from(MAX_PLAN_VERSIONS))
    });
    Some(Prices::Version {
        code: code?,
        number: number?.and_then(|number| i32::try_from(number).ok()),
    })
}

fn read(mut fields: Fields) -> Result<Input, Problem> {
    let prices = if fields.has("plan") {
        fields.required_object("plan", version)
    } else {
        // Of a plan that is null.
        fields.optional("plan", |_| Ok(()));
        PlanTerms::take(&mut fields).map(Prices::Own)
    };
    let usage = fields.optional_nested("usage", |value| {
        located_json::read(value, "usage").map_err(|error| vec![error])
    });
    let phase = fields.optional("phase", phase);
    let input = fields.finish(|| {
        Some(Input {
            prices: prices?,
            usage: usage?.unwrap_or_default(),
            phase: phase?.unwrap_or(Phase::Paid),
        })
    })?;
    if let Prices::Own(terms) = &input.prices {
        terms.check()?;
    }
    Ok(input)
}

/// What cannot be rated, at its place: of a usage that does not fit the charge's,
/// and of an amount that is too large the charge's.
fn refused(plan: &Plan, error: &RatingError) -> Problem {
    let of_plan = matches!(
        error.reason,
        Reason::AmountTooLarge | Reason::LinesDiffer | Reason::UncheckedCharge | Reason::NotPriced
    );
    let place = match &error.item {
        Item::Charge { charge } if of_plan => plan
            .charges
            .iter()
            .position(|candidate| candidate.code == *charge)
            .map_or("charges".to_owned(), |index| format!("charges[{index}]")),
        Item::Charge { charge } => format!("usage.{charge}"),
        Item::Trial => "trial".to_owned(),
        Item::MinimumCommitment => "minimum_commitment".to_owned(),
        Item::MaximumSpend => "maximum_spend".to_owned(),
    };
    Problem::invalid_field(place, error.reason.code(), error.reason.to_string())
}

fn rate(
    plan: &Plan,
    usage: &BTreeMap<String, Usage>,
    custom: &CustomPrices,
    phase: Phase,
) -> Result<Outcome, Problem> {
    plan.explain_with(usage, custom, phase)
        .map_err(|error| refused(plan, &error))
}

/// What the plan comes to, with its custom models asked.
async fn outcome(
    context: &Context,
    plan: &Plan,
    usage: &BTreeMap<String, Usage>,
    phase: Phase,
) -> Result<Outcome, Problem> {
    let custom = custom_models::price(context, plan, usage).await;
    let custom = custom.map_err(|error| refused(plan, &error))?;
    rate(plan, usage, &custom, phase)
}

pub async fn estimate(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (fields, _) = request.json_fields_within(MAX_TERMS_BYTES).await?;
    let Input {
        prices,
        usage,
        phase,
    } = read(fields)?;
    // Whoever may not ask is told so before anything is computed.
    match prices {
        Prices::Version { code, number } => {
            let code = if plan_terms::is_plan_code(&code) {
                code
            } else {
                String::new()
            };
            let version = queries::read(context, token.digest, code, number).await?;
            let plan = &version.plan;
            let outcome = outcome(context, plan, &usage, phase).await?;
            let named = Rateable {
                code: &plan.code,
                name: &version.plan_name,
                version: version.number,
            };
            Reply::json(200, &Estimate::new(plan, Some(named), &outcome))
        }
        Prices::Own(terms) => {
            queries::begin(context, token.digest).await?;
            let plan = terms.into_plan("estimate", "Estimate");
            let outcome = outcome(context, &plan, &usage, phase).await?;
            Reply::json(200, &Estimate::new(&plan, None, &outcome))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn own() -> Value {
        json!({"currency": "USD", "charges": [
            {"code": "base", "name": "Base", "model": {"type": "flat", "amount": "10"}},
            {"code": "tokens", "name": "Tokens", "metric": "tokens",
             "model": {"type": "per_unit", "unit_price": "999999999999"}},
            {"code": "rows", "name": "Rows", "metric": "rows",
             "model": {"type": "matrix", "dimensions": ["region"],
                       "cells": [{"values": ["eu"], "unit_price": "1"}]}},
            {"code": "power", "name": "Power", "metric": "kwh",
             "model": {"type": "time_of_use", "windows": [{"name": "all", "unit_price": "1"}]}},
            {"code": "payments", "name": "Payments", "metric": "payments",
             "model": {"type": "percentage", "rate_percent": "2.9"}},
        ]})
    }

    fn outcome(body: Value) -> Vec<(String, &'static str)> {
        let errors = Fields::new(body)
            .and_then(read)
            .and_then(|input| match input.prices {
                Prices::Own(terms) => rate(
                    &terms.into_plan("p", "P"),
                    &input.usage,
                    &CustomPrices::new(),
                    input.phase,
                )
                .map(|_| ()),
                Prices::Version { .. } => Ok(()),
            })
            .err()
            .map(|problem| problem.errors)
            .unwrap_or_default();
        errors
            .into_iter()
            .map(|error| (error.field.into_owned(), error.code))
            .collect()
    }

    #[test]
    fn bodies() {
        let with = |name: &str, value: Value| {
            let mut body = own();
            body[name] = value;
            body
        };
        let usage = |charge: &str, value: Value| with("usage", json!({charge: value}));
        let hour = |month: u8, hour: u8| json!({"hours": [{"month": month, "weekday": "monday", "hour": hour, "quantity": "1"}]});
        let table: Vec<(Value, &[(&str, &str)])> = vec![
            (own(), &[]),
            (with("plan", json!(null)), &[]),
            (with("phase", json!("trial")), &[]),
            (json!({"plan": {"code": "team"}}), &[]),
            (json!({"plan": {"code": "Team", "version": 3}}), &[]),
            (usage("base", json!("nothing")), &[]),
            (usage("tokens", json!({"quantity": "0.5"})), &[]),
            (
                usage(
                    "rows",
                    json!({"cells": [{"values": ["eu"], "quantity": "2"}]}),
                ),
                &[],
            ),
            (usage("power", hour(12, 23)), &[]),
            (usage("payments", json!({"events": ["4.00", "0"]})), &[]),
            (
                json!({}),
                &[("currency", "required"), ("charges", "required")],
            ),
            (json!({"plan": {}}), &[("plan.code", "required")]),
            (json!({"plan": "team"}), &[("plan", "wrong_type")]),
            (
                json!({"plan": {"code": "team", "version": 0}}),
                &[("plan.version", "out_of_range")],
            ),
            (
                json!({"plan": {"code": "team", "at": 1}}),
                &[("plan.at", "unknown")],
            ),
            (
                with("plan", json!({"code": "team"})),
                &[("charges", "unknown"), ("currency", "unknown")],
            ),
            (with("period", json!({})), &[("period", "unknown")]),
            (with("phase", json!("later")), &[("phase", "invalid")]),
            (with("usage", json!([])), &[("usage", "wrong_type")]),
            (
                usage("tokens", json!("many")),
                &[("usage.tokens", "invalid")],
            ),
            (usage("tokens", json!(1)), &[("usage.tokens", "wrong_type")]),
            (
                usage("tokens", json!({"quantity": 1})),
                &[("usage.tokens.quantity", "wrong_type")],
            ),
            (
                usage("tokens", json!({"quantity": "-1"})),
                &[("usage.tokens.quantity", "invalid")],
            ),
            (
                usage("payments", json!({"events": ["1", "x"]})),
                &[("usage.payments.events[1]", "invalid")],
            ),
            (
                usage("payments", json!({"events": ["1"], "quantity": "1"})),
                &[("usage.payments", "invalid")],
            ),
            (
                usage("rows", json!({"cells": [{"values": ["eu"]}]})),
                &[("usage.rows.cells[0].quantity", "required")],
            ),
            (
                usage("tokens", json!({"events": ["1"]})),
                &[("usage.tokens", "usage_of_another_kind")],
            ),
            (
                usage("base", json!({"quantity": "1"})),
                &[("usage.base", "usage_of_another_kind")],
            ),
            (
                usage(
                    "rows",
                    json!({"cells": [{"values": ["us"], "quantity": "2"}]}),
                ),
                &[("usage.rows", "no_such_cell")],
            ),
            (
                usage("power", hour(13, 0)),
                &[("usage.power", "no_such_hour")],
            ),
            (
                usage("power", hour(1, 24)),
                &[("usage.power", "no_such_hour")],
            ),
            (
                with(
                    "charges",
                    json!([{"code": "a", "name": "A", "metric": "a", "model": {"type": "custom"}}]),
                ),
                // Of which nobody was asked here.
                &[("charges[0]", "not_priced")],
            ),
            (
                usage("other", json!({"quantity": "1"})),
                &[("usage.other", "no_such_charge")],
            ),
            (
                usage("tokens", json!({"quantity": "2"})),
                &[("charges[1]", "amount_too_large")],
            ),
            (
                usage("payments", json!({"events": ["999999999999", "1"]})),
                &[("usage.payments", "quantity_too_large")],
            ),
        ];
        for (body, expected) in table {
            let expected: Vec<(String, &str)> = expected
                .iter()
                .map(|(field, code)| ((*field).to_owned(), *code))
                .collect();
            assert_eq!(outcome(body.clone()), expected, "{body}");
        }
    }
}
