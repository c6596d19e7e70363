//! A subscription, and what somebody can ask of one.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use chrono::{NaiveDate, NaiveDateTime};
use serde::{Deserialize, Serialize};
use shared::billing::account::MetadataChange;
use shared::http::input::{FromText, Invalid, List, Reader, Text, UnsignedMoney, Whole};
use shared::http::time::{Moment, Time};
use shared::ids::{BillingAccountId, OrganizationId, SubscriptionId};
use shared::money::{Currency, Money, Proration};
use shared::rating::plan_terms::{MAX_PLAN_CHARGES, MAX_PLAN_VERSIONS, PlanCode};
use shared::rating::{MAX_CODE_BYTES, MAX_TRIAL_DAYS};
#[cfg(not(target_arch = "wasm32"))]
use shared::{http::input::SignedMoney, rating::ChargeCode};

/// The years in which a subscription starts, is canceled and goes on. Its periods and its trial,
/// of three years and two, end in years of four digits.
const YEARS: RangeInclusive<i32> = 2000..=9900;

/// How many units a subscription pays for.
pub type Quantity = Whole<1, 1_000_000>;

/// The number of a plan's version.
pub type PlanVersionNumber = Whole<1, { MAX_PLAN_VERSIONS as i64 }>;

/// Prices instead of the plan's.
pub type NewPriceOverrides = List<NewPriceOverride, 0, MAX_PLAN_CHARGES>;

/// A moment of a subscription, as a request gives it. It is kept in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionTime(pub NaiveDateTime);

impl FromText for SubscriptionTime {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        Moment::within(text, &YEARS).map(|Moment(time)| Self(time))
    }
}

shared::describe!(SubscriptionTime as "SubscriptionTime", {
    "type": "string", "format": "date-time",
    "description": "RFC 3339 with an offset, in the years 2000 to 9900.",
    "examples": ["2026-12-01T00:00:00Z"],
});

impl SubscriptionTime {
    /// As answers have it.
    pub fn to_time(self) -> Time {
        Moment(self.0).to_time()
    }
}

/// Stands for a date in descriptions.
#[cfg(not(target_arch = "wasm32"))]
pub enum LocalDate {}

shared::describe!(LocalDate as "LocalDate", {
    "type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "description": "A date on the calendar of the subscription's zone.",
    "examples": ["2026-12-01"],
});

/// How a subscription stands.
#[shared::body]
#[derive(Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    schemars(rename = "PlanSubscriptionStatus")
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It has not started.
    Scheduled,
    /// It is tried out: what is billed in advance costs nothing yet.
    Trialing,
    /// It is used and paid for.
    Active,
    /// It rests, and what is billed in advance costs nothing.
    Paused,
    /// It has ended, for good.
    Canceled,
}

impl Status {
    /// Its name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Canceled => "canceled",
        }
    }
}

/// What a period is made of.
#[shared::body]
#[derive(Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillingUnit {
    Day,
    Week,
    Month,
    /// Three months.
    Quarter,
    /// Six months.
    HalfYear,
    Year,
}

impl BillingUnit {
    /// Its name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::HalfYear => "half_year",
            Self::Year => "year",
        }
    }

    /// Whether it is of whole months, which begin on an anchor day.
    pub const fn has_months(self) -> bool {
        !matches!(self, Self::Day | Self::Week)
    }

    /// Most of it in a period, which lasts three years at most, and 366 days by days.
    const fn max_count(self) -> i64 {
        match self {
            Self::Day => 366,
            Self::Week => 156,
            Self::Month => 36,
            Self::Quarter => 12,
            Self::HalfYear => 6,
            Self::Year => 3,
        }
    }
}

/// Where periods begin.
#[shared::body]
#[derive(Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename = "BillingAlignment"))]
#[serde(rename_all = "snake_case")]
pub enum Alignment {
    /// On the first day of a month, of a year, on Mondays, at midnight.
    Calendar,
    /// Where the subscription started. The default.
    #[default]
    Anniversary,
}

