//! The part of a period's price that falls on the days used.

use std::error::Error;
use std::fmt;
use std::ops::Range;

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use super::ratio::mul_div;
use super::{Leftover, MAX_SPLIT_PARTS, Money, Rounding, SplitError, signed_decimal};

/// The days of a month under [`Proration::Fixed30`].
const FIXED_MONTH_DAYS: u64 = 30;

/// The most days [`fixed_30`] takes: those of the longest month.
pub const FIXED_30_MAX_DAYS: u32 = 31;

/// How the used days of a period become a share of its price. In JSON `actual` or
/// `fixed_30`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Proration {
    /// Calendar days used over calendar days in the period. The default.
    #[default]
    #[serde(rename = "actual")]
    Actual,
    /// Calendar days used over 30 for each month of the period, so that a day
    /// costs the same in every month.
    ///
    /// The share never exceeds the whole: the 31st day of a month is free. A period
    /// that is used entirely costs the whole price, in February too.
    #[serde(rename = "fixed_30")]
    Fixed30,
}

/// The part of `amount`, the price of `period`, that falls on `used`.
///
/// Both ranges are of dates, their ends exclusive. The exact share is rounded once, to
/// the currency's exponent, also for a wholly used period. A negative amount gives a
/// negative part. Rounded parts of several ranges need not sum to the whole: see
/// [`prorate_segments`].
///
/// # Errors
///
/// [`ProrationError`], when a range is inverted, the period is empty, `used`
/// reaches outside it, or, under [`Proration::Fixed30`], the period is not a
/// whole number of months.
pub fn prorate(
    amount: Money,
    policy: Proration,
    period: Range<NaiveDate>,
    used: Range<NaiveDate>,
    rounding: Rounding,
) -> Result<Money, ProrationError> {
    let period_days = days(&period)
        .filter(|days| *days > 0)
        .ok_or(ProrationError::EmptyPeriod)?;
    let used_days = days(&used).ok_or(ProrationError::InvertedUse)?;
    if used.start < period.start || used.end > period.end {
        return Err(ProrationError::UseOutsidePeriod);
    }
    let (part, whole) = match policy {
        Proration::Actual => (used_days, period_days),
        Proration::Fixed30 => {
            let months = whole_months(&period).ok_or(ProrationError::NotWholeMonths)?;
            if used_days == period_days {
                (1, 1)
            } else {
                let whole = FIXED_MONTH_DAYS * months;
                (used_days.min(whole), whole)
            }
        }
    };
    share(amount, part, whole, rounding)
}

/// The part of `amount`, the price of a month, that falls on `days` days of it
/// when every month has 30: the 31st is free. Rounded once, to the currency's
/// exponent.
///
/// # Errors
///
/// [`ProrationError::TooManyDays`] for more than [`FIXED_30_MAX_DAYS`], and
/// [`ProrationError::Overflow`].
pub fn fixed_30(amount: Money, days: u32, rounding: Rounding) -> Result<Money, ProrationError> {
    if days > FIXED_30_MAX_DAYS {
        return Err(ProrationError::TooManyDays);
    }
    let days = u64::from(days).min(FIXED_MONTH_DAYS);
    share(amount, days, FIXED_MONTH_DAYS, rounding)
}

