//! One event of usage, as JSON.
//!
//! An event that is right is read once, without a copy of its texts. Only one
//! that is not is read again, to name everything that is wrong with it.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use shared::http::input::{FromText, Invalid};
use shared::http::problem::FieldError;

use shared::http::time::Moment;
use shared::text::layout;

use crate::operations::UsageEvent;
use crate::properties;

/// Characters of an id.
pub const ID_CHARS: RangeInclusive<usize> = 1..=128;
/// Characters of a source. Like an id it is part of the key, whose index takes
/// 2,704 bytes: 4 x (128 + 128) are 1,024.
pub const SOURCE_CHARS: RangeInclusive<usize> = 0..=128;
/// Characters of a subject.
pub const SUBJECT_CHARS: RangeInclusive<usize> = 0..=128;
/// Characters of a type.
pub const TYPE_CHARS: RangeInclusive<usize> = 1..=64;

/// How far back an event may lie: a month of 31 days, and four days to send what
/// was kept back at its end.
pub const MAX_AGE_MICROS: i64 = 35 * 24 * 60 * 60 * 1_000_000;
/// How far ahead an event may lie, for clocks that are not set.
pub const MAX_AHEAD_MICROS: i64 = 60 * 60 * 1_000_000;

/// An event that can be stored.
#[derive(Debug, PartialEq, Eq)]
pub struct Event<'a> {
    pub id: Cow<'a, str>,
    pub source: Cow<'a, str>,
    pub subject: Cow<'a, str>,
    pub kind: Cow<'a, str>,
    /// Microseconds since 1970.
    pub time_micros: i64,
    /// A JSON object, with each number as it is stored.
    pub properties: Cow<'a, str>,
}

/// An event that cannot.
#[derive(Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its id, if it has one that can be repeated.
    pub id: Option<String>,
    /// What is wrong: at least one thing.
    pub errors: Vec<FieldError>,
}

/// The parts of an event, wherever they came from.
pub struct Parts<'a> {
    pub id: Cow<'a, str>,
    pub source: Cow<'a, str>,
    pub subject: Cow<'a, str>,
    pub kind: Cow<'a, str>,
    pub time: Option<Cow<'a, str>>,
    pub properties: Option<&'a str>,
    /// What the properties are called where they came from.
    pub properties_name: &'static str,
}

/// An error of one field.
pub fn field_error(field: impl Into<Cow<'static, str>>, invalid: Invalid) -> FieldError {
    FieldError {
        field: field.into(),
        code: invalid.code,
        message: invalid.message,
    }
}

/// Reads one event from its JSON. `now_micros` is the time of the request, which
/// an event without one has.
pub fn read(text: &str, now_micros: i64) -> Result<Event<'_>, Rejected> {
    let Ok(plain) = serde_json::from_str::<UsageEvent<'_>>(text) else {
        return Err(explain(text, &PLAIN));
    };
    check(
        Parts {
            id: plain.id.0,
            source: plain.source.map_or(Cow::Borrowed(""), |text| text.0),
            subject: plain.subject.map_or(Cow::Borrowed(""), |text| text.0),
            kind: plain.r#type.0,
            time: plain.time.map(|text| text.0),
            properties: plain.properties.map(RawValue::get),
            properties_name: "properties",
        },
        now_micros,
    )
}

/// Checks what an event consists of.
pub fn check(parts: Parts<'_>, now_micros: i64) -> Result<Event<'_>, Rejected> {
    let mut errors = Vec::new();
    let mut note = |field: &'static str, outcome: Result<(), Invalid>| {
        errors.extend(outcome.err().map(|invalid| field_error(field, invalid)));
    };
    note("id", check_text(&parts.id, ID_CHARS));
    note("source", check_text(&parts.source, SOURCE_CHARS));
    note("subject", check_text(&parts.subject, SUBJECT_CHARS));
    note("type", check_text(&parts.kind, TYPE_CHARS));
    let time_micros = match &parts.time {
        None => now_micros,
        Some(text) => match read_time(text, now_micros) {
            Ok(micros) => micros,
            Err(invalid) => {
                note("time", Err(invalid));
                now_micros
            }
        },
    };
    let properties =
        properties::check(parts.properties.unwrap_or("{}")).unwrap_or_else(|mistake| {
            let field = format!("{}{}", parts.properties_name, mistake.place);
            errors.push(field_error(field, mistake.invalid));
            Cow::Borrowed("{}")
        });
    if errors.is_empty() {
        return Ok(Event {
            id: parts.id,
            source: parts.source,
            subject: parts.subject,
            kind: parts.kind,
            time_micros,
            properties,
        });
    }
    Err(Rejected {
        id: repeatable(&parts.id),
        errors,
    })
}

