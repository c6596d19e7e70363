//! Reading a request's body or query into a type, with every mistake named at once
//! by its place: `charges[2].model.tiers[1].up_to`.
//!
//! `#[shared::body]` writes [`Input`] for a struct or an enum. The types of this
//! module and the ids, names and amounts of the other rooms are what its fields
//! are made of.
//!
//! ```
//! use shared::http::input::{self, Text};
//! use shared::money::Currency;
//!
//! /// What is opened.
//! #[shared::body]
//! struct Account {
//!     /// What its owner calls it.
//!     name: Text<1, 40>,
//!     /// The currency of its balance; USD when absent.
//!     currency: Option<Currency>,
//! }
//!
//! let refused = input::json::<Account>(br#"{"currency": 3, "plan": "pro"}"#).unwrap_err();
//! let places: Vec<_> = refused.errors.iter().map(|e| (&*e.field, e.code)).collect();
//! assert_eq!(places, [("name", "required"), ("currency", "wrong_type"), ("plan", "unknown")]);
//! ```

mod named_types;
mod pieces;
#[cfg(not(target_arch = "wasm32"))]
mod schemas;
mod strict_json;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::http::problem::{FieldError, Problem};
use crate::text::layout;

/// Most mistakes of one request that are named. A body of 256 KiB could have 100,000.
pub const MAX_MISTAKES: usize = 100;

#[cfg(not(target_arch = "wasm32"))]
pub use schemas::{LINE_PATTERN, NAME_PATTERN, SignedMoney};

pub use pieces::{
    Change, List, Name, PositiveAmount, PositiveQuantity, Text, UnsignedAmount, UnsignedMoney,
    UnsignedQuantity, Whole,
};

/// Describes a type in OpenAPI by a JSON schema, under a name: `describe!(Colour as
/// "Colour", {"type": "string"});`. A component carries nothing of it.
#[macro_export]
macro_rules! describe {
    ($type:ty as $name:expr, $schema:tt) => {
        #[cfg(not(target_arch = "wasm32"))]
        impl $crate::schemars::JsonSchema for $type {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut $crate::schemars::SchemaGenerator) -> $crate::schemars::Schema {
                $crate::schemars::json_schema!($schema)
            }
        }
    };
}

/// Makes a type of text with rules of its own: read by `read`, which gives the text
/// that is kept, and described by a JSON schema.
///
/// ```
/// use shared::http::input::{self, Invalid};
///
/// shared::text_type! {
///     /// The name of a colour.
///     Colour, |text| input::length(text, 1..=20).map(str::to_lowercase),
///     {"type": "string", "minLength": 1, "maxLength": 20}
/// }
/// ```
#[macro_export]
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, |$text:ident| $read:expr, $schema:tt) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash,
            $crate::serde::Serialize, $crate::serde::Deserialize,
        )]
        #[serde(crate = "::shared::serde", transparent)]
        pub struct $name(String);

        impl ::std::ops::Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl $crate::http::input::FromText for $name {
            fn from_text($text: &str) -> Result<Self, $crate::http::input::Invalid> {
                $read.map(Self)
            }
        }

        $crate::describe!($name as stringify!($name), $schema);
    };
}

/// The text, if its number of characters lies in `chars`.
///
/// # Errors
/// `wrong_length`.
pub fn length(text: &str, chars: RangeInclusive<usize>) -> Result<&str, Invalid> {
    if chars.contains(&text.chars().count()) {
        return Ok(text);
    }
    let (least, most) = (chars.start(), chars.end());
    let message = format!("must have {least} to {most} characters");
    Err(Invalid::new("wrong_length", message))
}

/// The text, if it is one line whose number of characters lies in `chars`. A name is such
/// a line: it has no control characters, and none that change the direction of others.
///
/// # Errors
/// `wrong_length` or `invalid_character`.
pub fn line(text: &str, chars: RangeInclusive<usize>) -> Result<&str, Invalid> {
    let text = length(text, chars)?;
    if text.chars().any(layout::is_control) {
        return Err(Invalid::new(
            "invalid_character",
            "must have no control characters, and none that change the direction of others",
        ));
    }
    Ok(text)
}

/// The text, if it is one line with something to see, whose number of characters lies in
/// `chars`. White space around it is dropped.
///
/// # Errors
/// `wrong_length` or `invalid_character`.
pub fn name(text: &str, chars: RangeInclusive<usize>) -> Result<String, Invalid> {
    let trimmed = line(text, chars)?.trim();
    if trimmed.is_empty() {
        return Err(Invalid::new("wrong_length", "must not be blank"));
    }
    Ok(trimmed.to_owned())
}

