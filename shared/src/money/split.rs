//! Splitting an amount into parts that sum to the whole.

use std::cmp::Reverse;
use std::error::Error;
use std::fmt;

use rust_decimal::Decimal;

use super::ratio::mul_div;
use super::{Money, signed_decimal};

/// The most parts one amount may be split into. A part takes some 100 bytes
/// while the split is worked out, so that 10,000 take 1 MB.
pub const MAX_SPLIT_PARTS: usize = 10_000;

/// Who receives the units that are left after every part was rounded toward zero.
///
/// There are always fewer such units than parts with a fractional share. Under
/// either policy a part whose weight is zero receives nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Leftover {
    /// One unit each to the parts that lost the most by rounding, and among equals to
    /// the earliest. Every part is within one unit of its exact share.
    #[default]
    LargestRemainder,
    /// One unit each to the earliest parts, whatever they lost. A part that lost
    /// nothing can end a whole unit above its exact share. It serves to agree with
    /// systems that split this way.
    EarliestFirst,
}

impl Money {
    /// Splits the amount in proportion to `weights`, by the largest remainder.
    ///
    /// The parts come in the order of the weights and sum exactly to the amount. They
    /// are whole units of the currency's exponent, or of the amount's own last digit if
    /// that is finer. Each differs from its exact share by less than one unit. Equal
    /// remainders go to the earliest part. A negative amount splits like the positive
    /// one, with every sign reversed.
    ///
    /// Weights need not sum to one; only their proportions count.
    ///
    /// # Errors
    ///
    /// [`SplitError`], when there are no weights or too many, when one is
    /// negative or all are zero, or when the numbers are too wide.
    pub fn split(self, weights: &[Decimal]) -> Result<Vec<Self>, SplitError> {
        self.split_with(weights, Leftover::LargestRemainder)
    }

    /// As [`Money::split`], with a choice of who receives the units left over.
    ///
    /// # Errors
    ///
    /// As for [`Money::split`].
    pub fn split_with(
        self,
        weights: &[Decimal],
        leftover: Leftover,
    ) -> Result<Vec<Self>, SplitError> {
        require_part_count(weights.len())?;
        self.split_by_integers(&integer_weights(weights)?, leftover)
    }

    /// Splits the amount into `parts` parts that differ by one unit at most, the
    /// larger ones first. Units are as for [`Money::split`].
    ///
    /// # Errors
    ///
    /// [`SplitError::NoParts`], [`SplitError::TooManyParts`], or
    /// [`SplitError::Overflow`].
    pub fn split_even(self, parts: usize) -> Result<Vec<Self>, SplitError> {
        require_part_count(parts)?;
        self.split_by_integers(&vec![1; parts], Leftover::LargestRemainder)
    }

    fn split_by_integers(
        self,
        weights: &[u128],
        leftover: Leftover,
    ) -> Result<Vec<Self>, SplitError> {
        let total_weight = weights
            .iter()
            .try_fold(0_u128, |sum, weight| sum.checked_add(*weight))
            .filter(|sum| sum >> 127 == 0)
            .ok_or(SplitError::WeightsTooWide)?;
        if total_weight == 0 {
            return Err(SplitError::NoPositiveWeight);
        }
        let amount = self.amount().normalize();
        let scale = amount.scale().max(self.currency().exponent());
        let negative = amount.is_sign_negative();
        let whole = amount
            .mantissa()
            .unsigned_abs()
            .checked_mul(10_u128.pow(scale - amount.scale()))
            .ok_or(SplitError::Overflow)?;

        let mut shares = Vec::with_capacity(weights.len());
        let mut remainders = Vec::with_capacity(weights.len());
        let mut left = whole;
        for weight in weights {
            let (units, remainder) =
                mul_div(whole, *weight, total_weight).ok_or(SplitError::Overflow)?;
            left -= units;
            shares.push(units);
            remainders.push(remainder);
        }

        // The units that are left are the sum of the remainders over the total weight.
        // Each remainder is below one, so the units run out before the candidates do.
        let mut candidates: Vec<usize> = (0..weights.len()).filter(|i| weights[*i] > 0).collect();
        if leftover == Leftover::LargestRemainder {
            candidates.sort_by_key(|i| Reverse(remainders[*i]));
        }
        for place in candidates {
            if left == 0 {
                break;
            }
            shares[place] += 1;
            left -= 1;
        }

        shares
            .into_iter()
            .map(|units| {
                signed_decimal(negative, units, scale)
                    .map(|amount| Self::new(amount, self.currency()))
                    .ok_or(SplitError::Overflow)
            })
            .collect()
    }
}