/// The id as an answer may repeat it: not if it is too long, or a NUL.
fn repeatable(id: &str) -> Option<String> {
    check_text(id, ID_CHARS).is_ok().then(|| id.to_owned())
}

fn check_text(text: &str, chars: RangeInclusive<usize>) -> Result<(), Invalid> {
    // Printable ASCII is seen faster than any other text.
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !is_plain && text.chars().any(layout::is_control) {
        let message =
            "must have no control characters, and none that change the direction of others";
        return Err(Invalid::new("invalid_character", message));
    }
    // Bytes are counted faster, and there are at least as many of them.
    let is_short = text.len() <= *chars.end() && text.len() >= *chars.start();
    if is_short || chars.contains(&text.chars().count()) {
        return Ok(());
    }
    Err(Invalid::new(
        "wrong_length",
        format!("must have {} to {} characters", chars.start(), chars.end()),
    ))
}

fn read_time(text: &str, now_micros: i64) -> Result<i64, Invalid> {
    let Moment(time) = Moment::from_text(text)?;
    let micros = time.and_utc().timestamp_micros();
    if micros < now_micros - MAX_AGE_MICROS {
        return Err(Invalid::new("too_old", "must not be more than 35 days ago"));
    }
    if micros > now_micros + MAX_AHEAD_MICROS {
        return Err(Invalid::new(
            "too_far_ahead",
            "must not be more than an hour ahead",
        ));
    }
    Ok(micros)
}

/// The members of a form of events, for naming what is wrong with one.
pub struct Form {
    /// Texts that must be there.
    pub required: &'static [&'static str],
    /// Texts that may be there, or null.
    pub optional: &'static [&'static str],
    /// The member with the properties.
    pub properties: &'static str,
    /// Whether other members are refused.
    pub is_closed: bool,
}

const PLAIN: Form = Form {
    required: &["id", "type"],
    optional: &["source", "subject", "time"],
    properties: "properties",
    is_closed: true,
};

