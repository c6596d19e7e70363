//! From a model and its usage to the exact amount.

use super::error::Reason;
use super::exact_amount::ExactAmount;
use super::model::Model;
use super::number::Number;
use super::step::{Step, Trace};
use super::tiers::{self, Tier};
use super::usage::{Usage, total};

/// What a usage costs before rounding.
pub(super) struct Price {
    pub(super) amount: ExactAmount,
    /// The quantity, if one number says it.
    pub(super) quantity: Option<Number>,
    /// The price of a unit, if all units had the same.
    pub(super) unit_price: Option<Number>,
}

impl Price {
    /// `included` units cost nothing. Only models of one quantity have them.
    pub(super) fn of(
        model: &Model,
        usage: &Usage,
        included: Number,
        trace: &mut impl Trace,
    ) -> Result<Self, Reason> {
        if model.has_one_quantity() {
            let quantity = usage.quantity()?;
            if !included.is_zero() {
                trace.step(|| Step::Included {
                    quantity: quantity.min(included),
                });
            }
            let charged = quantity.saturating_sub(included);
            let (amount, unit_price) = of_quantity(model, charged, trace)?;
            return Ok(Self {
                amount,
                quantity: Some(quantity),
                unit_price,
            });
        }
        if !included.is_zero() {
            return Err(Reason::UncheckedCharge);
        }
        let (amount, quantity) = of_parts(model, usage, trace)?;
        Ok(Self {
            amount,
            quantity,
            unit_price: None,
        })
    }
}

/// The amount and the price of a unit.
fn of_quantity(
    model: &Model,
    quantity: Number,
    trace: &mut impl Trace,
) -> Result<(ExactAmount, Option<Number>), Reason> {
    match model {
        Model::PerUnit { unit_price } => {
            let subtotal = ExactAmount::product(quantity, *unit_price)?;
            trace.step(|| Step::Units {
                quantity,
                unit_price: *unit_price,
                subtotal,
            });
            Ok((subtotal, Some(*unit_price)))
        }
        Model::Graduated { tiers } => {
            let amount = tiers::graduated(tiers.iter().copied(), quantity, trace)?;
            Ok((amount, None))
        }
        Model::Volume { tiers } => {
            let (amount, unit_price) = tiers::volume(tiers, quantity, trace)?;
            Ok((amount, Some(unit_price)))
        }
        Model::Package {
            package_size,
            package_price,
        } => {
            if package_size.is_zero() {
                return Err(Reason::UncheckedCharge);
            }
            let packages = quantity
                .packages(*package_size)
                .ok_or(Reason::QuantityTooLarge)?;
            let subtotal = ExactAmount::product(packages, *package_price)?;
            trace.step(|| Step::Packages {
                quantity,
                package_size: *package_size,
                packages,
                package_price: *package_price,
                subtotal,
            });
            Ok((subtotal, None))
        }
        // The others have no single quantity.
        _ => Err(Reason::UncheckedCharge),
    }
}

/// The amount, and how much there was.
fn of_parts(
    model: &Model,
    usage: &Usage,
    trace: &mut impl Trace,
) -> Result<(ExactAmount, Option<Number>), Reason> {
    match model {
        Model::Flat { amount } => {
            usage.require_nothing()?;
            let subtotal = ExactAmount::from(*amount);
            trace.step(|| Step::Flat { subtotal });
            Ok((subtotal, None))
        }
        Model::Percentage(percentage) => {
            let events = usage.events()?;
            let sum = total(events.iter().copied())?;
            Ok((percentage.price(events, trace)?, Some(sum)))
        }
        Model::GraduatedPercentage { tiers } => {
            let sum = total(usage.events()?.iter().copied())?;
            let amount = tiers::graduated(tiers.iter().map(Tier::from), sum, trace)?;
            Ok((amount, Some(sum)))
        }
        Model::Dynamic {} => {
            let events = usage.events()?;
            let sum = total(events.iter().copied())?;
            let subtotal = ExactAmount::from(sum);
            let count = u32::try_from(events.len()).map_err(|_| Reason::TooMuchUsage)?;
            trace.step(|| Step::Given {
                events: count,
                subtotal,
            });
            Ok((subtotal, Some(count.into())))
        }
        Model::Matrix(matrix) => {
            let cells = usage.cells()?;
            let sum = total(cells.iter().map(|cell| cell.quantity))?;
            Ok((matrix.price(cells, trace)?, Some(sum)))
        }
        Model::TimeOfUse(time_of_use) => {
            let hours = usage.hours()?;
            let sum = total(hours.iter().map(|hour| hour.quantity))?;
            Ok((time_of_use.price(hours, trace)?, Some(sum)))
        }
        // The lines of a custom model are given to the plan from outside.
        Model::Custom { .. } => Err(Reason::NotPriced),
        // The others are of one quantity.
        Model::PerUnit { .. }
        | Model::Graduated { .. }
        | Model::Volume { .. }
        | Model::Package { .. } => Err(Reason::UncheckedCharge),
    }
}