/// Splits `amount`, the price of `period`, over the adjacent `segments` of it by
/// their calendar days, so that the parts sum exactly to the amount.
///
/// The segments follow each other from the period's start to its end without gap
/// or overlap, their ends exclusive; an empty one receives nothing. Parts are
/// made by the largest remainder, with the units of [`Money::split`].
///
/// # Errors
///
/// [`ProrationError::EmptyPeriod`], [`ProrationError::SegmentsNotAdjacent`],
/// [`ProrationError::TooManySegments`], or [`ProrationError::Overflow`].
pub fn prorate_segments(
    amount: Money,
    period: Range<NaiveDate>,
    segments: &[Range<NaiveDate>],
) -> Result<Vec<Money>, ProrationError> {
    if period.end <= period.start {
        return Err(ProrationError::EmptyPeriod);
    }
    if segments.len() > MAX_SPLIT_PARTS {
        return Err(ProrationError::TooManySegments);
    }
    let mut reached = period.start;
    let mut weights = Vec::with_capacity(segments.len());
    for segment in segments {
        if segment.start != reached {
            return Err(ProrationError::SegmentsNotAdjacent);
        }
        let days = days(segment).ok_or(ProrationError::SegmentsNotAdjacent)?;
        weights.push(u128::from(days));
        reached = segment.end;
    }
    if reached != period.end {
        return Err(ProrationError::SegmentsNotAdjacent);
    }
    amount
        .split_by_integers(&weights, Leftover::LargestRemainder)
        .map_err(|error| match error {
            SplitError::TooManyParts => ProrationError::TooManySegments,
            // The period has days and the segments cover it, so neither the number of
            // parts nor a weight can be wrong.
            SplitError::NoParts
            | SplitError::NegativeWeight
            | SplitError::NoPositiveWeight
            | SplitError::WeightsTooWide
            | SplitError::Overflow => ProrationError::Overflow,
        })
}

