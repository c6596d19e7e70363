//! The part of a period's price that falls on some of its days, or seconds.
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
//! use shared::money::{AnchoredPeriod, Currency, Money, Proration, Rounding, prorate};
//!
//! let date = |text: &str| text.parse::<NaiveDate>();
//! let period = AnchoredPeriod::new(date("2026-05-15")?..date("2026-06-15")?, 15)?;
//! let price = Money::parse("19.95", Currency::USD)?;
//! let part = |start, end| {
//!     prorate(price, Proration::Fixed30, &period, start..end, Rounding::HalfEven)
//! };
//! let change = date("2026-05-23")?;
//! assert_eq!(part(period.dates().start, change)?.to_string(), "5.32 USD");
//! assert_eq!(part(change, period.dates().end)?.to_string(), "14.63 USD");
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

/// How a period is counted. In JSON `day`, `second`, `fixed_30` or `none`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Proration {
    /// Calendar days. The default.
    #[default]
    #[serde(rename = "day")]
    Day,
    /// Seconds, of which a day has 23, 24 or 25 hours' worth. The period and the part must say
    /// theirs.
    #[serde(rename = "second")]
    Second,
    /// Days of months that have 30 each, so that a part costs the same in every month.
    ///
    /// This is 30E/360, the Eurobond basis (2006 ISDA Definitions, section 4.16(g)):
    /// the 31st counts as the 30th. From the last day of February to 1 March there are
    /// three days, and two in a leap year. In a month that lacks the anchor day of the
    /// [`AnchoredPeriod`], its last day counts as the anchor's. So from each date on which
    /// a month of the subscription begins to the next there are 30 days.
    #[serde(rename = "fixed_30")]
    Fixed30,
    /// Nothing is divided: the part that begins with the period's first day costs all of it, and
    /// any other nothing.
    #[serde(rename = "none")]
    None,
}

/// A part of a period: its dates and, for [`Proration::Second`], its seconds since 1970, the end
/// of each exclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodPart {
    dates: Range<NaiveDate>,
    secs: Option<Range<i64>>,
}

impl PeriodPart {
    /// The part of these dates and seconds.
    pub const fn new(dates: Range<NaiveDate>, secs: Range<i64>) -> Self {
        Self {
            dates,
            secs: Some(secs),
        }
    }
}

impl From<Range<NaiveDate>> for PeriodPart {
    fn from(dates: Range<NaiveDate>) -> Self {
        Self { dates, secs: None }
    }
}

/// The period of a price: its dates, the end exclusive, and the day of the month on which the
/// months of its subscription begin.
///
/// They are the local dates of one time zone, the subscription's. The anchor day is said and not
/// guessed: 28 February 2026 to 28 March 2026 is a month of a subscription of the 28th, while the
/// same first date begins a month of one of the 31st, which ends on 31 March.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchoredPeriod {
    dates: Range<NaiveDate>,
    secs: Option<Range<i64>>,
    anchor_day: u32,
}

/// Which days of a period a part of it has, and out of how many; under [`Proration::Second`]
/// which seconds, and under [`Proration::None`] all of one or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeriodShare {
    /// Of the period before the part.
    start: u32,
    /// Of the period through the part's last.
    end: u32,
    /// Of the period.
    whole: u32,
}

/// The part of `amount`, the price of `period`, that falls on `part`.
///
/// The part has dates of the period's zone, the end exclusive: a moment has the date that the
/// zone's offset at this moment gives. The day of a change belongs to the part that begins with
/// it.
///
/// Adjacent parts from the start of the period to its end sum exactly to the amount as
/// `rounding` rounds it to the currency's exponent. Each is at most one minor unit off
/// its exact share, so that two parts of equal length can differ. A negative amount, such
/// as a credit, gives negative parts.
///
/// # Errors
///
/// [`ProrationError`], when the part is inverted or reaches outside the period, or, under
/// [`Proration::Fixed30`], the period is not a whole number of months from anchor to anchor, or,
/// under [`Proration::Second`], one of them does not say its seconds.
pub fn prorate(
    amount: Money,
    policy: Proration,
    period: &AnchoredPeriod,
    part: impl Into<PeriodPart>,
    rounding: Rounding,
) -> Result<Money, ProrationError> {
    policy.share(period, &part.into())?.of(amount, rounding)
}

impl AnchoredPeriod {
    /// The period of `dates`, of a subscription whose months begin on `anchor_day`, 1 to 31, or
    /// on the last day of a month that lacks it.
    ///
    /// # Errors
    ///
    /// [`ProrationError::EmptyPeriod`] and [`ProrationError::NoSuchAnchorDay`].
    pub fn new(dates: Range<NaiveDate>, anchor_day: u32) -> Result<Self, ProrationError> {
        if dates.end <= dates.start {
            return Err(ProrationError::EmptyPeriod);
        }
        if !(1..=31).contains(&anchor_day) {
            return Err(ProrationError::NoSuchAnchorDay);
        }
        Ok(Self {
            dates,
            secs: None,
            anchor_day,
        })
    }

