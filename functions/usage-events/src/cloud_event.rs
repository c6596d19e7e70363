//! CloudEvents 1.0, in JSON (structured and batched) and in headers (binary).
//! `data` are the properties; extension attributes are not kept.

use std::borrow::Cow;

use serde_json::value::RawValue;
use shared::http::Request;
use shared::http::input::Invalid;
use shared::http::problem::Problem;

use crate::event::{self, Event, Form, Parts, Rejected};
use crate::operations::CloudEvent;
use crate::properties;

/// The version of the specification that is read.
const SPEC_VERSION: &str = "1.0";

/// The header that tells binary mode from a JSON event of our own.
pub const SPEC_VERSION_HEADER: &str = "ce-specversion";

const STRUCTURED: Form = Form {
    required: &["specversion", "id", "source", "type"],
    optional: &["subject", "time", "datacontenttype"],
    properties: "data",
    is_closed: false,
};

/// Reads one event in the JSON format.
pub fn read(text: &str, now_micros: i64) -> Result<Event<'_>, Rejected> {
    let Ok(structured) = serde_json::from_str::<CloudEvent<'_>>(text) else {
        return Err(event::explain(text, &STRUCTURED));
    };
    // Of attributes that are not kept, serde lets one be there twice. What is in `data` is looked
    // at when it is read.
    let repeated = properties::repeated_outer_member(text).map(|name| {
        let invalid = Invalid::new("repeated", "must be given once");
        event::field_error(name, invalid)
    });
    let content_type = structured.datacontenttype.as_ref().map(|text| &*text.0);
    let problem = [
        repeated,
        (structured.specversion.0 != SPEC_VERSION).then(wrong_version),
        structured.source.0.is_empty().then(empty_source),
        content_type.is_some_and(|text| !is_json(text)).then(|| {
            let invalid = Invalid::new("unsupported", "must be JSON");
            event::field_error("datacontenttype", invalid)
        }),
        structured.data_base64.is_some().then(|| {
            let invalid = Invalid::new("unsupported", "send a JSON object as data");
            event::field_error("data_base64", invalid)
        }),
    ];
    let parts = Parts {
        id: structured.id.0,
        source: structured.source.0,
        subject: structured.subject.map_or(Cow::Borrowed(""), |text| text.0),
        kind: structured.r#type.0,
        time: structured.time.map(|text| text.0),
        properties: structured.data.map(RawValue::get),
        properties_name: "data",
    };
    with_problems(problem.into_iter().flatten().collect(), parts, now_micros)
}

/// Reads the event whose attributes are headers and whose data are the body.
///
/// # Errors
/// A 400 for a header that is repeated or not ASCII.
pub fn read_binary<'a>(
    request: &Request,
    body: &'a str,
    now_micros: i64,
) -> Result<Result<Event<'a>, Rejected>, Problem> {
    let attribute = |name: &'static str| {
        let text = request.header(name)?;
        Ok::<_, Problem>(text.map(percent_decoded))
    };
    let mut problems = Vec::new();
    if attribute(SPEC_VERSION_HEADER)?.as_deref() != Some(SPEC_VERSION) {
        problems.push(wrong_version());
    }
    let source = attribute("ce-source")?.unwrap_or_default();
    if source.is_empty() {
        problems.push(empty_source());
    }
    let data = body.trim();
    if !data.is_empty() && serde_json::from_str::<&RawValue>(data).is_err() {
        let invalid = Invalid::new("malformed", "is not JSON");
        problems.push(event::field_error("data", invalid));
    }
    let parts = Parts {
        // An attribute that is missing has the wrong length.
        id: attribute("ce-id")?.unwrap_or_default().into(),
        source: source.into(),
        subject: attribute("ce-subject")?.unwrap_or_default().into(),
        kind: attribute("ce-type")?.unwrap_or_default().into(),
        time: attribute("ce-time")?.map(Cow::Owned),
        properties: (!data.is_empty() && problems.is_empty()).then_some(data),
        properties_name: "data",
    };
    Ok(with_problems(problems, parts, now_micros))
}

fn with_problems(
    mut problems: Vec<shared::http::problem::FieldError>,
    parts: Parts<'_>,
    now_micros: i64,
) -> Result<Event<'_>, Rejected> {
    match event::check(parts, now_micros) {
        Ok(event) if problems.is_empty() => Ok(event),
        Ok(event) => Err(Rejected {
            id: Some(event.id.into_owned()),
            errors: problems,
        }),
        Err(mut rejected) => {
            rejected
                .errors
                .retain(|error| !problems.iter().any(|problem| problem.field == error.field));
            problems.append(&mut rejected.errors);
            Err(Rejected {
                id: rejected.id,
                errors: problems,
            })
        }
    }
}

