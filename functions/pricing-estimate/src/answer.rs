//! The answer: the lines of the rating engine, with each step in words too.

use shared::money::Currency;
use shared::rating::{Item, Line, Outcome, Step, UnpricedCharge};

use crate::operations::{
    self, Estimate, EstimateItem, EstimateLine, EstimateLineKind, EstimateStep, EstimatedVersion,
    UnpricedChargeKind,
};

/// The answer for an outcome, and for the version that was rated, if it was one.
pub fn estimate(
    currency: Currency,
    version: Option<EstimatedVersion>,
    outcome: Outcome,
) -> Estimate {
    let (lines, total) = match outcome {
        Outcome::Rated(rated) => {
            let lines = rated.lines.into_iter().map(line);
            (lines.collect(), Some(rated.total))
        }
        Outcome::Unpriced(lines) => {
            let shown = |item: Result<Line, UnpricedCharge>| match item {
                Ok(item) => line(item),
                Err(charge) => unpriced(charge),
            };
            (lines.into_iter().map(shown).collect(), None)
        }
    };
    Estimate {
        plan: version,
        currency,
        lines,
        total,
    }
}

const fn kind(item: &Item) -> EstimateLineKind {
    match item {
        Item::Charge { .. } => EstimateLineKind::Charge,
        Item::Trial => EstimateLineKind::Trial,
        Item::MinimumCommitment => EstimateLineKind::MinimumCommitment,
        Item::MaximumSpend => EstimateLineKind::MaximumSpend,
    }
}

fn charge_code(item: Item) -> Option<String> {
    match item {
        Item::Charge { charge } => Some(charge),
        Item::Trial | Item::MinimumCommitment | Item::MaximumSpend => None,
    }
}

fn line(line: Line) -> EstimateItem {
    EstimateItem::Line(EstimateLine {
        kind: kind(&line.item),
        charge: charge_code(line.item),
        description: line.description,
        quantity: line.quantity,
        unit_price: line.unit_price,
        exact_amount: line.exact_amount,
        rounding: line.rounding,
        amount: line.amount,
        steps: line.steps.into_iter().map(step).collect(),
    })
}

fn unpriced(charge: UnpricedCharge) -> EstimateItem {
    EstimateItem::Unpriced(operations::UnpricedCharge {
        kind: UnpricedChargeKind::Charge,
        // Only charges have custom models.
        charge: charge_code(charge.item).unwrap_or_default(),
        description: charge.description,
        error: charge.failure,
    })
}

fn step(step: Step) -> EstimateStep {
    let has_text = matches!(step, Step::Custom { .. });
    EstimateStep {
        text: (!has_text).then(|| step.to_string()),
        step,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::rating::{
        CustomPrices, ExactAmount, Phase, Plan, PricedLine, PricedStep, PricingFailure,
    };

    use super::*;

    fn plan() -> Plan {
        let plan = json!({
            "code": "team", "name": "Team", "currency": "USD", "minimum_commitment": "100",
            "charges": [
                {"code": "base", "name": "Base", "model": {"type": "flat", "amount": "10"}},
                {"code": "power", "name": "Power", "metric": "kwh", "rounding": "up",
                 "model": {"type": "custom"}},
            ],
        });
        serde_json::from_value(plan).expect("it is a plan")
    }

    fn shown(priced: Result<Vec<PricedLine>, PricingFailure>) -> serde_json::Value {
        let plan = plan();
        let prices = CustomPrices::from([("power".to_owned(), priced)]);
        let outcome = plan.explain_with(&Default::default(), &prices, Phase::Paid);
        let outcome = outcome.expect("it can be rated");
        serde_json::to_value(estimate(plan.currency, None, outcome)).expect("answers are JSON")
    }

    #[test]
    fn lines_of_custom_models_are_lines() {
        let amount = |text: &str| ExactAmount::parse(text).expect("the table has amounts");
        let shown = shown(Ok(vec![PricedLine {
            description: "Energy".to_owned(),
            quantity: None,
            unit_price: None,
            exact_amount: amount("1.001"),
            steps: vec![PricedStep {
                text: "a kilowatt hour".to_owned(),
                subtotal: amount("1.001"),
            }],
        }]));
        assert_eq!(
            shown["lines"][1],
            json!({
                "kind": "charge", "charge": "power", "description": "Energy",
                "exact_amount": "1.001", "rounding": "up",
                "amount": {"amount": "1.01", "currency": "USD"},
                "steps": [{"step": "custom", "text": "a kilowatt hour", "subtotal": "1.001"}],
            })
        );
        assert_eq!(shown["lines"][2]["kind"], "minimum_commitment");
        assert_eq!(shown["total"]["amount"], "100.00");
    }

    #[test]
    fn a_charge_without_lines_has_an_error_and_the_plan_no_total() {
        let shown = shown(Err(PricingFailure::refused("no tariff")));
        assert_eq!(
            shown["lines"][1],
            json!({
                "kind": "charge", "charge": "power", "description": "Power",
                "error": {"code": "model_refused", "message": "no tariff"},
            })
        );
        assert_eq!(shown["lines"].as_array().map(Vec::len), Some(2));
        assert_eq!(shown["lines"][0]["amount"]["amount"], "10.00");
        assert_eq!(shown["total"], json!(null));
    }
}
