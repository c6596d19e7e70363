//! The part of JSON Schema that `openapi.json` uses. A keyword that is not known here is a
//! failure, not a rule that is quietly skipped.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use regex_lite::Regex;
use serde_json::{Map, Value};

use crate::description::Description;

/// Depth at which a schema that refers to itself is given up on.
const MAX_DEPTH: usize = 64;

/// Keywords that describe and do not restrict. `format` is one of them in OpenAPI 3.1.
const ANNOTATIONS: [&str; 10] = [
    "title",
    "description",
    "examples",
    "example",
    "default",
    "format",
    "deprecated",
    "readOnly",
    "writeOnly",
    "$comment",
];

/// Whether `value` is what `schema` says.
///
/// # Errors
/// Where it is not, and why.
pub fn check(description: &Description, schema: &Value, value: &Value) -> Result<(), String> {
    Checker { description }.check(schema, value, "", 0)
}

struct Checker<'a> {
    description: &'a Description,
}

impl Checker<'_> {
    fn check(&self, schema: &Value, value: &Value, at: &str, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("the schema at {at:?} never ends"));
        }
        let rules = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Bool(false) => return Err(format!("{at:?} must not be there")),
            Value::Object(rules) => rules,
            _ => {
                return Err(format!(
                    "the schema at {at:?} is neither an object nor a boolean"
                ));
            }
        };
        for (keyword, rule) in rules {
            let holds = self
                .keyword(rules, keyword, rule, value, at, depth)
                .map_err(|reason| {
                    if reason.is_empty() {
                        format!("{at:?} is {value} and breaks {keyword:?}: {rule}")
                    } else {
                        reason
                    }
                });
            holds?;
        }
        Ok(())
    }

    /// An empty reason stands for "this keyword is broken".
    fn keyword(
        &self,
        rules: &Map<String, Value>,
        keyword: &str,
        rule: &Value,
        value: &Value,
        at: &str,
        depth: usize,
    ) -> Result<(), String> {
        let one = |schema: &Value| self.check(schema, value, at, depth + 1);
        let matching = || {
            let schemas = rule.as_array().map(Vec::as_slice).unwrap_or_default();
            schemas.iter().filter(|schema| one(schema).is_ok()).count()
        };
        let holds = match keyword {
            "$ref" => {
                let target = rule
                    .as_str()
                    .and_then(|text| self.description.document().pointer(text.strip_prefix('#')?))
                    .ok_or_else(|| format!("{rule} leads nowhere"))?;
                return one(target);
            }
            "type" => match rule {
                Value::Array(names) => names.iter().any(|name| has_type(value, name)),
                name => has_type(value, name),
            },
            "enum" => rule.as_array().is_some_and(|values| values.contains(value)),
            "const" => rule == value,
            "oneOf" => matching() == 1,
            "anyOf" => matching() > 0,
            "allOf" => {
                let schemas = rule.as_array().map(Vec::as_slice).unwrap_or_default();
                return schemas.iter().try_for_each(one);
            }
            "not" => one(rule).is_err(),
            "required" => value.as_object().is_none_or(|members| {
                let names = rule.as_array().map(Vec::as_slice).unwrap_or_default();
                names
                    .iter()
                    .filter_map(Value::as_str)
                    .all(|name| members.contains_key(name))
            }),
            "properties" => {
                let pair = rule.as_object().zip(value.as_object());
                if let Some((schemas, members)) = pair {
                    for (name, schema) in schemas {
                        if let Some(member) = members.get(name) {
                            self.check(schema, member, &format!("{at}/{name}"), depth + 1)?;
                        }
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = rules.get("properties").and_then(Value::as_object);
                for (name, member) in value.as_object().into_iter().flatten() {
                    if !known.is_some_and(|known| known.contains_key(name)) {
                        self.check(rule, member, &format!("{at}/{name}"), depth + 1)?;
                    }
                }
                true
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    self.check(rule, item, &format!("{at}/{index}"), depth + 1)?;
                }
                true
            }
            "minItems" => compare(value.as_array().map(Vec::len), rule, |len, bound| {
                len >= bound
            }),
            "maxItems" => compare(value.as_array().map(Vec::len), rule, |len, bound| {
                len <= bound
            }),
            "minLength" => compare(chars(value), rule, |len, bound| len >= bound),
            "maxLength" => compare(chars(value), rule, |len, bound| len <= bound),
            "minimum" => value
                .as_i64()
                .zip(rule.as_i64())
                .is_none_or(|(v, bound)| v >= bound),
            "maximum" => value
                .as_i64()
                .zip(rule.as_i64())
                .is_none_or(|(v, bound)| v <= bound),
            "uniqueItems" => value.as_array().is_none_or(|items| {
                (1..items.len()).all(|index| !items[..index].contains(&items[index]))
            }),
            "pattern" => match value.as_str() {
                None => true,
                Some(text) => match_pattern(rule.as_str().unwrap_or_default(), text)?,
            },
            keyword if ANNOTATIONS.contains(&keyword) || keyword.starts_with("x-") => true,
            unknown => {
                return Err(format!(
                    "openapi.json uses the keyword {unknown:?} at {at:?}: teach it to \
                     tests/harness/schema.rs"
                ));
            }
        };
        if holds { Ok(()) } else { Err(String::new()) }
    }
}

fn has_type(value: &Value, name: &Value) -> bool {
    match name.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
    }
}

fn chars(value: &Value) -> Option<usize> {
    value.as_str().map(|text| text.chars().count())
}

/// A bound applies only to values that have what it bounds.
fn compare(len: Option<usize>, bound: &Value, holds: fn(u64, u64) -> bool) -> bool {
    let len = len.and_then(|len| u64::try_from(len).ok());
    len.zip(bound.as_u64())
        .is_none_or(|(len, bound)| holds(len, bound))
}

/// A pattern with a look-around, which this engine lacks, is only for generators of requests.
fn match_pattern(pattern: &str, text: &str) -> Result<bool, String> {
    if ["(?=", "(?!", "(?<"]
        .iter()
        .any(|group| pattern.contains(group))
    {
        return Ok(true);
    }
    Ok(regex(pattern)?.is_match(text))
}

/// The pattern, compiled. To compile it takes much longer than to match it, and there are few.
fn regex(pattern: &str) -> Result<Regex, String> {
    static COMPILED: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(regex) = compiled.get(pattern) {
        return Ok(regex.clone());
    }
    let regex = Regex::new(pattern)
        .map_err(|error| format!("the pattern {pattern:?} cannot be read: {error}"))?;
    compiled.insert(pattern.to_owned(), regex.clone());
    Ok(regex)
}