fn wrong_version() -> shared::http::problem::FieldError {
    let invalid = Invalid::new("unsupported", "must be \"1.0\"");
    event::field_error("specversion", invalid)
}

fn empty_source() -> shared::http::problem::FieldError {
    let invalid = Invalid::new("wrong_length", "must not be empty");
    event::field_error("source", invalid)
}

/// Whether a media type is JSON (CloudEvents JSON format 1.0, section 3.1).
pub fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let subtype = media_type
        .split_once('/')
        .map_or("", |(_, subtype)| subtype);
    subtype.eq_ignore_ascii_case("json") || subtype.to_ascii_lowercase().ends_with("+json")
}

/// A header's value as CloudEvents encodes it (HTTP binding 1.0, section 3.1.3.2):
/// in double quotes or not, with the bytes of UTF-8 after a percent sign. What
/// cannot be decoded is taken as it is.
fn percent_decoded(text: &str) -> String {
    let text = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) if byte == b'%' => {
                decoded.push(value);
                rest = &tail[2..];
            }
            _ => {
                decoded.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T12:00:00Z.
    const NOW: i64 = 1_795_262_400_000_000;

    #[test]
    fn structured_events() {
        let good = r#"{"specversion": "1.0", "id": "a", "source": "/gateway", "type": "t", "traceparent": "x",
                       "datacontenttype": "application/json", "time": "2026-11-21T12:00:00Z", "data": {"n": 1}}"#;
        let event = read(good, NOW).expect("every attribute is right");
        assert_eq!(
            (&*event.source, &*event.properties),
            ("/gateway", r#"{"n": 1}"#)
        );
        let table: [(&str, &[(&str, &str)]); 12] = [
            (
                "{}",
                &[
                    ("specversion", "required"),
                    ("id", "required"),
                    ("source", "required"),
                    ("type", "required"),
                ],
            ),
            (
                &good.replace("\"1.0\"", "\"0.3\""),
                &[("specversion", "unsupported")],
            ),
            (&good.replace("/gateway", ""), &[("source", "wrong_length")]),
            (
                &good.replace("\"traceparent\": \"x\"", "\"trace\": 1, \"trace\": 2"),
                &[("trace", "repeated")],
            ),
            // After a number that is too long to be kept, and within an attribute that is not kept.
            (
                &good
                    .replace("\"x\"", &format!("{{\"a\": {}, \"a\": 2}}", "1".repeat(40)))
                    .replace("\"id\"", "\"trace\": 1, \"trace\": 2, \"id\""),
                &[("trace", "repeated")],
            ),
            (
                &good.replace("\"n\": 1", "\"n\": 1, \"n\": 2"),
                &[("data.n", "repeated")],
            ),
            (
                &good.replace("application/json", "text/plain"),
                &[("datacontenttype", "unsupported")],
            ),
            (
                &good.replace("\"data\"", "\"data_base64\""),
                &[("data_base64", "unsupported")],
            ),
            (
                &good.replace("{\"n\": 1}", "[1]"),
                &[("data", "wrong_type")],
            ),
            (&good.replace("\"t\"", "7"), &[("type", "wrong_type")]),
            (
                &good.replace("2026-11-21T12:00:00Z", "now"),
                &[("time", "invalid")],
            ),
            (&good.replace("\"a\"", "\"\""), &[("id", "wrong_length")]),
        ];
        for (text, expected) in table {
            let rejected = read(text, NOW).expect_err(text);
            let named: Vec<_> = rejected
                .errors
                .iter()
                .map(|e| (&*e.field, e.code))
                .collect();
            assert_eq!(named, expected, "{text}");
        }
    }

    #[test]
    fn values_of_headers() {
        let table = [
            ("plain", "plain"),
            ("%C3%A9%20x", "é x"),
            ("\"quoted %22\"", "quoted \""),
            ("100%", "100%"),
            ("%zz", "%zz"),
            ("%ff", "%ff"),
        ];
        for (text, expected) in table {
            assert_eq!(percent_decoded(text), expected, "{text}");
        }
    }

    #[test]
    fn media_types() {
        let table = [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/vnd.x+json", true),
            ("text/plain", false),
            ("", false),
        ];
        for (text, expected) in table {
            assert_eq!(is_json(text), expected, "{text}");
        }
    }
}
