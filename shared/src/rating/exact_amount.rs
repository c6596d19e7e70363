//! Amounts before they are rounded.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::Reason;
use super::number::{NUMBER_DECIMALS, Number, deserialize_text, write_scaled};
use crate::money::{Currency, MAX_INTEGER_DIGITS, Money, Rounding, signed_decimal};

/// Digits after the point of an [`ExactAmount`]: those of a quantity plus those of a
/// price, so that their product loses none.
pub const EXACT_DECIMALS: u32 = 2 * NUMBER_DECIMALS;

/// One, in the unit of [`ExactAmount`].
const ONE: u128 = 10_u128.pow(EXACT_DECIMALS);

/// An amount with every digit of the products and sums that made it.
///
/// It is held in units of 10^-18. An `i128` has room for 1.7 * 10^20 of a currency's
/// major units, and a line may have 10^12. So intermediate results can be a hundred
/// million times the largest line before they are [`Reason::AmountTooLarge`]. Nothing
/// is rounded before [`ExactAmount::round`]. In JSON it is a string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExactAmount(i128);

impl ExactAmount {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// The price of so many units at so much each.
    ///
    /// # Errors
    ///
    /// [`Reason::AmountTooLarge`].
    pub fn product(quantity: Number, unit_price: Number) -> Result<Self, Reason> {
        let (quantity, unit_price) = (quantity.billionths(), unit_price.billionths());
        // Below 18 billion, which is the usual case, one wide multiplication is enough.
        // Wasm has no multiplication of 128 bits.
        let product = match (u64::try_from(quantity), u64::try_from(unit_price)) {
            (Ok(quantity), Ok(unit_price)) => Some(u128::from(quantity) * u128::from(unit_price)),
            _ => quantity.checked_mul(unit_price),
        };
        product
            .and_then(|product| i128::try_from(product).ok())
            .map(Self)
            .ok_or(Reason::AmountTooLarge)
    }

    /// The exact sum.
    ///
    /// # Errors
    ///
    /// [`Reason::AmountTooLarge`].
    pub fn plus(self, other: Self) -> Result<Self, Reason> {
        self.0
            .checked_add(other.0)
            .map(Self)
            .ok_or(Reason::AmountTooLarge)
    }

    /// The exact difference.
    ///
    /// # Errors
    ///
    /// [`Reason::AmountTooLarge`].
    pub fn minus(self, other: Self) -> Result<Self, Reason> {
        self.0
            .checked_sub(other.0)
            .map(Self)
            .ok_or(Reason::AmountTooLarge)
    }

    /// The amount brought to the currency's minor unit, once.
    ///
    /// # Errors
    ///
    /// [`Reason::AmountTooLarge`] when more than 12 digits are left before the point,
    /// the most that an amount may have.
    pub fn round(self, currency: Currency, rounding: Rounding) -> Result<Money, Reason> {
        let exponent = currency.exponent();
        let negative = self.0 < 0;
        let magnitude = self.0.unsigned_abs();
        let divisor = 10_u128.pow(EXACT_DECIMALS - exponent);
        let units = magnitude / divisor;
        let remainder = magnitude - units * divisor;
        rounding
            .round_quotient(negative, units, remainder, divisor)
            .filter(|units| *units < 10_u128.pow(MAX_INTEGER_DIGITS as u32 + exponent))
            .and_then(|units| signed_decimal(negative, units, exponent))
            .map(|amount| Money::new(amount, currency))
            .ok_or(Reason::AmountTooLarge)
    }

    /// Converts `money` exactly.
    ///
    /// # Errors
    ///
    /// [`Reason::AmountTooLarge`], also for more than 18 decimals.
    pub fn from_money(money: Money) -> Result<Self, Reason> {
        let amount = money.amount().normalize();
        EXACT_DECIMALS
            .checked_sub(amount.scale())
            .and_then(|missing| amount.mantissa().checked_mul(10_i128.pow(missing)))
            .map(Self)
            .ok_or(Reason::AmountTooLarge)
    }

    /// Reads what [`fmt::Display`] writes: plain decimal notation, with a minus
    /// sign if it is below zero.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, in words.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const MALFORMED: &str = "an exact amount has up to 18 digits after the point";
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((_, "")) => return Err(MALFORMED),
            Some(halves) => halves,
            None => (unsigned, ""),
        };
        let missing = (EXACT_DECIMALS as usize)
            .checked_sub(fraction.len())
            .filter(|_| !whole.is_empty())
            .ok_or(MALFORMED)?;
        let mut units = 0_i128;
        for byte in whole
            .bytes()
            .chain(fraction.bytes())
            .chain((0..missing).map(|_| b'0'))
        {
            if !byte.is_ascii_digit() {
                return Err(MALFORMED);
            }
            units = units
                .checked_mul(10)
                .and_then(|units| units.checked_add(i128::from(byte - b'0')))
                .ok_or("an exact amount is below 1.7 * 10^20")?;
        }
        Ok(Self(if unsigned.len() < text.len() {
            -units
        } else {
            units
        }))
    }
}