fn require_part_count(parts: usize) -> Result<(), SplitError> {
    match parts {
        0 => Err(SplitError::NoParts),
        1..=MAX_SPLIT_PARTS => Ok(()),
        _ => Err(SplitError::TooManyParts),
    }
}

/// The weights over their common power of ten.
fn integer_weights(weights: &[Decimal]) -> Result<Vec<u128>, SplitError> {
    let weights: Vec<Decimal> = weights.iter().map(Decimal::normalize).collect();
    if weights.iter().any(Decimal::is_sign_negative) {
        return Err(SplitError::NegativeWeight);
    }
    let scale = weights.iter().map(Decimal::scale).max().unwrap_or(0);
    weights
        .iter()
        .map(|weight| {
            weight
                .mantissa()
                .unsigned_abs()
                .checked_mul(10_u128.pow(scale - weight.scale()))
                .ok_or(SplitError::WeightsTooWide)
        })
        .collect()
}

/// Why an amount cannot be split as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitError {
    /// There is no part to receive the amount.
    NoParts,
    /// There are more than [`MAX_SPLIT_PARTS`].
    TooManyParts,
    /// A weight is below zero.
    NegativeWeight,
    /// Every weight is zero.
    NoPositiveWeight,
    /// The weights, as integers over their longest fraction, sum to 2^127 (39
    /// digits) or more.
    WeightsTooWide,
    /// A part needs more digits than a decimal holds when it is written in the
    /// currency's minor units.
    Overflow,
}

impl fmt::Display for SplitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoParts => f.write_str("An amount must be split into at least one part."),
            Self::TooManyParts => write!(
                f,
                "An amount may be split into at most {MAX_SPLIT_PARTS} parts."
            ),
            Self::NegativeWeight => f.write_str("A weight must not be negative."),
            Self::NoPositiveWeight => f.write_str("At least one weight must be above zero."),
            Self::WeightsTooWide => {
                f.write_str("The weights have too many digits between the largest and the finest.")
            }
            Self::Overflow => f.write_str("The amount is too large to be split."),
        }
    }
}

