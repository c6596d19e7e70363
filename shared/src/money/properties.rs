//! What holds for every amount, checked on random ones.

use std::ops::Range;

use chrono::{Days, NaiveDate};
use proptest::prelude::*;
use rust_decimal::{Decimal, RoundingStrategy};

use super::*;

/// Currencies of every exponent.
fn currency() -> impl Strategy<Value = Currency> {
    prop::sample::select(Currency::all().collect::<Vec<_>>())
}

/// Amounts within the limits of [`parse_amount`], to either limit.
fn amount() -> impl Strategy<Value = Decimal> {
    let widest = 10_i64.pow(12);
    prop_oneof![
        (-widest + 1..widest, 0_u32..=9)
            .prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale)),
        // Small numbers with few digits, where ties and zeros are common.
        (-2000_i64..2000, 0_u32..=4).prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale)),
    ]
}

fn money() -> impl Strategy<Value = Money> {
    (amount(), currency()).prop_map(|(amount, currency)| Money::new(amount, currency))
}

fn rounding() -> impl Strategy<Value = Rounding> {
    prop::sample::select(Rounding::ALL.to_vec())
}

fn weights() -> impl Strategy<Value = Vec<Decimal>> {
    let weight =
        (0_i64..1_000_000, 0_u32..=6).prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale));
    let small = (0_i64..4).prop_map(Decimal::from);
    prop::collection::vec(prop_oneof![weight, small], 1..20)
        .prop_filter("at least one weight must be above zero", |weights| {
            weights.iter().any(|weight| !weight.is_zero())
        })
}

/// Dates that divide a period, its start and end among them.
fn boundaries() -> impl Strategy<Value = Vec<NaiveDate>> {
    let first = (1990_i32..2100, 1_u32..=12, 1_u32..=28)
        .prop_filter_map("every month has 28 days", |(year, month, day)| {
            NaiveDate::from_ymd_opt(year, month, day)
        });
    (first, prop::collection::vec(0_u64..400, 1..12)).prop_filter_map(
        "a period has at least one day",
        |(first, lengths)| {
            let mut dates = vec![first];
            for length in lengths {
                dates.push(dates.last()?.checked_add_days(Days::new(length))?);
            }
            (dates.first() < dates.last()).then_some(dates)
        },
    )
}

