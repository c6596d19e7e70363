use std::borrow::Cow;

use shared::http::input::List;
#[cfg(not(target_arch = "wasm32"))]
use shared::http::input::Text;
use shared::http::operation::{Access, Answer, Operation, OtherBody, Verb};
use shared::http::problem::FieldError;
use shared::serde::Deserialize;
use shared::serde_json::value::RawValue;

/// Most events of a request.
pub const MAX_EVENTS_PER_BATCH: usize = 1_000;

/// A text that is borrowed where it has no escapes. `Option<Cow<str>>` would copy it.
#[derive(Debug, Deserialize)]
#[serde(crate = "shared::serde", transparent)]
pub struct EventText<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// An event of usage.
#[derive(Debug, Deserialize)]
#[serde(crate = "shared::serde", deny_unknown_fields)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(shared::schemars::JsonSchema),
    schemars(crate = "shared::schemars")
)]
pub struct UsageEvent<'a> {
    /// With source, what tells a repeated event from another one, for good.
    #[serde(borrow)]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "Text<1, 128>"))]
    pub id: EventText<'a>,
    /// Where the id is unique. Absent and null: empty.
    #[serde(borrow)]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "Option<Text<0, 128>>"))]
    pub source: Option<EventText<'a>>,
    /// Whose usage it is, for example a customer of yours.
    #[serde(borrow)]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "Option<Text<0, 128>>"))]
    pub subject: Option<EventText<'a>>,
    /// What meters choose by.
    #[serde(borrow)]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "Text<1, 64>"))]
    pub r#type: EventText<'a>,
    /// At most 35 days ago and an hour ahead. Absent and null: now.
    #[serde(borrow)]
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "Option<shared::http::time::Moment>")
    )]
    pub time: Option<EventText<'a>>,
    /// At most 4,096 bytes, 16 deep. A number has at most 32 characters and an exponent of
    /// at most 20.
    #[serde(borrow)]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "Option<Properties>"))]
    pub properties: Option<&'a RawValue>,
}

/// CloudEvents 1.0. Extension attributes are taken and not kept.
#[derive(Debug, Deserialize)]
#[serde(crate = "shared::serde")]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(shared::schemars::JsonSchema),
    schemars(crate = "shared::schemars")
)]
pub struct CloudEvent<'a> {
    #[serde(borrow)]
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "String", extend("const" = "1.0"))
    )]
    pub specversion: EventText<'a>,
    #[serde(borrow)]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "Text<1, 128>"))]
    pub id: EventText<'a>,
    #[serde(borrow)]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "Text<1, 128>"))]
    pub source: EventText<'a>,
    #[serde(borrow)]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "Text<1, 64>"))]
    pub r#type: EventText<'a>,
    #[serde(borrow)]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "Option<Text<0, 128>>"))]
    pub subject: Option<EventText<'a>>,
    #[serde(borrow)]
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "Option<shared::http::time::Moment>")
    )]
    pub time: Option<EventText<'a>>,
    /// JSON, if any.
    #[serde(borrow)]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "Option<String>"))]
    pub datacontenttype: Option<EventText<'a>>,
    /// The properties of the event.
    #[serde(borrow)]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "Option<Properties>"))]
    pub data: Option<&'a RawValue>,
    /// Refused: the properties are an object.
    #[serde(borrow)]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(skip))]
    pub data_base64: Option<&'a RawValue>,
}

/// Any object.
#[cfg(not(target_arch = "wasm32"))]
type Properties = shared::serde_json::Map<String, shared::serde_json::Value>;

/// A JSON body: an event, a list of events, or an object with the list. It is taken
/// apart into the texts of its events, so that one that is wrong is refused by itself.
pub enum UsageEvents {}

#[cfg(not(target_arch = "wasm32"))]
impl shared::schemars::JsonSchema for UsageEvents {
    fn schema_name() -> Cow<'static, str> {
        "UsageEvents".into()
    }

    fn json_schema(generator: &mut shared::schemars::SchemaGenerator) -> shared::schemars::Schema {
        let event = generator.subschema_for::<UsageEvent<'static>>();
        let events =
            generator.subschema_for::<List<UsageEvent<'static>, 1, MAX_EVENTS_PER_BATCH>>();
        shared::schemars::json_schema!({
            "anyOf": [
                event,
                events,
                {
                    "type": "object",
                    "required": ["events"],
                    "properties": {"events": events},
                    "additionalProperties": false,
                },
            ],
        })
    }
}

/// A body with an event on each line.
pub enum UsageEventLines {}

shared::describe!(UsageEventLines as "UsageEventLines", {
    "type": "string", "description": "One event on each line.",
});

#[shared::body(query)]
pub struct UsageEventsQuery {
    /// true: one rejected event refuses all with a 422 that names it, such as
    /// events[17].time, and stores nothing.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = false)))]
    pub atomic: Option<bool>,
}