/// For descriptions only: a field with a default may be absent from what is described,
/// and never is from what is written.
#[cfg(not(target_arch = "wasm32"))]
pub const fn is_left_out<T>(_: &T) -> bool {
    false
}

/// Why a value is not what its place wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// A stable code for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub message: Cow<'static, str>,
}

impl Invalid {
    /// A reason with its code.
    pub fn new(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// A type that is read from a request.
pub trait Input: Sized {
    /// Reads a value that was given. `None` means that `reader` has noted why not.
    fn read(value: &Value, reader: &mut Reader) -> Option<Self>;

    /// The names of the parameters that a query of this type has.
    const PARAMETERS: &'static [&'static str] = &[];

    /// What a field of this type is when it was not given; `None` when it must be.
    fn absent() -> Option<Self> {
        None
    }
}

/// A type that is read from a text: an id, a name, a date.
pub trait FromText: Sized {
    /// Reads the text. It has no NUL.
    ///
    /// # Errors
    /// Why it is not one.
    fn from_text(text: &str) -> Result<Self, Invalid>;
}

impl<T: FromText> Input for T {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let text = reader.text(value)?;
        reader.note(T::from_text(text))
    }
}

/// Where the reading stands, and the mistakes so far.
#[derive(Debug, Default)]
pub struct Reader {
    place: String,
    /// The first [`MAX_MISTAKES`].
    errors: Vec<FieldError>,
    mistakes: usize,
    /// Whether every value is a text, as in a query, so that numbers and truth
    /// values are read from texts.
    is_query: bool,
}

impl Reader {
    /// Notes a mistake at the current place.
    pub fn refuse(&mut self, invalid: Invalid) {
        self.mistakes += 1;
        if self.errors.len() < MAX_MISTAKES {
            self.errors.push(FieldError {
                field: self.place.clone().into(),
                code: invalid.code,
                message: invalid.message,
            });
        }
    }

    /// Notes mistakes that something else found, each below the current place.
    pub fn refuse_all(&mut self, errors: Vec<FieldError>) {
        for error in errors {
            self.refuse_member(&error.field, Invalid::new(error.code, error.message));
        }
    }

    /// The value, or its mistake noted at the current place.
    pub fn note<T>(&mut self, read: Result<T, Invalid>) -> Option<T> {
        read.map_err(|invalid| self.refuse(invalid)).ok()
    }

    /// Notes a mistake of a member of the object at the current place.
    pub fn refuse_member(&mut self, name: &str, invalid: Invalid) {
        self.within(name, |reader| reader.refuse(invalid));
    }

    /// How many mistakes were noted so far.
    pub const fn mistakes(&self) -> usize {
        self.mistakes
    }

    /// Whether none was noted since there were `mistakes`.
    pub const fn is_right_since(&self, mistakes: usize) -> bool {
        self.mistakes == mistakes
    }

    /// Whether every value is a text, as in a query.
    pub const fn is_query(&self) -> bool {
        self.is_query
    }

