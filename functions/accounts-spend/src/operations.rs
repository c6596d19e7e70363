#[cfg(not(target_arch = "wasm32"))]
use shared::http::input::{SignedMoney, Text};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::time::Time;
use shared::ids::{BillingAccountId, SubscriptionId};
use shared::money::Money;
use shared::rating::Number;
use shared::rating::plan_terms::PlanCode;
#[cfg(not(target_arch = "wasm32"))]
use shared::rating::{ChargeCode, MAX_NAME_CHARS};

/// What the open periods of an account's subscriptions have cost so far.
#[shared::answer]
pub struct AccountSpend {
    pub account_id: BillingAccountId,
    /// Now, by the account's clock.
    pub as_of: Time,
    /// Those that have started and have not ended.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(max = 100)))]
    pub subscriptions: Vec<SubscriptionSpend>,
}

/// What the open period of a subscription has cost so far.
#[shared::answer]
pub struct SubscriptionSpend {
    pub subscription_id: SubscriptionId,
    pub plan: PlanCode,
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "shared::rating::plan_terms::VersionNumber")
    )]
    pub plan_version: u32,
    pub period_started_at: Time,
    /// Exclusive.
    pub period_ends_at: Time,
    /// What was billed in advance, then what was used, then what holds for both together.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(max = 10_000)))]
    pub lines: Vec<SpendLine>,
    /// The sum of the lines.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "SignedMoney"))]
    pub total: Money,
    /// The charges that are in no line.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(max = 1_000)))]
    pub unrated: Vec<UnratedCharge>,
    /// What the period will come to; null before any usage that costs money could be counted, and where
    /// it would be more than can be rated.
    pub expected: Option<ExpectedSpend>,
}

/// What a period will come to.
#[shared::answer]
pub struct ExpectedSpend {
    pub method: ProjectionMethod,
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(max = 10_000)))]
    pub lines: Vec<SpendLine>,
    /// The sum of the lines.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "SignedMoney"))]
    pub total: Money,
}

/// How usage until the end of a period is guessed.
#[shared::answer]
pub enum ProjectionMethod {
    /// Counts, sums and times go on as they did since usage counts. Other values stay as they are.
    Linear,
}

/// A line of what a period costs.
#[shared::answer]
pub struct SpendLine {
    pub kind: SpendLineKind,
    /// Null for what holds for all charges.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "Option<ChargeCode>"))]
    pub charge: Option<String>,
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "Text<1, MAX_NAME_CHARS>")
    )]
    pub description: String,
    /// How much was used, if one number says it.
    pub quantity: Option<Number>,
    /// The price of a unit, if all have the same.
    pub unit_price: Option<Number>,
    /// Of usage, from when on it was counted: whole quarters of an hour.
    pub from: Option<Time>,
    /// Until when, exclusive.
    pub until: Option<Time>,
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "SignedMoney"))]
    pub amount: Money,
}

/// What a line is for.
#[shared::answer]
#[derive(Copy, PartialEq, Eq)]
pub enum SpendLineKind {
    /// Billed in advance, less what was given back.
    Billed,
    /// A charge for the period, which is billed when it has ended.
    Usage,
    /// The amount missing to the minimum commitment: only of what the period will come to.
    MinimumCommitment,
    /// The amount above the maximum spend.
    MaximumSpend,
}

/// A charge that is in no line.
#[shared::answer]
#[derive(PartialEq, Eq)]
pub struct UnratedCharge {
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "ChargeCode"))]
    pub charge: String,
    pub reason: UnratedReason,
}

/// Why a charge is in no line.
#[shared::answer(read)]
#[derive(Copy, PartialEq, Eq)]
pub enum UnratedReason {
    /// No meter of the organization has the metric's name.
    NoMeter,
    /// It needs groups or hours that the meter does not keep.
    NotKept,
    /// The charge is for each event, or a custom model prices it: estimate it with the events.
    NeedsEvents,
    /// More was used than one request computes.
    TooMuch,
    /// An older subscription of the account prices the same usage.
    CountedElsewhere,
    /// The prices have none for this usage: a value that is in no cell, below zero, or too large.
    NoPrice,
}

const EXAMPLE: &str = r#"{"account_id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "as_of": "2026-11-16T12:00:00.000000Z", "subscriptions": [{"subscription_id": "sub_0199a2c4e1f17c4d9e6f708192a3b4c5", "plan": "team", "plan_version": 1, "period_started_at": "2026-11-01T00:00:00.000000Z", "period_ends_at": "2026-12-01T00:00:00.000000Z", "lines": [{"kind": "billed", "charge": "base", "description": "Base", "quantity": null, "unit_price": null, "from": null, "until": null, "amount": {"amount": "30.00", "currency": "USD"}}, {"kind": "usage", "charge": "calls", "description": "Calls", "quantity": "1550", "unit_price": "0.01", "from": "2026-11-01T00:00:00.000000Z", "until": "2026-11-16T12:15:00.000000Z", "amount": {"amount": "15.50", "currency": "USD"}}], "total": {"amount": "45.50", "currency": "USD"}, "unrated": [], "expected": {"method": "linear", "lines": [{"kind": "billed", "charge": "base", "description": "Base", "quantity": null, "unit_price": null, "from": null, "until": null, "amount": {"amount": "30.00", "currency": "USD"}}, {"kind": "usage", "charge": "calls", "description": "Calls", "quantity": "3000", "unit_price": "0.01", "from": "2026-11-01T00:00:00.000000Z", "until": "2026-11-16T12:15:00.000000Z", "amount": {"amount": "30.00", "currency": "USD"}}], "total": {"amount": "60.00", "currency": "USD"}}}]}"#;

pub const READ: Operation = Operation::new(
    "accounts-spend",
    Verb::Get,
    "/api/v1/accounts/{id}/spend",
    Access::Permission("billing:read"),
)
.tag("accounts")
.summary("Show what an account's open periods cost so far, and what they will come to")
.details("Of an account of the credential's organization; with the platform's permission accounts:read of any. A charge that is billed later is rated for what the meter with its metric's name counted of the organization. Usage is the organization's own account's: another account of a person is billed in advance only. A flat charge, a minimum and a maximum of a part of a period are prorated as the subscription says.")
.path_parameter::<BillingAccountId>("id")
.answers(&[Answer::json::<AccountSpend>(200, "What the periods cost.", EXAMPLE)]);
