//! What the spend of a subscription is computed from, as the database gives it.

use std::ops::Range;

use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::Value;
use shared::http::time::Time;
use shared::ids::SubscriptionId;
use shared::money::{Currency, Money, Proration};
use shared::rating::plan_terms::PlanCode;

use crate::operations::UnratedReason;

#[derive(Debug, Deserialize)]
pub struct Facts {
    /// By the account's clock.
    pub as_of: Time,
    pub subscriptions: Vec<Subscription>,
}

/// A subscription with the period that is open.
#[derive(Debug, Clone, Deserialize)]
pub struct Subscription {
    pub subscription_id: SubscriptionId,
    pub plan: PlanCode,
    pub plan_version: u32,
    pub currency: Currency,
    pub period_started_at: Time,
    pub period_ends_at: Time,
    pub proration: Proration,
    pub anchor_day: u32,
    /// The dates of the whole period, between two boundaries.
    pub whole: Range<NaiveDate>,
    pub whole_secs: Range<i64>,
    /// What was billed of the period in advance and not given back.
    pub billed: Vec<Billed>,
    /// The parts of the period with the same terms, without those that it was paused for.
    pub segments: Vec<Segment>,
}

/// A part of a period with the same terms.
#[derive(Debug, Clone, Deserialize)]
pub struct Segment {
    /// Whether it goes on until the end.
    pub is_open: bool,
    /// Whether it is after a trial.
    pub is_paid: bool,
    pub dates: Range<NaiveDate>,
    pub secs: Range<i64>,
    pub usage_from: Time,
    pub usage_until: Time,
    pub terms: Value,
    pub price_overrides: Vec<PriceOverride>,
    /// Of each charge that is billed later and has a metric.
    pub used: Vec<Used>,
}

/// The price of a charge instead of the plan's.
#[derive(Debug, Clone, Deserialize)]
pub struct PriceOverride {
    pub charge: String,
    pub price: Money,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Billed {
    pub charge: String,
    pub description: String,
    pub amount: Money,
}

/// What was used of a charge, as the rating engine reads it, and what will have been by the end if it
/// goes on so.
#[derive(Debug, Clone, Deserialize)]
pub struct Used {
    pub charge: String,
    pub usage: Option<Value>,
    /// Null before any of the period is over.
    pub expected: Option<Value>,
    /// Why there is no usage to rate.
    pub unrated: Option<UnratedReason>,
}
