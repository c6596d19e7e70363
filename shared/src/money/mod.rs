//! Decimal money: amounts bound to a currency, named rounding, exact splits
//! and proration.
//!
//! Nothing here touches a binary float. An amount keeps every digit it was
//! given until [`Money::round`], a split or a proration brings it to the
//! currency's minor unit; that happens once, at the invoice line.

mod amount;
mod currency;
pub mod decimal_text;
mod proration;
mod ratio;
mod rounding;
mod split;

#[cfg(test)]
mod properties;

use std::cmp::Ordering;
use std::error::Error;
use std::fmt;
use std::ops::Neg;

use rust_decimal::Decimal;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use decimal_text::DecimalText;

pub use amount::{
    AmountError, MAX_FRACTION_DIGITS, MAX_INTEGER_DIGITS, format_amount, parse_amount,
};
pub use currency::{Currency, CurrencyError, DEFAULT_CURRENCY};
pub use proration::{AnchoredPeriod, PeriodPart, PeriodShare, Proration, ProrationError, prorate};
pub use rounding::{Rounding, round_decimal};
pub use split::{Leftover, MAX_SPLIT_PARTS, SplitError};

/// An amount of one currency, in major units (dollars, not cents).
///
/// Two values are equal when the currency is the same and the amounts are
/// numerically equal, however many trailing zeros they were written with.
/// There is no `Add`, `Ord` or `Sum`: arithmetic across currencies is an error
/// that the caller has to see, never a silent sum.
///
/// In JSON it is `{"amount":"12.50","currency":"USD"}`, written by [`format_amount`].
/// It is read as the database writes it, with every digit and any number of trailing
/// zeros; a JSON number, an unknown field or a missing one is refused. What a client
/// sends is read by the types of `http::input`, which also hold its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    amount: Decimal,
    currency: Currency,
}

impl Money {
    /// An amount in major units of `currency`; nothing is rounded.
    pub const fn new(amount: Decimal, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// Zero of `currency`.
    pub const fn zero(currency: Currency) -> Self {
        Self::new(Decimal::ZERO, currency)
    }

    /// Reads an amount in plain decimal notation, by the rules of [`parse_amount`].
    ///
    /// # Errors
    ///
    /// The [`AmountError`] that names the rule `amount` breaks.
    pub fn parse(amount: &str, currency: Currency) -> Result<Self, AmountError> {
        parse_amount(amount).map(|amount| Self::new(amount, currency))
    }

    /// The amount in major units.
    pub const fn amount(self) -> Decimal {
        self.amount
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Whether the amount is below zero.
    pub fn is_negative(self) -> bool {
        self.amount < Decimal::ZERO
    }

    /// Whether the amount is above zero.
    pub fn is_positive(self) -> bool {
        self.amount > Decimal::ZERO
    }

    /// Whether the amount is zero.
    pub const fn is_zero(self) -> bool {
        self.amount.is_zero()
    }

    /// The exact sum; nothing is rounded.
    ///
    /// # Errors
    ///
    /// [`MoneyError::CurrencyMismatch`], or [`MoneyError::Overflow`] when the
    /// sum needs more digits than a [`Decimal`] holds.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.require_currency(other)?;
        let amount = exact_sum(self.amount, other.amount).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(amount, self.currency))
    }

    /// The exact difference; nothing is rounded.
    ///
    /// # Errors
    ///
    /// As for [`Money::checked_add`].
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.checked_add(-other)
    }

    /// The product with a plain number such as a quantity or a tax rate. It is
    /// exact while it needs no more than 28 significant digits and 28 decimals;
    /// beyond that the last of them is rounded half to even.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Overflow`] when the product is too large for a [`Decimal`].
    pub fn checked_mul(self, factor: Decimal) -> Result<Self, MoneyError> {
        let amount = self
            .amount
            .checked_mul(factor)
            .ok_or(MoneyError::Overflow)?;
        Ok(Self::new(amount, self.currency))
    }

    /// Compares two amounts of one currency.
    ///
    /// # Errors
    ///
    /// [`MoneyError::CurrencyMismatch`].
    pub fn checked_cmp(self, other: Self) -> Result<Ordering, MoneyError> {
        self.require_currency(other)?;
        Ok(self.amount.cmp(&other.amount))
    }

    /// The amount rounded to the currency's exponent: cents for USD, whole yen
    /// for JPY.
    #[must_use]
    pub fn round(self, rounding: Rounding) -> Self {
        self.round_to(self.currency.exponent(), rounding)
    }

    /// The amount rounded to `decimals` digits after the point. An amount that
    /// has no more than that is returned as it is.
    #[must_use]
    pub fn round_to(self, decimals: u32, rounding: Rounding) -> Self {
        Self::new(
            round_decimal(self.amount, decimals, rounding),
            self.currency,
        )
    }

    /// The amount as its JSON string: see [`format_amount`].
    pub fn format_amount(self) -> String {
        format_amount(self.amount, self.currency)
    }

    fn require_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::CurrencyMismatch {
                left: self.currency,
                right: other.currency,
            })
        }
    }
}

