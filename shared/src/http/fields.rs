//! Reading the fields of a JSON body, so that every mistake is named at once.
//!
//! ```
//! use shared::http::fields::{self, Fields};
//!
//! let body = serde_json::json!({"email": "ada@example.com", "plan": 3});
//! let mut fields = Fields::new(body)?;
//! let email = fields.required("email", fields::email);
//! let plan = fields.required("plan", |value| fields::text(value, 1..=40));
//! let refused = fields.finish(|| Some((email?, plan?))).unwrap_err();
//! assert_eq!(refused.errors[0].field, "plan");
//! # Ok::<(), shared::http::problem::Problem>(())
//! ```

use std::borrow::Cow;
use std::ops::RangeInclusive;

use rust_decimal::Decimal;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::http::problem::{FieldError, Problem};

pub use crate::http::input::Invalid;
use crate::money::{Currency, Money};
use crate::text::email::EmailAddress;

/// The fields of one JSON object, taken out one by one.
#[derive(Debug)]
pub struct Fields {
    unread: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// The fields of the JSON object that `body` is.
    ///
    /// # Errors
    /// A 400 if the body is not JSON, a 422 if it is not an object or names a
    /// field twice.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let body: StrictBody = serde_json::from_slice(body)
            .map_err(|error| Problem::malformed_body(format!("The body is not JSON: {error}.")))?;
        match body.repeated {
            Some(name) => Err(Problem::invalid_field(
                name,
                "repeated",
                "must be given once",
            )),
            None => Self::new(body.value),
        }
    }

    /// The fields of `body`.
    ///
    /// # Errors
    /// A 422 if the body is not an object.
    pub fn new(body: Value) -> Result<Self, Problem> {
        match body {
            Value::Object(unread) => Ok(Self {
                unread,
                errors: Vec::new(),
            }),
            _ => Err(Problem::invalid_field(
                "",
                "wrong_type",
                "the body must be a JSON object",
            )),
        }
    }

    /// Takes a field that must be there. `None` stands for a mistake that
    /// [`Fields::finish`] will report.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Result<T, Invalid>,
    ) -> Option<T> {
        match self.unread.remove(name) {
            Some(value) => self.read(name, &value, read),
            None => {
                self.refuse(name, Invalid::new("required", "is required"));
                None
            }
        }
    }

    /// Takes a field that may be absent or null: `Some(None)` then, and `None`
    /// for a mistake.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Result<T, Invalid>,
    ) -> Option<Option<T>> {
        match self.unread.remove(name) {
            None | Some(Value::Null) => Some(None),
            Some(value) => self.read(name, &value, read).map(Some),
        }
    }

    /// Takes a field that may be absent, or null to say that there is none from now
    /// on: `Some(None)` when it is absent, `Some(Some(None))` when it is null, and
    /// `None` for a mistake.
    pub fn nullable<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Result<T, Invalid>,
    ) -> Option<Option<Option<T>>> {
        if !self.unread.contains_key(name) {
            return Some(None);
        }
        self.optional(name, read).map(Some)
    }

    /// Takes an object that must be there. `read` takes its fields, which are
    /// refused under its name, a dot and theirs.
    pub fn required_object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let mut inner = self.required(name, |value| match value {
            Value::Object(unread) => Ok(Self {
                unread: unread.clone(),
                errors: Vec::new(),
            }),
            _ => Err(Invalid::new("wrong_type", "must be an object")),
        })?;
        let value = read(&mut inner);
        inner.refuse_unknown();
        for error in inner.errors {
            self.errors.push(FieldError {
                field: format!("{name}.{}", error.field).into(),
                ..error
            });
        }
        value
    }

    /// As [`Fields::required`], for what has fields of its own: `read` names them by
    /// their whole places.
    pub fn required_nested<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Result<T, Vec<FieldError>>,
    ) -> Option<T> {
        match self.unread.remove(name) {
            Some(value) => self.read_nested(&value, read),
            None => {
                self.refuse(name, Invalid::new("required", "is required"));
                None
            }
        }
    }

    /// As [`Fields::optional`], for what has fields of its own: `read` names them by
    /// their whole places.
    pub fn optional_nested<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Result<T, Vec<FieldError>>,
    ) -> Option<Option<T>> {
        match self.unread.remove(name) {
            None | Some(Value::Null) => Some(None),
            Some(value) => self.read_nested(&value, read).map(Some),
        }
    }

    fn read_nested<T>(
        &mut self,
        value: &Value,
        read: impl FnOnce(&Value) -> Result<T, Vec<FieldError>>,
    ) -> Option<T> {
        read(value)
            .map_err(|errors| self.errors.extend(errors))
            .ok()
    }

    /// Whether a field was given, and not as null.
    pub fn has(&self, name: &str) -> bool {
        self.unread.get(name).is_some_and(|value| !value.is_null())
    }

    fn read<T>(
        &mut self,
        name: &'static str,
        value: &Value,
        read: impl FnOnce(&Value) -> Result<T, Invalid>,
    ) -> Option<T> {
        read(value)
            .map_err(|invalid| self.refuse(name, invalid))
            .ok()
    }

    fn refuse(&mut self, field: impl Into<Cow<'static, str>>, invalid: Invalid) {
        self.errors.push(FieldError {
            field: field.into(),
            code: invalid.code,
            message: invalid.message,
        });
    }

    /// The input, if every field was right and none was left over.
    ///
    /// # Errors
    /// A 422 that names every wrong, missing and unknown field.
    pub fn finish<T>(mut self, input: impl FnOnce() -> Option<T>) -> Result<T, Problem> {
        self.refuse_unknown();
        if !self.errors.is_empty() {
            return Err(Problem::invalid_fields(self.errors));
        }
        // A handler that returns None without an error has a fault of its own.
        input().ok_or_else(Problem::internal)
    }

    fn refuse_unknown(&mut self) {
        let unknown: Vec<String> = std::mem::take(&mut self.unread)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        for name in unknown {
            self.refuse(
                name,
                Invalid::new("unknown", "is not a field of this request"),
            );
        }
    }
}