/// Whether an event was stored: accepted, by this request; duplicate, because one with
/// this id and source was stored before, or comes earlier in this request; rejected, not.
#[shared::answer]
#[derive(Copy, PartialEq, Eq)]
pub enum UsageEventStatus {
    Accepted,
    Duplicate,
    Rejected,
}

/// An adjustment is of a period that was closed before. It is stored.
#[shared::answer]
#[derive(Copy, PartialEq, Eq)]
pub enum UsageEventFlag {
    Adjustment,
}

/// What became of one event.
#[shared::answer]
pub struct UsageVerdict<'a> {
    /// Null when the event has none that can be repeated.
    pub id: Option<Cow<'a, str>>,
    pub status: UsageEventStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flag: Option<UsageEventFlag>,
    /// The code of the first error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub errors: Vec<FieldError>,
}

impl<'a> UsageVerdict<'a> {
    /// An event that cannot be stored.
    pub fn rejected(id: Option<Cow<'a, str>>, errors: Vec<FieldError>) -> Self {
        Self {
            id,
            status: UsageEventStatus::Rejected,
            flag: None,
            reason: errors.first().map(|error| error.code),
            errors,
        }
    }

    /// An event that is stored, by this request or an earlier one.
    pub fn stored(id: Cow<'a, str>, status: UsageEventStatus) -> Self {
        Self {
            id: Some(id),
            status,
            flag: None,
            reason: None,
            errors: Vec::new(),
        }
    }
}

/// The answer to a batch.
#[shared::answer]
pub struct UsageResults<'a> {
    /// In the order of the events.
    pub results: Vec<UsageVerdict<'a>>,
    pub accepted: usize,
    pub duplicate: usize,
    pub rejected: usize,
}

impl<'a> UsageResults<'a> {
    /// The answer with its counts.
    pub fn new(results: Vec<UsageVerdict<'a>>) -> Self {
        let count = |status| {
            results
                .iter()
                .filter(|verdict| verdict.status == status)
                .count()
        };
        Self {
            accepted: count(UsageEventStatus::Accepted),
            duplicate: count(UsageEventStatus::Duplicate),
            rejected: count(UsageEventStatus::Rejected),
            results,
        }
    }
}

pub const INGEST: Operation = Operation::new(
    "usage-events",
    Verb::Post,
    "/api/v1/usage/events",
    Access::Permission("usage:write"),
)
.tag("usage")
.summary("Store events of usage, each once")
.details("Takes up to 1,000 events in one of the forms below. CloudEvents in binary mode have their attributes in ce- headers and their data in a body of application/json. A rejected event does not keep the others out. Sending a batch again stores nothing twice.")
.query::<UsageEventsQuery>()
.body::<UsageEvents>(
    r#"[{"id": "req-7f21", "source": "gateway-1", "subject": "cus_42", "type": "completion", "time": "2026-11-21T09:30:00Z", "properties": {"tokens": 812, "model": "large"}}]"#,
)
.other_bodies(&[
    OtherBody::new::<UsageEventLines>(
        "application/x-ndjson",
        // A JSON text, because the name of this media type ends with json too.
        r#""{\"id\": \"req-7f21\", \"type\": \"completion\"}\n{\"id\": \"req-7f22\", \"type\": \"completion\"}\n""#,
    ),
    OtherBody::new::<CloudEvent<'static>>(
        "application/cloudevents+json",
        r#"{"specversion": "1.0", "id": "req-7f21", "source": "/gateway-1", "subject": "cus_42", "type": "completion", "time": "2026-11-21T09:30:00Z", "data": {"tokens": 812, "model": "large"}}"#,
    ),
    OtherBody::new::<List<CloudEvent<'static>, 1, MAX_EVENTS_PER_BATCH>>(
        "application/cloudevents-batch+json",
        r#"[{"specversion": "1.0", "id": "req-7f21", "source": "/gateway-1", "subject": "cus_42", "type": "completion", "time": "2026-11-21T09:30:00Z", "data": {"tokens": 812, "model": "large"}}]"#,
    ),
])
// Two if the statement that it was sent in with others failed.
.statements(2)
.answers(&[Answer::json::<UsageResults<'static>>(
    200,
    "What became of each event. What is accepted or a duplicate is stored, and in every summary that is asked for from now on.",
    r#"{"results": [{"id": "req-7f21", "status": "accepted"}, {"id": "req-7f21", "status": "duplicate"}, {"id": "req-7f22", "status": "rejected", "reason": "too_old", "errors": [{"field": "time", "code": "too_old", "message": "must not be more than 35 days ago"}]}], "accepted": 1, "duplicate": 1, "rejected": 1}"#,
)]);
