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
mod tests {
    use super::*;
    use crate::money::Currency;

    fn date(text: &str) -> NaiveDate {
        text.parse()
            .unwrap_or_else(|error| panic!("{text:?} in the table is no date: {error}"))
    }

    /// Reads `2026-01-01..2026-02-01`.
    fn range(text: &str) -> Range<NaiveDate> {
        let (start, end) = text
            .split_once("..")
            .unwrap_or_else(|| panic!("write {text:?} in the table as start..end"));
        date(start)..date(end)
    }

    /// Reads `12.50 USD`.
    fn money(text: &str) -> Money {
        let (amount, code) = text
            .split_once(' ')
            .unwrap_or_else(|| panic!("write {text:?} in the table as `12.50 USD`"));
        let amount = amount
            .parse()
            .unwrap_or_else(|error| panic!("{amount:?} in the table: {error}"));
        let currency =
            Currency::parse(code).unwrap_or_else(|error| panic!("{code:?} in the table: {error}"));
        Money::new(amount, currency)
    }

    const JANUARY: &str = "2026-01-01..2026-02-01";
    const FEBRUARY: &str = "2026-02-01..2026-03-01";
    const MID_MAY: &str = "2026-05-15..2026-06-15";

    #[test]
    fn a_part_of_a_period_costs_its_share() {
        use Proration::{Actual, Fixed30};
        for (amount, policy, period, part, expected) in [
            // Published answers.
            (
                "100 USD",
                Actual,
                JANUARY,
                "2026-01-17..2026-02-01",
                "48.39 USD",
            ),
            (
                "100 USD",
                Actual,
                JANUARY,
                "2026-01-22..2026-02-01",
                "32.26 USD",
            ),
            (
                "1000 JPY",
                Actual,
                JANUARY,
                "2026-01-05..2026-01-15",
                "323 JPY",
            ),
            (
                "19.95 USD",
                Fixed30,
                MID_MAY,
                "2026-05-15..2026-05-23",
                "5.32 USD",
            ),
            (
                "19.95 USD",
                Fixed30,
                MID_MAY,
                "2026-05-23..2026-06-15",
                "14.63 USD",
            ),
            // A month whose subscription began on the 5th, after a trial of 45 days.
            (
                "5000000 USD",
                Actual,
                "2024-04-01..2024-05-01",
                "2024-04-19..2024-05-01",
                "2000000.00 USD",
            ),
            (
                "5000000 USD",
                Fixed30,
                "2024-04-01..2024-05-01",
                "2024-04-19..2024-05-01",
                "2000000.00 USD",
            ),
            // Paused at the end of its second day.
            (
                "249.95 USD",
                Actual,
                "2026-03-02..2026-04-02",
                "2026-03-04..2026-04-02",
                "233.82 USD",
            ),
            // Five seats become ten when 15 of 30 days are left.
            (
                "-50 USD",
                Actual,
                "2026-04-01..2026-05-01",
                "2026-04-16..2026-05-01",
                "-25.00 USD",
            ),
            (
                "100 USD",
                Actual,
                "2026-04-01..2026-05-01",
                "2026-04-16..2026-05-01",
                "50.00 USD",
            ),
            ("100 USD", Actual, JANUARY, JANUARY, "100.00 USD"),
            ("100 USD", Fixed30, JANUARY, JANUARY, "100.00 USD"),
            ("100 USD", Fixed30, FEBRUARY, FEBRUARY, "100.00 USD"),
            (
                "100 USD",
                Actual,
                JANUARY,
                "2026-01-09..2026-01-09",
                "0.00 USD",
            ),
            // A leap day counts, and a year is twelve months of 30.
            (
                "366 USD",
                Actual,
                "2028-01-01..2029-01-01",
                "2028-02-29..2028-03-01",
                "1.00 USD",
            ),
            (
                "360 USD",
                Fixed30,
                "2026-01-01..2027-01-01",
                "2026-05-01..2026-05-11",
                "10.00 USD",
            ),
            // An amount finer than the currency is rounded at the end of the part.
            (
                "0.009999 USD",
                Actual,
                "2026-01-01..2026-01-03",
                "2026-01-01..2026-01-02",
                "0.00 USD",
            ),
            (
                "0.010001 USD",
                Actual,
                "2026-01-01..2026-01-03",
                "2026-01-01..2026-01-02",
                "0.01 USD",
            ),
            (
                "999999999999.999999999 USD",
                Actual,
                JANUARY,
                JANUARY,
                "1000000000000.00 USD",
            ),
            // Three days of a cent: none of them costs a third.
            (
                "0.01 USD",
                Actual,
                "2026-01-01..2026-01-04",
                "2026-01-01..2026-01-02",
                "0.00 USD",
            ),
            (
                "0.01 USD",
                Actual,
                "2026-01-01..2026-01-04",
                "2026-01-02..2026-01-03",
                "0.01 USD",
            ),
            (
                "0.01 USD",
                Actual,
                "2026-01-01..2026-01-04",
                "2026-01-03..2026-01-04",
                "0.00 USD",
            ),
        ] {
            let got = prorate(
                money(amount),
                policy,
                range(period),
                range(part),
                Rounding::HalfEven,
            );
            assert_eq!(
                got.map(|part| part.to_string()),
                Ok(expected.to_owned()),
                "{amount} for {part} of {period}, {policy:?}: fix prorate or this row"
            );
        }
    }

