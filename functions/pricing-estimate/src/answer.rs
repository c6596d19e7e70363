//! The lines as they are shown: those of the rating engine, with each step in
//! words too.

use serde::Serialize;
use shared::money::{Currency, Money, Rounding};
use shared::rating::{ExactAmount, Item, Line, Number, Rated, Step};

use crate::queries::PlanVersion;

/// An estimate.
#[derive(Debug, Serialize)]
pub struct Estimate<'a> {
    /// The version that was rated; none for terms that the request brought.
    plan: Option<Rateable<'a>>,
    currency: Currency,
    lines: Vec<ShownLine<'a>>,
    total: Money,
}

#[derive(Debug, Serialize)]
struct Rateable<'a> {
    code: &'a str,
    name: &'a str,
    version: i32,
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
    text: String,
}

impl<'a> Estimate<'a> {
    /// The answer for `rated`, made of a version or of the request's own terms.
    pub fn new(rated: &'a Rated, code: &'a str, version: Option<&'a PlanVersion>) -> Self {
        Self {
            plan: version.map(|version| Rateable {
                code,
                name: &version.plan_name,
                version: version.number,
            }),
            currency: rated.total.currency(),
            lines: rated.lines.iter().map(ShownLine::of).collect(),
            total: rated.total,
        }
    }
}

impl<'a> ShownLine<'a> {
    fn of(line: &'a Line) -> Self {
        Self {
            item: &line.item,
            description: &line.description,
            quantity: line.quantity,
            unit_price: line.unit_price,
            exact_amount: line.exact_amount,
            rounding: line.rounding,
            amount: line.amount,
            steps: line
                .steps
                .iter()
                .map(|step| ShownStep {
                    step,
                    text: step.to_string(),
                })
                .collect(),
        }
    }
}