impl Alignment {
    /// Its name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calendar => "calendar",
            Self::Anniversary => "anniversary",
        }
    }
}

/// How the part of a period is counted that something is paid for.
#[shared::body]
#[derive(Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProrationPolicy {
    /// By its days. The default.
    #[default]
    Day,
    /// By its seconds.
    Second,
    /// By days of months that have 30 each, in periods of whole months.
    #[serde(rename = "fixed_30")]
    Fixed30,
    /// Not at all: whoever is active when a period begins pays all of it.
    None,
}

impl From<ProrationPolicy> for Proration {
    fn from(policy: ProrationPolicy) -> Self {
        match policy {
            ProrationPolicy::Day => Self::Day,
            ProrationPolicy::Second => Self::Second,
            ProrationPolicy::Fixed30 => Self::Fixed30,
            ProrationPolicy::None => Self::None,
        }
    }
}

/// What is given back when a subscription is canceled.
#[shared::body]
#[derive(Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelCredit {
    /// Nothing. The default.
    #[default]
    None,
    /// What was billed in advance of the rest of the period. The day of the end counts as used.
    Unused,
    /// What was billed in advance of the period.
    Full,
}

/// The price of a charge instead of the plan's.
#[shared::answer(read)]
#[derive(PartialEq, Eq)]
pub struct PriceOverride {
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "ChargeCode"))]
    pub charge: String,
    /// The amount of a flat charge, or the price of a unit.
    pub price: Money,
}

/// The price of a charge instead of the plan's.
#[shared::body]
pub struct NewPriceOverride {
    /// The code of a charge whose model is flat or per_unit.
    pub charge: Text<1, MAX_CODE_BYTES>,
    /// The amount of a flat charge, or the price of a unit, in the plan's currency.
    pub price: UnsignedMoney,
}

impl From<NewPriceOverride> for PriceOverride {
    fn from(new: NewPriceOverride) -> Self {
        Self {
            charge: new.charge.0,
            price: new.price.0,
        }
    }
}

/// How long periods are, and where they begin.
#[shared::answer(read)]
#[derive(PartialEq, Eq)]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename = "BillingCycle"))]
pub struct Billing {
    pub unit: BillingUnit,
    /// Units in a period.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 366)))]
    pub count: u32,
    pub alignment: Alignment,
    /// The day of the month on which periods of months begin, or the last day of a month that
    /// lacks it.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 31)))]
    pub anchor_day: u32,
}

/// How long periods are to be, and where they begin.
#[shared::body(check)]
pub struct NewBillingCycle {
    pub unit: BillingUnit,
    /// Units in a period, 1 when absent. A period lasts at most three years, and one of days 366.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 1)))]
    pub count: Option<Whole<1, 366>>,
    /// anniversary when absent.
    pub alignment: Option<Alignment>,
    /// The day of the month on which periods of months begin, or the last day of a month that
    /// lacks it. The day of the start when absent. Only for anniversary.
    pub anchor_day: Option<Whole<1, 31>>,
}

impl NewBillingCycle {
    fn check(&self, reader: &mut Reader) {
        let most = self.unit.max_count();
        if self.count.as_ref().is_some_and(|count| count.0 > most) {
            let message = format!("must be at most {most} for this unit");
            reader.refuse_member("count", Invalid::new("out_of_range", message));
        }
        let is_anchored =
            self.unit.has_months() && self.alignment.unwrap_or_default() == Alignment::Anniversary;
        if self.anchor_day.is_some() && !is_anchored {
            let message = "is for periods of months that begin where the subscription started";
            reader.refuse_member("anchor_day", Invalid::new("not_allowed", message));
        }
    }
}

/// A period.
#[shared::answer(read)]
#[derive(PartialEq, Eq)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    schemars(rename = "PlanSubscriptionPeriod")
)]
pub struct Period {
    /// 0 for the first.
    pub index: u32,
    pub started_at: Time,
    /// Exclusive.
    pub ends_at: Time,
}

