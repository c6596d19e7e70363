use std::collections::BTreeMap;

use shared::http::input::Text;
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::pagination::{Cursor, PageLimit};
use shared::http::time::{Moment, Time};
use shared::ids::{ApiKeyId, SessionId, UserId};
use shared::serde_json::Value;

/// Longest event type in characters.
const MAX_EVENT_TYPE_CHARS: usize = 100;

/// Which events are wanted.
#[shared::body(query)]
pub struct AuditQuery {
    /// Only events of this type.
    pub event_type: Option<Text<1, MAX_EVENT_TYPE_CHARS>>,
    /// Only events at this time (RFC 3339) or later.
    pub since: Option<Moment>,
    /// Only events before this time (RFC 3339).
    pub until: Option<Moment>,
    /// Items in a page; 50 when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 50)))]
    pub limit: Option<PageLimit>,
    pub cursor: Option<Cursor>,
}

/// One event, with the hash that chains it to the one before.
#[shared::answer(read)]
pub struct AuditEvent {
    /// Counts the organization's events, without gaps.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1)))]
    pub sequence: i64,
    occurred_at: Time,
    event_type: String,
    /// Who did it; null when nobody had signed in.
    actor_id: Option<UserId>,
    /// The session that it was done in; null for an API key, and when nobody had signed in.
    session_id: Option<SessionId>,
    /// The API key that it was done with.
    api_key_id: Option<ApiKeyId>,
    /// Where the request came from; null for what no request asked for.
    address: Option<String>,
    /// What it was done to: an id with its prefix, or a name.
    subject: String,
    detail: BTreeMap<String, Value>,
    /// SHA-256 over the event and previous_hash, in hexadecimal digits.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(regex(pattern = "^[0-9a-f]{64}$"))
    )]
    hash: String,
    /// The hash of the event before; empty for the first.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(regex(pattern = "^([0-9a-f]{64})?$"))
    )]
    previous_hash: String,
}

#[shared::answer]
pub struct AuditPage {
    pub events: Vec<AuditEvent>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<Cursor>,
}

/// An example of a page.
const PAGE: &str = r#"{"events": [{"sequence": 1, "occurred_at": "2026-11-21T09:30:00.123456Z", "event_type": "user.registered", "actor_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "session_id": null, "api_key_id": null, "address": "192.0.2.1", "subject": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "detail": {}, "hash": "9f3c2a7be4d105869f3c2a7be4d105869f3c2a7be4d105869f3c2a7be4d10586", "previous_hash": ""}], "next_cursor": null}"#;

pub const LIST: Operation = Operation::new(
    "audit-log-list",
    Verb::Get,
    "/api/v1/audit-log",
    Access::Permission("audit:read"),
)
.tag("auth")
.summary("List what happened in the organization")
.details(
    "Newest first. Each event carries the hash of the one before it in the organization, and \
     where the request came from, with which session or API key.",
)
.query::<AuditQuery>()
.answers(&[Answer::json::<AuditPage>(200, "A page of events.", PAGE)]);

pub const LIST_PLATFORM: Operation = Operation::new(
    "audit-log-list-platform",
    Verb::Get,
    "/api/v1/audit-log/platform",
    Access::Permission("audit:read_platform"),
)
.tag("auth")
.summary("List what happened in no organization")
.details(
    "The platform's own chain, newest first: signing keys, sign-ins that failed for an email that \
     nobody has, addresses that were locked out, and what people do who are in no organization.",
)
.query::<AuditQuery>()
.answers(&[Answer::json::<AuditPage>(200, "A page of events.", PAGE)]);
