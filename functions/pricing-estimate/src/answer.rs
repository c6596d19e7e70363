//! The lines as they are shown: those of the rating engine, with each step in
//! words too.

use serde::Serialize;
use shared::money::{Currency, Money, Rounding};
use shared::rating::{
    ExactAmount, Item, Line, Number, Outcome, Plan, PricingFailure, Step, UnpricedCharge,
};

/// An estimate.
#[derive(Debug, Serialize)]
pub struct Estimate<'a> {
    /// The version that was rated; none for terms that the request brought.
    plan: Option<Rateable<'a>>,
    currency: Currency,
    lines: Vec<Shown<'a>>,
    /// None when a charge has no line.
    total: Option<Money>,
}

/// The version that was rated.
#[derive(Debug, Serialize)]
pub struct Rateable<'a> {
    pub code: &'a str,
    pub name: &'a str,
    pub version: i32,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Shown<'a> {
    Line(ShownLine<'a>),
    Unpriced(ShownUnpriced<'a>),
}

#[derive(Debug, Serialize)]
struct ShownLine<'a> {
    #[serde(flatten)]
    item: &'a Item,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_price: Option<Number>,
    exact_amount: ExactAmount,
    rounding: Rounding,
    amount: Money,
    steps: Vec<ShownStep<'a>>,
}

#[derive(Debug, Serialize)]
struct ShownStep<'a> {
    #[serde(flatten)]
    step: &'a Step,
    /// None where the step has a text of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// A charge that its custom model made no line of.
#[derive(Debug, Serialize)]
struct ShownUnpriced<'a> {
    #[serde(flatten)]
    item: &'a Item,
    description: &'a str,
    error: &'a PricingFailure,
}

impl<'a> Estimate<'a> {
    /// The answer for what `plan` comes to.
    pub fn new(plan: &Plan, version: Option<Rateable<'a>>, outcome: &'a Outcome) -> Self {
        let (lines, total) = match outcome {
            Outcome::Rated(rated) => {
                let lines = rated.lines.iter().map(Shown::line);
                (lines.collect(), Some(rated.total))
            }
            Outcome::Unpriced(lines) => {
                let shown = |line: &'a Result<Line, UnpricedCharge>| match line {
                    Ok(line) => Shown::line(line),
                    Err(charge) => Shown::unpriced(charge),
                };
                (lines.iter().map(shown).collect(), None)
            }
        };
        Self {
            plan: version,
            currency: plan.currency,
            lines,
            total,
        }
    }
}

impl<'a> Shown<'a> {
    fn line(line: &'a Line) -> Self {
        Self::Line(ShownLine {
            item: &line.item,
            description: &line.description,
            quantity: line.quantity,
            unit_price: line.unit_price,
            exact_amount: line.exact_amount,
            rounding: line.rounding,
            amount: line.amount,
            steps: line.steps.iter().map(ShownStep::of).collect(),
        })
    }

    fn unpriced(charge: &'a UnpricedCharge) -> Self {
        Self::Unpriced(ShownUnpriced {
            item: &charge.item,
            description: &charge.description,
            error: &charge.failure,
        })
    }
}

impl<'a> ShownStep<'a> {
    fn of(step: &'a Step) -> Self {
        let has_text = matches!(step, Step::Custom { .. });
        Self {
            step,
            text: (!has_text).then(|| step.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use shared::rating::{CustomPrices, Phase, PricedLine, PricedStep};

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
        serde_json::to_value(Estimate::new(&plan, None, &outcome)).expect("answers are JSON")
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
