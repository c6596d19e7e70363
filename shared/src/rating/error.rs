//! Why something cannot be rated.

use std::error::Error;
use std::fmt;

use super::line::Item;
use super::usage::MAX_USAGE_ROWS;

/// A line cannot be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RatingError {
    /// The charge, or the adjustment of the plan, that cannot be rated.
    pub item: Item,
    /// The reason.
    pub reason: Reason,
}

/// Why a line cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// An amount is 10^12 or more, or an intermediate result is 1.7 * 10^20 or more.
    AmountTooLarge,
    /// The parts of the usage sum to 10^12 or more, or there are that many packages.
    QuantityTooLarge,
    /// The usage has more than [`MAX_USAGE_ROWS`] parts.
    TooMuchUsage,
    /// The usage is of another kind than the model prices.
    UsageOfAnotherKind,
    /// The matrix has no such cell and no default.
    NoSuchCell,
    /// The hour or the month does not exist.
    NoSuchHour,
    /// The plan has no such charge.
    NoSuchCharge,
    /// A trial is to be rated, and the plan has none.
    NoTrial,
    /// Two lines differ in charge, currency or rounding policy.
    LinesDiffer,
    /// The charge does not pass its `check`.
    UncheckedCharge,
    /// The charge has a custom model, and its lines were not given.
    NotPriced,
}

impl Reason {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AmountTooLarge => "amount_too_large",
            Self::QuantityTooLarge => "quantity_too_large",
            Self::TooMuchUsage => "too_much_usage",
            Self::UsageOfAnotherKind => "usage_of_another_kind",
            Self::NoSuchCell => "no_such_cell",
            Self::NoSuchHour => "no_such_hour",
            Self::NoSuchCharge => "no_such_charge",
            Self::NoTrial => "no_trial",
            Self::LinesDiffer => "lines_differ",
            Self::UncheckedCharge => "unchecked_charge",
            Self::NotPriced => "not_priced",
        }
    }

    pub(super) fn of(self, item: Item) -> RatingError {
        RatingError { item, reason: self }
    }

    pub(super) fn of_charge(self, code: &str) -> RatingError {
        self.of(Item::Charge {
            charge: code.to_owned(),
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AmountTooLarge => f.write_str("the amount is too large to be exact"),
            Self::QuantityTooLarge => f.write_str("the quantity has more than 12 digits"),
            Self::TooMuchUsage => write!(f, "the usage has more than {MAX_USAGE_ROWS} parts"),
            Self::UsageOfAnotherKind => {
                f.write_str("the usage is of another kind than the model prices")
            }
            Self::NoSuchCell => f.write_str("the matrix has no such cell and no default"),
            Self::NoSuchHour => f.write_str("an hour is from 0 to 23, and a month from 1 to 12"),
            Self::NoSuchCharge => f.write_str("the plan has no such charge"),
            Self::NoTrial => f.write_str("the plan has no trial"),
            Self::LinesDiffer => {
                f.write_str("the lines are not of one charge, currency and rounding")
            }
            Self::UncheckedCharge => f.write_str("the charge has a mistake that its check names"),
            Self::NotPriced => {
                f.write_str("the charge has a custom model, whose lines were not given")
            }
        }
    }
}

impl fmt::Display for RatingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}.", self.item, self.reason)
    }
}

impl Error for Reason {}
impl Error for RatingError {}