    #[test]
    fn days_are_counted_by_the_policy() {
        for (period, part, actual, fixed) in [
            (MID_MAY, "2026-05-15..2026-05-23", (8, 31), (8, 30)),
            (MID_MAY, "2026-05-23..2026-06-15", (23, 31), (22, 30)),
            // The 31st counts as the 30th: 30 January costs nothing, and no more than
            // the month's 30 days are left from the 1st.
            (JANUARY, "2026-01-30..2026-01-31", (1, 31), (0, 30)),
            (JANUARY, "2026-01-31..2026-02-01", (1, 31), (1, 30)),
            (JANUARY, "2026-01-02..2026-02-01", (30, 31), (29, 30)),
            // The last day of February has what the month lacks.
            (FEBRUARY, "2026-02-01..2026-02-28", (27, 28), (27, 30)),
            (FEBRUARY, "2026-02-28..2026-03-01", (1, 28), (3, 30)),
            (
                "2028-02-01..2028-03-01",
                "2028-02-29..2028-03-01",
                (1, 29),
                (2, 30),
            ),
            (
                "2028-02-01..2028-03-01",
                "2028-02-28..2028-02-29",
                (1, 29),
                (1, 30),
            ),
            // Months anchored to a day that one of them lacks have 30 days too.
            (
                "2026-01-31..2026-02-28",
                "2026-01-31..2026-02-28",
                (28, 28),
                (30, 30),
            ),
            (
                "2026-01-31..2026-02-28",
                "2026-02-27..2026-02-28",
                (1, 28),
                (3, 30),
            ),
            (
                "2026-01-31..2026-02-28",
                "2026-01-31..2026-02-01",
                (1, 28),
                (1, 30),
            ),
            (
                "2026-02-28..2026-03-31",
                "2026-02-28..2026-03-01",
                (1, 31),
                (1, 30),
            ),
            (
                "2026-02-28..2026-03-31",
                "2026-03-30..2026-03-31",
                (1, 31),
                (0, 30),
            ),
            (
                "2026-02-28..2026-03-29",
                "2026-02-28..2026-03-01",
                (1, 29),
                (2, 30),
            ),
            (
                "2026-01-29..2026-02-28",
                "2026-02-27..2026-02-28",
                (1, 30),
                (2, 30),
            ),
            (
                "2026-03-31..2026-04-30",
                "2026-03-31..2026-04-01",
                (1, 30),
                (1, 30),
            ),
            (
                "2026-04-30..2026-05-31",
                "2026-05-30..2026-05-31",
                (1, 31),
                (0, 30),
            ),
            // One that is anchored to a day that every month has.
            (
                "2026-02-28..2026-03-28",
                "2026-02-28..2026-03-01",
                (1, 28),
                (3, 30),
            ),
            // A quarter from the last of January is cut where its months are.
            (
                "2026-01-31..2026-04-30",
                "2026-01-31..2026-02-28",
                (28, 89),
                (30, 90),
            ),
            (
                "2026-01-31..2026-04-30",
                "2026-02-28..2026-03-31",
                (31, 89),
                (30, 90),
            ),
            (
                "2026-01-31..2026-04-30",
                "2026-03-31..2026-04-30",
                (30, 89),
                (30, 90),
            ),
        ] {
            for (policy, expected) in [(Proration::Actual, actual), (Proration::Fixed30, fixed)] {
                let share = policy.share(&range(period), &range(part));
                let got = share.map(|share| (share.days(), share.period_days()));
                assert_eq!(got, Ok(expected), "{part} of {period}, {policy:?}");
            }
        }
    }

