//! JSON in which no object names a member twice.
//!
//! Readers of JSON disagree about which of the two counts (RFC 8259, section 4), so
//! that a gateway and this service could read one body differently.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::http::input::MAX_MISTAKES;
use crate::http::problem::{FieldError, Problem};

/// Most bytes of a place that are shown. Names in a body can be as long as the body.
const MAX_PLACE_BYTES: usize = 1_024;

/// Reads a body.
///
/// # Errors
/// 400 if it is not JSON; 422 that names a member which is given twice.
pub fn parse(body: &[u8]) -> Result<Value, Problem> {
    let mut repeated = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let seed = Strict {
        place: &Place::Body,
        repeated: &mut repeated,
    };
    let value = seed
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| Problem::malformed_body(format!("The body is not JSON: {error}.")))?;
    if repeated.is_empty() {
        return Ok(value);
    }
    let errors = repeated
        .into_iter()
        .map(|field| FieldError {
            field: field.into(),
            code: "repeated",
            message: "must be given once".into(),
        })
        .collect();
    Err(Problem::invalid_fields(errors))
}

/// Where a value is. It becomes text only for a mistake.
enum Place<'a> {
    Body,
    Member(&'a Place<'a>, &'a str),
    Element(&'a Place<'a>, usize),
}

impl Place<'_> {
    /// `charges[2].model`, cut where it is too long to be shown.
    fn to_text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        if text.len() > MAX_PLACE_BYTES {
            text.truncate(text.floor_char_boundary(MAX_PLACE_BYTES));
            text.push('…');
        }
        text
    }

    /// Writes little more than what is shown, whatever the names are.
    fn write(&self, text: &mut String) {
        let (Self::Member(outer, _) | Self::Element(outer, _)) = self else {
            return;
        };
        outer.write(text);
        if text.len() > MAX_PLACE_BYTES {
            return;
        }
        match self {
            Self::Body => {}
            Self::Member(_, name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(&name[..name.floor_char_boundary(MAX_PLACE_BYTES + 4)]);
            }
            Self::Element(_, index) => text.push_str(&format!("[{index}]")),
        }
    }
}

/// A value at `place`; the first members that are given twice go to `repeated`, each once.
struct Strict<'a> {
    place: &'a Place<'a>,
    repeated: &'a mut Vec<String>,
}

impl Strict<'_> {
    fn note(&mut self, place: &Place<'_>) {
        if self.repeated.len() < MAX_MISTAKES {
            let place = place.to_text();
            if !self.repeated.contains(&place) {
                self.repeated.push(place);
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, is_true: bool) -> Result<Value, E> {
        Ok(Value::Bool(is_true))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        loop {
            let place = Place::Element(self.place, elements.len());
            let seed = Strict {
                place: &place,
                repeated: &mut *self.repeated,
            };
            match access.next_element_seed(seed)? {
                Some(element) => elements.push(element),
                None => return Ok(Value::Array(elements)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let place = Place::Member(self.place, &name);
            if members.contains_key(&name) {
                self.note(&place);
            }
            let seed = Strict {
                place: &place,
                repeated: &mut *self.repeated,
            };
            let value = access.next_value_seed(seed)?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeated(body: &str) -> Vec<String> {
        let errors = parse(body.as_bytes()).err().map(|problem| problem.errors);
        errors
            .unwrap_or_default()
            .into_iter()
            .map(|error| {
                assert_eq!(error.code, "repeated", "{body}");
                error.field.into_owned()
            })
            .collect()
    }

    #[test]
    fn members_given_twice_are_named_at_every_depth() {
        let table: [(&str, &[&str]); 12] = [
            (r#"{"a": 1, "b": {"a": 1}, "c": [{"a": 1}, {"a": 1}]}"#, &[]),
            (r#"{"a": 1, "a": 1}"#, &["a"]),
            (r#"{"a": 1, "\u0061": 2}"#, &["a"]),
            (r#"{"a": 1, "a": 2, "a": 3}"#, &["a"]),
            (r#"{"a": {"b": 1, "b": 2}}"#, &["a.b"]),
            (r#"[{"a": 1, "a": 2}]"#, &["[0].a"]),
            (r#"{"a": [[], [{"b": 1, "b": 2}]]}"#, &["a[1][0].b"]),
            // Whichever of the two it is in.
            (r#"{"a": {"b": 1, "b": 2}, "a": 0}"#, &["a.b", "a"]),
            (r#"{"a": 0, "a": {"b": 1, "b": 2}}"#, &["a", "a.b"]),
            (r#"{"": 1, "": 2}"#, &[""]),
            (r#"{"a": null, "a": null}"#, &["a"]),
            (r#"{"a": "a", "b": "a"}"#, &[]),
        ];
        for (body, expected) in table {
            assert_eq!(repeated(body), expected, "{body}");
        }
    }

    #[test]
    fn what_is_named_is_bounded() {
        let long = "é".repeat(100_000);
        let inner = vec![r#"{"b": 1, "b": 2}"#; 1_000].join(",");
        let named = repeated(&format!(r#"{{"{long}": [{inner}]}}"#));
        assert_eq!(
            named.len(),
            1,
            "they are told apart only beyond what is shown"
        );
        assert_eq!(named[0], format!("{}…", "é".repeat(MAX_PLACE_BYTES / 2)));
        let named = repeated(&format!(r#"{{"a": [{inner}]}}"#));
        assert_eq!(named.len(), MAX_MISTAKES);
        assert_eq!(named[99], "a[99].b");
    }
}
