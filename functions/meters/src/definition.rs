//! What a meter is defined by.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::http::fields::{self, Fields, Invalid};
use shared::http::problem::Problem;

/// Longest name of a meter.
const MAX_SLUG_CHARS: usize = 64;
/// Longest type of an event, as `usage-events` takes it.
const MAX_EVENT_TYPE_CHARS: usize = 64;
/// Longest path to a property: four names of 63 characters and three points.
const MAX_PATH_CHARS: usize = 255;
/// Most names in a path.
const MAX_PATH_NAMES: usize = 4;
/// Most properties that a meter's sums are kept apart by.
const MAX_GROUPS: usize = 4;
/// Most filters of a meter: each is looked at for each event.
const MAX_FILTERS: usize = 10;
/// Most values that an `in` lists.
const MAX_LISTED_VALUES: usize = 20;
/// Longest value of a filter.
const MAX_VALUE_CHARS: usize = 128;

/// What a meter makes of its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    Count,
    Sum,
    Min,
    Max,
    Average,
    UniqueCount,
    Latest,
    TimeWeightedSum,
}

impl Aggregation {
    const ALL: [(&'static str, Self); 8] = [
        ("count", Self::Count),
        ("sum", Self::Sum),
        ("min", Self::Min),
        ("max", Self::Max),
        ("average", Self::Average),
        ("unique_count", Self::UniqueCount),
        ("latest", Self::Latest),
        ("time_weighted_sum", Self::TimeWeightedSum),
    ];

    /// The name in the API and in the database.
    pub fn name(self) -> &'static str {
        let named = Self::ALL
            .iter()
            .find(|(_, aggregation)| *aggregation == self);
        named.map_or("", |(name, _)| name)
    }

    fn read(value: &Value) -> Result<Self, Invalid> {
        let text = value
            .as_str()
            .ok_or_else(|| Invalid::new("wrong_type", "must be a string"))?;
        let named = Self::ALL.iter().find(|(name, _)| *name == text);
        named.map(|(_, aggregation)| *aggregation).ok_or_else(|| {
            let names = Self::ALL.map(|(name, _)| name).join(", ");
            Invalid::new("invalid", format!("must be one of {names}"))
        })
    }
}

/// A condition on a property.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Filter {
    property: String,
    op: &'static str,
    value: Value,
}

/// A meter, as asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Input {
    pub slug: String,
    pub event_type: String,
    pub aggregation: Aggregation,
    pub value_property: Option<String>,
    pub group_by: Vec<String>,
    pub filters: Vec<Filter>,
}

/// Whether a text can be a meter's name.
pub fn is_slug(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    text.len() <= MAX_SLUG_CHARS
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(allowed)
}

fn slug(value: &Value) -> Result<String, Invalid> {
    let text = fields::text(value, 1..=MAX_SLUG_CHARS)?;
    if is_slug(&text) {
        return Ok(text);
    }
    Err(Invalid::new(
        "invalid",
        "must begin with a lower-case letter and have only those, digits, '-' and '_'",
    ))
}

fn path(value: &Value) -> Result<String, Invalid> {
    let text = fields::text(value, 1..=MAX_PATH_CHARS)?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let names: Vec<&str> = text.split('.').collect();
    let is_path = names.len() <= MAX_PATH_NAMES
        && names
            .iter()
            .all(|name| !name.is_empty() && name.bytes().all(allowed));
    if is_path {
        return Ok(text);
    }
    Err(Invalid::new(
        "invalid",
        format!(
            "must be 1 to {MAX_PATH_NAMES} names of letters, digits, '-' and '_', with a point between each two"
        ),
    ))
}

fn list(value: &Value, most: usize) -> Result<&[Value], Invalid> {
    match value.as_array() {
        None => Err(Invalid::new("wrong_type", "must be a list")),
        Some(items) if items.len() > most => Err(Invalid::new(
            "wrong_length",
            format!("must have at most {most} items"),
        )),
        Some(items) => Ok(items),
    }
}

fn group_by(value: &Value) -> Result<Vec<String>, Invalid> {
    let paths: Vec<String> = list(value, MAX_GROUPS)?
        .iter()
        .map(path)
        .collect::<Result<_, _>>()?;
    let is_repeated = |(at, path): (usize, &String)| paths[..at].contains(path);
    if paths.iter().enumerate().any(is_repeated) {
        return Err(Invalid::new("repeated", "must name each property once"));
    }
    Ok(paths)
}

/// A text, number, true or false, as a filter compares it.
fn scalar(value: &Value) -> Result<Value, Invalid> {
    match value {
        Value::String(_) => fields::text(value, 0..=MAX_VALUE_CHARS).map(Value::String),
        Value::Number(_) | Value::Bool(_) => Ok(value.clone()),
        _ => Err(Invalid::new(
            "wrong_type",
            "must be a text, a number, true or false",
        )),
    }
}

