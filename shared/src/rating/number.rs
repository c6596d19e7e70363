//! Quantities, prices and rates: numbers that are valid by themselves.

use std::error::Error;
use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use crate::http::input::{Input, Invalid, Reader};
use crate::money::{AmountError, MAX_FRACTION_DIGITS, MAX_INTEGER_DIGITS, parse_amount};

/// Digits after the point of a [`Number`].
pub(super) const NUMBER_DECIMALS: u32 = MAX_FRACTION_DIGITS as u32;

/// Digits after the point of a [`Percent`]: two fewer than those of a
/// [`Number`], because a hundredth of it must be one.
pub const MAX_PERCENT_DECIMALS: u32 = NUMBER_DECIMALS - 2;

/// One, in billionths.
const ONE: u128 = 10_u128.pow(NUMBER_DECIMALS);

/// The first whole number with too many digits, in billionths: 10^21, 70 bits.
const LIMIT: u128 = ONE * 10_u128.pow(MAX_INTEGER_DIGITS as u32);

/// A quantity or a price: zero or above, with at most 12 digits before the
/// point and 9 after it.
///
/// It is held as whole billionths, so that arithmetic with numbers is arithmetic with
/// integers, exact and fast. In JSON it is a string in plain decimal notation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(u128);

impl Number {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// The largest number.
    pub const MAX: Self = Self(LIMIT - 1);

    /// Reads plain decimal notation, by the rules of [`parse_amount`].
    ///
    /// # Errors
    ///
    /// The [`NumberError`] that names the rule that `text` breaks.
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let decimal = parse_amount(text).map_err(NumberError::Malformed)?;
        if decimal < Decimal::ZERO {
            return Err(NumberError::Negative);
        }
        Self::from_decimal(decimal).ok_or(NumberError::Malformed(AmountError::TooManyIntegerDigits))
    }

    /// Converts a decimal, unless it is negative or has too many digits.
    pub fn from_decimal(decimal: Decimal) -> Option<Self> {
        let decimal = decimal.normalize();
        let missing = NUMBER_DECIMALS.checked_sub(decimal.scale())?;
        let mantissa = u128::try_from(decimal.mantissa()).ok()?;
        // 2^96 * 10^9 < 2^126.
        Self::from_billionths(mantissa * 10_u128.pow(missing))
    }

    /// The number as a decimal, without trailing zeros.
    pub fn to_decimal(self) -> Decimal {
        // 70 bits always fit in a decimal's 96. The fallback only avoids a panic.
        i128::try_from(self.0)
            .ok()
            .and_then(|units| Decimal::try_from_i128_with_scale(units, NUMBER_DECIMALS).ok())
            .map_or(Decimal::ZERO, |decimal| decimal.normalize())
    }

    /// Whether it is zero.
    pub const fn is_zero(&self) -> bool {
        self.0 == 0
    }

    pub(super) const fn billionths(self) -> u128 {
        self.0
    }

    pub(super) const fn from_billionths(billionths: u128) -> Option<Self> {
        if billionths < LIMIT {
            Some(Self(billionths))
        } else {
            None
        }
    }

    /// The sum, unless it has too many digits.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        // 71 bits at most.
        Self::from_billionths(self.0 + other.0)
    }

    /// The number less `other`, or zero if `other` is larger.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// How many packages of `size` it fills. The last one may be partly filled. Nothing
    /// when a package has no size, or when there are too many packages.
    pub(super) fn packages(self, size: Self) -> Option<Self> {
        if size.is_zero() {
            return None;
        }
        // At most 10^21 packages of a billionth each, and 10^30 < 2^100.
        Self::from_billionths(self.0.div_ceil(size.0) * ONE)
    }
}

impl From<u32> for Number {
    /// A count has ten digits at most, so it always fits.
    fn from(count: u32) -> Self {
        Self(u128::from(count) * ONE)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, self.0, NUMBER_DECIMALS)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(
            deserializer,
            "a number as a JSON string such as \"0.5\"",
            Self::parse,
        )
    }
}

