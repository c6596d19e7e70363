use shared::http::input::{FromText, Invalid};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::time::{Moment, Time};
use shared::ids::OrganizationId;
use shared::metering;

/// When usage is closed, exclusive: an event at this very time is not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosingTime(pub Moment);

shared::describe!(ClosingTime as "ClosingTime", {
    "type": "string", "format": "date-time",
    "description": "RFC 3339 with an offset, a whole quarter of an hour, and not in the future.",
    "examples": ["2026-11-01T00:00:00+01:00"],
});

impl FromText for ClosingTime {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        let moment = Moment::from_text(text)?;
        metering::check_slot(moment)?;
        Ok(Self(moment))
    }
}

/// Until when usage is to be closed.
#[shared::body]
pub struct Closing {
    /// Exclusive: an event at this very time is not closed.
    pub until: ClosingTime,
}

/// Until when an organization's usage is closed.
#[shared::answer(read)]
pub struct UsageClosedPeriod {
    organization_id: OrganizationId,
    /// Null before the first closing.
    until: Option<Time>,
    /// From when on every event before until is there, or will be flagged. Before it, a
    /// batch may end that began before the closing.
    settled_at: Option<Time>,
}

shared::refusals! {
    PERIOD_CLOSED = 409 "period_closed", "The usage is closed until a later time",
        "the usage is closed until a later time.";
}

pub const READ: Operation = Operation::new(
    "usage-closed-periods-read",
    Verb::Get,
    "/api/v1/usage/closed-periods/{id}",
    Access::Permission("usage:close"),
)
.tag("usage")
.summary("Show until when an organization's usage is closed")
.details("The permission is the platform's and reaches every organization.")
.path_parameter::<OrganizationId>("id")
.answers(&[Answer::json::<UsageClosedPeriod>(
    200,
    "Until when. Both times are null before the first closing.",
    r#"{"organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "until": "2026-11-01T00:00:00.000000Z", "settled_at": "2026-11-02T06:00:02.123456Z"}"#,
)]);

pub const PUT: Operation = Operation::new(
    "usage-closed-periods-put",
    Verb::Put,
    "/api/v1/usage/closed-periods/{id}",
    Access::Permission("usage:close"),
)
.audited()
.tag("usage")
.summary("Close an organization's usage until a time")
.details("The permission is the platform's and reaches every organization. From then on an event for an earlier time is kept, counted and flagged as an adjustment. A closing goes forward only; the same time again changes nothing and is answered alike. It is in the organization's audit log.")
.path_parameter::<OrganizationId>("id")
.body::<Closing>(r#"{"until": "2026-11-01T00:00:00+01:00"}"#)
.answers(&[Answer::json::<UsageClosedPeriod>(
    200,
    "It is closed. From settled_at on every event before until is there, or will be flagged.",
    r#"{"organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "until": "2026-11-01T00:00:00.000000Z", "settled_at": "2026-11-02T06:00:02.123456Z"}"#,
)])
.refuses(&[&PERIOD_CLOSED]);
