use std::borrow::Cow;

use shared::http::input::{Input, Invalid, List, Reader, Text};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::problem::{FieldError, Problem};
use shared::http::time::Time;
use shared::ids::MeterId;
use shared::metering::{Aggregation, MeterName, exact_number};
use shared::serde_json::value::{RawValue, to_raw_value};
use shared::serde_json::{self, Value};

/// Longest type of an event.
const MAX_EVENT_TYPE_CHARS: usize = 64;
/// Longest path to a property: four names of 63 characters and three points.
const MAX_PATH_CHARS: usize = 255;
/// Most names in a path.
const MAX_PATH_NAMES: usize = 4;
/// Most properties that a meter's sums are kept apart by.
pub const MAX_GROUPS: usize = 4;
/// Most filters of a meter: each is looked at for each event.
pub const MAX_FILTERS: usize = 10;
/// Most values that an `in` lists.
pub const MAX_LISTED_VALUES: usize = 20;
/// Longest value of a filter.
const MAX_VALUE_CHARS: usize = 128;

shared::text_type! {
    /// The path to a property of an event.
    PropertyPath, |text| read_path(text), {
        "type": "string",
        "pattern": "^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+){0,3}$", "minLength": 1, "maxLength": 255,
        "description": "Where a property is: up to four names with a point between each two.",
        "examples": ["usage.tokens"],
    }
}

fn read_path(text: &str) -> Result<String, Invalid> {
    let text = shared::http::input::length(text, 1..=MAX_PATH_CHARS)?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(allowed);
    if text.split('.').count() <= MAX_PATH_NAMES && text.split('.').all(is_name) {
        return Ok(text.to_owned());
    }
    Err(Invalid::new(
        "invalid",
        format!(
            "must be 1 to {MAX_PATH_NAMES} names of letters, digits, '-' and '_', with a point between each two"
        ),
    ))
}

/// How a filter compares.
#[shared::body]
#[derive(PartialEq, Eq, shared::serde::Serialize, shared::serde::Deserialize)]
#[serde(crate = "shared::serde", rename_all = "snake_case")]
pub enum MeterFilterOp {
    Eq,
    Ne,
    In,
}

/// What a filter compares with: its JSON text, because a [`Value`] makes a float of a number
/// with many digits, which then is equal to no event's.
#[derive(Debug, Clone, shared::serde::Serialize, shared::serde::Deserialize)]
#[serde(crate = "shared::serde", transparent)]
pub struct MeterFilterValue(Box<RawValue>);

shared::describe!(MeterFilterValue as "MeterFilterValue", {
    "type": ["string", "number", "boolean", "array"],
    "description": "A text of up to 128 characters, a number, true or false; for in, a list of up to 20 of them. A number is kept with all its digits: at most 32 characters, and an exponent of at most 20.",
});

impl MeterFilterValue {
    fn is_list(&self) -> bool {
        self.0.get().starts_with('[')
    }

    /// The value at `place` with each number as it is kept; what is wrong goes to `errors`.
    fn exact(written: &RawValue, place: &str, errors: &mut Vec<FieldError>) -> Option<Self> {
        let text = written.get();
        let kept = if text.starts_with('[') {
            let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            let kept = elements.iter().enumerate().map(|(index, element)| {
                exact_scalar(element.get(), &format!("{place}[{index}]"), errors)
            });
            format!("[{}]", kept.collect::<Vec<_>>().join(","))
        } else {
            exact_scalar(text, place, errors).into_owned()
        };
        RawValue::from_string(kept).ok().map(Self)
    }
}

fn exact_scalar<'a>(text: &'a str, place: &str, errors: &mut Vec<FieldError>) -> Cow<'a, str> {
    if !text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return Cow::Borrowed(text);
    }
    exact_number(text).unwrap_or_else(|invalid| {
        errors.push(FieldError {
            field: place.to_owned().into(),
            code: invalid.code,
            message: invalid.message,
        });
        Cow::Borrowed(text)
    })
}

impl Input for MeterFilterValue {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        if let Value::Array(values) = value {
            let scalars = List::<Scalar, 0, MAX_LISTED_VALUES>::read(value, reader)?;
            if scalars.len() != values.len() {
                return None;
            }
        } else {
            Scalar::read(value, reader)?;
        }
        // Until `NewMeter::with_exact_numbers` puts what was written in its place.
        to_raw_value(value).ok().map(Self)
    }
}