impl From<Number> for ExactAmount {
    /// Converts a price or a fee. It always fits: 10^21 * 10^9 < 2^100.
    fn from(number: Number) -> Self {
        let units = number.billionths() * 10_u128.pow(EXACT_DECIMALS - NUMBER_DECIMALS);
        Self(i128::try_from(units).unwrap_or(i128::MAX))
    }
}

/// Without trailing zeros, because an exact amount is in no currency's minor unit.
impl fmt::Display for ExactAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        write_scaled(f, self.0.unsigned_abs(), EXACT_DECIMALS)
    }
}

impl Serialize for ExactAmount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ExactAmount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(
            deserializer,
            "an exact amount as a JSON string such as \"0.0000125\"",
            Self::parse,
        )
    }
}

crate::describe!(ExactAmount as "ExactAmount", {
    "type": "string", "pattern": "^-?[0-9]+(?:\\.[0-9]{1,18})?$",
    "description": "An amount with every digit, before it is rounded.",
    "examples": ["0.0000125"],
});

// The constant of the module is the unit in which the limit above is stated.
const _: () = assert!(
    i128::MAX as u128 / ONE > 10_u128.pow(MAX_INTEGER_DIGITS as u32 + 8),
    "a hundred million of the largest lines must fit"
);

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap_or_else(|error| panic!("{text:?} in the table: {error}"))
    }

    #[test]
    fn products_are_exact_or_refused() {
        let largest = "999999999999.999999999";
        for (quantity, unit_price, expected) in [
            ("0", largest, Some("0")),
            ("4", "0.029", Some("0.116")),
            ("0.000000001", "0.000000001", Some("0.000000000000000001")),
            (largest, "0.000000001", Some("999.999999999999999999")),
            (largest, "1", Some(largest)),
            // The largest factors of one wide multiplication, and one more.
            ("18446744073.709551615", "1", Some("18446744073.709551615")),
            ("18446744073.709551616", "1", Some("18446744073.709551616")),
            (
                "13043817825.332782212",
                "13043817825.332782212",
                // The root of the limit, rounded down.
                Some("170141183460469231722.567801800623612944"),
            ),
            ("13043817825.332782213", "13043817825.332782213", None),
            (largest, largest, None),
        ] {
            let got = ExactAmount::product(number(quantity), number(unit_price))
                .ok()
                .map(|amount| amount.to_string());
            assert_eq!(
                got.as_deref(),
                expected,
                "{quantity} * {unit_price}: fix ExactAmount::product or this row"
            );
        }
    }

    #[test]
    fn rounding_is_that_of_money() {
        for (text, currency, rounding, expected) in [
            ("0.116", Currency::USD, Rounding::HalfEven, Some("0.12 USD")),
            ("0.125", Currency::USD, Rounding::HalfEven, Some("0.12 USD")),
            ("0.125", Currency::USD, Rounding::HalfUp, Some("0.13 USD")),
            (
                "-0.000000000000000001",
                Currency::USD,
                Rounding::Floor,
                Some("-0.01 USD"),
            ),
            (
                "-0.004",
                Currency::USD,
                Rounding::HalfEven,
                Some("0.00 USD"),
            ),
            ("0.5", Currency::JPY, Rounding::HalfEven, Some("0 JPY")),
            (
                "999999999999.99",
                Currency::USD,
                Rounding::HalfEven,
                Some("999999999999.99 USD"),
            ),
            ("999999999999.995", Currency::USD, Rounding::HalfUp, None),
            ("-1000000000000", Currency::JPY, Rounding::Down, None),
        ] {
            let amount = ExactAmount::parse(text)
                .unwrap_or_else(|error| panic!("{text:?} in the table: {error}"));
            let got = amount
                .round(currency, rounding)
                .ok()
                .map(|money| money.to_string());
            assert_eq!(got.as_deref(), expected, "{text} by {rounding:?}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in [
            "0",
            "-1",
            "0.000000000000000001",
            "170141183460469231731.687303715884105727",
            "-170141183460469231731.687303715884105727",
        ] {
            assert_eq!(
                ExactAmount::parse(text).map(|amount| amount.to_string()),
                Ok(text.to_owned())
            );
        }
        for text in [
            "",
            "-",
            ".5",
            "1.",
            "1e3",
            "+1",
            "1.0000000000000000001",
            "1 ",
        ] {
            assert!(ExactAmount::parse(text).is_err(), "{text:?} was read");
        }
        assert!(
            ExactAmount::parse("170141183460469231731.687303715884105728").is_err(),
            "one more than fits"
        );
        assert_eq!(
            ExactAmount(i128::MAX).plus(ExactAmount(1)),
            Err(Reason::AmountTooLarge)
        );
        assert_eq!(
            ExactAmount(i128::MIN).minus(ExactAmount(1)),
            Err(Reason::AmountTooLarge)
        );
    }
}
