//! An estimate is made by the code that invoices, of a version of a plan or of
//! terms that the request brings. Nothing is stored.

use std::collections::BTreeMap;
use std::rc::Rc;

use shared::http::context::Context;
use shared::http::input;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::rating::plan_terms::{self, MAX_TERMS_BYTES};
use shared::rating::{CustomPrices, Item, Outcome, Phase, Plan, RatingError, Reason, Usage};

use crate::operations::{EstimateRequest, NamedVersion};
use crate::{answer, custom_models, queries};

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
        Item::Trial if error.reason == Reason::NoTrial => "phase".to_owned(),
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
    // Before a model is asked in vain.
    plan.check_phase(phase)
        .map_err(|error| refused(plan, &error))?;
    let custom = custom_models::price(context, plan, usage).await;
    let custom = custom.map_err(|error| refused(plan, &error))?;
    rate(plan, usage, &custom, phase)
}

pub async fn estimate(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (wanted, _) = request
        .json_within::<EstimateRequest>(MAX_TERMS_BYTES)
        .await?;
    // Whoever may not ask is told so before anything is computed.
    let (plan, version, usage, phase) = match wanted {
        EstimateRequest::Version(wanted) => {
            let NamedVersion { code, version } = wanted.plan;
            let code = input::text(&code).map_err(|_| plan_terms::plan_not_found())?;
            let number = version.and_then(|number| i32::try_from(number.0).ok());
            let found = queries::read(context, token.digest, code, number).await?;
            (found.plan, Some(found.version), wanted.usage, wanted.phase)
        }
        EstimateRequest::Terms(wanted) => {
            queries::begin(context, token.digest).await?;
            let plan = wanted.terms.into_plan("estimate", "Estimate");
            (Rc::new(plan), None, wanted.usage, wanted.phase)
        }
    };
    let usage = usage.unwrap_or_default();
    let phase = phase.unwrap_or(Phase::Paid);
    let outcome = outcome(context, &plan, &usage, phase).await?;
    Reply::json(200, &answer::estimate(plan.currency, version, outcome))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

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
        let errors = input::value::<EstimateRequest>(&body)
            .and_then(|wanted| match wanted {
                EstimateRequest::Terms(wanted) => rate(
                    &wanted.terms.into_plan("p", "P"),
                    &wanted.usage.unwrap_or_default(),
                    &CustomPrices::new(),
                    wanted.phase.unwrap_or(Phase::Paid),
                )
                .map(|_| ()),
                EstimateRequest::Version(_) => Ok(()),
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
        let mut with_trial = with("phase", json!("trial"));
        with_trial["trial"] = json!({"days": 14});
        let table: Vec<(Value, &[(&str, &str)])> = vec![
            (own(), &[]),
            (with("plan", json!(null)), &[]),
            (with("phase", json!("trial")), &[("phase", "no_trial")]),
            (with_trial, &[]),
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
                &[("usage.tokens.quantity", "negative")],
            ),
            (
                usage("tokens", json!({"quantity": "-0"})),
                &[("usage.tokens.quantity", "amount_not_plain_decimal")],
            ),
            (
                usage("payments", json!({"events": ["1", "x"]})),
                &[("usage.payments.events[1]", "amount_not_plain_decimal")],
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
