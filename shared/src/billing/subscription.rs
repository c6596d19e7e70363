//! What an organization has subscribed to.

use std::ops::RangeInclusive;

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

use crate::http::input::{FromText, Invalid, Whole};
use crate::http::time::{Moment, Time};
use crate::ids::OrganizationId;
use crate::money::Money;

pub use crate::rating::plan_terms::PlanCode;

/// Most seats of a subscription. At the largest price, which is below 10^12, the revenue
/// is below 10^18, which a `numeric(27,9)` holds.
pub const MAX_SEATS: i64 = 1_000_000;

/// The seats of a subscription, as a request gives them.
pub type Seats = Whole<1, MAX_SEATS>;

/// The years that a period lies in. A year after the last of them is still written with
/// four digits.
const YEARS: RangeInclusive<i32> = 2000..=9998;

/// How often a price is due.
#[shared::body]
#[derive(Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillingPeriod {
    /// Every month.
    Month,
    /// Every year.
    Year,
}

impl BillingPeriod {
    /// Its name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// How a subscription stands. One that is active or past_due pays. From canceled it goes
/// to active or trialing only.
#[shared::body]
#[derive(Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// It is tried out, and pays nothing yet.
    Trialing,
    /// It is used and paid for.
    Active,
    /// A payment is late.
    PastDue,
    /// It rests, and pays nothing.
    Paused,
    /// It has ended.
    Canceled,
}

impl SubscriptionStatus {
    /// Its name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Paused => "paused",
            Self::Canceled => "canceled",
        }
    }
}

/// When a period begins or ends, as a request gives it. It is kept in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeriodTime(pub NaiveDateTime);

impl FromText for PeriodTime {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        Moment::within(text, &YEARS).map(|Moment(time)| Self(time))
    }
}

crate::describe!(PeriodTime as "PeriodTime", {
    "type": "string", "format": "date-time",
    "description": "RFC 3339 with an offset, in the years 2000 to 9998.",
    "examples": ["2026-11-21T00:00:00Z"],
});

/// The terms of an organization's subscription, and what they are worth.
#[shared::answer(read)]
pub struct Subscription {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The plan.
    pub plan: PlanCode,
    /// How many it pays for.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1_000_000)))]
    pub seats: u32,
    /// How it stands.
    pub status: SubscriptionStatus,
    /// How often it pays.
    pub billing_period: BillingPeriod,
    /// Of one seat for one billing period.
    pub seat_price: Money,
    /// Monthly recurring revenue: seats times seat_price, a twelfth of that for a year, and
    /// zero unless the status is active or past_due.
    pub mrr: Money,
    /// When the period began.
    pub period_started_at: Time,
    /// When it ends, exclusive.
    pub period_ends_at: Time,
    /// The number of changes, the first one included.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1)))]
    pub version: u64,
    /// When it was set first.
    pub created_at: Time,
    /// When it was changed last.
    pub updated_at: Time,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_of_periods() {
        let table = [
            ("2026-11-21T09:30:00Z", None),
            ("2000-01-01T00:00:00Z", None),
            ("9998-12-31T23:59:59Z", None),
            ("1999-12-31T23:59:59Z", Some("out_of_range")),
            ("9999-01-01T00:00:00Z", Some("out_of_range")),
            ("2000-01-01T00:00:00+01:00", Some("out_of_range")),
            ("later", Some("invalid")),
        ];
        for (text, expected) in table {
            let got = PeriodTime::from_text(text)
                .err()
                .map(|invalid| invalid.code);
            assert_eq!(got, expected, "{text}");
        }
    }

    #[test]
    fn names_in_the_database_are_those_in_json() {
        for status in [
            SubscriptionStatus::Trialing,
            SubscriptionStatus::Active,
            SubscriptionStatus::PastDue,
            SubscriptionStatus::Paused,
            SubscriptionStatus::Canceled,
        ] {
            assert_eq!(json!(status), json!(status.as_str()));
        }
        for period in [BillingPeriod::Month, BillingPeriod::Year] {
            assert_eq!(json!(period), json!(period.as_str()));
        }
    }
}
