//! What decides about a subscription, as the database gives it: only it knows the clocks of zones.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate};
use serde::Deserialize;
use serde_json::Value;
use shared::http::problem::Problem;
use shared::http::time::Time;
use shared::money::{Currency, Money};
use shared::rating::plan_terms::{PlanCode, PlanTerms};

use crate::subscription::{Period, Subscription};

/// Everything that a decision needs.
#[derive(Debug, Clone, Deserialize)]
pub struct Facts {
    pub subscription: Subscription,
    /// By the account's clock.
    pub now: Time,
    /// The current period, and those after it until one that ends later than now and the one
    /// after that. Of a subscription that is far behind not all of them.
    pub periods: Vec<PeriodFacts>,
    /// The dates of all moments, on the calendar of the zone.
    pub dates: BTreeMap<Time, NaiveDate>,
    /// Of what the plan's prices are for: month or year.
    pub billing_period: String,
    /// The terms of the plan's version.
    pub terms: Value,
    /// Those of the version that is to come.
    pub pending_terms: Option<Value>,
    /// The version that a change asks for.
    pub requested: Option<Requested>,
    /// What was billed of the current period and not given back.
    pub billed: Vec<Billed>,
    /// A boundary of the periods of a new subscription, on the clocks of its zone.
    pub anchor_at: Option<String>,
}

/// A period, and the boundaries between which its price is for.
#[derive(Debug, Clone, Deserialize)]
pub struct PeriodFacts {
    #[serde(flatten)]
    pub period: Period,
    /// The boundary before it, which in the first period is earlier than its start.
    pub whole_started_at: Time,
    pub whole_from: NaiveDate,
    pub whole_to: NaiveDate,
}

/// A version of a plan.
#[derive(Debug, Clone, Deserialize)]
pub struct Requested {
    pub plan: PlanCode,
    pub plan_version: u32,
    pub currency: Currency,
    pub billing_period: String,
    pub terms: Value,
}

/// What was billed of a charge.
#[derive(Debug, Clone, Deserialize)]
pub struct Billed {
    pub charge: String,
    pub description: String,
    pub amount: Money,
}

impl Facts {
    /// The date of a moment.
    ///
    /// # Errors
    /// A 500 for a moment that nobody asked for.
    pub fn date(&self, at: &Time) -> Result<NaiveDate, Problem> {
        self.dates.get(at).copied().ok_or_else(Problem::internal)
    }

    /// The period with this number.
    ///
    /// # Errors
    /// A 500 when it is not among the facts.
    pub fn period(&self, index: u32) -> Result<&PeriodFacts, Problem> {
        let mut periods = self.periods.iter();
        let found = periods.find(|facts| facts.period.index == index);
        found.ok_or_else(Problem::internal)
    }

    /// The period after the one with this number, unless the facts end before.
    pub fn period_after(&self, index: u32) -> Option<&PeriodFacts> {
        self.periods.iter().find(|facts| facts.period.index > index)
    }
}

/// The terms that are stored in a document.
///
/// # Errors
/// A 500 if it is missing, or is none.
pub fn stored_terms(document: Option<&Value>) -> Result<PlanTerms, Problem> {
    PlanTerms::stored(document.ok_or_else(Problem::internal)?)
}

/// Whole seconds since 1970.
///
/// # Errors
/// A 500 for what is no time.
pub fn unix_secs(at: &Time) -> Result<i64, Problem> {
    let time = DateTime::parse_from_rfc3339(at).map_err(|_| Problem::internal())?;
    Ok(time.timestamp())
}