    #[test]
    fn moments_are_the_local_dates_of_their_zone() {
        // Paris, over the days on which its clocks change.
        for (start, end, days) in [
            ("2023-03-01T00:10:00+01:00", "2023-04-01T00:00:00+02:00", 31),
            ("2023-10-01T01:10:00+02:00", "2023-11-01T00:00:00+01:00", 31),
        ] {
            let date = |text: &str| {
                chrono::DateTime::parse_from_rfc3339(text)
                    .unwrap_or_else(|error| panic!("{text} in the table: {error}"))
                    .date_naive()
            };
            let period = date(start)..date(end);
            let share = Proration::Actual.share(&period, &period);
            assert_eq!(share.map(PeriodShare::days), Ok(days), "{start} to {end}");
        }
    }

    #[test]
    fn rounding_is_the_callers() {
        // The exact share of one day is -0.125.
        let expected = [
            "-0.12 USD",
            "-0.13 USD",
            "-0.12 USD",
            "-0.13 USD",
            "-0.12 USD",
            "-0.12 USD",
            "-0.13 USD",
        ];
        for (rounding, expected) in Rounding::ALL.into_iter().zip(expected) {
            let got = prorate(
                money("-1 USD"),
                Proration::Actual,
                range("2026-01-01..2026-01-09"),
                range("2026-01-01..2026-01-02"),
                rounding,
            );
            assert_eq!(
                got.map(|part| part.to_string()),
                Ok(expected.to_owned()),
                "an eighth of -1 USD by {rounding:?}: fix share or this row"
            );
        }
    }

    #[test]
    fn periods_that_make_no_sense_are_refused() {
        use Proration::{Actual, Fixed30};
        let day = "2026-01-02..2026-01-03";
        for (amount, policy, period, part, error) in [
            (
                "1 USD",
                Actual,
                "2026-01-02..2026-01-02",
                "2026-01-02..2026-01-02",
                ProrationError::EmptyPeriod,
            ),
            (
                "1 USD",
                Actual,
                "2026-02-01..2026-01-01",
                day,
                ProrationError::EmptyPeriod,
            ),
            (
                "1 USD",
                Actual,
                JANUARY,
                "2026-01-03..2026-01-02",
                ProrationError::InvertedPart,
            ),
            (
                "1 USD",
                Actual,
                JANUARY,
                "2025-12-31..2026-01-02",
                ProrationError::PartOutsidePeriod,
            ),
            (
                "1 USD",
                Fixed30,
                JANUARY,
                "2026-01-31..2026-02-02",
                ProrationError::PartOutsidePeriod,
            ),
            (
                "1 USD",
                Fixed30,
                "2026-01-01..2026-01-08",
                day,
                ProrationError::NotWholeMonths,
            ),
            (
                "1 USD",
                Fixed30,
                "2026-01-01..2026-02-02",
                day,
                ProrationError::NotWholeMonths,
            ),
            (
                "1 USD",
                Fixed30,
                "2026-01-02..2026-02-01",
                day,
                ProrationError::NotWholeMonths,
            ),
            (
                "79228162514264337593543950335 USD",
                Actual,
                JANUARY,
                day,
                ProrationError::Overflow,
            ),
        ] {
            let got = prorate(
                money(amount),
                policy,
                range(period),
                range(part),
                Rounding::HalfEven,
            );
            assert_eq!(
                got,
                Err(error),
                "{amount} for {part} of {period}, {policy:?}"
            );
        }
    }

    #[test]
    fn names_are_stable() {
        for (policy, name) in [
            (Proration::Actual, "actual"),
            (Proration::Fixed30, "fixed_30"),
        ] {
            assert_eq!(
                serde_json::to_value(policy).ok(),
                Some(name.into()),
                "{policy:?}: stored prices name this policy; do not rename it"
            );
            assert_eq!(
                serde_json::from_value::<Proration>(name.into()).ok(),
                Some(policy),
                "{name} must be read"
            );
        }
        for name in ["fixed30", "Actual", ""] {
            assert!(
                serde_json::from_value::<Proration>(name.into()).is_err(),
                "{name:?} names no policy and must be refused"
            );
        }
    }
}