impl Input for Number {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let wanted = "must be a string such as \"0.5\", not a number";
        read_text(value, reader, wanted, Self::parse)
    }
}

crate::describe!(Number as "UnsignedNumber", {
    "type": "string", "pattern": "^(?:0|[1-9][0-9]{0,11})(?:\\.[0-9]{1,9})?$", "maxLength": 22,
    "description": "A quantity or a price of zero or above in plain decimal notation: at most 12 digits before the point and 9 after it. A JSON number is refused.",
    "examples": ["0.5"],
});

/// A share of an amount, in percent: zero or above, with at most 12 digits
/// before the point and [`MAX_PERCENT_DECIMALS`] after it.
///
/// In JSON it is a string in plain decimal notation: 2.9% is `"2.9"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(Number);

impl Percent {
    /// Reads a number of percent in plain decimal notation.
    ///
    /// # Errors
    ///
    /// The [`NumberError`] that names the rule that `text` breaks.
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let percent = Number::parse(text)?;
        if percent.0 % 100 == 0 {
            Ok(Self(Number(percent.0 / 100)))
        } else {
            Err(NumberError::TooFinePercent)
        }
    }

    /// The share as a number: 0.029 for 2.9%.
    pub const fn as_share(self) -> Number {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, self.0.0, MAX_PERCENT_DECIMALS)
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(
            deserializer,
            "a number of percent as a JSON string such as \"2.9\"",
            Self::parse,
        )
    }
}

impl Input for Percent {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let wanted = "must be a string such as \"2.9\", not a number";
        read_text(value, reader, wanted, Self::parse)
    }
}

crate::describe!(Percent as "Percent", {
    "type": "string", "pattern": "^(?:0|[1-9][0-9]{0,11})(?:\\.[0-9]{1,7})?$", "maxLength": 20,
    "description": "A number of percent in plain decimal notation: 2.9% is \"2.9\". At most 7 digits after the point.",
    "examples": ["2.9"],
});

/// Reads a string with `parse`. A JSON number is refused, because it may have been a
/// float on its way.
fn read_text<T>(
    value: &Value,
    reader: &mut Reader,
    wanted: &'static str,
    parse: fn(&str) -> Result<T, NumberError>,
) -> Option<T> {
    let read = match value.as_str() {
        Some(text) => parse(text).map_err(|error| Invalid::new(error.code(), error.to_string())),
        None => Err(Invalid::new("wrong_type", wanted)),
    };
    reader.note(read)
}

/// Why a text is not a [`Number`] or not a [`Percent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberError {
    /// It breaks a rule of [`parse_amount`].
    Malformed(AmountError),
    /// It is below zero.
    Negative,
    /// It has more than [`MAX_PERCENT_DECIMALS`] after the point.
    TooFinePercent,
}

impl NumberError {
    /// The stable code, for the `code` of a field error: that of the same mistake in an
    /// amount.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed(error) => error.code(),
            Self::Negative => "negative",
            Self::TooFinePercent => AmountError::TooManyFractionDigits.code(),
        }
    }
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::Negative => f.write_str("A quantity, a price or a rate must not be negative."),
            Self::TooFinePercent => write!(
                f,
                "A rate in percent may have at most {MAX_PERCENT_DECIMALS} digits after the point."
            ),
        }
    }
}

impl Error for NumberError {}

/// Writes `magnitude / 10^decimals` without trailing zeros.
pub(super) fn write_scaled(
    f: &mut fmt::Formatter<'_>,
    magnitude: u128,
    decimals: u32,
) -> fmt::Result {
    let one = 10_u128.pow(decimals);
    let (whole, mut fraction) = (magnitude / one, magnitude % one);
    write!(f, "{whole}")?;
    if fraction == 0 {
        return Ok(());
    }
    let mut width = decimals as usize;
    while fraction % 10 == 0 {
        fraction /= 10;
        width -= 1;
    }
    write!(f, ".{fraction:0width$}")
}