    /// The same period with its seconds since 1970, the end exclusive, for
    /// [`Proration::Second`].
    ///
    /// # Errors
    ///
    /// [`ProrationError::EmptyPeriod`].
    pub fn with_secs(mut self, secs: Range<i64>) -> Result<Self, ProrationError> {
        if secs.end <= secs.start {
            return Err(ProrationError::EmptyPeriod);
        }
        self.secs = Some(secs);
        Ok(self)
    }

    /// Its dates, the end exclusive.
    pub const fn dates(&self) -> &Range<NaiveDate> {
        &self.dates
    }

    /// The day of the month on which the months of its subscription begin, 1 to 31.
    pub const fn anchor_day(&self) -> u32 {
        self.anchor_day
    }

    /// Whether it begins and ends where months of its subscription begin.
    fn is_whole_months(&self) -> bool {
        let is_anchored = |date: NaiveDate| {
            date.day() == self.anchor_day || (date.day() < self.anchor_day && ends_month(date))
        };
        is_anchored(self.dates.start) && is_anchored(self.dates.end)
    }
}

impl Proration {
    /// What `part` has of `period`, for several prices and for the words of an invoice.
    ///
    /// # Errors
    ///
    /// As for [`prorate`].
    pub fn share(
        self,
        period: &AnchoredPeriod,
        part: &PeriodPart,
    ) -> Result<PeriodShare, ProrationError> {
        let whole = &period.dates;
        if self == Self::Second {
            let whole = period.secs.as_ref().ok_or(ProrationError::NoSeconds)?;
            let part = part.secs.as_ref().ok_or(ProrationError::NoSeconds)?;
            return share_by(whole, part, |second| *second);
        }
        if self == Self::Fixed30 && !period.is_whole_months() {
            return Err(ProrationError::NotWholeMonths);
        }
        share_by(whole, &part.dates, |date| match self {
            Self::Day | Self::Second => i64::from(date.num_days_from_ce()),
            Self::Fixed30 => fixed_30_number(*date, period.anchor_day),
            Self::None => i64::from(*date > whole.start),
        })
    }
}

/// The share of a part, of which `number` counts the bounds.
fn share_by<T: PartialOrd>(
    whole: &Range<T>,
    part: &Range<T>,
    number: impl Fn(&T) -> i64,
) -> Result<PeriodShare, ProrationError> {
    if part.end < part.start {
        return Err(ProrationError::InvertedPart);
    }
    if part.start < whole.start || part.end > whole.end {
        return Err(ProrationError::PartOutsidePeriod);
    }
    let start = number(&whole.start);
    // The calendar has 2^28 days, and 2^32 seconds are 136 years.
    let since_start =
        |at: &T| u32::try_from(number(at) - start).map_err(|_| ProrationError::Overflow);
    Ok(PeriodShare {
        start: since_start(&part.start)?,
        end: since_start(&part.end)?,
        whole: since_start(&whole.end)?,
    })
}

impl PeriodShare {
    /// The days, or seconds, of the part, as the policy counts them.
    pub const fn count(self) -> u32 {
        self.end - self.start
    }

    /// The days, or seconds, of the period, as the policy counts them.
    pub const fn period_count(self) -> u32 {
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

/// `amount * count / whole`, rounded once from the exact quotient.
fn share(
    amount: Money,
    count: u32,
    whole: u32,
    rounding: Rounding,
) -> Result<Money, ProrationError> {
    let exponent = amount.currency().exponent();
    let decimal = amount.amount();
    let negative = decimal.is_sign_negative();
    // The widest numerator is 2^32 * 10^4 < 2^46, and the widest denominator
    // 2^32 * 10^28 < 2^126.
    let numerator = u128::from(count) * 10_u128.pow(exponent);
    let denominator = u128::from(whole)
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
    /// The anchor day is not a day of a month, 1 to 31.
    NoSuchAnchorDay,
    /// The part ends before it starts.
    InvertedPart,
    /// The part reaches outside the period.
    PartOutsidePeriod,
    /// [`Proration::Fixed30`] needs a period of whole months, from anchor to anchor.
    NotWholeMonths,
    /// [`Proration::Second`] needs the seconds of the period and of the part.
    NoSeconds,
    /// A part needs more digits than a decimal holds when it is written in the
    /// currency's minor units.
    Overflow,
}

impl fmt::Display for ProrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyPeriod => "A period must end after it starts.",
            Self::NoSuchAnchorDay => "An anchor day must be a day of a month, 1 to 31.",
            Self::InvertedPart => "A part of a period must not end before it starts.",
            Self::PartOutsidePeriod => "A part of a period must lie within it.",
            Self::NotWholeMonths => {
                "Proration by months of 30 days needs a period of whole months from the anchor day."
            }
            Self::NoSeconds => "Proration by seconds needs those of the period and of its part.",
            Self::Overflow => "The amount is too large to be prorated.",
        })
    }
}

impl Error for ProrationError {}

#[cfg(test)]
mod tests;