impl Neg for Money {
    type Output = Self;

    fn neg(self) -> Self {
        Self::new(-self.amount, self.currency)
    }
}

/// `12.50 USD`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.format_amount(), self.currency)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Money", 2)?;
        fields.serialize_field("amount", &self.format_amount())?;
        fields.serialize_field("currency", &self.currency)?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            expecting = "an object with an amount and a currency",
            deny_unknown_fields
        )]
        struct Fields {
            amount: DecimalText,
            currency: Currency,
        }
        let fields = Fields::deserialize(deserializer)?;
        Ok(Self::new(fields.amount.0, fields.currency))
    }
}

/// Why an operation on two amounts has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoneyError {
    /// The two amounts are of different currencies.
    CurrencyMismatch {
        /// The currency of the first amount.
        left: Currency,
        /// The currency of the second amount.
        right: Currency,
    },
    /// The result needs more digits than a [`Decimal`] holds.
    Overflow,
}

impl fmt::Display for MoneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CurrencyMismatch { left, right } => {
                write!(f, "{left} and {right} cannot be combined without a rate.")
            }
            Self::Overflow => f.write_str("The result is too large to hold exactly."),
        }
    }
}

impl Error for MoneyError {}

/// The sum of two decimals, or nothing when it cannot be held exactly.
///
/// `Decimal::checked_add` drops low digits when the two scales do not fit together. For
/// money that is a silent loss, so integers are added instead.
fn exact_sum(left: Decimal, right: Decimal) -> Option<Decimal> {
    fn sum(left: Decimal, right: Decimal) -> Option<Decimal> {
        let scale = left.scale().max(right.scale());
        let left = left
            .mantissa()
            .checked_mul(10_i128.checked_pow(scale - left.scale())?)?;
        let right = right
            .mantissa()
            .checked_mul(10_i128.checked_pow(scale - right.scale())?)?;
        exact_decimal(left.checked_add(right)?, scale)
    }
    // Stripping each trailing zero costs a division, so zeros are stripped only when
    // the sum does not fit with them.
    sum(left, right).or_else(|| sum(left.normalize(), right.normalize()))
}

/// `mantissa / 10^scale`, or nothing when it cannot be held exactly.
fn exact_decimal(mut mantissa: i128, mut scale: u32) -> Option<Decimal> {
    loop {
        if let Ok(decimal) = Decimal::try_from_i128_with_scale(mantissa, scale) {
            return Some(decimal);
        }
        if scale == 0 || mantissa % 10 != 0 {
            return None;
        }
        mantissa /= 10;
        scale -= 1;
    }
}