/// A text, a number, true or false.
struct Scalar;

impl Input for Scalar {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        match value {
            Value::String(_) => Text::<0, MAX_VALUE_CHARS>::read(value, reader).map(|_| Self),
            Value::Number(_) | Value::Bool(_) => Some(Self),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                reader.refuse(Invalid::new(
                    "wrong_type",
                    "must be a text, a number, true or false",
                ));
                None
            }
        }
    }
}

/// A condition on a property.
#[shared::body(check)]
#[derive(shared::serde::Serialize, shared::serde::Deserialize)]
#[serde(crate = "shared::serde")]
pub struct MeterFilter {
    pub property: PropertyPath,
    pub op: MeterFilterOp,
    pub value: MeterFilterValue,
}

impl MeterFilter {
    fn check(&self, reader: &mut Reader) {
        let wanted = match (self.op == MeterFilterOp::In, self.value.is_list()) {
            (true, false) => "must be a list: op is in",
            (false, true) => "must be a text, a number, true or false",
            _ => return,
        };
        reader.refuse_member("value", Invalid::new("wrong_type", wanted));
    }
}

/// What of an organization's usage counts, and how.
#[shared::answer(read)]
pub struct Meter {
    id: MeterId,
    slug: MeterName,
    event_type: String,
    aggregation: Aggregation,
    /// Null for a count.
    value_property: Option<PropertyPath>,
    group_by: Vec<PropertyPath>,
    filters: Vec<MeterFilter>,
    created_at: Time,
    /// Null while it counts.
    archived_at: Option<Time>,
}

#[shared::answer(read)]
pub struct MeterShown {
    pub meter: Meter,
}

#[shared::answer(read)]
pub struct MeterList {
    pub meters: Vec<Meter>,
}

/// A meter, as asked for.
#[shared::body(check)]
pub struct NewMeter {
    pub slug: MeterName,
    pub event_type: Text<1, MAX_EVENT_TYPE_CHARS>,
    pub aggregation: Aggregation,
    /// Required for all but a count, which has none.
    pub value_property: Option<PropertyPath>,
    /// Properties by whose values the sums are kept apart.
    pub group_by: Option<List<PropertyPath, 0, MAX_GROUPS>>,
    /// An event counts if each of them holds.
    pub filters: Option<List<MeterFilter, 0, MAX_FILTERS>>,
}

/// The filters of a body, as they are written.
#[derive(shared::serde::Deserialize)]
#[serde(crate = "shared::serde")]
struct Written<'a> {
    #[serde(borrow)]
    filters: Option<Vec<WrittenFilter<'a>>>,
}

#[derive(shared::serde::Deserialize)]
#[serde(crate = "shared::serde")]
struct WrittenFilter<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
}

impl NewMeter {
    /// The meter with the numbers of its filters as `body` has them, from which it was read.
    ///
    /// # Errors
    /// 422 that names the numbers that no event could have.
    pub fn with_exact_numbers(mut self, body: &[u8]) -> Result<Self, Problem> {
        let written: Written<'_> = serde_json::from_slice(body).map_err(|_| Problem::internal())?;
        let written = written.filters.unwrap_or_default();
        let mut filters = self.filters.map(|filters| filters.0).unwrap_or_default();
        let mut errors = Vec::new();
        for (index, (filter, written)) in filters.iter_mut().zip(written).enumerate() {
            let place = format!("filters[{index}].value");
            if let Some(exact) = MeterFilterValue::exact(written.value, &place, &mut errors) {
                filter.value = exact;
            }
        }
        if !errors.is_empty() {
            return Err(Problem::invalid_fields(errors));
        }
        self.filters = Some(List(filters));
        Ok(self)
    }

