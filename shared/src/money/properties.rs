//! What holds for every amount, checked on random ones.

use std::ops::Range;

use chrono::{Datelike as _, Days, NaiveDate};
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

/// `anchor_day` of a month, or the last day of one that lacks it. Months count from
/// January of `year`, which is 0.
fn anchored(year: i32, month: i32, anchor_day: u32) -> Option<NaiveDate> {
    let (year, month) = (year + month.div_euclid(12), month.rem_euclid(12) + 1);
    let month = u32::try_from(month).ok()?;
    (1..=anchor_day)
        .rev()
        .find_map(|day| NaiveDate::from_ymd_opt(year, month, day))
}

/// A period of whole months, and its start, its cuts in order and its end.
#[derive(Debug, Clone)]
struct CutPeriod {
    anchor_day: u32,
    dates: Vec<NaiveDate>,
}

/// A period of whole months, anchored to any day, cut.
fn cut_months() -> impl Strategy<Value = CutPeriod> {
    let period = (1990_i32..2100, 0_i32..12, 1_u32..=31, 1_i32..=14);
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..8);
    (period, cuts).prop_filter_map(
        "every anchored month has a date",
        |((year, month, anchor_day, months), cuts)| {
            let start = anchored(year, month, anchor_day)?;
            let end = anchored(year, month + months, anchor_day)?;
            let days = usize::try_from((end - start).num_days()).ok()?;
            let mut dates = vec![start, end];
            for cut in cuts {
                let after = u64::try_from(cut.index(days + 1)).ok()?;
                dates.push(start.checked_add_days(Days::new(after))?);
            }
            dates.sort_unstable();
            Some(CutPeriod { anchor_day, dates })
        },
    )
}

/// A period of any number of days, cut.
fn cut_days() -> impl Strategy<Value = CutPeriod> {
    let lengths = prop::collection::vec(0_u64..400, 1..12);
    let period = (0_u64..40_000, lengths, 1_u32..=31);
    period.prop_filter_map("a period has a day", |(first, lengths, anchor_day)| {
        let first = NaiveDate::from_ymd_opt(1990, 1, 1)?.checked_add_days(Days::new(first))?;
        let mut dates = vec![first];
        for length in lengths {
            dates.push(dates.last()?.checked_add_days(Days::new(length))?);
        }
        (dates.first() < dates.last()).then_some(CutPeriod { anchor_day, dates })
    })
}

/// A policy, and a period that it can prorate, cut.
fn cut_period() -> impl Strategy<Value = (Proration, CutPeriod)> {
    prop_oneof![
        cut_months().prop_map(|cut| (Proration::Fixed30, cut)),
        cut_months().prop_map(|cut| (Proration::Day, cut)),
        cut_days().prop_map(|cut| (Proration::Day, cut)),
        cut_days().prop_map(|cut| (Proration::None, cut)),
    ]
}

/// The period from the first date to the last, and the parts between each two.
fn parts_of(cut: &CutPeriod) -> Result<(AnchoredPeriod, Vec<Range<NaiveDate>>), TestCaseError> {
    let dates = &cut.dates;
    let parts = dates.windows(2).map(|pair| pair[0]..pair[1]).collect();
    let period = AnchoredPeriod::new(dates[0]..dates[dates.len() - 1], cut.anchor_day)
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    Ok((period, parts))
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
    fn parts_of_a_period_sum_to_the_whole(
        price in money(),
        (policy, cut) in cut_period(),
        rounding in rounding(),
    ) {
        let (period, parts) = parts_of(&cut)?;
        let due = |part: Range<NaiveDate>| prorate(price, policy, &period, part, rounding)
            .map_err(|error| TestCaseError::fail(error.to_string()));
        let whole = price.round(rounding);
        prop_assert_eq!(due(period.dates().clone())?, whole, "a period used entirely costs the whole");
        let mut amounts = vec![];
        let mut days = 0;
        for part in parts {
            let share = policy.share(&period, &part.clone().into())
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            let amount = due(part.clone())?;
            prop_assert_eq!(share.of(price, rounding), Ok(amount));
            prop_assert!(amount.is_zero() || amount.is_negative() == price.is_negative(), "{amount} of {price}");
            // |part - price * days / whole| <= 1 minor unit, without dividing.
            let difference = amount.amount() * Decimal::from(share.period_count())
                - price.amount() * Decimal::from(share.count());
            let minor_unit = Decimal::new(1, price.currency().exponent());
            prop_assert!(
                difference.abs() <= minor_unit * Decimal::from(share.period_count()),
                "{amount} is more than a unit off its share of {price}: {part:?} of {period:?}"
            );
            days += share.count();
            prop_assert_eq!(share.period_count(), policy.share(&period, &period.dates().clone().into()).map_or(0, PeriodShare::count));
            amounts.push(amount);
        }
        prop_assert_eq!(sum(&amounts, price.currency()), Ok(whole));
        prop_assert_eq!(Ok(days), policy.share(&period, &period.dates().clone().into()).map(PeriodShare::count));
    }

    #[test]
    fn a_credit_is_prorated_as_the_charge_was(price in money(), (policy, cut) in cut_period()) {
        let (period, parts) = parts_of(&cut)?;
        for part in parts {
            let due = |price| prorate(price, policy, &period, part.clone(), Rounding::HalfEven);
            prop_assert_eq!(due(-price), due(price).map(|due| -due));
        }
    }

    #[test]
    fn months_of_30_days_are_those_of_the_eurobond_basis(
        cut in cut_months(),
    ) {
        let (period, parts) = parts_of(&cut)?;
        // By the formula of 30E/360, for anchors that every month has.
        let formula = |from: NaiveDate, to: NaiveDate| {
            let day = |date: NaiveDate| i64::from(date.day().min(30));
            let months = i64::from(to.year() - from.year()) * 12
                + i64::from(to.month()) - i64::from(from.month());
            months * 30 + day(to) - day(from)
        };
        let counted = |part: &Range<NaiveDate>| Proration::Fixed30.share(&period, &part.clone().into())
            .map(|share| i64::from(share.count()))
            .map_err(|error| TestCaseError::fail(error.to_string()));
        let dates = period.dates();
        let months = i64::from(dates.end.year() - dates.start.year()) * 12
            + i64::from(dates.end.month()) - i64::from(dates.start.month());
        prop_assert_eq!(counted(dates)?, 30 * months, "each month has 30 days");
        for part in parts {
            if period.anchor_day() <= 28 {
                prop_assert_eq!(counted(&part)?, formula(part.start, part.end), "{:?}", part);
            }
            prop_assert!(counted(&part)? <= (part.end - part.start).num_days() + 2 * (months + 1));
        }
    }
}
