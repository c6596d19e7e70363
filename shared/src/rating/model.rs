//! How a charge turns usage into a price.

use serde::{Deserialize, Serialize};

#[cfg(not(target_arch = "wasm32"))]
use super::check::MAX_TIERS;
use super::custom::Parameters;
use super::matrix::Matrix;
use super::number::Number;
use super::percentage::Percentage;
use super::tiers::{RateTier, Tier};
use super::time_of_use::TimeOfUse;

/// How usage is priced. The `type` names the model.
#[shared::body]
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename = "PricingModel"))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Model {
    /// One amount, whatever the usage is.
    Flat {
        /// The amount, in whole minor units.
        amount: Number,
    },
    /// Every unit at the same price.
    PerUnit {
        /// The price of a unit.
        unit_price: Number,
    },
    /// Each unit at the price of the tier in which it lies.
    Graduated {
        /// In ascending order. The last one is open.
        #[cfg_attr(
            not(target_arch = "wasm32"),
            schemars(with = "crate::http::input::List<Tier, 1, MAX_TIERS>")
        )]
        tiers: Vec<Tier>,
    },
    /// All units at the price of the tier in which their number lies.
    Volume {
        /// In ascending order. The last one is open.
        #[cfg_attr(
            not(target_arch = "wasm32"),
            schemars(with = "crate::http::input::List<Tier, 1, MAX_TIERS>")
        )]
        tiers: Vec<Tier>,
    },
    /// Whole packages. A package that is begun is paid in full. The charge's included
    /// units are subtracted before packages are counted.
    Package {
        /// Units in a package.
        package_size: Number,
        /// The price of a package.
        package_price: Number,
    },
    /// A share of the amounts of events.
    Percentage(Percentage),
    /// A share of the sum of amounts. Each part of the sum has the rate of the tier in
    /// which it lies.
    GraduatedPercentage {
        /// In ascending order. The last one is open.
        #[cfg_attr(
            not(target_arch = "wasm32"),
            schemars(with = "crate::http::input::List<RateTier, 1, MAX_TIERS>")
        )]
        tiers: Vec<RateTier>,
    },
    /// The sum of the amounts that the events carry.
    Dynamic {},
    /// A price by the values of up to four dimensions, such as region and model.
    Matrix(Matrix),
    /// A price by hour of day, day of week and month, in local time.
    TimeOfUse(TimeOfUse),
    /// A price that a WebAssembly component of the operator's own computes, for usage of
    /// any kind. At most ten charges of a plan have one. The component has its own bounds
    /// and free units, if any, so that its charge has no included_units, minimum or maximum.
    Custom {
        /// What the component is told besides the usage.
        #[serde(default)]
        parameters: Parameters,
    },
}

impl Model {
    /// The price that a customer can have agreed upon instead of the plan's: the amount of a flat
    /// charge, or the price of a unit. Other models have none.
    pub const fn agreed_price(&mut self) -> Option<&mut Number> {
        match self {
            Self::Flat { amount } => Some(amount),
            Self::PerUnit { unit_price } => Some(unit_price),
            _ => None,
        }
    }

    /// Whether the model prices a single quantity. Units of a single quantity can be
    /// included, and it can be known in advance.
    pub const fn has_one_quantity(&self) -> bool {
        matches!(
            self,
            Self::PerUnit { .. }
                | Self::Graduated { .. }
                | Self::Volume { .. }
                | Self::Package { .. }
        )
    }
}
