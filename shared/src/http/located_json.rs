//! JSON that is read into a type, with a mistake named by its place.
//!
//! A deserializer alone says that a field is missing, and not of which tier of
//! which charge. This one knows where it is: `charges[2].model.tiers[1].up_to`.
//!
//! An enum whose serde name is [`TAGGED`] is read from an object that names its
//! variant in `type`. serde reads such enums from a copy that has no places.

use std::fmt;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde_json::{Map, Number, Value, map};

use crate::http::problem::FieldError;

/// The serde name of an enum that is read by its `type`.
pub const TAGGED: &str = "by type";

/// Where such an object names its variant.
const TYPE: &str = "type";

/// Reads `value`, which is at `place`.
///
/// # Errors
/// The first mistake, by its place.
pub fn read<T: DeserializeOwned>(value: &Value, place: &str) -> Result<T, FieldError> {
    read_with(value, place, |located| T::deserialize(located))
}

/// As [`read`], by a function in the place of the type's own.
///
/// # Errors
/// As [`read`].
pub fn read_with<'a, T>(
    value: &'a Value,
    place: &str,
    read: impl FnOnce(Located<'a>) -> Result<T, Mistake>,
) -> Result<T, FieldError> {
    read(Located::new(value)).map_err(|mistake| mistake.at(place))
}

/// A mistake and the steps to it, the last one first.
#[derive(Debug)]
pub struct Mistake {
    steps: Vec<Step>,
    code: &'static str,
    message: String,
}

#[derive(Debug)]
enum Step {
    Field(String),
    Element(usize),
}

impl Mistake {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            steps: Vec::new(),
            code,
            message: message.into(),
        }
    }

    fn wrong_type(wanted: &str) -> Self {
        Self::new("wrong_type", format!("must be {wanted}"))
    }

    fn within(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    fn in_field(self, name: &str) -> Self {
        self.within(Step::Field(name.to_owned()))
    }

    fn at(self, place: &str) -> FieldError {
        let mut field = place.to_owned();
        for step in self.steps.iter().rev() {
            match step {
                Step::Element(index) => field.push_str(&format!("[{index}]")),
                Step::Field(name) if field.is_empty() => field.push_str(name),
                Step::Field(name) => {
                    field.push('.');
                    field.push_str(name);
                }
            }
        }
        FieldError {
            field: field.into(),
            code: self.code,
            message: self.message.into(),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Mistake {}

impl de::Error for Mistake {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new("invalid", message.to_string())
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::wrong_type(&expected.to_string())
    }

    fn invalid_value(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self::new("out_of_range", "is too large or too small")
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new("invalid", format!("must be one of {}", expected.join(", ")))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::new("unknown", "is not a field here").in_field(field)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("required", "is required").in_field(field)
    }
}

/// A value that is read.
#[derive(Debug, Clone, Copy)]
pub struct Located<'a> {
    value: &'a Value,
    /// Whether the object's `type` was read already.
    is_tagged: bool,
}

impl<'a> Located<'a> {
    const fn new(value: &'a Value) -> Self {
        Self {
            value,
            is_tagged: false,
        }
    }

    fn object(self) -> Result<Members<'a>, Mistake> {
        match self.value {
            Value::Object(object) => Ok(Members {
                rest: object.iter(),
                is_tagged: self.is_tagged,
                current: None,
            }),
            _ => Err(Mistake::wrong_type("an object")),
        }
    }

    fn number(number: &Number) -> Option<WholeNumber> {
        if let Some(unsigned) = number.as_u64() {
            return Some(WholeNumber::Unsigned(unsigned));
        }
        if let Some(signed) = number.as_i64() {
            return Some(WholeNumber::Signed(signed));
        }
        // One that is written with a fraction of zero is whole too.
        let text = number.to_string();
        let whole = text.strip_suffix(".0")?;
        let unsigned = whole.parse().map(WholeNumber::Unsigned);
        unsigned
            .or_else(|_| whole.parse().map(WholeNumber::Signed))
            .ok()
    }
}

/// What a visitor wants, in its own words.
fn expected(wanted: &dyn de::Expected) -> String {
    wanted.to_string()
}

enum WholeNumber {
    Unsigned(u64),
    Signed(i64),
}

