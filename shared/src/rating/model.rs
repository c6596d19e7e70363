//! How a charge makes a price of usage.

use serde::{Deserialize, Serialize};

use super::custom::Parameters;
use super::matrix::Matrix;
use super::number::Number;
use super::percentage::Percentage;
use super::tiers::{RateTier, Tier};
use super::time_of_use::TimeOfUse;

/// A pricing model. In JSON an object whose `type` is the model's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Model {
    /// One amount, whatever is used.
    Flat {
        /// The amount.
        amount: Number,
    },
    /// Every unit at the same price.
    PerUnit {
        /// The price of a unit.
        unit_price: Number,
    },
    /// Each unit at the price of the tier that it lies in.
    Graduated {
        /// In ascending order, the last one open.
        tiers: Vec<Tier>,
    },
    /// All units at the price of the tier that their number lies in.
    Volume {
        /// In ascending order, the last one open.
        tiers: Vec<Tier>,
    },
    /// Whole packages: one that is begun is paid. Free units are the charge's
    /// included ones, and are taken off before packages are counted.
    Package {
        /// Units in a package.
        package_size: Number,
        /// The price of a package.
        package_price: Number,
    },
    /// A share of the amounts of events.
    Percentage(Percentage),
    /// A share of the sum of amounts, each part of it at the rate of the tier
    /// that it lies in.
    GraduatedPercentage {
        /// In ascending order, the last one open.
        tiers: Vec<RateTier>,
    },
    /// The sum of the amounts that the events give.
    Dynamic {},
    /// A price by the values of up to four dimensions, such as region and model.
    Matrix(Matrix),
    /// A price by hour of day, day of week and month, in local time.
    TimeOfUse(TimeOfUse),
    /// A price that a component of the operator's own makes of any usage. It has
    /// bounds and free units of its own, if any.
    Custom {
        /// What the component is told beside the usage.
        #[serde(default)]
        parameters: Parameters,
    },
}

impl Model {
    /// Whether the model prices one quantity, so that units of it can be
    /// included, and so that it can be known in advance.
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
