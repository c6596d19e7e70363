//! Plans: charges, and what holds for all of them together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[cfg(not(target_arch = "wasm32"))]
use super::charge::ChargeCode;
use super::charge::{Billing, Charge};
#[cfg(not(target_arch = "wasm32"))]
use super::check::MAX_TRIAL_DAYS;
use super::custom::{CustomPrices, Outcome, UnpricedCharge};
use super::error::{RatingError, Reason};
use super::exact_amount::ExactAmount;
use super::line::{Item, Line, Rated};
use super::model::Model;
use super::number::Number;
use super::step::{Step, Untraced};
use super::usage::Usage;
#[cfg(not(target_arch = "wasm32"))]
use crate::http::input::Whole;
use crate::money::{Currency, Money, Rounding};

/// A price list in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Names the plan.
    pub code: String,
    /// The name of the plan.
    pub name: String,
    /// The currency of all its prices.
    pub currency: Currency,
    /// What is charged, in the order of the invoice.
    pub charges: Vec<Charge>,
    /// Units of a metric that cost nothing, whichever charges price it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub included_units: Vec<IncludedUnits>,
    /// The least that the lines of a period cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_commitment: Option<Number>,
    /// The most that the lines of a period cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_spend: Option<Number>,
    /// How a subscription begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
}

/// Units of a metric that all charges for it share. They are used in the order of the
/// charges, after the units that a charge includes itself.
#[shared::body]
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncludedUnits {
    /// The metric.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "ChargeCode"))]
    pub metric: String,
    /// How many units for each period.
    pub units: Number,
}

/// Days on which some charges are credited.
#[shared::body]
#[derive(Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The number of days.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "Whole<1, { MAX_TRIAL_DAYS as i64 }>")
    )]
    pub days: u32,
    /// The charges that are credited.
    #[serde(default)]
    pub covers: TrialCover,
}

/// Which charges a trial credits.
#[shared::body]
#[derive(Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialCover {
    /// All charges. The default.
    #[default]
    EveryCharge,
    /// The charges that are billed in advance. Usage is still paid.
    AdvanceCharges,
}

/// The time that is rated. The engine has no clock: a period in which a trial ends is
/// rated as two.
#[shared::body]
#[derive(Copy, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename = "PricingPhase"))]
pub enum Phase {
    /// Within the trial, which the plan must have: the charges that it covers are
    /// credited, and nothing is committed.
    Trial,
    /// After the trial, or without one.
    Paid,
}

/// The usage that a plan is rated for, by the codes of the charges.
type UsageByCharge = BTreeMap<String, Usage>;

impl Plan {
    /// The lines for a period's usage, by the codes of the charges. A charge without
    /// usage is rated for [`Usage::Nothing`].
    ///
    /// The lines of the adjustments come last: the credit of a trial, then the amount
    /// missing to the minimum commitment or the amount above the maximum spend. The
    /// bounds are compared with the sum of the rounded lines before them, so that the
    /// total is exactly the bound.
    ///
    /// # Errors
    ///
    /// The [`RatingError`] that names the first item that cannot be rated, such as a
    /// charge with a custom model. For a plan that passes [`Plan::check`] and has no
    /// custom model, only the usage can be the reason, and a trial that the plan does
    /// not have.
    pub fn rate(&self, usage: &UsageByCharge, phase: Phase) -> Result<Rated, RatingError> {
        let (rated, _) = self.rated(
            usage,
            &CustomPrices::new(),
            phase,
            |charge, usage, units| charge.line(self.currency, usage, units, &mut Untraced),
        )?;
        Ok(rated)
    }

    /// As [`Plan::rate`], with the steps that lead to each line.
    ///
    /// # Errors
    ///
    /// As for [`Plan::rate`].
    pub fn explain(&self, usage: &UsageByCharge, phase: Phase) -> Result<Rated, RatingError> {
        let (rated, _) = self.explained(usage, &CustomPrices::new(), phase)?;
        Ok(rated)
    }

