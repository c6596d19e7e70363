//! An organization's pool, and what a member may take of it.

use serde::{Deserialize, Serialize};

use crate::http::time::Time;
use crate::ids::{OrganizationId, UserId};
use crate::money::Money;

/// When what was used starts from nothing again.
#[shared::body]
#[derive(Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AllocationReset {
    /// It does not.
    Never,
    /// With each calendar day of UTC.
    Day,
    /// With each ISO week of UTC.
    Week,
    /// With each calendar month of UTC.
    Month,
}

impl AllocationReset {
    /// Its name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

/// How much a member may take of the pool in a period, and how much they have taken.
#[shared::answer(read)]
#[derive(PartialEq, Eq)]
pub struct Allocation {
    /// The member.
    pub user_id: UserId,
    /// The most that the member may take in a period.
    pub limit: Money,
    /// What they took in this one, less what was refunded of it.
    pub used: Money,
    /// limit less used, and zero where the limit was lowered below used.
    pub remaining: Money,
    /// When what was used starts from nothing again.
    pub reset: AllocationReset,
    /// When the period began.
    pub period_started_at: Time,
    /// When it ends, exclusive. Null: it does not end.
    pub period_ends_at: Option<Time>,
}

/// What the pool has, and what is allocated of it.
#[shared::answer(read)]
pub struct CreditPool {
    /// The organization.
    pub organization_id: OrganizationId,
    /// What can be spent now.
    pub available: Money,
    /// What is reserved for operations under way.
    pub held: Money,
    /// Both together.
    pub total: Money,
    /// What was granted and is not effective yet.
    pub pending: Money,
    /// What all members together may still take in their current periods; limits reserve
    /// nothing, so it can be more than there is.
    pub allocated: Money,
    /// available less allocated, and zero where more is allocated.
    pub unallocated: Money,
}