/// Reads a JSON string with `read`. A JSON number is refused, because it may have been
/// a float on its way.
pub(super) fn deserialize_text<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    deserializer: D,
    expecting: &'static str,
    read: fn(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    struct TextVisitor<T, E> {
        expecting: &'static str,
        read: fn(&str) -> Result<T, E>,
    }

    impl<T, E: fmt::Display> de::Visitor<'_> for TextVisitor<T, E> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.expecting)
        }

        fn visit_str<F: de::Error>(self, text: &str) -> Result<T, F> {
            (self.read)(text).map_err(F::custom)
        }
    }

    deserializer.deserialize_str(TextVisitor { expecting, read })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_written_shortest() {
        let largest = "999999999999.999999999";
        for (text, expected) in [
            ("0", Ok("0")),
            ("0.000000000", Ok("0")),
            ("1.50", Ok("1.5")),
            ("0.000000001", Ok("0.000000001")),
            ("120", Ok("120")),
            (largest, Ok(largest)),
            ("-0.1", Err("negative")),
            ("-0", Err("amount_not_plain_decimal")),
            ("-0.000000000", Err("amount_not_plain_decimal")),
            ("1000000000000", Err("amount_too_many_integer_digits")),
            ("0.0000000001", Err("amount_too_many_fraction_digits")),
            ("1e3", Err("amount_not_plain_decimal")),
            ("", Err("amount_empty")),
        ] {
            let got = Number::parse(text);
            assert_eq!(
                got.map(|number| number.to_string())
                    .map_err(NumberError::code),
                expected.map(str::to_owned),
                "{text:?}: fix Number::parse or this row"
            );
            if let Ok(number) = got {
                assert_eq!(Number::from_decimal(number.to_decimal()), Some(number));
            }
        }
    }

    #[test]
    fn decimals_beyond_the_limits_are_no_numbers() {
        for (text, fits) in [
            ("1.000000000000", true),
            ("0.0000000001", false),
            ("999999999999.9999999990", true),
            ("1000000000000", false),
            ("79228162514264337593543950335", false),
            ("-0.000", true),
            ("-1", false),
        ] {
            let decimal: Decimal = text
                .parse()
                .unwrap_or_else(|error| panic!("{text} in the table: {error}"));
            assert_eq!(Number::from_decimal(decimal).is_some(), fits, "{text}");
        }
    }

    #[test]
    fn percents_are_a_hundredth() {
        for (text, expected) in [
            ("2.9", Ok(("2.9", "0.029"))),
            ("100", Ok(("100", "1"))),
            ("0", Ok(("0", "0"))),
            ("0.0000001", Ok(("0.0000001", "0.000000001"))),
            ("999999999999", Ok(("999999999999", "9999999999.99"))),
            ("0.00000001", Err("amount_too_many_fraction_digits")),
            ("-1", Err("negative")),
            ("-0", Err("amount_not_plain_decimal")),
        ] {
            assert_eq!(
                Percent::parse(text)
                    .map(|percent| (percent.to_string(), percent.as_share().to_string()))
                    .map_err(NumberError::code),
                expected.map(|(percent, share)| (percent.to_owned(), share.to_owned())),
                "{text:?}: fix Percent::parse or this row"
            );
        }
    }

    #[test]
    fn json_has_strings() {
        for (json, expected) in [
            (r#""1.50""#, Some(r#""1.5""#)),
            ("1.5", None),
            ("15", None),
            ("null", None),
            (r#""-1""#, None),
        ] {
            let got = serde_json::from_str::<Number>(json)
                .ok()
                .and_then(|number| serde_json::to_string(&number).ok());
            assert_eq!(got.as_deref(), expected, "{json}");
        }
    }
}
