use shared::http::input::{Invalid, List, Name, PositiveQuantity, Reader, Text};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::pagination::{Cursor, PageLimit};
use shared::http::time::Time;
use shared::ids::UsageAlertId;
use shared::mail::TOO_MANY_REQUESTS;
use shared::metering::{MAX_METER_NAME_CHARS, MeterName, UsageQuantity};
use shared::text::email::EmailAddress;

/// Longest name of an alert: what a mail's subject has room for.
const MAX_NAME_CHARS: usize = 100;
/// Longest subject, as a usage event names them.
const MAX_SUBJECT_CHARS: usize = 128;
/// Most thresholds of an alert: a tenth of a budget each.
pub const MAX_THRESHOLDS: usize = 10;

/// What an alert adds usage up over, in the organization's time zone.
#[shared::body]
#[derive(Copy, PartialEq, Eq, shared::serde::Serialize, shared::serde::Deserialize)]
#[serde(crate = "shared::serde", rename_all = "snake_case")]
pub enum UsageAlertPeriod {
    Day,
    Month,
}

impl UsageAlertPeriod {
    /// The name in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// Whom to tell when how much of something was used.
#[shared::answer(read)]
pub struct UsageAlert {
    id: UsageAlertId,
    name: String,
    meter: MeterName,
    /// Null for the usage of all.
    subject: Option<String>,
    period: UsageAlertPeriod,
    /// Ascending.
    thresholds: Vec<UsageQuantity>,
    email: Option<EmailAddress>,
    created_at: Time,
    /// Null while it can fire.
    archived_at: Option<Time>,
}

#[shared::answer(read)]
pub struct UsageAlertShown {
    alert: UsageAlert,
}

#[shared::answer]
pub struct UsageAlertPage {
    /// Newest first.
    pub alerts: Vec<UsageAlert>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<Cursor>,
}

/// A threshold that was reached.
#[shared::answer(read)]
pub struct UsageAlertFiring {
    alert_id: UsageAlertId,
    threshold: UsageQuantity,
    /// What had been counted when it fired, the batch that reached the threshold included.
    value: UsageQuantity,
    period_started_at: Time,
    period_ends_at: Time,
    fired_at: Time,
}

#[shared::answer]
pub struct UsageAlertFiringPage {
    /// Newest first.
    pub firings: Vec<UsageAlertFiring>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<Cursor>,
}

#[shared::body(query)]
pub struct UsageAlertPageQuery {
    /// Items in a page.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 50)))]
    pub limit: Option<PageLimit>,
    /// The next_cursor of an earlier page of this list; the first page when absent.
    pub cursor: Option<Cursor>,
}

/// An alert, as asked for.
#[shared::body(check)]
pub struct NewUsageAlert {
    pub name: Name<MAX_NAME_CHARS>,
    /// The name of a meter whose aggregation is count or sum.
    pub meter: Text<1, MAX_METER_NAME_CHARS>,
    /// Whose usage it looks at. Absent and null: that of all.
    pub subject: Option<Text<1, MAX_SUBJECT_CHARS>>,
    /// In the organization's time zone.
    pub period: UsageAlertPeriod,
    /// Ascending.
    pub thresholds: List<PositiveQuantity, 1, MAX_THRESHOLDS>,
    /// Who is told of each threshold that fires. Absent and null: nobody.
    pub email: Option<EmailAddress>,
}

impl NewUsageAlert {
    fn check(&self, reader: &mut Reader) {
        if !self
            .thresholds
            .is_sorted_by(|lower, higher| lower.0 < higher.0)
        {
            reader.refuse_member(
                "thresholds",
                Invalid::new("not_ascending", "must ascend, each above the one before"),
            );
        }
    }
}

shared::refusals! {
    USAGE_ALERT_LIMIT = 409 "usage_alert_limit", "The organization has as many alerts as it can have",
        "50 alerts are active.";
}

pub const LIST: Operation = Operation::new(
    "usage-alerts-list",
    Verb::Get,
    "/api/v1/usage/alerts",
    Access::Permission("usage:read"),
)
.tag("usage")
.summary("List the organization's usage alerts")
.details("Newest first, archived ones included.")
.query::<UsageAlertPageQuery>()
.answers(&[Answer::json::<UsageAlertPage>(
    200,
    "A page of alerts.",
    r#"{"alerts": [{"id": "ual_0199a2c4e2447b3c8d5e6f708192a3b5", "name": "Budget of cus_42", "meter": "tokens", "subject": "cus_42", "period": "month", "thresholds": ["800000", "1000000"], "email": "ops@example.com", "created_at": "2026-11-21T09:30:00.123456Z", "archived_at": null}], "next_cursor": null}"#,
)]);

pub const CREATE: Operation = Operation::new(
    "usage-alerts-create",
    Verb::Post,
    "/api/v1/usage/alerts",
    Access::Permission("usage_alerts:manage"),
)
.audited()
.tag("usage")
.summary("Make a usage alert")
.details("A threshold fires once in each period, in the transaction of the batch of events that reaches it; one that has been reached already fires now. An alert does not change: archive it and make another one.")
.body::<NewUsageAlert>(
    r#"{"name": "Budget of cus_42", "meter": "tokens", "subject": "cus_42", "period": "month", "thresholds": ["800000", "1000000"], "email": "ops@example.com"}"#,
)
.answers(&[Answer::json::<UsageAlertShown>(
    201,
    "The alert.",
    r#"{"alert": {"id": "ual_0199a2c4e2447b3c8d5e6f708192a3b5", "name": "Budget of cus_42", "meter": "tokens", "subject": "cus_42", "period": "month", "thresholds": ["800000", "1000000"], "email": "ops@example.com", "created_at": "2026-11-21T09:30:00.123456Z", "archived_at": null}}"#,
)])
.refuses(&[&USAGE_ALERT_LIMIT, &TOO_MANY_REQUESTS]);

pub const READ: Operation = Operation::new(
    "usage-alerts-read",
    Verb::Get,
    "/api/v1/usage/alerts/{id}",
    Access::Permission("usage:read"),
)
.tag("usage")
.summary("Show a usage alert")
.path_parameter::<UsageAlertId>("id")
.answers(&[Answer::json::<UsageAlertShown>(
    200,
    "The alert.",
    r#"{"alert": {"id": "ual_0199a2c4e2447b3c8d5e6f708192a3b5", "name": "Budget of cus_42", "meter": "tokens", "subject": "cus_42", "period": "month", "thresholds": ["800000", "1000000"], "email": "ops@example.com", "created_at": "2026-11-21T09:30:00.123456Z", "archived_at": null}}"#,
)]);

pub const ARCHIVE: Operation = Operation::new(
    "usage-alerts-archive",
    Verb::Delete,
    "/api/v1/usage/alerts/{id}",
    Access::Permission("usage_alerts:manage"),
)
.audited()
.tag("usage")
.summary("Archive a usage alert")
.details("It fires no more; what it fired stays. Doing it again changes nothing.")
.path_parameter::<UsageAlertId>("id")
.answers(&[Answer::json::<UsageAlertShown>(
    200,
    "The alert.",
    r#"{"alert": {"id": "ual_0199a2c4e2447b3c8d5e6f708192a3b5", "name": "Budget of cus_42", "meter": "tokens", "subject": "cus_42", "period": "month", "thresholds": ["800000", "1000000"], "email": "ops@example.com", "created_at": "2026-11-21T09:30:00.123456Z", "archived_at": "2026-11-22T09:30:00.123456Z"}}"#,
)]);

pub const FIRINGS: Operation = Operation::new(
    "usage-alerts-firings",
    Verb::Get,
    "/api/v1/usage/alerts/{id}/firings",
    Access::Permission("usage:read"),
)
.tag("usage")
.summary("List what an alert fired")
.details("Newest first.")
.path_parameter::<UsageAlertId>("id")
.query::<UsageAlertPageQuery>()
.answers(&[Answer::json::<UsageAlertFiringPage>(
    200,
    "A page of firings.",
    r#"{"firings": [{"alert_id": "ual_0199a2c4e2447b3c8d5e6f708192a3b5", "threshold": "800000", "value": "800412.5", "period_started_at": "2026-11-01T00:00:00.000000Z", "period_ends_at": "2026-12-01T00:00:00.000000Z", "fired_at": "2026-11-21T09:30:00.123456Z"}], "next_cursor": null}"#,
)]);

pub const ALL_FIRINGS: Operation = Operation::new(
    "usage-alert-firings",
    Verb::Get,
    "/api/v1/usage/alert-firings",
    Access::Permission("usage:read"),
)
.tag("usage")
.summary("List what the organization's alerts fired")
.details("Newest first, of archived alerts too.")
.query::<UsageAlertPageQuery>()
.answers(&[Answer::json::<UsageAlertFiringPage>(
    200,
    "A page of firings.",
    r#"{"firings": [{"alert_id": "ual_0199a2c4e2447b3c8d5e6f708192a3b5", "threshold": "800000", "value": "800412.5", "period_started_at": "2026-11-01T00:00:00.000000Z", "period_ends_at": "2026-12-01T00:00:00.000000Z", "fired_at": "2026-11-21T09:30:00.123456Z"}], "next_cursor": null}"#,
)]);
