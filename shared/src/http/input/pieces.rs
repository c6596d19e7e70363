//! What bodies and queries are made of.

use std::collections::BTreeMap;
use std::ops::{Deref, RangeInclusive};

use rust_decimal::Decimal;
use serde_json::{Number, Value};

use crate::http::input::{self, FromText, Input, Invalid, Reader};
use crate::money::{Currency, Money, parse_amount};

impl<T: Input> Input for Option<T> {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::read(value, reader).map(Some),
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// A field of a change: left alone when it is absent, cleared when it is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<T> {
    /// The field was not given.
    Keep,
    /// The field was null.
    Clear,
    /// The field has a new value.
    Set(T),
}

impl<T> Change<T> {
    /// Whether the field was given.
    pub const fn is_given(&self) -> bool {
        !matches!(self, Self::Keep)
    }

    /// The new value, if there is one.
    pub fn set(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }
}

impl<T: Input> Input for Change<T> {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        match value {
            Value::Null => Some(Self::Clear),
            value => T::read(value, reader).map(Self::Set),
        }
    }

    fn absent() -> Option<Self> {
        Some(Self::Keep)
    }
}

impl<T: Input> Input for Vec<T> {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let elements = reader.list(value)?;
        // Every element is read, so that every mistake is named.
        let read: Vec<Option<T>> = elements
            .iter()
            .enumerate()
            .map(|(index, element)| reader.within_element(index, |reader| T::read(element, reader)))
            .collect();
        read.into_iter().collect()
    }
}

/// An object whose members are all alike, by their names.
impl<T: Input> Input for BTreeMap<String, T> {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let object = reader.object(value)?;
        let read: Vec<Option<(String, T)>> = object
            .iter()
            .map(|(name, member)| {
                let read = reader.within(name, |reader| T::read(member, reader));
                read.map(|read| (name.clone(), read))
            })
            .collect();
        read.into_iter().collect()
    }
}

/// Any text.
impl FromText for String {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        Ok(text.to_owned())
    }
}

impl Input for bool {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let read = match value {
            Value::Bool(is_true) => Some(*is_true),
            Value::String(text) if reader.is_query() => text.parse().ok(),
            _ => None,
        };
        if read.is_none() {
            let code = if reader.is_query() {
                "invalid"
            } else {
                "wrong_type"
            };
            reader.refuse(Invalid::new(code, "must be true or false"));
        }
        read
    }
}

/// Anything that is JSON.
impl Input for Value {
    fn read(value: &Value, _: &mut Reader) -> Option<Self> {
        Some(value.clone())
    }
}

/// A line of `LEAST` to `MOST` characters, see [`input::line`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Text<const LEAST: usize, const MOST: usize>(pub String);

impl<const LEAST: usize, const MOST: usize> Deref for Text<LEAST, MOST> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const LEAST: usize, const MOST: usize> From<Text<LEAST, MOST>> for String {
    fn from(text: Text<LEAST, MOST>) -> Self {
        text.0
    }
}

impl<const LEAST: usize, const MOST: usize> FromText for Text<LEAST, MOST> {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        input::line(text, LEAST..=MOST).map(|line| Self(line.to_owned()))
    }
}

/// What somebody calls a thing: 1 to `MOST` characters with something to see among them,
/// see [`input::name`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name<const MOST: usize>(pub String);

impl<const MOST: usize> Deref for Name<MOST> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MOST: usize> From<Name<MOST>> for String {
    fn from(name: Name<MOST>) -> Self {
        name.0
    }
}

impl<const MOST: usize> FromText for Name<MOST> {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        input::name(text, 1..=MOST).map(Self)
    }
}

/// A whole number from `LEAST` to `MOST`. One written with a fraction of zero is whole
/// too (JSON Schema, draft 2020-12, section 4.2.3 of its core).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Whole<const LEAST: i64, const MOST: i64>(pub i64);

impl<const LEAST: i64, const MOST: i64> Input for Whole<LEAST, MOST> {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        whole_within(value, reader, LEAST..=MOST).map(Self)
    }
}