    /// As [`Plan::explain`], with the answers of the custom models. Each of their lines
    /// is rounded once, by the policy of its charge.
    ///
    /// # Errors
    ///
    /// As for [`Plan::rate`], and [`Reason::NotPriced`] for a charge with a custom
    /// model that is missing in `custom`.
    pub fn explain_with(
        &self,
        usage: &UsageByCharge,
        custom: &CustomPrices,
        phase: Phase,
    ) -> Result<Outcome, RatingError> {
        let (rated, unpriced) = self.explained(usage, custom, phase)?;
        if unpriced.is_empty() {
            return Ok(Outcome::Rated(rated));
        }
        let mut lines: Vec<_> = rated.lines.into_iter().map(Ok).collect();
        // From last to first, so that the places before it stay valid.
        for (place, charge) in unpriced.into_iter().rev() {
            lines.insert(place, Err(charge));
        }
        Ok(Outcome::Unpriced(lines))
    }

    fn explained(
        &self,
        usage: &UsageByCharge,
        custom: &CustomPrices,
        phase: Phase,
    ) -> Result<(Rated, Vec<(usize, UnpricedCharge)>), RatingError> {
        self.rated(usage, custom, phase, |charge, usage, units| {
            charge.explained_line(self.currency, usage, units)
        })
    }

    /// Whether a time of this phase can be rated.
    ///
    /// # Errors
    ///
    /// [`Reason::NoTrial`]: nothing would be credited and the commitment dropped.
    pub fn check_phase(&self, phase: Phase) -> Result<(), RatingError> {
        if phase == Phase::Trial && self.trial.is_none() {
            return Err(Reason::NoTrial.of(Item::Trial));
        }
        Ok(())
    }

    /// The lines, and the charges without lines, each with the place where its line
    /// would be.
    fn rated(
        &self,
        usage: &UsageByCharge,
        custom: &CustomPrices,
        phase: Phase,
        line: impl Fn(&Charge, &Usage, Number) -> Result<Line, RatingError>,
    ) -> Result<(Rated, Vec<(usize, UnpricedCharge)>), RatingError> {
        self.check_phase(phase)?;
        let is_charge = |code: &String| self.charges.iter().any(|charge| charge.code == *code);
        if let Some(code) = usage.keys().find(|code| !is_charge(code)) {
            return Err(Reason::NoSuchCharge.of_charge(code));
        }
        let mut plan_units: BTreeMap<&str, Number> = self
            .included_units
            .iter()
            .map(|included| (included.metric.as_str(), included.units))
            .collect();
        let mut rated = Rated {
            lines: Vec::with_capacity(self.charges.len() + 1),
            total: Money::zero(self.currency),
        };
        let mut unpriced = Vec::new();
        for charge in &self.charges {
            let used = usage.get(&charge.code).unwrap_or(&Usage::Nothing);
            if matches!(charge.model, Model::Custom { .. }) {
                match custom.get(&charge.code) {
                    None => return Err(Reason::NotPriced.of_charge(&charge.code)),
                    Some(Ok(lines)) => {
                        for priced in lines {
                            rated.push(charge.custom_line(self.currency, priced)?)?;
                        }
                    }
                    Some(Err(failure)) => {
                        let charge = UnpricedCharge {
                            item: charge.item(),
                            description: charge.name.clone(),
                            failure: failure.clone(),
                        };
                        unpriced.push((rated.lines.len(), charge));
                    }
                }
                continue;
            }
            let units = take_plan_units(&mut plan_units, charge, used);
            rated.push(line(charge, used, units)?)?;
        }
        if unpriced.is_empty() {
            self.adjust(&mut rated, phase)?;
        }
        Ok((rated, unpriced))
    }

    /// Adds the adjustments, which hold for all charges together.
    fn adjust(&self, rated: &mut Rated, phase: Phase) -> Result<(), RatingError> {
        if phase == Phase::Trial {
            self.credit_trial(rated)?;
        } else {
            self.commit(rated)?;
        }
        self.limit_spend(rated)
    }

