//! JSON in which no object names a member twice.
//!
//! Readers of JSON disagree about which of the two counts (RFC 8259, section 4), so
//! that a gateway and this service could read one body differently.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::http::problem::{FieldError, Problem};

/// Reads a body.
///
/// # Errors
/// 400 if it is not JSON; 422 that names a member which is given twice.
pub fn parse(body: &[u8]) -> Result<Value, Problem> {
    let mut repeated = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let seed = Strict {
        place: String::new(),
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

/// A value at `place`; what is given twice goes to `repeated`.
struct Strict<'a> {
    place: String,
    repeated: &'a mut Vec<String>,
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
            let seed = Strict {
                place: format!("{}[{}]", self.place, elements.len()),
                repeated: &mut *self.repeated,
            };
            match access.next_element_seed(seed)? {
                Some(element) => elements.push(element),
                None => return Ok(Value::Array(elements)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let place = match self.place.as_str() {
                "" => name.clone(),
                place => format!("{place}.{name}"),
            };
            if members.contains_key(&name) {
                self.repeated.push(place.clone());
            }
            let seed = Strict {
                place,
                repeated: &mut *self.repeated,
            };
            let value = access.next_value_seed(seed)?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}