/// What is wrong with an event that could not be read.
pub fn explain(text: &str, form: &Form) -> Rejected {
    let reject = |id, errors| Rejected { id, errors };
    let whole = |code, message: String| vec![field_error("", Invalid::new(code, message))];
    let members: Map<String, Value> = match serde_json::from_str(text) {
        Ok(Value::Object(members)) => members,
        Ok(_) => {
            return reject(
                None,
                whole("wrong_type", "must be a JSON object".to_owned()),
            );
        }
        Err(error) => return reject(None, whole("malformed", format!("is not JSON: {error}"))),
    };
    let mut errors = Vec::new();
    let mut note = |field: &str, code, message| {
        errors.push(field_error(field.to_owned(), Invalid::new(code, message)));
    };
    if let Some(name) = properties::repeated_member(text) {
        note(&name, "repeated", "must be given once");
    }
    for name in form.required {
        match members.get(*name) {
            None => note(name, "required", "is required"),
            Some(Value::String(_)) => {}
            Some(_) => note(name, "wrong_type", "must be a string"),
        }
    }
    for name in form.optional {
        if !matches!(
            members.get(*name),
            None | Some(Value::Null | Value::String(_))
        ) {
            note(name, "wrong_type", "must be a string");
        }
    }
    let is_known = |name: &str| {
        form.required.contains(&name) || form.optional.contains(&name) || name == form.properties
    };
    if form.is_closed {
        for name in members.keys().filter(|name| !is_known(name)) {
            note(name, "unknown", "is not a field of an event");
        }
    }
    if errors.is_empty() {
        // Nothing that a reader of JSON lets pass and we do not is known.
        errors = whole("malformed", "is not an event".to_owned());
    }
    let id = members
        .get("id")
        .and_then(Value::as_str)
        .and_then(repeatable);
    reject(id, errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T12:00:00Z.
    const NOW: i64 = 1_795_262_400_000_000;

    fn refused(text: &str) -> Vec<(String, &'static str)> {
        let Err(rejected) = read(text, NOW) else {
            return Vec::new();
        };
        let named = |error: FieldError| (error.field.into_owned(), error.code);
        rejected.errors.into_iter().map(named).collect()
    }

    #[test]
    fn good_events() {
        let event =
            read(r#"{"id": "a", "type": "tokens"}"#, NOW).expect("it has what it must have");
        let expected = Event {
            id: "a".into(),
            source: "".into(),
            subject: "".into(),
            kind: "tokens".into(),
            time_micros: NOW,
            properties: "{}".into(),
        };
        assert_eq!(event, expected);
        let text = r#"{"properties": {"n": 1}, "time": "2026-11-21T13:00:00.5+02:00", "type": "t\u00e9",
                       "subject": "cus_1", "source": null, "id": "b"}"#;
        let event = read(text, NOW).expect("every field is right");
        assert_eq!(event.time_micros, NOW - 3_600_000_000 + 500_000);
        assert_eq!((&*event.kind, &*event.properties), ("té", r#"{"n": 1}"#));
        assert!(matches!(event.id, Cow::Borrowed(_)) && matches!(event.subject, Cow::Borrowed(_)));
    }

    #[test]
    fn every_mistake_is_named() {
        let long = format!(
            r#"{{"id": "{}", "type": "{}"}}"#,
            "é".repeat(129),
            "t".repeat(65)
        );
        let table: [(&str, &[(&str, &str)]); 23] = [
            ("", &[("", "malformed")]),
            (r#"{"id": NaN, "type": "t"}"#, &[("", "malformed")]),
            ("[]", &[("", "wrong_type")]),
            ("{}", &[("id", "required"), ("type", "required")]),
            (
                r#"{"id": 1, "type": null}"#,
                &[("id", "wrong_type"), ("type", "wrong_type")],
            ),
            (
                r#"{"id": "", "type": ""}"#,
                &[("id", "wrong_length"), ("type", "wrong_length")],
            ),
            (&long, &[("id", "wrong_length"), ("type", "wrong_length")]),
            (
                r#"{"id": "a\u0000", "type": "t"}"#,
                &[("id", "invalid_character")],
            ),
            (
                r#"{"id": "a\u202eb", "type": "t\n", "subject": "\u0085"}"#,
                &[
                    ("id", "invalid_character"),
                    ("subject", "invalid_character"),
                    ("type", "invalid_character"),
                ],
            ),
            (r#"{"id": "é\u200d", "type": "t"}"#, &[]),
            (
                r#"{"id": "a", "type": "t", "source": 1}"#,
                &[("source", "wrong_type")],
            ),
            (
                r#"{"id": "a", "type": "t", "subject": []}"#,
                &[("subject", "wrong_type")],
            ),
            (
                r#"{"id": "a", "type": "t", "time": 5}"#,
                &[("time", "wrong_type")],
            ),
            (
                r#"{"id": "a", "type": "t", "time": "yesterday"}"#,
                &[("time", "invalid")],
            ),
            (
                r#"{"id": "a", "type": "t", "time": "2026-11-21T12:00:00"}"#,
                &[("time", "invalid")],
            ),
            (
                r#"{"id": "a", "type": "t", "time": "2026-10-17T11:59:59Z"}"#,
                &[("time", "too_old")],
            ),
            (
                r#"{"id": "a", "type": "t", "time": "2026-10-17T12:00:00Z"}"#,
                &[],
            ),
            (
                r#"{"id": "a", "type": "t", "time": "2026-11-21T13:00:01Z"}"#,
                &[("time", "too_far_ahead")],
            ),
            (
                r#"{"id": "a", "type": "t", "properties": []}"#,
                &[("properties", "wrong_type")],
            ),
            (
                r#"{"id": "a", "type": "t", "amount": 1}"#,
                &[("amount", "unknown")],
            ),
            (
                r#"{"id": "a", "type": "t", "id": "b"}"#,
                &[("id", "repeated")],
            ),
            (
                r#"{"id": "a", "type": "t", "properties": {"n": [{"x": 1, "x": 2}]}}"#,
                &[("properties.n[0].x", "repeated")],
            ),
            (
                r#"{"id": "a", "type": "t", "properties": {"n": 1e99}}"#,
                &[("properties", "out_of_range")],
            ),
        ];
        for (text, expected) in table {
            let expected: Vec<_> = expected
                .iter()
                .map(|(f, c)| ((*f).to_owned(), *c))
                .collect();
            assert_eq!(refused(text), expected, "{text}");
        }
        let rejected = read(r#"{"id": "a"}"#, NOW).expect_err("it has no type");
        assert_eq!(
            rejected.id.as_deref(),
            Some("a"),
            "an answer names the event"
        );
    }
}