    /// Reads in the member `name` of the object at the current place.
    pub fn within<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.place.len();
        if length > 0 {
            self.place.push('.');
        }
        self.place.push_str(name);
        let read = read(self);
        self.place.truncate(length);
        read
    }

    /// Reads in the element `index` of the list at the current place.
    pub fn within_element<T>(&mut self, index: usize, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.place.len();
        self.place.push_str(&format!("[{index}]"));
        let read = read(self);
        self.place.truncate(length);
        read
    }

    /// The text that `value` is.
    pub fn text<'a>(&mut self, value: &'a Value) -> Option<&'a str> {
        let invalid = match value.as_str() {
            // Postgres stores no NUL in text, and nobody means to send one.
            Some(text) if text.contains('\0') => {
                Invalid::new("invalid_character", "must not contain NUL")
            }
            Some(text) => return Some(text),
            None => Invalid::new("wrong_type", "must be a string"),
        };
        self.refuse(invalid);
        None
    }

    /// The object that `value` is.
    pub fn object<'a>(&mut self, value: &'a Value) -> Option<&'a Map<String, Value>> {
        let object = value.as_object();
        if object.is_none() {
            let wanted = if self.place.is_empty() {
                "the body must be a JSON object"
            } else {
                "must be an object"
            };
            self.refuse(Invalid::new("wrong_type", wanted));
        }
        object
    }

    /// The list that `value` is.
    pub fn list<'a>(&mut self, value: &'a Value) -> Option<&'a [Value]> {
        let list = value.as_array();
        if list.is_none() {
            self.refuse(Invalid::new("wrong_type", "must be a list"));
        }
        list.map(Vec::as_slice)
    }

    /// Reads the member `name` of an object.
    pub fn field<T: Input>(&mut self, object: &Map<String, Value>, name: &str) -> Option<T> {
        self.within(name, |reader| match object.get(name) {
            Some(value) => T::read(value, reader),
            None => {
                let absent = T::absent();
                if absent.is_none() {
                    reader.refuse(Invalid::new("required", "is required"));
                }
                absent
            }
        })
    }

    /// Reads the member `name` of an object, which is its type's default when it is absent.
    pub fn field_or_default<T: Input + Default>(
        &mut self,
        object: &Map<String, Value>,
        name: &str,
    ) -> Option<T> {
        match object.get(name) {
            Some(value) => self.within(name, |reader| T::read(value, reader)),
            None => Some(T::default()),
        }
    }

    /// Notes every member of an object that is not one of `known`.
    pub fn refuse_unknown(&mut self, object: &Map<String, Value>, known: &[&str]) {
        for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
            self.refuse_member(
                name,
                Invalid::new("unknown", "is not a field of this request"),
            );
        }
    }

    /// Notes that a text is none of `names`.
    pub fn refuse_name(&mut self, names: &[&str]) {
        let message = format!("must be one of {}", names.join(", "));
        self.refuse(Invalid::new("invalid", message));
    }

    /// The `type` by which an object names its variant.
    pub fn type_name<'a>(&mut self, object: &'a Map<String, Value>) -> Option<&'a str> {
        self.within("type", |reader| match object.get("type") {
            Some(value) => reader.text(value),
            None => {
                reader.refuse(Invalid::new("required", "is required"));
                None
            }
        })
    }

    /// Notes that an object's `type` is none of `names`.
    pub fn refuse_type(&mut self, names: &[&str]) {
        self.within("type", |reader| reader.refuse_name(names));
    }

    /// What was read, if nothing was wrong.
    fn finish<T>(self, read: Option<T>) -> Result<T, Vec<FieldError>> {
        match read {
            Some(read) if self.errors.is_empty() => Ok(read),
            _ => Err(self.errors),
        }
    }
}

/// Reads a JSON body.
///
/// # Errors
/// 400 `malformed_body` if it is not JSON. 422 `invalid_fields` that names every wrong,
/// missing, unknown and repeated field.
pub fn json<T: Input>(body: &[u8]) -> Result<T, Problem> {
    let value = strict_json::parse(body)?;
    self::value(&value)
}

/// Reads a value as a body.
///
/// # Errors
/// 422 `invalid_fields`.
pub fn value<T: Input>(value: &Value) -> Result<T, Problem> {
    value_at(value, "").map_err(Problem::invalid_fields)
}

/// Reads a value that is at `place`.
///
/// # Errors
/// The mistakes, by their places.
pub fn value_at<T: Input>(value: &Value, place: &str) -> Result<T, Vec<FieldError>> {
    let mut reader = Reader {
        place: place.to_owned(),
        ..Reader::default()
    };
    let read = T::read(value, &mut reader);
    reader.finish(read)
}

/// Reads the parameters of a query, each of which may be given once. Parameters that
/// `T` does not have are left alone.
///
/// # Errors
/// 400 `invalid_parameter` that names every wrong, missing and repeated one.
pub fn query<'a, T: Input>(
    parameters: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
) -> Result<T, Problem> {
    let mut object = Map::new();
    let mut reader = Reader {
        is_query: true,
        ..Reader::default()
    };
    for (name, value) in parameters {
        // A list has one value more than a parameter may have.
        let given = match object.remove(&*name) {
            None => Value::String(value.into_owned()),
            Some(_) => Value::Array(Vec::new()),
        };
        object.insert(name.into_owned(), given);
    }
    let read = T::read(&Value::Object(object), &mut reader);
    reader.finish(read).map_err(|mut errors| {
        for error in &mut errors {
            if error.code == "wrong_type" {
                error.code = "repeated";
                error.message = "must be given once".into();
            }
        }
        Problem::invalid_parameters(errors)
    })
}

/// Reads one text, such as a segment of the path.
///
/// # Errors
/// Why it is not one.
pub fn text<T: Input>(text: &str) -> Result<T, Invalid> {
    let mut reader = Reader {
        is_query: true,
        ..Reader::default()
    };
    let read = T::read(&Value::String(text.to_owned()), &mut reader);
    reader.finish(read).map_err(|errors| {
        let error = errors.into_iter().next();
        error.map_or_else(
            || Invalid::new("invalid", "is not valid"),
            |error| Invalid::new(error.code, error.message),
        )
    })
}