/// A body, and the first of its fields that is given twice. Readers of JSON
/// disagree about which of the two counts, so neither does.
struct StrictBody {
    value: Value,
    repeated: Option<String>,
}

impl<'de> Deserialize<'de> for StrictBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BodyVisitor;

        impl<'de> Visitor<'de> for BodyVisitor {
            type Value = StrictBody;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<StrictBody, A::Error> {
                let mut fields = Map::new();
                let mut repeated = None;
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if fields.contains_key(&name) {
                        repeated.get_or_insert_with(|| name.clone());
                    }
                    fields.insert(name, value);
                }
                Ok(StrictBody {
                    value: Value::Object(fields),
                    repeated,
                })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<StrictBody, A::Error> {
                while access.next_element::<IgnoredAny>()?.is_some() {}
                Ok(StrictBody {
                    value: Value::Array(Vec::new()),
                    repeated: None,
                })
            }

            fn visit_unit<E: Error>(self) -> Result<StrictBody, E> {
                Ok(StrictBody {
                    value: Value::Null,
                    repeated: None,
                })
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<StrictBody, E> {
                self.visit_unit()
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<StrictBody, E> {
                self.visit_unit()
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<StrictBody, E> {
                self.visit_unit()
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<StrictBody, E> {
                self.visit_unit()
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<StrictBody, E> {
                self.visit_unit()
            }
        }

        deserializer.deserialize_any(BodyVisitor)
    }
}

fn string(value: &Value) -> Result<&str, Invalid> {
    let text = value
        .as_str()
        .ok_or_else(|| Invalid::new("wrong_type", "must be a string"))?;
    // Postgres stores no NUL in text, and nobody means to send one.
    if text.contains('\0') {
        return Err(Invalid::new("invalid_character", "must not contain NUL"));
    }
    Ok(text)
}

/// A text whose number of characters lies in `chars`.
///
/// # Errors
/// `wrong_type`, `invalid_character` or `wrong_length`.
pub fn text(value: &Value, chars: RangeInclusive<usize>) -> Result<String, Invalid> {
    let text = string(value)?;
    if !chars.contains(&text.chars().count()) {
        return Err(Invalid::new(
            "wrong_length",
            format!("must have {} to {} characters", chars.start(), chars.end()),
        ));
    }
    Ok(text.to_owned())
}

/// True or false.
///
/// # Errors
/// `wrong_type`.
pub fn boolean(value: &Value) -> Result<bool, Invalid> {
    value
        .as_bool()
        .ok_or_else(|| Invalid::new("wrong_type", "must be true or false"))
}

/// A whole number within `range`. One written with a fraction of zero is whole
/// too (JSON Schema, draft 2020-12, section 4.2.1 of its core).
///
/// # Errors
/// `wrong_type`, `out_of_range`.
pub fn whole_number(value: &Value, range: RangeInclusive<i64>) -> Result<i64, Invalid> {
    let number = match value {
        Value::Number(number) => number,
        _ => return Err(Invalid::new("wrong_type", "must be a whole number")),
    };
    let text = number.to_string();
    let whole = text.strip_suffix(".0").unwrap_or(&text).parse().ok();
    whole.filter(|whole| range.contains(whole)).ok_or_else(|| {
        let (least, most) = (range.start(), range.end());
        Invalid::new(
            "out_of_range",
            format!("must be a whole number from {least} to {most}"),
        )
    })
}

/// An email address, normalized.
///
/// # Errors
/// `wrong_type` or `invalid_email`.
pub fn email(value: &Value) -> Result<EmailAddress, Invalid> {
    EmailAddress::parse(string(value)?)
        .map_err(|_| Invalid::new("invalid_email", "must be an email address"))
}

/// An id, currency or other type that reads itself from a string.
///
/// # Errors
/// `wrong_type`, or `invalid` with the type's own words.
pub fn parsed<T>(value: &Value) -> Result<T, Invalid>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    string(value)?
        .parse()
        .map_err(|error: T::Err| Invalid::new("invalid", error.to_string()))
}

fn amount(value: &Value) -> Result<Decimal, Invalid> {
    let text = value.as_str().ok_or_else(|| {
        Invalid::new(
            "wrong_type",
            "must be a string such as \"12.50\", not a number",
        )
    })?;
    crate::money::parse_amount(text).map_err(|error| Invalid::new(error.code(), error.to_string()))
}

/// An amount above zero, as a string in plain decimal notation.
///
/// # Errors
/// `wrong_type`, a code of [`crate::money::AmountError`], or `not_positive`.
pub fn positive_amount(value: &Value) -> Result<Decimal, Invalid> {
    let amount = amount(value)?;
    if amount <= Decimal::ZERO {
        return Err(Invalid::new("not_positive", "must be greater than zero"));
    }
    Ok(amount)
}

/// An amount of zero or above, as a string in plain decimal notation.
///
/// # Errors
/// `wrong_type`, a code of [`crate::money::AmountError`], or `negative`.
pub fn unsigned_amount(value: &Value) -> Result<Decimal, Invalid> {
    let amount = amount(value)?;
    if amount < Decimal::ZERO {
        return Err(Invalid::new("negative", "must not be below zero"));
    }
    Ok(amount.abs())
}

/// Takes an object with `amount`, of zero or above, and `currency`.
pub fn unsigned_money(fields: &mut Fields, name: &'static str) -> Option<Money> {
    fields.required_object(name, |fields| {
        let amount = fields.required("amount", unsigned_amount);
        let currency = fields.required("currency", parsed::<Currency>);
        Some(Money::new(amount?, currency?))
    })
}

/// Takes the pair `amount` and `currency` that a request for money carries.
pub fn positive_money(fields: &mut Fields) -> Option<Money> {
    let amount = fields.required("amount", positive_amount);
    let currency = fields.required("currency", parsed::<Currency>);
    Some(Money::new(amount?, currency?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The fields that were refused, with their codes.
    type Refused = Vec<(String, &'static str)>;

    fn read(body: Value) -> Result<(Money, Option<String>), Refused> {
        let mut fields = Fields::new(body).map_err(codes)?;
        let money = positive_money(&mut fields);
        let note = fields.optional("note", |value| text(value, 1..=5));
        fields.finish(|| Some((money?, note?))).map_err(codes)
    }

    fn codes(problem: Problem) -> Vec<(String, &'static str)> {
        problem
            .errors
            .into_iter()
            .map(|e| (e.field.into_owned(), e.code))
            .collect()
    }

    #[test]
    fn whole_numbers() {
        let table = [
            ("1", Ok(1)),
            ("10", Ok(10)),
            ("2.0", Ok(2)),
            ("0", Err("out_of_range")),
            ("11", Err("out_of_range")),
            ("1.5", Err("out_of_range")),
            ("1e300", Err("out_of_range")),
            ("18446744073709551616", Err("out_of_range")),
            ("\"1\"", Err("wrong_type")),
            ("true", Err("wrong_type")),
            ("null", Err("wrong_type")),
        ];
        for (text, expected) in table {
            let value: Value = serde_json::from_str(text).expect("the table holds JSON");
            let got = whole_number(&value, 1..=10).map_err(|invalid| invalid.code);
            assert_eq!(got, expected, "{text}");
        }
    }

    #[test]
    fn a_good_body_is_read() {
        let (money, note) = read(json!({"amount": "1.50", "currency": "USD"})).expect("valid");
        assert_eq!(
            serde_json::to_value(money).ok(),
            Some(json!({"amount": "1.50", "currency": "USD"}))
        );
        assert_eq!(note, None);
        let (_, note) =
            read(json!({"amount": "1", "currency": "USD", "note": "héllo"})).expect("valid");
        assert_eq!(note.as_deref(), Some("héllo"));
    }

    #[test]
    fn bodies() {
        /// A body, and the status and field of its refusal.
        type Row<'a> = (&'a [u8], Result<(), (u16, &'a str)>);
        let table: [Row<'_>; 9] = [
            (br#"{"a": 1}"#, Ok(())),
            (b"{}", Ok(())),
            (br#"{"a": 1, "a": 2}"#, Err((422, "a"))),
            (b"[1, 2]", Err((422, ""))),
            (b"1.5", Err((422, ""))),
            (br#""text""#, Err((422, ""))),
            (b"", Err((400, "-"))),
            (br#"{"a": "#, Err((400, "-"))),
            (b"{\"a\": \"\xff\"}", Err((400, "-"))),
        ];
        for (body, expected) in table {
            let got = Fields::parse(body).map(|_| ()).map_err(|problem| {
                let field = problem
                    .errors
                    .first()
                    .map_or("-".into(), |error| error.field.clone());
                (problem.status, field)
            });
            let expected = expected.map_err(|(status, field)| (status, field.into()));
            assert_eq!(got, expected, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn what_may_be_taken_away() {
        let table = [
            (json!({}), Ok(None)),
            (json!({"note": null}), Ok(Some(None))),
            (json!({"note": "a"}), Ok(Some(Some("a".to_owned())))),
            (json!({"note": 1}), Err("wrong_type")),
        ];
        for (body, expected) in table {
            let mut fields = Fields::new(body.clone()).expect("the table holds objects");
            let note = fields.nullable("note", |value| text(value, 1..=5));
            let got = fields.finish(|| note).map_err(|p| p.errors[0].code);
            assert_eq!(got, expected, "{body}");
        }
    }

    #[test]
    fn money_in_an_object() {
        let table = [
            (
                json!({"price": {"amount": "1.50", "currency": "USD"}}),
                Ok("1.50"),
            ),
            (
                json!({"price": {"amount": "0", "currency": "JPY"}}),
                Ok("0"),
            ),
            (
                json!({"price": {"amount": "-0", "currency": "JPY"}}),
                Ok("0"),
            ),
            (json!({}), Err(vec![("price", "required")])),
            (json!({"price": "1"}), Err(vec![("price", "wrong_type")])),
            (json!({"price": null}), Err(vec![("price", "wrong_type")])),
            (
                json!({"price": {}}),
                Err(vec![
                    ("price.amount", "required"),
                    ("price.currency", "required"),
                ]),
            ),
            (
                json!({"price": {"amount": "-1", "currency": "usd", "tax": "1"}}),
                Err(vec![
                    ("price.amount", "negative"),
                    ("price.currency", "invalid"),
                    ("price.tax", "unknown"),
                ]),
            ),
        ];
        for (body, expected) in table {
            let mut fields = Fields::new(body.clone()).expect("the table holds objects");
            let price = unsigned_money(&mut fields, "price");
            let got = fields.finish(|| price).map_err(codes);
            let expected: Result<String, Refused> = expected
                .map(str::to_owned)
                .map_err(|errors| errors.into_iter().map(|(f, c)| (f.to_owned(), c)).collect());
            assert_eq!(got.map(Money::format_amount), expected, "{body}");
        }
    }

    #[test]
    fn every_mistake_is_named() {
        let table = [
            (json!([]), vec![("", "wrong_type")]),
            (json!(null), vec![("", "wrong_type")]),
            (
                json!({}),
                vec![("amount", "required"), ("currency", "required")],
            ),
            (
                json!({"amount": 1, "currency": 2}),
                vec![("amount", "wrong_type"), ("currency", "wrong_type")],
            ),
            (
                json!({"amount": "0", "currency": "USD"}),
                vec![("amount", "not_positive")],
            ),
            (
                json!({"amount": "-1", "currency": "USD"}),
                vec![("amount", "not_positive")],
            ),
            (
                json!({"amount": "1", "currency": "usd"}),
                vec![("currency", "invalid")],
            ),
            (
                json!({"amount": "1", "currency": "XYZ"}),
                vec![("currency", "invalid")],
            ),
            (
                json!({"amount": "1", "currency": "USD", "note": ""}),
                vec![("note", "wrong_length")],
            ),
            (
                json!({"amount": "1", "currency": "USD", "note": "sixsix"}),
                vec![("note", "wrong_length")],
            ),
            (
                json!({"amount": "1", "currency": "USD", "note": "a\0b"}),
                vec![("note", "invalid_character")],
            ),
            (
                json!({"amount": "1", "currency": "USD", "amuont": "2"}),
                vec![("amuont", "unknown")],
            ),
        ];
        for (body, expected) in table {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(f, c)| (f.to_owned(), c))
                .collect();
            assert_eq!(read(body.clone()).err(), Some(expected), "{body}");
        }
    }
}
