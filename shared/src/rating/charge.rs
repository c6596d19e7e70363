//! Charges: what a plan asks money for.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

#[cfg(not(target_arch = "wasm32"))]
use super::check::MAX_NAME_CHARS;
use super::custom::{PricedLine, PricedStep, PricingRequest};
use super::error::{RatingError, Reason};
use super::exact_amount::ExactAmount;
use super::line::{Item, Line};
use super::model::Model;
use super::number::Number;
use super::price::Price;
use super::step::{Step, Trace, Untraced};
use super::usage::Usage;
#[cfg(not(target_arch = "wasm32"))]
use crate::http::input::Text;
use crate::money::{Currency, Money, Rounding};

/// When a charge is billed.
#[shared::body]
#[derive(Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename = "ChargeBilling"))]
#[serde(rename_all = "snake_case")]
pub enum Billing {
    /// For the period that has ended. The default.
    #[default]
    Arrears,
    /// For the period that begins.
    Advance,
}

/// One thing that is charged, and how.
#[shared::body]
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename = "PlanCharge"))]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// Names the charge within its plan.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "ChargeCode"))]
    pub code: String,
    /// The charge's words on an invoice, without control characters.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "Text<1, MAX_NAME_CHARS>")
    )]
    pub name: String,
    /// The metric whose usage is priced. A flat charge has none, and any other has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "Option<ChargeCode>"))]
    pub metric: Option<String>,
    /// How the usage is priced.
    pub model: Model,
    /// When it is billed.
    #[serde(default)]
    pub billing: Billing,
    /// How the line is rounded.
    #[serde(default)]
    pub rounding: Rounding,
    /// Units that cost nothing, for models with one quantity.
    #[serde(default, skip_serializing_if = "Number::is_zero")]
    pub included_units: Number,
    /// The least that the line costs, in whole minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Number>,
    /// The most that the line costs, in whole minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Number>,
}

/// Stands for the text of a charge's code, or of a metric's name, in descriptions.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug)]
pub enum ChargeCode {}

crate::describe!(ChargeCode as "ChargeCode", {
    "type": "string", "pattern": "^[a-z0-9_-]{1,64}$", "maxLength": 64,
    "description": "The code of a charge, or the name of a metric.",
    "examples": ["tokens"],
});

impl Charge {
    /// The line for a period's usage, without steps. This is the fast way.
    ///
    /// # Errors
    ///
    /// The [`RatingError`] that names this charge. If [`Charge::check`] passes, only
    /// the usage can be the reason.
    pub fn rate(&self, currency: Currency, usage: &Usage) -> Result<Line, RatingError> {
        self.line(currency, usage, Number::ZERO, &mut Untraced)
    }

    /// The line with the steps that lead to it.
    ///
    /// # Errors
    ///
    /// As for [`Charge::rate`].
    pub fn explain(&self, currency: Currency, usage: &Usage) -> Result<Line, RatingError> {
        self.explained_line(currency, usage, Number::ZERO)
    }

    /// What the charge's custom model is asked about a usage. Nothing for a charge with
    /// another model.
    ///
    /// # Errors
    ///
    /// The [`RatingError`] that names this charge, for hours that do not exist and for
    /// more parts than a usage may have.
    pub fn pricing_request<'a>(
        &'a self,
        currency: Currency,
        usage: &'a Usage,
    ) -> Result<Option<PricingRequest<'a>>, RatingError> {
        let Model::Custom { parameters } = &self.model else {
            return Ok(None);
        };
        usage
            .check()
            .map_err(|reason| reason.of_charge(&self.code))?;
        Ok(Some(PricingRequest {
            charge: Cow::Borrowed(&self.code),
            name: Cow::Borrowed(&self.name),
            currency,
            parameters: Cow::Borrowed(parameters),
            usage: Cow::Borrowed(usage),
        }))
    }

    /// The charge's line from what its custom model made, rounded.
    pub(super) fn custom_line(
        &self,
        currency: Currency,
        priced: &PricedLine,
    ) -> Result<Line, RatingError> {
        let step = |step: &PricedStep| Step::Custom {
            text: step.text.clone(),
            subtotal: step.subtotal,
        };
        let amount = priced.exact_amount.round(currency, self.rounding);
        Ok(Line {
            item: self.item(),
            description: priced.description.clone(),
            quantity: priced.quantity,
            unit_price: priced.unit_price,
            exact_amount: priced.exact_amount,
            rounding: self.rounding,
            amount: amount.map_err(|reason| reason.of_charge(&self.code))?,
            steps: priced.steps.iter().map(step).collect(),
        })
    }

    /// What the charge's lines are for.
    pub(super) fn item(&self) -> Item {
        Item::Charge {
            charge: self.code.clone(),
        }
    }

    /// As [`Charge::explain`], with `plan_units` included besides the charge's own
    /// units.
    pub(super) fn explained_line(
        &self,
        currency: Currency,
        usage: &Usage,
        plan_units: Number,
    ) -> Result<Line, RatingError> {
        let mut steps = Vec::new();
        let mut line = self.line(currency, usage, plan_units, &mut steps)?;
        line.steps = steps;
        Ok(line)
    }

    /// As [`Charge::rate`], with `plan_units` included besides the charge's own units.
    pub(super) fn line(
        &self,
        currency: Currency,
        usage: &Usage,
        plan_units: Number,
        trace: &mut impl Trace,
    ) -> Result<Line, RatingError> {
        let (price, amount) = self
            .price(currency, usage, plan_units, trace)
            .map_err(|reason| reason.of_charge(&self.code))?;
        Ok(Line {
            item: self.item(),
            description: self.name.clone(),
            quantity: price.quantity,
            unit_price: price.unit_price,
            exact_amount: price.amount,
            rounding: self.rounding,
            amount,
            steps: Vec::new(),
        })
    }

    /// The price within the charge's bounds, and the amount that it is rounded to.
    fn price(
        &self,
        currency: Currency,
        usage: &Usage,
        plan_units: Number,
        trace: &mut impl Trace,
    ) -> Result<(Price, Money), Reason> {
        let included = self
            .included_units
            .checked_add(plan_units)
            .unwrap_or(Number::MAX);
        let mut price = Price::of(&self.model, usage, included, trace)?;
        price.amount = self.within_bounds(price.amount, trace)?;
        let amount = price.amount.round(currency, self.rounding)?;
        Ok((price, amount))
    }

    /// The amount, raised to the minimum or cut to the maximum.
    fn within_bounds(
        &self,
        amount: ExactAmount,
        trace: &mut impl Trace,
    ) -> Result<ExactAmount, Reason> {
        if let Some(minimum) = self.minimum {
            let bound = ExactAmount::from(minimum);
            if amount < bound {
                let subtotal = bound.minus(amount)?;
                trace.step(|| Step::Minimum { minimum, subtotal });
                return Ok(bound);
            }
        }
        if let Some(maximum) = self.maximum {
            let bound = ExactAmount::from(maximum);
            if amount > bound {
                let subtotal = bound.minus(amount)?;
                trace.step(|| Step::Maximum { maximum, subtotal });
                return Ok(bound);
            }
        }
        Ok(amount)
    }
}
