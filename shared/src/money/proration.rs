//! The part of a period's price that falls on some of its days.
//!
//! [`prorate`] is the one function for this. A part is what is due through its last day
//! less what is due before its first one, each rounded from the beginning of the
//! period. So the parts of a period sum to its price, to the minor unit, wherever it is
//! cut, and each of them can be worked out without knowing the others: what is billed
//! for the days before a change and what is credited for the days after it are the
//! whole.
//!
//! ```
//! use chrono::NaiveDate;
//! use shared::money::{Currency, Money, Proration, Rounding, prorate};
//!
//! let date = |text: &str| text.parse::<NaiveDate>();
//! let period = date("2026-05-15")?..date("2026-06-15")?;
//! let price = Money::parse("19.95", Currency::USD)?;
//! let part = |start, end| {
//!     prorate(price, Proration::Fixed30, period.clone(), start..end, Rounding::HalfEven)
//! };
//! let change = date("2026-05-23")?;
//! assert_eq!(part(period.start, change)?.to_string(), "5.32 USD");
//! assert_eq!(part(change, period.end)?.to_string(), "14.63 USD");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::error::Error;
use std::fmt;
use std::ops::Range;

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use super::ratio::mul_div;
use super::{Money, Rounding, signed_decimal};

/// The days of a month under [`Proration::Fixed30`].
const FIXED_MONTH_DAYS: i64 = 30;

/// How the days of a period are counted. In JSON `actual` or `fixed_30`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Proration {
    /// Calendar days. The default.
    #[default]
    #[serde(rename = "actual")]
    Actual,
    /// Days of months that have 30 each, so that a part costs the same in every month.
    ///
    /// This is 30E/360, the Eurobond basis (2006 ISDA Definitions, section 4.16(g)):
    /// the 31st counts as the 30th. From the last day of February to 1 March there are
    /// three days, and two in a leap year. A period that is anchored to a day which one
    /// of its months lacks begins, or ends, on the last day of that month: this day
    /// counts as the anchor's there. So each month of a period has 30 days, wherever it
    /// begins.
    #[serde(rename = "fixed_30")]
    Fixed30,
}

/// Which days of a period a part of it has, and out of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeriodShare {
    /// Days of the period before the part.
    start: u32,
    /// Days of the period through the part's last.
    end: u32,
    /// Days of the period.
    whole: u32,
}

/// The part of `amount`, the price of `period`, that falls on `part`.
///
/// Both ranges are of dates, their ends exclusive. They are the local dates of one time
/// zone, the subscription's: a moment has the date that the zone's offset at this moment
/// gives. The day of a change belongs to the part that begins with it.
///
/// Adjacent parts from the start of the period to its end sum exactly to the amount as
/// `rounding` rounds it to the currency's exponent. Each is at most one minor unit off
/// its exact share, so that two parts of equal length can differ. A negative amount, such
/// as a credit, gives negative parts.
///
/// # Errors
///
/// [`ProrationError`], when the period is empty, the part is inverted or reaches outside
/// it, or, under [`Proration::Fixed30`], the period is not a whole number of months.
pub fn prorate(
    amount: Money,
    policy: Proration,
    period: Range<NaiveDate>,
    part: Range<NaiveDate>,
    rounding: Rounding,
) -> Result<Money, ProrationError> {
    policy.share(&period, &part)?.of(amount, rounding)
}

impl Proration {
    /// The days that `part` has of `period`, for several prices and for the words of an
    /// invoice. Ranges are as for [`prorate`].
    ///
    /// # Errors
    ///
    /// As for [`prorate`].
    pub fn share(
        self,
        period: &Range<NaiveDate>,
        part: &Range<NaiveDate>,
    ) -> Result<PeriodShare, ProrationError> {
        if period.end <= period.start {
            return Err(ProrationError::EmptyPeriod);
        }
        if part.end < part.start {
            return Err(ProrationError::InvertedPart);
        }
        if part.start < period.start || part.end > period.end {
            return Err(ProrationError::PartOutsidePeriod);
        }
        if self == Self::Fixed30 && !is_whole_months(period) {
            return Err(ProrationError::NotWholeMonths);
        }
        let anchor_day = period.start.day().max(period.end.day());
        let number = |date: NaiveDate| match self {
            Self::Actual => i64::from(date.num_days_from_ce()),
            Self::Fixed30 => fixed_30_number(date, anchor_day),
        };
        // The calendar has 2^28 days, so the fallback only avoids a panic.
        let since_start = |date: NaiveDate| {
            u32::try_from(number(date) - number(period.start)).map_err(|_| ProrationError::Overflow)
        };
        Ok(PeriodShare {
            start: since_start(part.start)?,
            end: since_start(part.end)?,
            whole: since_start(period.end)?,
        })
    }
}

