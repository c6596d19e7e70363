//! Amounts as text: what is read, and the one form that is written.

use std::error::Error;
use std::fmt;

use rust_decimal::Decimal;

use super::Currency;

/// The most digits an amount may have before the point.
///
/// 12 before and 9 after make 21 of the 28 digits that a `Decimal` always
/// holds; the 7 left over let ten million of the largest amounts be summed
/// exactly.
pub const MAX_INTEGER_DIGITS: usize = 12;

/// The most digits an amount may have after the point: a billionth of a unit,
/// which prices a single token or byte. See [`MAX_INTEGER_DIGITS`] for the sum.
pub const MAX_FRACTION_DIGITS: usize = 9;

/// Which rule of [`parse_amount`] a text breaks.
///
/// The text of the error is a sentence that names the rule and is safe to show
/// beside the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmountError {
    /// There is nothing to read.
    Empty,
    /// It is not plain decimal notation: an exponent, a plus sign, a minus sign before
    /// zero, a space, a separator, or a point without digits on both sides.
    NotPlainDecimal,
    /// It starts with a zero that another digit follows.
    LeadingZero,
    /// More than [`MAX_INTEGER_DIGITS`] before the point.
    TooManyIntegerDigits,
    /// More than [`MAX_FRACTION_DIGITS`] after the point.
    TooManyFractionDigits,
}

impl AmountError {
    /// The stable code, for the `code` of a field error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "amount_empty",
            Self::NotPlainDecimal => "amount_not_plain_decimal",
            Self::LeadingZero => "amount_leading_zero",
            Self::TooManyIntegerDigits => "amount_too_many_integer_digits",
            Self::TooManyFractionDigits => "amount_too_many_fraction_digits",
        }
    }
}

impl fmt::Display for AmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("An amount must not be empty."),
            Self::NotPlainDecimal => f.write_str(
                "An amount must be in plain decimal notation, such as 12.50, without an \
                 exponent, spaces, separators, a plus sign, or a minus sign before zero.",
            ),
            Self::LeadingZero => {
                f.write_str("An amount must not start with extra zeros: write 7, not 007.")
            }
            Self::TooManyIntegerDigits => write!(
                f,
                "An amount may have at most {MAX_INTEGER_DIGITS} digits before the point."
            ),
            Self::TooManyFractionDigits => write!(
                f,
                "An amount may have at most {MAX_FRACTION_DIGITS} digits after the point."
            ),
        }
    }
}

impl Error for AmountError {}

/// Reads plain decimal notation: `-?(0|[1-9][0-9]*)(\.[0-9]+)?`, with at most
/// [`MAX_INTEGER_DIGITS`] before the point and [`MAX_FRACTION_DIGITS`] after it,
/// trailing zeros included. Nothing is rounded. Zero has no sign: `-0` is refused, so
/// that a number has one sign wherever it is read.
///
/// # Errors
///
/// The [`AmountError`] that names the first rule the text breaks.
pub fn parse_amount(text: &str) -> Result<Decimal, AmountError> {
    if text.is_empty() {
        return Err(AmountError::Empty);
    }
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (integer, fraction) = match unsigned.split_once('.') {
        Some((_, "")) => return Err(AmountError::NotPlainDecimal),
        Some(halves) => halves,
        None => (unsigned, ""),
    };
    let digits = || integer.bytes().chain(fraction.bytes());
    if integer.is_empty() || !digits().all(|byte| byte.is_ascii_digit()) {
        return Err(AmountError::NotPlainDecimal);
    }
    if integer.len() > 1 && integer.starts_with('0') {
        return Err(AmountError::LeadingZero);
    }
    if integer.len() > MAX_INTEGER_DIGITS {
        return Err(AmountError::TooManyIntegerDigits);
    }
    if fraction.len() > MAX_FRACTION_DIGITS {
        return Err(AmountError::TooManyFractionDigits);
    }
    let magnitude = digits().fold(0_i128, |sum, byte| sum * 10 + i128::from(byte - b'0'));
    let is_negative = unsigned.len() < text.len();
    if is_negative && magnitude == 0 {
        return Err(AmountError::NotPlainDecimal);
    }
    let mantissa = if is_negative { -magnitude } else { magnitude };
    // 21 digits always fit. The mapping only avoids a panic.
    u32::try_from(fraction.len())
        .ok()
        .and_then(|scale| Decimal::try_from_i128_with_scale(mantissa, scale).ok())
        .ok_or(AmountError::TooManyIntegerDigits)
}