/// What becomes of a subscription at the end of its period.
#[shared::answer(read)]
#[derive(PartialEq, Eq)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    schemars(rename = "PlanSubscriptionPending")
)]
pub struct Pending {
    pub plan: PlanCode,
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1000)))]
    pub plan_version: u32,
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1_000_000)))]
    pub quantity: u32,
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(max = 100)))]
    pub price_overrides: Vec<PriceOverride>,
}

/// A plan that an account has.
#[shared::answer(read)]
#[derive(PartialEq, Eq)]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename = "PlanSubscription"))]
pub struct Subscription {
    pub id: SubscriptionId,
    pub organization_id: OrganizationId,
    pub account_id: BillingAccountId,
    pub plan: PlanCode,
    /// Kept until the subscription is moved to another one.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1000)))]
    pub plan_version: u32,
    /// The plan's.
    pub currency: Currency,
    /// Units of the charges that are billed in advance and have the metric seats.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1_000_000)))]
    pub quantity: u32,
    /// Prices instead of the plan's.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(max = 100)))]
    pub price_overrides: Vec<PriceOverride>,
    pub billing: Billing,
    /// The zone on whose clocks periods begin: the account's when the subscription was made.
    pub time_zone: String,
    pub proration: ProrationPolicy,
    pub status: Status,
    pub starts_at: Time,
    /// When the trial ends or has ended; null without one.
    pub trial_ends_at: Option<Time>,
    /// The current period; before the start the first, and after the end the last.
    pub period: Period,
    /// When it ends, if that is decided.
    pub cancel_at: Option<Time>,
    pub cancel_credit: Option<CancelCredit>,
    pub paused_at: Option<Time>,
    /// When a pause ends by itself.
    pub resumes_at: Option<Time>,
    pub ended_at: Option<Time>,
    /// What becomes of it at the end of the period.
    pub pending_change: Option<Pending>,
    pub metadata: BTreeMap<String, String>,
    /// The number of changes, the first one included, by time too. It is the `ETag`.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1)))]
    pub version: u64,
    pub created_at: Time,
    pub updated_at: Time,
}

/// What a charge that is billed in advance owes, or gives back, for a part of a period.
#[shared::answer(read)]
#[derive(PartialEq, Eq)]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename = "AdjustmentLine"))]
pub struct Line {
    pub period_index: u32,
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "ChargeCode"))]
    pub charge: String,
    pub description: String,
    /// Below zero what is given back.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "SignedMoney"))]
    pub amount: Money,
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "LocalDate"))]
    pub from: NaiveDate,
    /// Exclusive.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "LocalDate"))]
    pub to: NaiveDate,
    pub proration: ProrationPolicy,
    /// The days of it, or the seconds, as the policy counts them. Without proration, and of a
    /// whole credit, 1 of 1.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1)))]
    pub share: u32,
    /// The days, or seconds, of the whole period.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1)))]
    pub share_of: u32,
}

/// What made a version.
#[shared::answer(read)]
#[derive(Copy, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename = "SubscriptionStep"))]
pub enum StepAction {
    Created,
    /// It started by itself.
    Started,
    TrialEnded,
    /// Another period began.
    Renewed,
    Changed,
    /// It is to change at the end of the period.
    ChangeScheduled,
    Canceled,
    /// It is to be canceled later.
    CancelScheduled,
    /// What was to happen later was withdrawn.
    Resumed,
    Paused,
    Unpaused,
}

/// A subscription that an account is to have.
#[shared::body(check)]
pub struct NewSubscription {
    pub account_id: BillingAccountId,
    pub plan: PlanCode,
    /// The newest when absent.
    pub plan_version: Option<PlanVersionNumber>,
    /// 1 when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 1)))]
    pub quantity: Option<Quantity>,
    /// None when absent.
    pub price_overrides: Option<NewPriceOverrides>,
    /// The plan's month or year when absent, from the start. Prices are for one period.
    pub billing: Option<NewBillingCycle>,
    /// day when absent.
    pub proration: Option<ProrationPolicy>,
    /// Now, to the second, when absent. In the past it is caught up with.
    pub starts_at: Option<SubscriptionTime>,
    /// Days of the trial; those of the plan when absent, and none with 0.
    pub trial_days: Option<Whole<0, { MAX_TRIAL_DAYS as i64 }>>,
    pub metadata: Option<MetadataChange>,
}

