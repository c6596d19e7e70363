//! Named rounding policies.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::signed_decimal;

/// How a value between two representable ones is rounded. In JSON the name in
/// snake_case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// To the nearest; a tie goes to the even neighbor. The default, because
    /// over many lines its errors cancel out.
    #[default]
    HalfEven,
    /// To the nearest; a tie goes away from zero.
    HalfUp,
    /// To the nearest; a tie goes toward zero.
    HalfDown,
    /// Away from zero.
    Up,
    /// Toward zero.
    Down,
    /// Toward positive infinity.
    Ceiling,
    /// Toward negative infinity.
    Floor,
}

impl Rounding {
    /// Every policy.
    pub const ALL: [Self; 7] = [
        Self::HalfEven,
        Self::HalfUp,
        Self::HalfDown,
        Self::Up,
        Self::Down,
        Self::Ceiling,
        Self::Floor,
    ];

    /// The name that requests, answers and stored plans use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HalfEven => "half_even",
            Self::HalfUp => "half_up",
            Self::HalfDown => "half_down",
            Self::Up => "up",
            Self::Down => "down",
            Self::Ceiling => "ceiling",
            Self::Floor => "floor",
        }
    }

    /// The magnitude to use for `±(quotient + remainder / divisor)`, where the
    /// remainder is below the divisor.
    pub(crate) fn round_quotient(
        self,
        negative: bool,
        quotient: u128,
        remainder: u128,
        divisor: u128,
    ) -> Option<u128> {
        if remainder == 0 {
            return Some(quotient);
        }
        // Compares with the complement, because doubling could overflow.
        let half = remainder.cmp(&(divisor - remainder));
        let away_from_zero = match self {
            Self::HalfEven => half.is_gt() || (half.is_eq() && quotient % 2 == 1),
            Self::HalfUp => half.is_ge(),
            Self::HalfDown => half.is_gt(),
            Self::Up => true,
            Self::Down => false,
            Self::Ceiling => !negative,
            Self::Floor => negative,
        };
        quotient.checked_add(u128::from(away_from_zero))
    }
}

/// `value` rounded to `decimals` digits after the point. A value that has no
/// more than that is returned as it is.
#[must_use]
pub fn round_decimal(value: Decimal, decimals: u32, rounding: Rounding) -> Decimal {
    let Some(excess) = value.scale().checked_sub(decimals).filter(|&n| n > 0) else {
        return value;
    };
    // A decimal has at most 28 digits after the point, so the power fits.
    let divisor = 10_u128.pow(excess);
    let mantissa = value.mantissa();
    let magnitude = mantissa.unsigned_abs();
    rounding
        .round_quotient(
            mantissa < 0,
            magnitude / divisor,
            magnitude % divisor,
            divisor,
        )
        .and_then(|units| signed_decimal(mantissa < 0, units, decimals))
        // The result has at least one digit fewer than the value, so it always fits.
        // The fallback only avoids a panic.
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::{Currency, Money};

    /// The policies in the order of [`Rounding::ALL`].
    #[test]
    fn every_policy_rounds_to_whole_units() {
        let check = |value: &str, rounding: Rounding, expected: &str| {
            let parse = |text: &str| {
                Money::parse(text, Currency::JPY)
                    .unwrap_or_else(|error| panic!("{text:?} in the table: {error}"))
            };
            assert_eq!(
                parse(value).round(rounding),
                parse(expected),
                "{value} JPY by {rounding:?}: fix round_quotient or this row"
            );
        };
        for (value, expected) in [
            ("0", ["0", "0", "0", "0", "0", "0", "0"]),
            ("7", ["7", "7", "7", "7", "7", "7", "7"]),
            ("0.4", ["0", "0", "0", "1", "0", "1", "0"]),
            ("-0.4", ["0", "0", "0", "-1", "0", "0", "-1"]),
            ("0.5", ["0", "1", "0", "1", "0", "1", "0"]),
            ("1.5", ["2", "2", "1", "2", "1", "2", "1"]),
            ("2.5", ["2", "3", "2", "3", "2", "3", "2"]),
            ("-0.5", ["0", "-1", "0", "-1", "0", "0", "-1"]),
            ("-1.5", ["-2", "-2", "-1", "-2", "-1", "-1", "-2"]),
            ("-2.5", ["-2", "-3", "-2", "-3", "-2", "-2", "-3"]),
            ("2.500000001", ["3", "3", "3", "3", "2", "3", "2"]),
            ("2.499999999", ["2", "2", "2", "3", "2", "3", "2"]),
            ("1.000", ["1", "1", "1", "1", "1", "1", "1"]),
        ] {
            for (rounding, expected) in Rounding::ALL.into_iter().zip(expected) {
                check(value, rounding, expected);
            }
        }
    }

    #[test]
    fn decimals_follow_the_currency_or_the_caller() {
        let check = |value: &str, code: &str, decimals: Option<u32>, expected: &str| {
            let currency = Currency::parse(code)
                .unwrap_or_else(|error| panic!("{code:?} in the table: {error}"));
            let value = Money::parse(value, currency)
                .unwrap_or_else(|error| panic!("{value:?} in the table: {error}"));
            let rounded = match decimals {
                None => value.round(Rounding::default()),
                Some(decimals) => value.round_to(decimals, Rounding::default()),
            };
            assert_eq!(
                rounded.format_amount(),
                expected,
                "{value} to {decimals:?} decimals: fix Money::round or this row"
            );
        };
        for (value, code, decimals, expected) in [
            ("0.116", "USD", None, "0.12"),
            ("0.125", "USD", None, "0.12"),
            ("0.135", "USD", None, "0.14"),
            ("-0.004", "USD", None, "0.00"),
            ("322.58", "JPY", None, "323"),
            ("1.2345", "KWD", None, "1.234"),
            ("1.23455", "CLF", None, "1.2346"),
            ("5", "USD", None, "5.00"),
            ("1.23456", "USD", Some(4), "1.2346"),
            ("1.23456", "USD", Some(0), "1.00"),
            ("1.23456", "USD", Some(5), "1.23456"),
            ("1.23456", "USD", Some(u32::MAX), "1.23456"),
        ] {
            check(value, code, decimals, expected);
        }
    }

    #[test]
    fn the_widest_decimals_round() {
        let smallest_step = Decimal::new(1, 28);
        assert_eq!(
            round_decimal(smallest_step, 0, Rounding::Up),
            Decimal::ONE,
            "28 digits are dropped at once"
        );
        let widest = Decimal::MAX * Decimal::new(1, 1);
        assert_eq!(
            round_decimal(widest, 0, Rounding::Up),
            "7922816251426433759354395034".parse().unwrap_or_default(),
            "96 bits are rounded without overflow"
        );
    }

    #[test]
    fn names_are_stable() {
        let names = [
            "half_even",
            "half_up",
            "half_down",
            "up",
            "down",
            "ceiling",
            "floor",
        ];
        for (rounding, name) in Rounding::ALL.into_iter().zip(names) {
            assert_eq!(
                serde_json::to_value(rounding).ok(),
                Some(name.into()),
                "{rounding:?}: stored prices name this policy; do not rename it"
            );
            assert_eq!(
                serde_json::from_value::<Rounding>(name.into()).ok(),
                Some(rounding),
                "{name} must be read"
            );
        }
        for name in ["HalfEven", "bankers", "", "half-even"] {
            assert!(
                serde_json::from_value::<Rounding>(name.into()).is_err(),
                "{name:?} names no policy and must be refused"
            );
        }
    }
}