    fn credit_trial(&self, rated: &mut Rated) -> Result<(), RatingError> {
        let Some(trial) = self.trial else {
            return Ok(());
        };
        // A charge with a custom model may have several lines.
        let is_covered = |line: &&Line| {
            trial.covers == TrialCover::EveryCharge || self.charges.iter().any(|charge| {
                charge.billing == Billing::Advance
                    && matches!(&line.item, Item::Charge { charge: code } if *code == charge.code)
            })
        };
        let credit = rated
            .lines
            .iter()
            .filter(is_covered)
            .try_fold(ExactAmount::ZERO, |credit, line| {
                credit.minus(ExactAmount::from_money(line.amount)?)
            })
            .map_err(|reason| reason.of(Item::Trial))?;
        if credit == ExactAmount::ZERO {
            return Ok(());
        }
        rated.adjust(Item::Trial, "Trial", credit, |subtotal| Step::TrialCredit {
            subtotal,
        })
    }

    fn commit(&self, rated: &mut Rated) -> Result<(), RatingError> {
        let Some(minimum) = self.minimum_commitment else {
            return Ok(());
        };
        let item = Item::MinimumCommitment;
        let (charged, missing) = rated.up_to(minimum, &item)?;
        if missing <= ExactAmount::ZERO {
            return Ok(());
        }
        rated.adjust(item, "Minimum commitment", missing, |subtotal| {
            Step::Commitment {
                minimum,
                charged,
                subtotal,
            }
        })
    }

    fn limit_spend(&self, rated: &mut Rated) -> Result<(), RatingError> {
        let Some(maximum) = self.maximum_spend else {
            return Ok(());
        };
        let item = Item::MaximumSpend;
        let (charged, missing) = rated.up_to(maximum, &item)?;
        if missing >= ExactAmount::ZERO {
            return Ok(());
        }
        rated.adjust(item, "Maximum spend", missing, |subtotal| {
            Step::SpendLimit {
                maximum,
                charged,
                subtotal,
            }
        })
    }
}

/// Takes units of the plan for the usage that the charge's own units do not cover.
fn take_plan_units(
    plan_units: &mut BTreeMap<&str, Number>,
    charge: &Charge,
    usage: &Usage,
) -> Number {
    let left = charge
        .metric
        .as_deref()
        .and_then(|metric| plan_units.get_mut(metric));
    let (Some(left), Usage::Quantity(quantity)) = (left, usage) else {
        return Number::ZERO;
    };
    let taken = quantity.saturating_sub(charge.included_units).min(*left);
    *left = left.saturating_sub(taken);
    taken
}

impl Rated {
    fn push(&mut self, line: Line) -> Result<(), RatingError> {
        let total = ExactAmount::from_money(self.total)
            .and_then(|total| total.plus(ExactAmount::from_money(line.amount)?))
            // The amounts are rounded already. This only checks the limit.
            .and_then(|total| total.round(self.total.currency(), line.rounding))
            .map_err(|reason| reason.of(line.item.clone()))?;
        self.total = total;
        self.lines.push(line);
        Ok(())
    }

    /// The total, and how far it is below `bound`.
    fn up_to(&self, bound: Number, item: &Item) -> Result<(ExactAmount, ExactAmount), RatingError> {
        ExactAmount::from_money(self.total)
            .and_then(|charged| Ok((charged, ExactAmount::from(bound).minus(charged)?)))
            .map_err(|reason| reason.of(item.clone()))
    }

    /// Adds the line of an adjustment, which is always explained.
    fn adjust(
        &mut self,
        item: Item,
        description: &str,
        exact_amount: ExactAmount,
        step: impl FnOnce(ExactAmount) -> Step,
    ) -> Result<(), RatingError> {
        let mut line = Line::of(
            item.clone(),
            description.to_owned(),
            exact_amount,
            self.total.currency(),
            Rounding::HalfEven,
        )
        .map_err(|reason| reason.of(item))?;
        line.steps.push(step(exact_amount));
        self.push(line)
    }
}