/// Writes an amount in its canonical form: plain decimal notation, padded with
/// zeros to the currency's exponent, without trailing zeros beyond it (`12.50`
/// and `0.000001` for USD, `5` for JPY). Nothing is rounded and zero has no
/// sign. [`parse_amount`] reads it back to an equal amount, provided it is
/// within that function's limits.
pub fn format_amount(amount: Decimal, currency: Currency) -> String {
    let amount = amount.normalize();
    let mut text = amount.to_string();
    // Zeros are appended to the text, because a large amount may have no room
    // for them in its 96 bits.
    let missing = currency.exponent().saturating_sub(amount.scale());
    if missing > 0 && amount.scale() == 0 {
        text.push('.');
    }
    text.extend((0..missing).map(|_| '0'));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_an_amount_is_read_and_written_canonically() {
        let check = |input: &str, code: &str, expected: &str| {
            let currency = code
                .parse()
                .unwrap_or_else(|error| panic!("{code:?} in the table: {error}"));
            let amount = parse_amount(input)
                .unwrap_or_else(|error| panic!("{input:?} must be read: {error}"));
            assert_eq!(
                format_amount(amount, currency),
                expected,
                "{input} {code}: fix format_amount or this row"
            );
        };
        for (input, code, expected) in [
            ("12.5", "USD", "12.50"),
            ("12.500000000", "USD", "12.50"),
            ("0", "USD", "0.00"),
            ("0.000000000", "JPY", "0"),
            ("0.000001", "USD", "0.000001"),
            ("-0.5", "USD", "-0.50"),
            ("5", "JPY", "5"),
            ("5.50", "JPY", "5.5"),
            ("100", "JPY", "100"),
            ("100", "KWD", "100.000"),
            ("1.25", "KWD", "1.250"),
            ("1", "CLF", "1.0000"),
            ("1.00010", "UYW", "1.0001"),
            ("999999999999.999999999", "USD", "999999999999.999999999"),
            ("-999999999999.999999999", "USD", "-999999999999.999999999"),
        ] {
            check(input, code, expected);
        }
    }

    #[test]
    fn an_amount_too_large_to_pad_is_still_written() {
        assert_eq!(
            format_amount(Decimal::MAX, Currency::USD),
            "79228162514264337593543950335.00",
            "padding must not depend on room in the decimal"
        );
    }

    #[test]
    fn text_that_is_no_amount_is_refused_by_its_rule() {
        let check = |input: &str, expected: AmountError| {
            assert_eq!(
                parse_amount(input),
                Err(expected),
                "{input:?}: fix parse_amount or this row"
            );
        };
        for (expected, inputs) in [
            (AmountError::Empty, &[""][..]),
            (
                AmountError::NotPlainDecimal,
                &[
                    "+1",
                    "1e3",
                    "1E3",
                    " 1",
                    "1 ",
                    "1 000",
                    "1,000",
                    "1_000",
                    "-",
                    ".",
                    ".5",
                    "1.",
                    "-.5",
                    "--1",
                    "-0",
                    "-0.00",
                    "-0.000000000",
                    "1.2.3",
                    "1.-2",
                    "0x10",
                    "NaN",
                    "inf",
                    "١",
                    "１",
                    "1\0",
                    "−1",
                    "$1",
                ],
            ),
            (
                AmountError::LeadingZero,
                &["00", "01", "-01", "007.5", "00.5", "0000000000000"],
            ),
            (
                AmountError::TooManyIntegerDigits,
                &["1000000000000", "-1234567890123", "1000000000000.5"],
            ),
            (
                AmountError::TooManyFractionDigits,
                &["0.0000000001", "1.0000000000", "-0.1234567891"],
            ),
        ] {
            for input in inputs {
                check(input, expected);
            }
        }
    }

    #[test]
    fn every_error_has_its_own_code_and_a_sentence() {
        let errors = [
            AmountError::Empty,
            AmountError::NotPlainDecimal,
            AmountError::LeadingZero,
            AmountError::TooManyIntegerDigits,
            AmountError::TooManyFractionDigits,
        ];
        for (index, error) in errors.iter().enumerate() {
            assert!(
                errors[..index]
                    .iter()
                    .all(|other| other.code() != error.code()),
                "{error:?} shares its code; give it its own"
            );
            assert!(
                error.to_string().ends_with('.'),
                "{error:?}: write a sentence"
            );
        }
    }
}