impl<'de> Deserializer<'de> for Located<'de> {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(is_true) => visitor.visit_bool(*is_true),
            Value::Number(number) => match Self::number(number) {
                Some(WholeNumber::Unsigned(number)) => visitor.visit_u64(number),
                Some(WholeNumber::Signed(number)) => visitor.visit_i64(number),
                // Nothing that is read here is a float: the visitor says what it wants.
                None => Err(de::Error::invalid_type(
                    de::Unexpected::Other("a fraction"),
                    &visitor,
                )),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(elements) => visitor.visit_seq(Elements {
                rest: elements.iter(),
                index: 0,
            }),
            Value::Object(_) => visitor.visit_map(self.object()?),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.value {
            Value::Array(elements) => visitor.visit_seq(Elements {
                rest: elements.iter(),
                index: 0,
            }),
            _ => Err(Mistake::wrong_type("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_map(self.object()?)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        visitor.visit_map(self.object()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.value {
            Value::String(text) => visitor.visit_borrowed_str(text),
            _ => Err(Mistake::wrong_type(&expected(&visitor))),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        // A number would be taken for the place of a variant in its enum.
        match self.value {
            Value::String(text) => visitor.visit_borrowed_str(text),
            _ => Err(Mistake::wrong_type("a string")),
        }
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let number = match self.value {
            Value::Number(number) => Self::number(number),
            _ => None,
        };
        match number {
            Some(WholeNumber::Unsigned(number)) => visitor.visit_u64(number),
            Some(WholeNumber::Signed(number)) => visitor.visit_i64(number),
            None => Err(Mistake::wrong_type("a whole number")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        let is_tagged = name == TAGGED;
        match self.value {
            Value::Object(object) if is_tagged => match object.get(TYPE) {
                None => Err(de::Error::missing_field(TYPE)),
                Some(tag) => visitor.visit_enum(Variant::ByType { tag, object: self }),
            },
            _ if is_tagged => Err(Mistake::wrong_type("an object")),
            Value::Object(object) => visitor.visit_enum(Variant::of_member(object, variants)?),
            Value::String(_) => visitor.visit_enum(Variant::Name(self)),
            _ => Err(Mistake::wrong_type("a string or an object")),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u128 f32 f64 char bytes byte_buf unit unit_struct
        tuple tuple_struct ignored_any
    }
}

/// The elements of a list.
struct Elements<'a> {
    rest: std::slice::Iter<'a, Value>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Mistake;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Mistake> {
        let Some(value) = self.rest.next() else {
            return Ok(None);
        };
        let step = Step::Element(self.index);
        self.index += 1;
        seed.deserialize(Located::new(value))
            .map(Some)
            .map_err(|mistake| mistake.within(step))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// The members of an object, without its `type` if that was read already.
struct Members<'a> {
    rest: map::Iter<'a>,
    is_tagged: bool,
    current: Option<(&'a str, &'a Value)>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Mistake> {
        let is_tagged = self.is_tagged;
        let Some((name, value)) = self.rest.find(|(name, _)| !is_tagged || *name != TYPE) else {
            return Ok(None);
        };
        self.current = Some((name, value));
        seed.deserialize(BorrowedStrDeserializer::new(name))
            .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        let Some((name, value)) = self.current.take() else {
            return Err(Mistake::wrong_type("an object"));
        };
        seed.deserialize(Located::new(value))
            .map_err(|mistake| mistake.in_field(name))
    }
}

/// A variant and what it holds.
enum Variant<'a> {
    /// `"name"`.
    Name(Located<'a>),
    /// `{"name": …}`.
    Member { name: &'a str, value: &'a Value },
    /// `{"type": "name", …}`.
    ByType { tag: &'a Value, object: Located<'a> },
}

impl<'a> Variant<'a> {
    fn of_member(
        object: &'a Map<String, Value>,
        variants: &'static [&'static str],
    ) -> Result<Self, Mistake> {
        let mut members = object.iter();
        match (members.next(), members.next()) {
            (Some((name, value)), None) => Ok(Self::Member { name, value }),
            _ => Err(Mistake::new(
                "invalid",
                format!("must have just one of {}", variants.join(", ")),
            )),
        }
    }
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Mistake;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Mistake> {
        let variant = match &self {
            Self::Name(name) => seed.deserialize(*name)?,
            Self::Member { name, .. } => seed.deserialize(BorrowedStrDeserializer::new(name))?,
            Self::ByType { tag, .. } => seed
                .deserialize(Located::new(tag))
                .map_err(|mistake: Mistake| mistake.in_field(TYPE))?,
        };
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Mistake;

    fn unit_variant(self) -> Result<(), Mistake> {
        match self {
            Self::Name(_) => Ok(()),
            _ => Err(Mistake::wrong_type("a string")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Mistake> {
        match self {
            Self::Name(_) => Err(Mistake::wrong_type("an object")),
            Self::Member { name, value } => seed
                .deserialize(Located::new(value))
                .map_err(|mistake| mistake.in_field(name)),
            Self::ByType { object, .. } => seed.deserialize(Located {
                is_tagged: true,
                ..object
            }),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mistake> {
        Err(de::Error::invalid_type(
            de::Unexpected::TupleVariant,
            &visitor,
        ))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        match self {
            Self::Name(_) => Err(Mistake::wrong_type("an object")),
            Self::Member { name, value } => Located::new(value)
                .object()
                .and_then(|members| visitor.visit_map(members))
                .map_err(|mistake| mistake.in_field(name)),
            Self::ByType { object, .. } => visitor.visit_map(
                Located {
                    is_tagged: true,
                    ..object
                }
                .object()?,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename = "by type", rename_all = "snake_case", deny_unknown_fields)]
    #[allow(dead_code, reason = "only whether it can be read matters")]
    enum Shape {
        Round { radius: u8 },
        Any(Points),
        None {},
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only whether it can be read matters")]
    struct Points {
        points: Vec<Point>,
        #[serde(default)]
        label: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[allow(dead_code, reason = "only whether it can be read matters")]
    enum Point {
        Origin,
        At(u32),
    }

    #[test]
    fn mistakes_have_places() {
        let table = [
            (json!({"type": "none"}), None),
            (json!({"type": "round", "radius": 1}), None),
            (json!({"radius": 2.0, "type": "round"}), None),
            (
                json!({"type": "any", "points": ["origin", {"at": 3}], "label": null}),
                None,
            ),
            (json!(null), Some(("s", "wrong_type"))),
            (json!("none"), Some(("s", "wrong_type"))),
            (json!({}), Some(("s.type", "required"))),
            (json!({"none": {}}), Some(("s.type", "required"))),
            (json!({"type": 0}), Some(("s.type", "wrong_type"))),
            (json!({"type": "square"}), Some(("s.type", "invalid"))),
            (json!({"type": "none", "x": 1}), Some(("s.x", "unknown"))),
            (json!({"type": "round"}), Some(("s.radius", "required"))),
            (
                json!({"type": "round", "radius": 256}),
                Some(("s.radius", "out_of_range")),
            ),
            (
                json!({"type": "round", "radius": -1}),
                Some(("s.radius", "out_of_range")),
            ),
            (
                json!({"type": "round", "radius": 1.5}),
                Some(("s.radius", "wrong_type")),
            ),
            (
                json!({"type": "round", "radius": "1"}),
                Some(("s.radius", "wrong_type")),
            ),
            (json!({"type": "any"}), Some(("s.points", "required"))),
            (
                json!({"type": "any", "points": {}}),
                Some(("s.points", "wrong_type")),
            ),
            (
                json!({"type": "any", "points": [], "x": 1}),
                Some(("s.x", "unknown")),
            ),
            (
                json!({"type": "any", "points": [], "label": 1}),
                Some(("s.label", "wrong_type")),
            ),
            (
                json!({"type": "any", "points": ["origin", 1]}),
                Some(("s.points[1]", "wrong_type")),
            ),
            (
                json!({"type": "any", "points": ["at"]}),
                Some(("s.points[0]", "wrong_type")),
            ),
            (
                json!({"type": "any", "points": [{"origin": 1}]}),
                Some(("s.points[0]", "wrong_type")),
            ),
            (
                json!({"type": "any", "points": [{"at": "1"}]}),
                Some(("s.points[0].at", "wrong_type")),
            ),
            (
                json!({"type": "any", "points": [{"at": 1, "to": 2}]}),
                Some(("s.points[0]", "invalid")),
            ),
            (
                json!({"type": "any", "points": [{}]}),
                Some(("s.points[0]", "invalid")),
            ),
            (
                json!({"type": "any", "points": [{"of": 1}]}),
                Some(("s.points[0]", "invalid")),
            ),
        ];
        for (value, expected) in table {
            let got = read::<Shape>(&value, "s").err();
            let got = got.as_ref().map(|error| (&*error.field, error.code));
            assert_eq!(got, expected, "{value}");
        }
    }

    #[test]
    fn a_place_begins_without_a_point() {
        let got = read::<BTreeMap<String, u8>>(&json!({"a": "b"}), "");
        assert_eq!(got.err().map(|error| error.field), Some("a".into()));
    }
}