impl PeriodShare {
    /// The days of the part, as the policy counts them.
    pub const fn days(self) -> u32 {
        self.end - self.start
    }

    /// The days of the period, as the policy counts them.
    pub const fn period_days(self) -> u32 {
        self.whole
    }

    /// The part of `amount`, as for [`prorate`].
    ///
    /// # Errors
    ///
    /// [`ProrationError::Overflow`].
    pub fn of(self, amount: Money, rounding: Rounding) -> Result<Money, ProrationError> {
        let through_end = share(amount, self.end, self.whole, rounding)?;
        let before = share(amount, self.start, self.whole, rounding)?;
        through_end
            .checked_sub(before)
            .map_err(|_| ProrationError::Overflow)
    }
}

/// `amount * days / whole_days`, rounded once from the exact quotient.
fn share(
    amount: Money,
    days: u32,
    whole_days: u32,
    rounding: Rounding,
) -> Result<Money, ProrationError> {
    let exponent = amount.currency().exponent();
    let decimal = amount.amount();
    let negative = decimal.is_sign_negative();
    // The widest numerator is 2^32 * 10^4 < 2^46, and the widest denominator
    // 2^28 * 10^28 < 2^122.
    let numerator = u128::from(days) * 10_u128.pow(exponent);
    let denominator = u128::from(whole_days)
        .checked_mul(10_u128.pow(decimal.scale()))
        .ok_or(ProrationError::Overflow)?;
    mul_div(decimal.mantissa().unsigned_abs(), numerator, denominator)
        .and_then(|(units, remainder)| {
            rounding.round_quotient(negative, units, remainder, denominator)
        })
        .and_then(|units| signed_decimal(negative, units, exponent))
        .map(|share| Money::new(share, amount.currency()))
        .ok_or(ProrationError::Overflow)
}

/// The number of a date where every month has 30 days. It never falls from one date to
/// the next. The last day of a month without the `anchor_day` has the anchor's number.
fn fixed_30_number(date: NaiveDate, anchor_day: u32) -> i64 {
    let day = if ends_month(date) {
        date.day().max(anchor_day)
    } else {
        date.day()
    };
    month_number(date) * FIXED_MONTH_DAYS + i64::from(day).min(FIXED_MONTH_DAYS)
}

/// Whether the period is a whole number of months.
///
/// A period may be anchored to a day that one of its months lacks: for an anchor
/// on the 31st, 31 January to 28 February and 28 February to 31 March are both
/// one month.
fn is_whole_months(period: &Range<NaiveDate>) -> bool {
    let Range { start, end } = *period;
    let is_anchored = start.day() == end.day()
        || (start.day() < end.day() && ends_month(start))
        || (start.day() > end.day() && ends_month(end));
    is_anchored && month_number(start) < month_number(end)
}

fn month_number(date: NaiveDate) -> i64 {
    i64::from(date.year()) * 12 + i64::from(date.month0())
}

fn ends_month(date: NaiveDate) -> bool {
    date.succ_opt()
        .is_none_or(|next| next.month() != date.month())
}

/// Why a price cannot be prorated as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProrationError {
    /// The period has no day, or ends before it starts.
    EmptyPeriod,
    /// The part ends before it starts.
    InvertedPart,
    /// The part reaches outside the period.
    PartOutsidePeriod,
    /// [`Proration::Fixed30`] needs a period of whole months.
    NotWholeMonths,
    /// A part needs more digits than a decimal holds when it is written in the
    /// currency's minor units.
    Overflow,
}

impl fmt::Display for ProrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyPeriod => "A period must end after it starts.",
            Self::InvertedPart => "A part of a period must not end before it starts.",
            Self::PartOutsidePeriod => "A part of a period must lie within it.",
            Self::NotWholeMonths => {
                "Proration by months of 30 days needs a period of whole months."
            }
            Self::Overflow => "The amount is too large to be prorated.",
        })
    }
}

impl Error for ProrationError {}

#[cfg(test)]
mod tests;
