//! Tiers: prices that depend on how much there is.
//!
//! `up_to` is inclusive and may be a fraction. A tier's flat fee is due as soon as
//! usage enters the tier. The first tier's fee is due at zero usage too.

use serde::{Deserialize, Serialize};

use super::error::Reason;
use super::exact_amount::ExactAmount;
use super::number::{Number, Percent};
use super::step::{Step, Trace};

/// A range of quantities and its prices.
#[shared::body]
#[derive(Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename = "PriceTier"))]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The last quantity of the tier, inclusive. The last tier has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<Number>,
    /// The price of a unit.
    #[serde(default)]
    pub unit_price: Number,
    /// Due once when the tier is entered, in whole minor units.
    #[serde(default, skip_serializing_if = "Number::is_zero")]
    pub flat_fee: Number,
}

/// A range of amounts and its rates.
#[shared::body]
#[derive(Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateTier {
    /// The last amount of the tier, inclusive. The last tier has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<Number>,
    /// The share of the amounts in the tier.
    #[serde(default)]
    pub rate_percent: Percent,
    /// Due once when the tier is entered, in whole minor units.
    #[serde(default, skip_serializing_if = "Number::is_zero")]
    pub flat_fee: Number,
}

impl From<&RateTier> for Tier {
    /// A share is the price of one unit of currency.
    fn from(tier: &RateTier) -> Self {
        Self {
            up_to: tier.up_to,
            unit_price: tier.rate_percent.as_share(),
            flat_fee: tier.flat_fee,
        }
    }
}

impl Tier {
    /// The price of `quantity` in this tier, with its flat fee.
    fn price(&self, quantity: Number) -> Result<ExactAmount, Reason> {
        ExactAmount::product(quantity, self.unit_price)?.plus(self.flat_fee.into())
    }
}

/// Each unit at the price of its tier.
pub(super) fn graduated(
    tiers: impl IntoIterator<Item = Tier>,
    quantity: Number,
    trace: &mut impl Trace,
) -> Result<ExactAmount, Reason> {
    let mut amount = ExactAmount::ZERO;
    let mut from = Number::ZERO;
    for (number, tier) in (1..).zip(tiers) {
        if number > 1 && quantity <= from {
            return Ok(amount);
        }
        let to = tier.up_to.map_or(quantity, |up_to| up_to.min(quantity));
        let in_tier = to.saturating_sub(from);
        let subtotal = tier.price(in_tier)?;
        amount = amount.plus(subtotal)?;
        trace.step(|| Step::Tier {
            tier: number,
            from,
            to: tier.up_to,
            quantity: in_tier,
            unit_price: tier.unit_price,
            flat_fee: tier.flat_fee,
            subtotal,
        });
        match tier.up_to {
            None => return Ok(amount),
            Some(up_to) => from = up_to,
        }
    }
    // The list is empty, or its last tier is not open.
    Err(Reason::UncheckedCharge)
}

/// All units at the price of one tier. Returns that price too.
pub(super) fn volume(
    tiers: &[Tier],
    quantity: Number,
    trace: &mut impl Trace,
) -> Result<(ExactAmount, Number), Reason> {
    let index = tiers
        .iter()
        .position(|tier| tier.up_to.is_none_or(|up_to| quantity <= up_to))
        .ok_or(Reason::UncheckedCharge)?;
    let tier = &tiers[index];
    let subtotal = tier.price(quantity)?;
    trace.step(|| Step::Tier {
        tier: u32::try_from(index).map_or(u32::MAX, |index| index.saturating_add(1)),
        from: match index.checked_sub(1).and_then(|before| tiers.get(before)) {
            Some(Tier {
                up_to: Some(up_to), ..
            }) => *up_to,
            _ => Number::ZERO,
        },
        to: tier.up_to,
        quantity,
        unit_price: tier.unit_price,
        flat_fee: tier.flat_fee,
        subtotal,
    });
    Ok((subtotal, tier.unit_price))
}
