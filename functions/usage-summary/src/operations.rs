use std::collections::BTreeMap;

use shared::http::input::{FromText, Invalid, Text};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::problem::NOT_FOUND;
use shared::http::time::Time;
use shared::metering::{Aggregation, MAX_METER_NAME_CHARS, MeterName, UsageBound, UsageQuantity};
use shared::organizations::TimeZone;
use shared::serde_json::value::RawValue;

/// Longest subject of an event.
const MAX_SUBJECT_CHARS: usize = 128;
/// Most properties that a meter groups by.
const MAX_GROUPS: usize = 4;

/// How long a bucket is.
#[shared::body]
#[derive(Copy, PartialEq, Eq, shared::serde::Serialize)]
#[serde(crate = "shared::serde", rename_all = "snake_case")]
pub enum UsageInterval {
    Hour,
    Day,
    Month,
}

impl UsageInterval {
    /// The name in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// Properties that a summary is grouped by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageGroupNames(pub Vec<String>);

shared::describe!(UsageGroupNames as "UsageGroupNames", {
    "type": "string",
    "description": "Up to four properties with a comma between each two.",
    "examples": ["model,region"],
});

impl FromText for UsageGroupNames {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        let names: Vec<String> = text.split(',').map(str::to_owned).collect();
        let is_repeated = |(at, name): (usize, &String)| names[..at].contains(name);
        if names.len() > MAX_GROUPS || names.iter().enumerate().any(is_repeated) {
            return Err(Invalid::new(
                "invalid",
                format!(
                    "must be up to {MAX_GROUPS} different properties with a comma between each two"
                ),
            ));
        }
        Ok(Self(names))
    }
}

/// A summary, as asked for.
#[shared::body(query)]
pub struct UsageSummaryQuery {
    /// The name of a meter.
    pub meter: Text<1, MAX_METER_NAME_CHARS>,
    /// Absent: the beginning of this month.
    pub since: Option<UsageBound>,
    /// The end, which is not in the range. Absent: the end of today.
    pub until: Option<UsageBound>,
    /// How long a bucket is.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = "day")))]
    pub interval: Option<UsageInterval>,
    /// One subject's usage.
    pub subject: Option<Text<1, MAX_SUBJECT_CHARS>>,
    /// Properties that the meter groups by.
    pub group_by: Option<UsageGroupNames>,
    /// The name of a zone, such as Europe/Berlin. Absent: the organization's, which is UTC
    /// at first.
    pub timezone: Option<TimeZone>,
}

/// What a group amounts to in one bucket.
#[shared::answer]
#[derive(PartialEq, Eq)]
pub struct UsageBucket {
    pub starts_at: Time,
    pub ends_at: Time,
    /// Null where no event has a minimum, maximum, average or latest value.
    pub value: Option<UsageQuantity>,
    pub events: u64,
}

/// What an event has in a property, as JSON: its text, so that a number keeps all its digits.
#[derive(Debug, Clone, shared::serde::Serialize)]
#[serde(crate = "shared::serde", transparent)]
pub struct UsageGroupValue(pub Box<RawValue>);

shared::describe!(UsageGroupValue as "UsageGroupValue", {
    "description": "What the events of a group have in a property, null where they have none. A number has all its digits, which may be more than a float has.",
    "examples": ["large"],
});

/// A group with its buckets.
#[shared::answer]
pub struct UsageGroup {
    /// The values of the properties that were asked for, null where an event has none.
    pub group: BTreeMap<String, UsageGroupValue>,
    /// Null where no event has a minimum, maximum, average or latest value.
    pub value: Option<UsageQuantity>,
    pub events: u64,
    /// Every one of the range.
    pub buckets: Vec<UsageBucket>,
}

#[shared::answer]
pub struct UsageSummary {
    pub meter: MeterName,
    pub aggregation: Aggregation,
    pub interval: UsageInterval,
    pub time_zone: TimeZone,
    pub since: Time,
    pub until: Time,
    /// One when no group_by was given, for all usage.
    pub groups: Vec<UsageGroup>,
}

pub const SUMMARY: Operation = Operation::new(
    "usage-summary",
    Verb::Get,
    "/api/v1/usage/summary",
    Access::Permission("usage:read"),
)
.tag("usage")
.summary("Sum up what a meter counted")
.details("Holds every event that was acknowledged before the request began, cached or not. Intervals are of the zone that is asked for, and those at the ends of the range are cut to it. At most 799 intervals, and 10,000 buckets of all groups. A meter of distinct values or of time is computed from at most 100,000 values or events, and one of time from the levels of at most 10,000 subjects and groups: with more, ask for one subject (too_many_series).")
.query::<UsageSummaryQuery>()
.answers(&[Answer::json::<UsageSummary>(
    200,
    "The sums.",
    r#"{"meter": "tokens", "aggregation": "sum", "interval": "day", "time_zone": "UTC", "since": "2026-11-20T00:00:00.000000Z", "until": "2026-11-22T00:00:00.000000Z", "groups": [{"group": {"model": "large"}, "value": "812", "events": 1, "buckets": [{"starts_at": "2026-11-20T00:00:00.000000Z", "ends_at": "2026-11-21T00:00:00.000000Z", "value": "0", "events": 0}, {"starts_at": "2026-11-21T00:00:00.000000Z", "ends_at": "2026-11-22T00:00:00.000000Z", "value": "812", "events": 1}]}]}"#,
)])
.refuses(&[&NOT_FOUND]);
