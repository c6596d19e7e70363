//! The steps that lead to a line.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::exact_amount::ExactAmount;
use super::number::{Number, Percent};

/// One step that leads to a line. The subtotals of a line's steps sum exactly to its
/// exact amount. Written out, a step is a sentence for the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// An amount that is due whatever the usage is.
    Flat {
        /// The amount.
        subtotal: ExactAmount,
    },
    /// Units that cost nothing.
    Included {
        /// The number of units.
        quantity: Number,
    },
    /// Units at one price.
    Units {
        /// The number of units.
        quantity: Number,
        /// The price of one unit.
        unit_price: Number,
        /// Their product.
        subtotal: ExactAmount,
    },
    /// Units in a tier. For a graduated percentage it is the amount in the tier.
    Tier {
        /// The number of the tier. The first is 1.
        tier: u32,
        /// The tier begins above this quantity. The first tier begins at it.
        from: Number,
        /// The tier ends with this quantity. The last tier has no end.
        to: Option<Number>,
        /// The number of units that are priced.
        quantity: Number,
        /// The price of one unit.
        unit_price: Number,
        /// The flat fee, due once.
        flat_fee: Number,
        /// The product plus the fee.
        subtotal: ExactAmount,
    },
    /// Whole packages.
    Packages {
        /// The units that were counted.
        quantity: Number,
        /// Units in a package.
        package_size: Number,
        /// How many packages the units fill. The last one may be partly filled.
        packages: Number,
        /// The price of one package.
        package_price: Number,
        /// The product of the last two.
        subtotal: ExactAmount,
    },
    /// The first events, which cost nothing.
    FreeEvents {
        /// The number of events.
        events: u32,
    },
    /// A part of the amounts, which costs nothing.
    FreeAmount {
        /// The number of events that lie in it wholly.
        events: u32,
        /// The free amount.
        amount: ExactAmount,
    },
    /// A share of amounts.
    Rate {
        /// The sum of the amounts.
        amount: ExactAmount,
        /// The share.
        rate_percent: Percent,
        /// Their product.
        subtotal: ExactAmount,
    },
    /// What is due for each event.
    FixedFees {
        /// The number of events.
        events: u32,
        /// The fee for each event.
        fixed_fee: Number,
        /// Their product.
        subtotal: ExactAmount,
    },
    /// Events that were raised to the minimum of an event.
    RaisedEvents {
        /// The number of events.
        events: u32,
        /// The sum by which they were raised.
        subtotal: ExactAmount,
    },
    /// Events that were cut to the maximum of an event.
    CutEvents {
        /// The number of events.
        events: u32,
        /// The sum by which they were cut, below zero.
        subtotal: ExactAmount,
    },
    /// Amounts that the events carry.
    Given {
        /// The number of events.
        events: u32,
        /// Their sum.
        subtotal: ExactAmount,
    },
    /// Units in a cell of a matrix.
    Cell {
        /// The values of the dimensions.
        values: Vec<String>,
        /// Whether there is no such cell, so that the default price applies.
        by_default: bool,
        /// The number of units.
        quantity: Number,
        /// The price of one unit.
        unit_price: Number,
        /// Their product.
        subtotal: ExactAmount,
    },
    /// Units in a window of time, or in no window.
    Window {
        /// The window's name.
        window: Option<String>,
        /// The number of units.
        quantity: Number,
        /// The price of one unit.
        unit_price: Number,
        /// Their product.
        subtotal: ExactAmount,
    },
    /// A step of a custom model.
    Custom {
        /// The model's own words.
        text: String,
        /// What it adds, which may be below zero.
        subtotal: ExactAmount,
    },
    /// The amount missing to the charge's minimum.
    Minimum {
        /// The minimum.
        minimum: Number,
        /// By how much the line was raised.
        subtotal: ExactAmount,
    },
    /// The amount above the charge's maximum.
    Maximum {
        /// The maximum.
        maximum: Number,
        /// By how much the line was cut, below zero.
        subtotal: ExactAmount,
    },
    /// The credit for the charges of a trial.
    TrialCredit {
        /// Their sum with the sign reversed.
        subtotal: ExactAmount,
    },
    /// The amount missing to the plan's minimum commitment.
    Commitment {
        /// The commitment.
        minimum: Number,
        /// The sum of the other lines.
        charged: ExactAmount,
        /// The difference.
        subtotal: ExactAmount,
    },
    /// The amount above the plan's maximum spend.
    SpendLimit {
        /// The limit.
        maximum: Number,
        /// The sum of the other lines.
        charged: ExactAmount,
        /// The difference, below zero.
        subtotal: ExactAmount,
    },
    /// The difference between the exact amount and the rounded one, before an earlier
    /// line is subtracted.
    Rounded {
        /// What rounding added.
        subtotal: ExactAmount,
    },
    /// The amount that an earlier line of the same period has billed.
    BilledEarlier {
        /// Its amount with the sign reversed.
        subtotal: ExactAmount,
    },
}