/// Reads the whole numbers of fixed width, each within its width.
macro_rules! fixed_width {
    ($($name:ty),*) => {
        $(impl Input for $name {
            fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
                let range = i64::from(Self::MIN)..=i64::from(Self::MAX);
                whole_within(value, reader, range)?.try_into().ok()
            }
        })*
    };
}

fixed_width!(u8, u32);

fn whole_within(value: &Value, reader: &mut Reader, range: RangeInclusive<i64>) -> Option<i64> {
    let number = match value {
        Value::Number(number) => whole(number),
        Value::String(text) if reader.is_query() => {
            text.parse().ok().filter(|_| !text.starts_with('+'))
        }
        _ => {
            reader.refuse(Invalid::new("wrong_type", "must be a whole number"));
            return None;
        }
    };
    let number = number.filter(|number| range.contains(number));
    if number.is_none() {
        let (least, most) = (range.start(), range.end());
        let message = format!("must be a whole number from {least} to {most}");
        reader.refuse(Invalid::new("out_of_range", message));
    }
    number
}

fn whole(number: &Number) -> Option<i64> {
    let text = number.to_string();
    text.strip_suffix(".0").unwrap_or(&text).parse().ok()
}

/// A list of `LEAST` to `MOST` elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T, const LEAST: usize, const MOST: usize>(pub Vec<T>);

impl<T, const LEAST: usize, const MOST: usize> Deref for List<T, LEAST, MOST> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Input, const LEAST: usize, const MOST: usize> Input for List<T, LEAST, MOST> {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let elements = reader.list(value)?;
        // A list that is too long is not read: it could have any number of mistakes.
        if !(LEAST..=MOST).contains(&elements.len()) {
            let message = match LEAST {
                0 => format!("must have at most {MOST} items"),
                _ => format!("must have {LEAST} to {MOST} items"),
            };
            reader.refuse(Invalid::new("wrong_length", message));
            return None;
        }
        Vec::read(value, reader).map(Self)
    }
}

fn amount(value: &Value, reader: &mut Reader) -> Option<Decimal> {
    let Some(text) = value.as_str() else {
        let message = "must be a string such as \"12.50\", not a number";
        reader.refuse(Invalid::new("wrong_type", message));
        return None;
    };
    reader.note(parse_amount(text).map_err(|error| Invalid::new(error.code(), error.to_string())))
}

/// An amount above zero, in major units, as a string in plain decimal notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PositiveAmount(pub Decimal);

impl Input for PositiveAmount {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let amount = amount(value, reader)?;
        if amount <= Decimal::ZERO {
            reader.refuse(Invalid::new("not_positive", "must be greater than zero"));
            return None;
        }
        Some(Self(amount))
    }
}

/// An amount of zero or above, in major units, as a string in plain decimal notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsignedAmount(pub Decimal);

impl Input for UnsignedAmount {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let amount = amount(value, reader)?;
        if amount < Decimal::ZERO {
            reader.refuse(Invalid::new("negative", "must not be below zero"));
            return None;
        }
        Some(Self(amount))
    }
}

/// A number of units above zero, written as amounts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PositiveQuantity(pub Decimal);

impl Input for PositiveQuantity {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        PositiveAmount::read(value, reader).map(|units| Self(units.0))
    }
}

/// A number of units of zero or above, written as amounts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsignedQuantity(pub Decimal);

impl Input for UnsignedQuantity {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        UnsignedAmount::read(value, reader).map(|units| Self(units.0))
    }
}

/// An object with `amount`, of zero or above, and `currency`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsignedMoney(pub Money);

impl Input for UnsignedMoney {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let object = reader.object(value)?;
        let amount = reader.field::<UnsignedAmount>(object, "amount");
        let currency = reader.field::<Currency>(object, "currency");
        reader.refuse_unknown(object, &["amount", "currency"]);
        Some(Self(Money::new(amount?.0, currency?)))
    }
}
