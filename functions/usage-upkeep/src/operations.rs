use shared::http::input::Invalid;
use shared::http::operation::{Access, Answer, Operation, Verb};

shared::text_type! {
    /// A month of UTC.
    UsageMonth, |text| Ok::<_, Invalid>(text.to_owned()), {
        "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$",
        "description": "A month of UTC.", "examples": ["2027-03"],
    }
}

#[shared::answer(read)]
pub enum UsageUpkeepStatus {
    Done,
    AlreadyRunning,
}

/// What upkeep did.
#[shared::answer(read)]
pub struct UsageUpkeep {
    status: UsageUpkeepStatus,
    /// Months whose partitions were made.
    created: Vec<UsageMonth>,
    /// Months whose events were dropped.
    dropped: Vec<UsageMonth>,
    /// Months that have no partition, because the default one has events of them.
    pub missing: Vec<UsageMonth>,
    /// Accounts of credits of which something had fallen due, and was posted.
    #[serde(default)]
    pub settled_accounts: u32,
    /// Accounts of which it could not be posted; the server's log names them.
    #[serde(default)]
    pub failed_accounts: u32,
    /// Entitlements whose use of long ago was added up and kept.
    #[serde(default)]
    pub settled_entitlements: u32,
    /// Entitlements whose use could not be added up; the server's log names them.
    #[serde(default)]
    pub failed_entitlements: u32,
    /// Entries that were taken out of the cache, because they had expired or cannot be read.
    #[serde(default)]
    pub swept_cache_entries: u32,
    /// Whether all entries of the cache were looked at. Of more than 20,000 it is a sample,
    /// another one each time.
    #[serde(default)]
    pub is_cache_swept: bool,
}

pub const RUN: Operation = Operation::new(
    "usage-upkeep",
    Verb::Post,
    "/api/v1/usage/upkeep",
    Access::Permission("usage:upkeep"),
)
.tag("usage")
.summary("Keep partitions of usage events, post lapsed credits, settle entitlements")
.details("A scheduler calls it hourly. Makes the partitions of the next four months and drops those of events that are older than 13 months. Of two calls at once one does it. Credits that have lapsed while nobody spent from their account are posted, for a second; when many lapse at once, call it again until settled_accounts is 0. An account that fails is counted and passed over. What was used of entitlements by year or for good, and no event changes any more, is added up for another second, so that a check need not; call it again until settled_entitlements is 0. For half a second dead entries are taken out of the cache.")
.statements(3)
.answers(&[Answer::json::<UsageUpkeep>(
    200,
    "What was done.",
    r#"{"status": "done", "created": ["2027-03"], "dropped": ["2025-09"], "missing": [], "settled_accounts": 12, "failed_accounts": 0, "settled_entitlements": 40, "failed_entitlements": 0, "swept_cache_entries": 5120, "is_cache_swept": true}"#,
)]);