/// `amount * part / whole`, rounded once from the exact quotient.
fn share(
    amount: Money,
    part: u64,
    whole: u64,
    rounding: Rounding,
) -> Result<Money, ProrationError> {
    let exponent = amount.currency().exponent();
    let decimal = amount.amount();
    let negative = decimal.is_sign_negative();
    // The widest numerator is 2^64 * 10^4 < 2^78. A calendar of 2^28 days keeps
    // the widest denominator at 2^28 * 10^28 < 2^122.
    let numerator = u128::from(part) * 10_u128.pow(exponent);
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

/// The days of a range, or nothing when it is inverted.
fn days(range: &Range<NaiveDate>) -> Option<u64> {
    u64::try_from((range.end - range.start).num_days()).ok()
}

/// How many months the period has, or nothing when it is not a whole number of
/// them.
///
/// A period may be anchored to a day that one of its months lacks: for an anchor
/// on the 31st, 31 January to 28 February and 28 February to 31 March are both
/// one month.
fn whole_months(period: &Range<NaiveDate>) -> Option<u64> {
    let Range { start, end } = period;
    let anchored = start.day() == end.day()
        || (start.day() < end.day() && ends_month(*start))
        || (start.day() > end.day() && ends_month(*end));
    let month = |date: &NaiveDate| i64::from(date.year()) * 12 + i64::from(date.month0());
    u64::try_from(month(end) - month(start))
        .ok()
        .filter(|months| anchored && *months > 0)
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
    /// The range used ends before it starts.
    InvertedUse,
    /// The range used reaches outside the period.
    UseOutsidePeriod,
    /// [`Proration::Fixed30`] needs a period of whole months.
    NotWholeMonths,
    /// More than [`FIXED_30_MAX_DAYS`] of one month.
    TooManyDays,
    /// The segments leave a gap, overlap, or do not reach from the period's
    /// start to its end.
    SegmentsNotAdjacent,
    /// There are more than [`MAX_SPLIT_PARTS`] segments.
    TooManySegments,
    /// A part needs more digits than a decimal holds when it is written in the
    /// currency's minor units.
    Overflow,
}

impl fmt::Display for ProrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyPeriod => f.write_str("A period must end after it starts."),
            Self::InvertedUse => f.write_str("The days used must not end before they start."),
            Self::UseOutsidePeriod => f.write_str("The days used must lie within the period."),
            Self::NotWholeMonths => {
                f.write_str("Proration by months of 30 days needs a period of whole months.")
            }
            Self::TooManyDays => write!(f, "A month has at most {FIXED_30_MAX_DAYS} days."),
            Self::SegmentsNotAdjacent => f.write_str(
                "Segments must follow each other from the period's start to its end, \
                 without gap or overlap.",
            ),
            Self::TooManySegments => write!(
                f,
                "A period may be divided into at most {MAX_SPLIT_PARTS} segments."
            ),
            Self::Overflow => f.write_str("The amount is too large to be prorated."),
        }
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

    #[test]
    fn a_part_of_a_period_costs_its_share() {
        use Proration::{Actual, Fixed30};
        let check = |amount: &str, policy: Proration, period: &str, used: &str, expected: &str| {
            assert_eq!(
                prorate(
                    money(amount),
                    policy,
                    range(period),
                    range(used),
                    Rounding::HalfEven
                )
                .map(|part| part.to_string()),
                Ok(expected.to_owned()),
                "{amount} for {used} of {period}, {policy:?}: fix prorate or this row"
            );
        };
        for (amount, policy, period, used, expected) in [
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
                JANUARY,
                "2026-01-24..2026-02-01",
                "5.32 USD",
            ),
            // A day costs the same in February.
            (
                "19.95 USD",
                Fixed30,
                FEBRUARY,
                "2026-02-21..2026-03-01",
                "5.32 USD",
            ),
            ("100 USD", Actual, JANUARY, JANUARY, "100.00 USD"),
            ("100 USD", Fixed30, JANUARY, JANUARY, "100.00 USD"),
            ("100 USD", Fixed30, FEBRUARY, FEBRUARY, "100.00 USD"),
            // The 31st is free; 27 of February's 28 days are 27 of 30.
            (
                "100 USD",
                Fixed30,
                JANUARY,
                "2026-01-02..2026-02-01",
                "100.00 USD",
            ),
            (
                "100 USD",
                Fixed30,
                FEBRUARY,
                "2026-02-02..2026-03-01",
                "90.00 USD",
            ),
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
            // Months anchored to a day that one of them lacks.
            (
                "30 USD",
                Fixed30,
                "2026-01-31..2026-02-28",
                "2026-02-01..2026-02-02",
                "1.00 USD",
            ),
            (
                "30 USD",
                Fixed30,
                "2026-02-28..2026-03-31",
                "2026-03-01..2026-03-02",
                "1.00 USD",
            ),
            // A credit is prorated as a charge is.
            (
                "-100 USD",
                Actual,
                JANUARY,
                "2026-01-17..2026-02-01",
                "-48.39 USD",
            ),
            // An amount finer than the currency is rounded once, at the end.
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
        ] {
            check(amount, policy, period, used, expected);
        }
    }

    #[test]
    fn rounding_is_the_callers() {
        let check = |rounding: Rounding, expected: &str| {
            assert_eq!(
                prorate(
                    money("-1 USD"),
                    Proration::Actual,
                    range("2026-01-01..2026-01-09"),
                    range("2026-01-01..2026-01-02"),
                    rounding,
                )
                .map(|part| part.to_string()),
                Ok(expected.to_owned()),
                "an eighth of -1 USD by {rounding:?}: fix share or this row"
            );
        };
        // The exact share is -0.125.
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
            check(rounding, expected);
        }
    }

    #[test]
    fn periods_that_make_no_sense_are_refused() {
        use Proration::{Actual, Fixed30};
        let check =
            |amount: &str, policy: Proration, period: &str, used: &str, error: ProrationError| {
                assert_eq!(
                    prorate(
                        money(amount),
                        policy,
                        range(period),
                        range(used),
                        Rounding::HalfEven
                    ),
                    Err(error),
                    "{used} of {period}, {policy:?}: fix prorate or this row"
                );
            };
        let day = "2026-01-02..2026-01-03";
        for (policy, period, used, error) in [
            (
                Actual,
                "2026-01-02..2026-01-02",
                "2026-01-02..2026-01-02",
                ProrationError::EmptyPeriod,
            ),
            (
                Actual,
                "2026-02-01..2026-01-01",
                day,
                ProrationError::EmptyPeriod,
            ),
            (
                Actual,
                JANUARY,
                "2026-01-03..2026-01-02",
                ProrationError::InvertedUse,
            ),
            (
                Actual,
                JANUARY,
                "2025-12-31..2026-01-02",
                ProrationError::UseOutsidePeriod,
            ),
            (
                Fixed30,
                JANUARY,
                "2026-01-31..2026-02-02",
                ProrationError::UseOutsidePeriod,
            ),
            (
                Fixed30,
                "2026-01-01..2026-01-08",
                day,
                ProrationError::NotWholeMonths,
            ),
            (
                Fixed30,
                "2026-01-01..2026-02-02",
                day,
                ProrationError::NotWholeMonths,
            ),
            (
                Fixed30,
                "2026-01-02..2026-02-01",
                day,
                ProrationError::NotWholeMonths,
            ),
        ] {
            check("1 USD", policy, period, used, error);
        }
        check(
            "79228162514264337593543950335 USD",
            Actual,
            JANUARY,
            day,
            ProrationError::Overflow,
        );
    }

    #[test]
    fn fixed_30_counts_days() {
        let check = |amount: &str, days: u32, expected: Result<&str, ProrationError>| {
            assert_eq!(
                fixed_30(money(amount), days, Rounding::HalfEven).map(|part| part.to_string()),
                expected.map(str::to_owned),
                "{amount} a month for {days} days: fix fixed_30 or this row"
            );
        };
        for (amount, days, expected) in [
            ("19.95 USD", 8, Ok("5.32 USD")),
            ("19.95 USD", 0, Ok("0.00 USD")),
            ("19.95 USD", 30, Ok("19.95 USD")),
            ("19.95 USD", 31, Ok("19.95 USD")),
            ("-19.95 USD", 8, Ok("-5.32 USD")),
            ("1000 JPY", 10, Ok("333 JPY")),
            ("1 USD", 32, Err(ProrationError::TooManyDays)),
            ("1 USD", u32::MAX, Err(ProrationError::TooManyDays)),
        ] {
            check(amount, days, expected);
        }
    }

    #[test]
    fn segments_sum_to_the_whole_or_are_refused() {
        let check = |segments: &[&str], expected: Result<&[&str], ProrationError>| {
            let segments: Vec<_> = segments.iter().map(|text| range(text)).collect();
            assert_eq!(
                prorate_segments(money("100 USD"), range(JANUARY), &segments)
                    .map(|parts| parts.iter().map(Money::to_string).collect::<Vec<_>>()),
                expected.map(|parts| parts.iter().map(|part| (*part).to_owned()).collect()),
                "100 USD over {segments:?}: fix prorate_segments or this row"
            );
        };
        let not_adjacent = Err(ProrationError::SegmentsNotAdjacent);
        for (segments, expected) in [
            (&[JANUARY][..], Ok(&["100.00 USD"][..])),
            // 10, 10 and 11 of 31 days: 32.258, 32.258 and 35.484 exactly.
            (
                &[
                    "2026-01-01..2026-01-11",
                    "2026-01-11..2026-01-21",
                    "2026-01-21..2026-02-01",
                ],
                Ok(&["32.26 USD", "32.26 USD", "35.48 USD"]),
            ),
            (
                &["2026-01-01..2026-01-01", "2026-01-01..2026-02-01"],
                Ok(&["0.00 USD", "100.00 USD"]),
            ),
            (&[], not_adjacent),
            (&["2026-01-02..2026-02-01"], not_adjacent),
            (&["2026-01-01..2026-01-31"], not_adjacent),
            (&["2026-01-01..2026-02-02"], not_adjacent),
            (
                &["2026-01-01..2026-01-10", "2026-01-11..2026-02-01"],
                not_adjacent,
            ),
            (
                &["2026-01-01..2026-01-12", "2026-01-11..2026-02-01"],
                not_adjacent,
            ),
            (
                &[
                    "2026-01-01..2026-02-01",
                    "2026-02-01..2026-01-01",
                    "2026-01-01..2026-02-01",
                ],
                not_adjacent,
            ),
        ] {
            check(segments, expected);
        }
        assert_eq!(
            prorate_segments(money("1 USD"), range("2026-02-01..2026-01-01"), &[]),
            Err(ProrationError::EmptyPeriod),
            "an inverted period is refused"
        );
        let many = vec![range("2026-01-01..2026-01-01"); MAX_SPLIT_PARTS + 1];
        assert_eq!(
            prorate_segments(money("1 USD"), range(JANUARY), &many),
            Err(ProrationError::TooManySegments),
            "more segments than the limit are refused"
        );
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