    fn check(&self, reader: &mut Reader) {
        let is_count = self.aggregation == Aggregation::Count;
        match (is_count, &self.value_property) {
            (true, Some(_)) => reader.refuse_member(
                "value_property",
                Invalid::new("not_allowed", "a count has no value_property"),
            ),
            (false, None) => {
                reader.refuse_member("value_property", Invalid::new("required", "is required"));
            }
            _ => {}
        }
        let paths = self.group_by.as_deref().unwrap_or_default();
        let is_repeated = |(at, path): (usize, &PropertyPath)| paths[..at].contains(path);
        if paths.iter().enumerate().any(is_repeated) {
            reader.refuse_member(
                "group_by",
                Invalid::new("repeated", "must name each property once"),
            );
        }
    }
}

shared::refusals! {
    METER_EXISTS = 409 "meter_exists", "There is a meter with this name",
        "the organization has or had a meter with this name.";
    METER_LIMIT = 409 "meter_limit", "The organization has as many meters as it can have",
        "50 meters count, 20 count events of this type, or 200 were made.";
}

pub const LIST: Operation = Operation::new(
    "meters-list",
    Verb::Get,
    "/api/v1/meters",
    Access::Permission("usage:read"),
)
.tag("usage")
.summary("List the organization's meters")
.details("Newest first, archived ones included.")
.answers(&[Answer::json::<MeterList>(
    200,
    "The meters.",
    r#"{"meters": [{"id": "mtr_0199a2c4e2447b3c8d5e6f708192a3b4", "slug": "tokens", "event_type": "completion", "aggregation": "sum", "value_property": "tokens", "group_by": ["model"], "filters": [{"property": "tier", "op": "in", "value": ["standard", "batch"]}], "created_at": "2026-11-21T09:30:00.123456Z", "archived_at": null}]}"#,
)]);

pub const CREATE: Operation = Operation::new(
    "meters-create",
    Verb::Post,
    "/api/v1/meters",
    Access::Permission("meters:manage"),
)
.audited()
.tag("usage")
.summary("Make a meter")
.details("It counts the events of batches that are sent after the answer. A meter does not change: archive it and make another one.")
.body::<NewMeter>(
    r#"{"slug": "tokens", "event_type": "completion", "aggregation": "sum", "value_property": "tokens", "group_by": ["model"]}"#,
)
.answers(&[Answer::json::<MeterShown>(
    201,
    "The meter.",
    r#"{"meter": {"id": "mtr_0199a2c4e2447b3c8d5e6f708192a3b4", "slug": "tokens", "event_type": "completion", "aggregation": "sum", "value_property": "tokens", "group_by": ["model"], "filters": [{"property": "tier", "op": "in", "value": ["standard", "batch"]}], "created_at": "2026-11-21T09:30:00.123456Z", "archived_at": null}}"#,
)])
.refuses(&[&METER_EXISTS, &METER_LIMIT]);

pub const READ: Operation = Operation::new(
    "meters-read",
    Verb::Get,
    "/api/v1/meters/{slug}",
    Access::Permission("usage:read"),
)
.tag("usage")
.summary("Show a meter")
.path_parameter::<MeterName>("slug")
.answers(&[Answer::json::<MeterShown>(
    200,
    "The meter.",
    r#"{"meter": {"id": "mtr_0199a2c4e2447b3c8d5e6f708192a3b4", "slug": "tokens", "event_type": "completion", "aggregation": "sum", "value_property": "tokens", "group_by": ["model"], "filters": [{"property": "tier", "op": "in", "value": ["standard", "batch"]}], "created_at": "2026-11-21T09:30:00.123456Z", "archived_at": null}}"#,
)]);

pub const ARCHIVE: Operation = Operation::new(
    "meters-archive",
    Verb::Delete,
    "/api/v1/meters/{slug}",
    Access::Permission("meters:manage"),
)
.audited()
.tag("usage")
.summary("Archive a meter")
.details("It counts no more; what it has counted can still be asked for. Doing it again changes nothing.")
.path_parameter::<MeterName>("slug")
.answers(&[Answer::json::<MeterShown>(
    200,
    "The meter.",
    r#"{"meter": {"id": "mtr_0199a2c4e2447b3c8d5e6f708192a3b4", "slug": "tokens", "event_type": "completion", "aggregation": "sum", "value_property": "tokens", "group_by": ["model"], "filters": [{"property": "tier", "op": "in", "value": ["standard", "batch"]}], "created_at": "2026-11-21T09:30:00.123456Z", "archived_at": "2026-11-22T09:30:00.123456Z"}}"#,
)]);