fn filter(value: &Value) -> Result<Filter, Invalid> {
    let wrong = || {
        Invalid::new(
            "wrong_type",
            "must be objects with property, op and value, and nothing else",
        )
    };
    let members = value
        .as_object()
        .filter(|o| o.len() == 3)
        .ok_or_else(wrong)?;
    let member = |name: &str| members.get(name).ok_or_else(wrong);
    let property = path(member("property")?)?;
    let operand = member("value")?;
    let (op, value) = match member("op")?.as_str() {
        Some("eq") => ("eq", scalar(operand)?),
        Some("ne") => ("ne", scalar(operand)?),
        Some("in") => {
            let values = list(operand, MAX_LISTED_VALUES)?;
            let values: Vec<Value> = values.iter().map(scalar).collect::<Result<_, _>>()?;
            ("in", Value::Array(values))
        }
        _ => return Err(Invalid::new("invalid", "op must be eq, ne or in")),
    };
    Ok(Filter {
        property,
        op,
        value,
    })
}

fn filters(value: &Value) -> Result<Vec<Filter>, Invalid> {
    list(value, MAX_FILTERS)?.iter().map(filter).collect()
}

/// Reads a meter.
///
/// # Errors
/// A 422 that names every wrong, missing and unknown field.
pub fn read(mut fields: Fields) -> Result<Input, Problem> {
    let slug = fields.required("slug", slug);
    let event_type = fields.required("event_type", |value| {
        fields::text(value, 1..=MAX_EVENT_TYPE_CHARS)
    });
    let aggregation = fields.required("aggregation", Aggregation::read);
    let counts = aggregation == Some(Aggregation::Count);
    let value_property = if counts {
        fields.optional("value_property", |_| {
            Err(Invalid::new("unknown", "a count has no value_property"))
        })
    } else {
        fields.required("value_property", path).map(Some)
    };
    let group_by = fields.optional("group_by", group_by);
    let filters = fields.optional("filters", filters);
    fields.finish(|| {
        Some(Input {
            slug: slug?,
            event_type: event_type?,
            aggregation: aggregation?,
            value_property: value_property?,
            group_by: group_by?.unwrap_or_default(),
            filters: filters?.unwrap_or_default(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        let with = |name: &str, value: Value| {
            let mut body = json!({
                "slug": "tokens", "event_type": "completion", "aggregation": "sum", "value_property": "tokens",
            });
            body[name] = value;
            body
        };
        let eq = json!({"property": "model", "op": "eq", "value": "large"});
        let table = [
            (with("slug", json!("tokens_2-x")), vec![]),
            (
                with("value_property", json!("usage.tokens.input.total")),
                vec![],
            ),
            (with("group_by", json!(["model", "region.name"])), vec![]),
            (with("filters", json!([eq])), vec![]),
            (
                with(
                    "filters",
                    json!([{"property": "tier", "op": "in", "value": ["a", 1, true]}]),
                ),
                vec![],
            ),
            (
                json!({"slug": "calls", "event_type": "call", "aggregation": "count"}),
                vec![],
            ),
            (
                json!({}),
                vec!["slug", "event_type", "aggregation", "value_property"],
            ),
            (with("slug", json!("Tokens")), vec!["slug"]),
            (with("slug", json!("1st")), vec!["slug"]),
            (with("slug", json!("t".repeat(65))), vec!["slug"]),
            (
                with("event_type", json!("t".repeat(65))),
                vec!["event_type"],
            ),
            (with("aggregation", json!("median")), vec!["aggregation"]),
            (with("aggregation", json!("count")), vec!["value_property"]),
            (
                with("value_property", json!("a..b")),
                vec!["value_property"],
            ),
            (
                with("value_property", json!("a.b.c.d.e")),
                vec!["value_property"],
            ),
            (
                with("value_property", json!("to kens")),
                vec!["value_property"],
            ),
            (
                with("group_by", json!(["a", "b", "c", "d", "e"])),
                vec!["group_by"],
            ),
            (with("group_by", json!(["a", "a"])), vec!["group_by"]),
            (with("group_by", json!("model")), vec!["group_by"]),
            (
                with(
                    "filters",
                    json!([{"property": "a", "op": "gt", "value": 1}]),
                ),
                vec!["filters"],
            ),
            (
                with(
                    "filters",
                    json!([{"property": "a", "op": "eq", "value": [1]}]),
                ),
                vec!["filters"],
            ),
            (
                with(
                    "filters",
                    json!([{"property": "a", "op": "in", "value": "x"}]),
                ),
                vec!["filters"],
            ),
            (
                with("filters", json!([{"property": "a", "op": "eq"}])),
                vec!["filters"],
            ),
            (
                with("filters", json!(vec![eq.clone(); 11])),
                vec!["filters"],
            ),
            (with("unit", json!("token")), vec!["unit"]),
        ];
        for (body, expected) in table {
            let errors = Fields::new(body.clone()).and_then(read).err();
            let errors = errors.map(|problem| problem.errors).unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|error| &*error.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }

    #[test]
    fn aggregations_are_called_the_same_everywhere() {
        for (name, aggregation) in Aggregation::ALL {
            assert_eq!(serde_json::to_value(aggregation).ok(), Some(json!(name)));
            assert_eq!(aggregation.name(), name);
        }
    }
}