impl Error for SplitError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn decimals(texts: &[&str]) -> Vec<Decimal> {
        texts
            .iter()
            .map(|text| {
                text.parse()
                    .unwrap_or_else(|error| panic!("{text:?} in the table: {error}"))
            })
            .collect()
    }

    fn money(amount: &str, code: &str) -> Money {
        let currency = Currency::parse(code)
            .unwrap_or_else(|error| panic!("{code:?} in the table is no currency: {error}"));
        Money::new(decimals(&[amount])[0], currency)
    }

    fn texts(parts: Vec<Money>) -> Vec<String> {
        parts.into_iter().map(Money::format_amount).collect()
    }

    #[test]
    fn parts_follow_the_weights() {
        use Leftover::{EarliestFirst, LargestRemainder};
        let check =
            |amount: &str, code: &str, weights: &[&str], leftover: Leftover, expected: &[&str]| {
                let parts = money(amount, code)
                    .split_with(&decimals(weights), leftover)
                    .map(texts);
                assert_eq!(
                    parts,
                    Ok(expected.iter().map(|part| (*part).to_owned()).collect()),
                    "{amount} {code} by {weights:?}, {leftover:?}: fix the split or this row"
                );
            };
        for (amount, code, weights, leftover, expected) in [
            // Exact shares of 12, 1.2 and 1.8. A published answer for this split is 13,
            // 1, 1, which gives the rest to the earliest part. By the largest remainder
            // it belongs to the third.
            (
                "15",
                "JPY",
                &["0.8", "0.08", "0.12"][..],
                EarliestFirst,
                &["13", "1", "1"][..],
            ),
            (
                "15",
                "JPY",
                &["0.8", "0.08", "0.12"],
                LargestRemainder,
                &["12", "1", "2"],
            ),
            // In cents nothing is left over, and the policies agree.
            (
                "15",
                "USD",
                &["20", "2", "3"],
                LargestRemainder,
                &["12.00", "1.20", "1.80"],
            ),
            (
                "15",
                "USD",
                &["20", "2", "3"],
                EarliestFirst,
                &["12.00", "1.20", "1.80"],
            ),
            // Ties go to the earliest.
            (
                "0.05",
                "USD",
                &["1", "1"],
                LargestRemainder,
                &["0.03", "0.02"],
            ),
            (
                "100",
                "USD",
                &["1", "1", "1"],
                LargestRemainder,
                &["33.34", "33.33", "33.33"],
            ),
            (
                "-100",
                "USD",
                &["1", "1", "1"],
                LargestRemainder,
                &["-33.34", "-33.33", "-33.33"],
            ),
            // A weight of zero receives nothing, not even what is left.
            (
                "0.05",
                "USD",
                &["0", "1", "0.00", "1"],
                LargestRemainder,
                &["0.00", "0.03", "0.00", "0.02"],
            ),
            (
                "0.05",
                "USD",
                &["0", "1", "1"],
                EarliestFirst,
                &["0.00", "0.03", "0.02"],
            ),
            // An amount finer than the currency is split at its own last digit.
            (
                "0.001",
                "USD",
                &["1", "1"],
                LargestRemainder,
                &["0.001", "0.00"],
            ),
            (
                "0.1000",
                "USD",
                &["1", "2"],
                LargestRemainder,
                &["0.03", "0.07"],
            ),
            ("0", "USD", &["1", "2"], LargestRemainder, &["0.00", "0.00"]),
            ("7", "JPY", &["3"], LargestRemainder, &["7"]),
            // A third to 28 digits, and a product far beyond 128 bits.
            (
                "999999999999.99",
                "USD",
                &[
                    "0.3333333333333333333333333333",
                    "0.6666666666666666666666666667",
                ],
                LargestRemainder,
                &["333333333333.33", "666666666666.66"],
            ),
        ] {
            check(amount, code, weights, leftover, expected);
        }
    }

    #[test]
    fn even_parts_put_the_larger_first() {
        let check = |amount: &str, code: &str, parts: usize, expected: &[&str]| {
            assert_eq!(
                money(amount, code).split_even(parts).map(texts),
                Ok(expected.iter().map(|part| (*part).to_owned()).collect()),
                "{amount} {code} in {parts}: fix Money::split_even or this row"
            );
        };
        for (amount, code, parts, expected) in [
            ("10", "USD", 3, &["3.34", "3.33", "3.33"][..]),
            ("-10", "USD", 3, &["-3.34", "-3.33", "-3.33"]),
            ("2", "JPY", 4, &["1", "1", "0", "0"]),
            ("1", "KWD", 3, &["0.334", "0.333", "0.333"]),
            ("5", "USD", 1, &["5.00"]),
        ] {
            check(amount, code, parts, expected);
        }
    }

    #[test]
    fn what_cannot_be_split_is_refused() {
        let check = |amount: &str, weights: &[&str], expected: SplitError| {
            assert_eq!(
                money(amount, "USD").split(&decimals(weights)),
                Err(expected),
                "{amount} USD by {weights:?}: fix Money::split or this row"
            );
        };
        let many = vec!["1"; MAX_SPLIT_PARTS + 1];
        for (amount, weights, expected) in [
            ("1", &[][..], SplitError::NoParts),
            ("1", &many, SplitError::TooManyParts),
            ("1", &["1", "-1"], SplitError::NegativeWeight),
            ("1", &["2", "-0.001"], SplitError::NegativeWeight),
            ("1", &["0"], SplitError::NoPositiveWeight),
            ("1", &["0", "-0", "0.0"], SplitError::NoPositiveWeight),
            (
                "1",
                &[
                    "79228162514264337593543950335",
                    "0.0000000000000000000000000001",
                ],
                SplitError::WeightsTooWide,
            ),
            (
                "79228162514264337593543950335",
                &["3", "1"],
                SplitError::Overflow,
            ),
        ] {
            check(amount, weights, expected);
        }
        for (parts, expected) in [
            (0, SplitError::NoParts),
            (MAX_SPLIT_PARTS + 1, SplitError::TooManyParts),
            (usize::MAX, SplitError::TooManyParts),
        ] {
            assert_eq!(
                money("1", "USD").split_even(parts),
                Err(expected),
                "1 USD in {parts} parts must be refused before any memory is taken"
            );
        }
        assert_eq!(
            money("1", "USD")
                .split(&decimals(&many[1..]))
                .map(|p| p.len()),
            Ok(MAX_SPLIT_PARTS),
            "the limit itself is allowed"
        );
    }
}