fn segments(boundaries: &[NaiveDate]) -> Vec<Range<NaiveDate>> {
    boundaries.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

fn sum(parts: &[Money], currency: Currency) -> Result<Money, MoneyError> {
    parts
        .iter()
        .try_fold(Money::zero(currency), |sum, part| sum.checked_add(*part))
}

/// One unit of the last digit that a split of `whole` may use.
fn unit(whole: Money) -> Decimal {
    let scale = whole.amount().normalize().scale();
    Decimal::new(1, scale.max(whole.currency().exponent()))
}

/// `value` in units of its own last digit at `scale`.
fn units(value: Decimal, scale: u32) -> i128 {
    value.mantissa() * 10_i128.pow(scale - value.scale())
}

proptest! {
    #[test]
    fn split_parts_sum_to_the_whole(whole in money(), weights in weights()) {
        for leftover in [Leftover::LargestRemainder, Leftover::EarliestFirst] {
            let parts = whole.split_with(&weights, leftover)
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(parts.len(), weights.len());
            prop_assert_eq!(sum(&parts, whole.currency()), Ok(whole));
            for (part, weight) in parts.iter().zip(&weights) {
                prop_assert!(!weight.is_zero() || part.is_zero(), "a zero weight received {part}");
                prop_assert!(part.is_zero() || part.is_negative() == whole.is_negative());
                prop_assert!(part.amount().scale() <= unit(whole).scale());
            }
        }
    }

    #[test]
    fn split_parts_are_within_one_unit_of_their_share(whole in money(), weights in weights()) {
        let parts = whole.split(&weights)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        let scale = unit(whole).scale();
        let whole_units = units(whole.amount().normalize(), scale);
        let integers: Vec<i128> = weights.iter().map(|weight| units(*weight, 6)).collect();
        let total: i128 = integers.iter().sum();
        for (part, weight) in parts.iter().zip(integers) {
            // |part - whole * weight / total| < 1 unit, without dividing.
            let part_units = units(part.amount(), scale);
            let difference = part_units * total - whole_units * weight;
            prop_assert!(difference.abs() < total, "{part} is a unit or more off its share");
        }
    }

    #[test]
    fn a_negative_amount_splits_symmetrically(whole in money(), weights in weights()) {
        let negated = (-whole).split(&weights).map(|parts| parts.iter().map(|part| -*part).collect());
        prop_assert_eq!(whole.split(&weights), negated);
    }

    #[test]
    fn only_the_proportions_of_weights_count(whole in money(), weights in weights(), factor in 1_i64..1000) {
        let scaled: Vec<Decimal> = weights.iter().map(|weight| weight * Decimal::from(factor)).collect();
        prop_assert_eq!(whole.split(&weights), whole.split(&scaled));
    }

    #[test]
    fn even_parts_differ_by_one_unit_at_most(whole in money(), count in 1_usize..50) {
        let parts = whole.split_even(count)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(sum(&parts, whole.currency()), Ok(whole));
        let amounts = || parts.iter().map(|part| part.amount().abs());
        let spread = amounts().max().unwrap_or_default() - amounts().min().unwrap_or_default();
        prop_assert!(spread <= unit(whole), "parts differ by {spread}");
        prop_assert!(amounts().is_sorted_by(|left, right| left >= right), "larger parts come first");
    }

    #[test]
    fn rounding_is_idempotent_and_close(value in money(), rounding in rounding(), decimals in 0_u32..10) {
        let rounded = value.round_to(decimals, rounding);
        prop_assert_eq!(rounded.round_to(decimals, rounding), rounded);
        prop_assert!(rounded.amount().scale() <= decimals || rounded == value);
        let error = rounded.amount() - value.amount();
        let unit = Decimal::new(1, decimals);
        match rounding {
            Rounding::HalfEven | Rounding::HalfUp | Rounding::HalfDown => {
                prop_assert!(error.abs() * Decimal::TWO <= unit, "off by {error}");
            }
            Rounding::Up => {
                prop_assert!(error.abs() < unit && rounded.amount().abs() >= value.amount().abs());
            }
            Rounding::Down => {
                prop_assert!(error.abs() < unit && rounded.amount().abs() <= value.amount().abs());
            }
            Rounding::Ceiling => prop_assert!(error >= Decimal::ZERO && error < unit),
            Rounding::Floor => prop_assert!(error <= Decimal::ZERO && -error < unit),
        }
    }

    #[test]
    fn rounding_is_monotonic(left in amount(), right in amount(), rounding in rounding(), decimals in 0_u32..10) {
        let (low, high) = if left <= right { (left, right) } else { (right, left) };
        prop_assert!(round_decimal(low, decimals, rounding) <= round_decimal(high, decimals, rounding));
    }

    #[test]
    fn rounding_agrees_with_an_independent_implementation(
        mantissa in -(1_i128 << 95)..(1_i128 << 95),
        scale in 0_u32..=28,
        decimals in 0_u32..=28,
        rounding in rounding(),
    ) {
        let value = Decimal::from_i128_with_scale(mantissa, scale);
        let strategy = match rounding {
            Rounding::HalfEven => RoundingStrategy::MidpointNearestEven,
            Rounding::HalfUp => RoundingStrategy::MidpointAwayFromZero,
            Rounding::HalfDown => RoundingStrategy::MidpointTowardZero,
            Rounding::Up => RoundingStrategy::AwayFromZero,
            Rounding::Down => RoundingStrategy::ToZero,
            Rounding::Ceiling => RoundingStrategy::ToPositiveInfinity,
            Rounding::Floor => RoundingStrategy::ToNegativeInfinity,
        };
        prop_assert_eq!(
            round_decimal(value, decimals, rounding),
            value.round_dp_with_strategy(decimals, strategy)
        );
    }

    #[test]
    fn what_is_written_reads_back(value in money()) {
        let text = value.format_amount();
        prop_assert_eq!(Money::parse(&text, value.currency()), Ok(value));
        let fraction = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        prop_assert!(fraction >= value.currency().exponent() as usize, "{text} lacks minor units");
        let json = serde_json::to_string(&value).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(serde_json::from_str::<Money>(&json).ok(), Some(value));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "-?[0-9.+e _-]{0,24}|\\PC*") {
        if let Ok(amount) = parse_amount(&text) {
            prop_assert_eq!(text.parse::<Decimal>().ok(), Some(amount), "{} is read as another number", text);
        }
    }

    #[test]
    fn addition_commutes_associates_and_is_undone(
        (a, b, c) in (amount(), amount(), amount()),
        currency in currency(),
    ) {
        let [a, b, c] = [a, b, c].map(|amount| Money::new(amount, currency));
        let sum = |left: Money, right: Money| left.checked_add(right)
            .map_err(|error| TestCaseError::fail(error.to_string()));
        prop_assert_eq!(sum(a, b)?, sum(b, a)?);
        prop_assert_eq!(sum(sum(a, b)?, c)?, sum(a, sum(b, c)?)?);
        prop_assert_eq!(sum(a, b)?.checked_sub(b), Ok(a));
        prop_assert!(sum(a, -a)?.is_zero());
    }

    #[test]
    fn segments_sum_to_the_whole(whole in money(), boundaries in boundaries()) {
        let segments = segments(&boundaries);
        let period = boundaries[0]..boundaries[boundaries.len() - 1];
        let parts = prorate_segments(whole, period.clone(), &segments)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(sum(&parts, whole.currency()), Ok(whole));
        for (part, segment) in parts.iter().zip(segments) {
            let alone = prorate(whole, Proration::Actual, period.clone(), segment, Rounding::Down)
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            let difference = (part.amount() - alone.amount()).abs();
            let minor_unit = Decimal::new(1, whole.currency().exponent());
            prop_assert!(difference <= minor_unit, "{part} is too far from {alone} by itself");
        }
    }

    #[test]
    fn a_prorated_part_lies_between_nothing_and_the_whole(
        whole in money(),
        start_day in 1_u32..=28,
        months in 1_u32..=24,
        first in 0_u64..800,
        length in 0_u64..800,
        rounding in rounding(),
    ) {
        let start = NaiveDate::from_ymd_opt(2026, 1, start_day)
            .ok_or_else(|| TestCaseError::fail("every January has 28 days"))?;
        let period = start..start + chrono::Months::new(months);
        let used_start = (start + Days::new(first)).min(period.end);
        let used_end = (used_start + Days::new(length)).min(period.end);
        for policy in [Proration::Actual, Proration::Fixed30] {
            let part = prorate(whole, policy, period.clone(), used_start..used_end, rounding)
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            let (low, high) = if whole.is_negative() {
                (whole.round(rounding).amount(), Decimal::ZERO)
            } else {
                (Decimal::ZERO, whole.round(rounding).amount())
            };
            prop_assert!(low <= part.amount() && part.amount() <= high, "{part} of {whole}, {policy:?}");
            prop_assert_eq!(
                prorate(whole, policy, period.clone(), period.clone(), rounding),
                Ok(whole.round(rounding)),
                "a period used entirely costs the whole"
            );
        }
    }
}