/// `±units / 10^scale`, or nothing when it cannot be held exactly.
pub(crate) fn signed_decimal(negative: bool, units: u128, scale: u32) -> Option<Decimal> {
    let units = i128::try_from(units).ok()?;
    exact_decimal(if negative { -units } else { units }, scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse()
            .unwrap_or_else(|error| panic!("{text:?} in the table is no decimal: {error}"))
    }

    /// Reads `12.50 USD` without the limits of [`parse_amount`].
    fn money(text: &str) -> Money {
        let (amount, currency) = text
            .split_once(' ')
            .unwrap_or_else(|| panic!("write {text:?} in the table as `12.50 USD`"));
        let currency = currency
            .parse()
            .unwrap_or_else(|error| panic!("{currency:?} in the table: {error}"));
        Money::new(decimal(amount), currency)
    }

    #[test]
    fn sums_and_differences_are_exact_or_refused() {
        let mismatch = Err(MoneyError::CurrencyMismatch {
            left: Currency::USD,
            right: Currency::EUR,
        });
        let overflow = Err(MoneyError::Overflow);
        let largest = "79228162514264337593543950335 USD";
        let check = |left: &str, right: &str, expected: Result<&str, MoneyError>| {
            let expected = expected.map(money);
            assert_eq!(
                money(left).checked_add(money(right)),
                expected,
                "{left} + {right}: fix Money::checked_add or this row"
            );
            assert_eq!(
                money(left).checked_sub(-money(right)),
                expected,
                "{left} - -({right}): fix Money::checked_sub or this row"
            );
        };
        for (left, right, expected) in [
            ("1.10 USD", "2.20 USD", Ok("3.30 USD")),
            ("0.000001 USD", "1 USD", Ok("1.000001 USD")),
            ("5 JPY", "-5 JPY", Ok("0 JPY")),
            ("1 USD", "1 EUR", mismatch),
            ("0 USD", "0 EUR", mismatch),
            (largest, "1 USD", overflow),
            // One digit too many is refused, not rounded away.
            (largest, "0.1 USD", overflow),
            (largest, "0.0000000000000000000000000000 USD", Ok(largest)),
            (
                "5000000000000000000000000000.5 USD",
                "5000000000000000000000000000.5 USD",
                Ok("10000000000000000000000000001 USD"),
            ),
        ] {
            check(left, right, expected);
        }
    }

    #[test]
    fn products_round_only_past_28_digits() {
        let check = |left: &str, factor: &str, expected: Result<&str, MoneyError>| {
            assert_eq!(
                money(left).checked_mul(decimal(factor)),
                expected.map(money),
                "{left} * {factor}: fix Money::checked_mul or this row"
            );
        };
        for (left, factor, expected) in [
            // 2.9% of 4, before rounding.
            ("4 USD", "0.029", Ok("0.116 USD")),
            ("0.000000001 USD", "0.5", Ok("0.0000000005 USD")),
            ("-2 KWD", "3", Ok("-6 KWD")),
            ("0 USD", "-3", Ok("0 USD")),
            (
                "0.00000000000001 USD",
                "0.000000000000015",
                Ok("0.0000000000000000000000000002 USD"),
            ),
            (
                "79228162514264337593543950335 USD",
                "2",
                Err(MoneyError::Overflow),
            ),
        ] {
            check(left, factor, expected);
        }
    }

    #[test]
    fn signs_and_order() {
        let check = |text: &str, sign: Ordering| {
            let value = money(text);
            assert_eq!(
                [value.is_negative(), value.is_zero(), value.is_positive()],
                [sign.is_lt(), sign.is_eq(), sign.is_gt()],
                "{text}: exactly one of negative, zero and positive holds"
            );
            assert_eq!(
                value.checked_cmp(Money::zero(value.currency())),
                Ok(sign),
                "{text} compared with zero"
            );
            assert_eq!(
                (-value).checked_cmp(Money::zero(value.currency())),
                Ok(sign.reverse()),
                "-({text}) compared with zero"
            );
        };
        for (text, sign) in [
            ("-0.000001 USD", Ordering::Less),
            ("0.00 USD", Ordering::Equal),
            ("-0 USD", Ordering::Equal),
            ("3 JPY", Ordering::Greater),
        ] {
            check(text, sign);
        }
        assert_eq!(
            money("1 USD").checked_cmp(money("1 EUR")),
            Err(MoneyError::CurrencyMismatch {
                left: Currency::USD,
                right: Currency::EUR
            }),
            "amounts of two currencies have no order"
        );
    }

    #[test]
    fn json_round_trips_in_canonical_form() {
        let check = |input: &str, expected: &str| {
            let value: Money = serde_json::from_str(input)
                .unwrap_or_else(|error| panic!("{input} must be read: {error}"));
            let output = serde_json::to_string(&value)
                .unwrap_or_else(|error| panic!("{input} must be written: {error}"));
            assert_eq!(output, expected, "{input} is written canonically");
            assert_eq!(
                serde_json::from_str::<Money>(&output).ok(),
                Some(value),
                "{output} must read back as the same amount"
            );
        };
        for (input, expected) in [
            (
                r#"{"amount":"12.5","currency":"USD"}"#,
                r#"{"amount":"12.50","currency":"USD"}"#,
            ),
            (
                r#"{"currency":"USD","amount":"0.000001"}"#,
                r#"{"amount":"0.000001","currency":"USD"}"#,
            ),
            (
                r#"{"amount":"5.00","currency":"JPY"}"#,
                r#"{"amount":"5","currency":"JPY"}"#,
            ),
            (
                r#"{"amount":"-0","currency":"KWD"}"#,
                r#"{"amount":"0.000","currency":"KWD"}"#,
            ),
        ] {
            check(input, expected);
        }
    }

    #[test]
    fn json_that_is_not_money_is_refused() {
        let check = |input: &str, reason: &str| match serde_json::from_str::<Money>(input) {
            Ok(value) => panic!("{input} was read as {value}; it must be refused"),
            Err(error) => assert!(
                error.to_string().contains(reason),
                "{input}: the error must say {reason:?}, not {error}"
            ),
        };
        for (input, reason) in [
            (r#"{"amount":12.5,"currency":"USD"}"#, "expected a string"),
            (r#"{"amount":12,"currency":"USD"}"#, "expected a string"),
            (r#"{"amount":null,"currency":"USD"}"#, "expected a string"),
            (r#"{"amount":"1e3","currency":"USD"}"#, "Invalid decimal"),
            (r#"{"amount":"","currency":"USD"}"#, "empty"),
            (r#"{"amount":"1","currency":"usd"}"#, "upper-case"),
            (r#"{"amount":"1","currency":"XAU"}"#, "ISO 4217"),
            (r#"{"amount":"1","currency":840}"#, "currency code"),
            (r#"{"amount":"1"}"#, "currency"),
            (r#"{"currency":"USD"}"#, "amount"),
            (r#"{"amount":"1","currency":"USD","minor":1}"#, "minor"),
            (r#""1 USD""#, "an object with an amount"),
        ] {
            check(input, reason);
        }
    }
}