impl Step {
    /// What the step adds to the line.
    pub const fn subtotal(&self) -> ExactAmount {
        match self {
            Self::Included { .. } | Self::FreeEvents { .. } | Self::FreeAmount { .. } => {
                ExactAmount::ZERO
            }
            Self::Flat { subtotal }
            | Self::Units { subtotal, .. }
            | Self::Tier { subtotal, .. }
            | Self::Packages { subtotal, .. }
            | Self::Rate { subtotal, .. }
            | Self::FixedFees { subtotal, .. }
            | Self::RaisedEvents { subtotal, .. }
            | Self::CutEvents { subtotal, .. }
            | Self::Given { subtotal, .. }
            | Self::Cell { subtotal, .. }
            | Self::Window { subtotal, .. }
            | Self::Custom { subtotal, .. }
            | Self::Minimum { subtotal, .. }
            | Self::Maximum { subtotal, .. }
            | Self::TrialCredit { subtotal }
            | Self::Commitment { subtotal, .. }
            | Self::SpendLimit { subtotal, .. }
            | Self::Rounded { subtotal }
            | Self::BilledEarlier { subtotal } => *subtotal,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flat { subtotal } => write!(f, "flat: {subtotal}"),
            Self::Included { quantity } => write!(f, "included: {quantity} units cost nothing"),
            Self::Units {
                quantity,
                unit_price,
                subtotal,
            } => write!(f, "{quantity} × {unit_price} = {subtotal}"),
            Self::Tier {
                tier,
                from,
                to,
                quantity,
                unit_price,
                flat_fee,
                subtotal,
            } => {
                write!(f, "tier {tier}, ")?;
                match to {
                    None if from.is_zero() => f.write_str("from 0")?,
                    None => write!(f, "above {from}")?,
                    Some(to) => write!(f, "{from} to {to}")?,
                }
                write!(f, ": {quantity} × {unit_price}")?;
                if !flat_fee.is_zero() {
                    write!(f, " + {flat_fee}")?;
                }
                write!(f, " = {subtotal}")
            }
            Self::Packages {
                quantity,
                package_size,
                packages,
                package_price,
                subtotal,
            } => write!(
                f,
                "{quantity} in packages of {package_size}: {packages} × {package_price} = {subtotal}"
            ),
            Self::FreeEvents { events } => write!(f, "free: the first {events} events"),
            Self::FreeAmount { events, amount } => {
                write!(f, "free: {amount} of the amounts, {events} events wholly")
            }
            Self::Rate {
                amount,
                rate_percent,
                subtotal,
            } => write!(f, "{rate_percent}% of {amount} = {subtotal}"),
            Self::FixedFees {
                events,
                fixed_fee,
                subtotal,
            } => write!(f, "{events} events × {fixed_fee} = {subtotal}"),
            Self::RaisedEvents { events, subtotal } => {
                write!(f, "{events} events raised to the minimum: {subtotal}")
            }
            Self::CutEvents { events, subtotal } => {
                write!(f, "{events} events cut to the maximum: {subtotal}")
            }
            Self::Given { events, subtotal } => write!(f, "{events} events: {subtotal}"),
            Self::Cell {
                values,
                by_default,
                quantity,
                unit_price,
                subtotal,
            } => {
                f.write_str(&values.join(", "))?;
                if *by_default {
                    f.write_str(" (default)")?;
                }
                write!(f, ": {quantity} × {unit_price} = {subtotal}")
            }
            Self::Window {
                window,
                quantity,
                unit_price,
                subtotal,
            } => {
                let window = window.as_deref().unwrap_or("other hours");
                write!(f, "{window}: {quantity} × {unit_price} = {subtotal}")
            }
            Self::Custom { text, .. } => f.write_str(text),
            Self::Minimum { minimum, subtotal } => {
                write!(f, "raised to the minimum of {minimum}: {subtotal}")
            }
            Self::Maximum { maximum, subtotal } => {
                write!(f, "cut to the maximum of {maximum}: {subtotal}")
            }
            Self::TrialCredit { subtotal } => write!(f, "free during the trial: {subtotal}"),
            Self::Commitment {
                minimum,
                charged,
                subtotal,
            } => write!(f, "committed {minimum}, charged {charged}: {subtotal}"),
            Self::SpendLimit {
                maximum,
                charged,
                subtotal,
            } => write!(f, "at most {maximum}, charged {charged}: {subtotal}"),
            Self::Rounded { subtotal } => write!(f, "rounded: {subtotal}"),
            Self::BilledEarlier { subtotal } => write!(f, "billed earlier: {subtotal}"),
        }
    }
}

/// Where steps go while a line is made: nowhere, at no cost, or into a list.
pub(super) trait Trace {
    fn step(&mut self, step: impl FnOnce() -> Step);
}

/// For callers that want only the amount: no step is made.
pub(super) struct Untraced;

impl Trace for Untraced {
    fn step(&mut self, _: impl FnOnce() -> Step) {}
}

impl Trace for Vec<Step> {
    fn step(&mut self, step: impl FnOnce() -> Step) {
        self.push(step());
    }
}