impl NewSubscription {
    fn check(&self, reader: &mut Reader) {
        let has_months = self.billing.as_ref().is_none_or(|b| b.unit.has_months());
        if self.proration == Some(ProrationPolicy::Fixed30) && !has_months {
            let message = "fixed_30 is for periods of whole months";
            reader.refuse_member("proration", Invalid::new("not_allowed", message));
        }
    }
}

/// When a change happens.
#[shared::body]
#[derive(Copy, Default, PartialEq, Eq)]
pub enum ChangeTime {
    /// Now. The default.
    #[default]
    Now,
    /// When the period ends.
    PeriodEnd,
}

/// Other terms. What is absent stays.
#[shared::body(check)]
pub struct SubscriptionChange {
    /// Another plan in the same currency.
    pub plan: Option<PlanCode>,
    /// A version of the plan. With another plan the newest when absent.
    pub plan_version: Option<PlanVersionNumber>,
    pub quantity: Option<Quantity>,
    /// All prices instead of the plan's: those that are not among them are the plan's.
    pub price_overrides: Option<NewPriceOverrides>,
    /// now when absent.
    pub when: Option<ChangeTime>,
}

impl SubscriptionChange {
    fn check(&self, reader: &mut Reader) {
        if self.plan.is_none()
            && self.plan_version.is_none()
            && self.quantity.is_none()
            && self.price_overrides.is_none()
        {
            let message = "must change plan, plan_version, quantity or price_overrides";
            reader.refuse(Invalid::new("required", message));
        }
    }
}

/// When a cancellation happens.
#[shared::body]
#[derive(Copy, PartialEq, Eq)]
pub enum CancelTime {
    Now,
    /// When the period ends.
    PeriodEnd,
    /// At a moment, which `at` gives.
    Date,
}

/// The end of a subscription.
#[shared::body(check)]
pub struct Cancellation {
    pub when: CancelTime,
    /// With date.
    pub at: Option<SubscriptionTime>,
    /// none when absent.
    pub credit: Option<CancelCredit>,
}

impl Cancellation {
    fn check(&self, reader: &mut Reader) {
        match (self.when, &self.at) {
            (CancelTime::Date, None) => {
                reader.refuse_member("at", Invalid::new("required", "is required with date"));
            }
            (CancelTime::Now | CancelTime::PeriodEnd, Some(_)) => {
                reader.refuse_member("at", Invalid::new("not_allowed", "goes with date only"));
            }
            _ => {}
        }
    }
}

/// A pause.
#[shared::body]
pub struct Pause {
    /// When it ends by itself; by unpausing only when absent or null.
    pub resumes_at: Option<SubscriptionTime>,
}

/// What is asked of a subscription. In a preview `type` names it, and beside it is what the
/// request itself has.
#[shared::body]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename = "SubscriptionAction"))]
pub enum Action {
    Change(SubscriptionChange),
    Cancel(Cancellation),
    /// Withdraws what is to happen later: a cancellation and a change.
    Resume,
    Pause(Pause),
    Unpause,
}

impl Action {
    /// The plan and the version that it asks for.
    pub fn requested(&self) -> (Option<String>, Option<i32>) {
        let Self::Change(change) = self else {
            return (None, None);
        };
        let version = change.plan_version.as_ref();
        (
            change.plan.clone().map(String::from),
            version.and_then(|version| i32::try_from(version.0).ok()),
        )
    }

    /// The moment that it names, whose date is asked for.
    pub fn at(&self) -> Option<SubscriptionTime> {
        match self {
            Self::Cancel(cancellation) => cancellation.at,
            Self::Pause(pause) => pause.resumes_at,
            Self::Change(_) | Self::Resume | Self::Unpause => None,
        }
    }
}
