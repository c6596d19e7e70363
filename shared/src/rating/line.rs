//! Invoice lines.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::{RatingError, Reason};
use super::exact_amount::ExactAmount;
use super::number::Number;
use super::step::Step;
use crate::money::{Currency, Money, Rounding};

/// The item of a line. In JSON its `kind`, and the `charge` if it is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Item {
    /// A charge of the plan.
    Charge {
        /// Its code.
        charge: String,
    },
    /// The credit of a trial.
    Trial,
    /// The amount missing to the minimum commitment.
    MinimumCommitment,
    /// The amount above the maximum spend.
    MaximumSpend,
}

/// One line of an invoice.
///
/// [`Line::adds_up`] checks a line that the engine did not make, such as a plug-in's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The item of the line.
    #[serde(flatten)]
    pub item: Item,
    /// The line's words on the invoice.
    pub description: String,
    /// The quantity, free units included, if one number says it: the units, the sum of
    /// the amounts for percentages, or the number of events for dynamic prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Number>,
    /// The price of a unit, if all units had the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Number>,
    /// The amount before rounding.
    pub exact_amount: ExactAmount,
    /// The rounding policy.
    pub rounding: Rounding,
    /// The amount due: the exact amount, rounded once to the currency's minor unit.
    pub amount: Money,
    /// The steps that lead to it, if they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

/// The lines of a plan for a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rated {
    /// The charges in the order of the plan, then the adjustments.
    pub lines: Vec<Line>,
    /// The sum of their amounts.
    pub total: Money,
}

impl Line {
    /// A line of `exact_amount`, without quantity and steps.
    pub(super) fn of(
        item: Item,
        description: String,
        exact_amount: ExactAmount,
        currency: Currency,
        rounding: Rounding,
    ) -> Result<Self, Reason> {
        Ok(Self {
            item,
            description,
            quantity: None,
            unit_price: None,
            exact_amount,
            rounding,
            amount: exact_amount.round(currency, rounding)?,
            steps: Vec::new(),
        })
    }

    /// Whether the amount is the exact amount, rounded, and the steps, if there are
    /// any, sum to it.
    pub fn adds_up(&self) -> bool {
        let rounded = self
            .exact_amount
            .round(self.amount.currency(), self.rounding);
        let steps = self
            .steps
            .iter()
            .try_fold(ExactAmount::ZERO, |sum, step| sum.plus(step.subtotal()));
        rounded == Ok(self.amount) && (self.steps.is_empty() || steps == Ok(self.exact_amount))
    }

    /// What is still due after `earlier` has billed the first part of the usage that
    /// this line rates as a whole.
    ///
    /// A period that is billed in parts is rated from its beginning each time, and the
    /// earlier line is subtracted. So its lines sum to the one line of the whole, to
    /// the cent, whatever the tiers, fees and roundings are. Rounded amounts are
    /// subtracted, because those were billed.
    ///
    /// # Errors
    ///
    /// [`Reason::LinesDiffer`] when they differ in item, currency or policy;
    /// [`Reason::AmountTooLarge`].
    pub fn beyond(self, earlier: &Self) -> Result<Self, RatingError> {
        let due = self.remainder(earlier);
        let (exact_amount, amount, steps) = due.map_err(|reason| reason.of(self.item.clone()))?;
        let quantity = match (self.quantity, earlier.quantity) {
            (Some(whole), Some(part)) => Some(whole.saturating_sub(part)),
            _ => None,
        };
        let mut line = Self {
            quantity,
            // The earlier units may have had another price.
            unit_price: None,
            exact_amount,
            amount,
            ..self
        };
        if !line.steps.is_empty() {
            line.steps.extend(steps);
        }
        Ok(line)
    }

    fn remainder(&self, earlier: &Self) -> Result<(ExactAmount, Money, [Step; 2]), Reason> {
        if self.item != earlier.item || self.rounding != earlier.rounding {
            return Err(Reason::LinesDiffer);
        }
        let amount = self
            .amount
            .checked_sub(earlier.amount)
            .map_err(|_| Reason::LinesDiffer)?;
        let whole = ExactAmount::from_money(self.amount)?;
        let billed = ExactAmount::from_money(earlier.amount)?;
        let steps = [
            Step::Rounded {
                subtotal: whole.minus(self.exact_amount)?,
            },
            Step::BilledEarlier {
                subtotal: ExactAmount::ZERO.minus(billed)?,
            },
        ];
        Ok((whole.minus(billed)?, amount, steps))
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Charge { charge } => write!(f, "charge {charge}"),
            Self::Trial => f.write_str("trial"),
            Self::MinimumCommitment => f.write_str("minimum commitment"),
            Self::MaximumSpend => f.write_str("maximum spend"),
        }
    }
}
