#[cfg(not(target_arch = "wasm32"))]
use shared::http::input::SignedMoney;
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::pagination::{Cursor, PageLimit};
use shared::http::problem::NOT_FOUND;
use shared::http::time::Time;
use shared::ids::{BillingAccountId, SubscriptionId, UserId};
use shared::money::Money;
use shared::rating::plan_terms::PlanCode;

use self::subscription::{
    Action, Cancellation, Line, NewSubscription, Pause, Status, StepAction, Subscription,
    SubscriptionChange, SubscriptionTime,
};

// The description is made from this file in another crate, which finds its module by the path.
#[path = "subscription.rs"]
pub mod subscription;

/// Places of lines for each version: its number times this and the line's are one number.
const MAX_LINES: i64 = 1_000;

#[shared::body(query)]
pub struct SubscriptionsQuery {
    /// Those of an account.
    pub account_id: Option<BillingAccountId>,
    /// Those of a plan, whichever version they have.
    pub plan: Option<PlanCode>,
    /// Those that stand so.
    pub status: Option<Status>,
    /// Items in a page; 50 when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 50)))]
    pub limit: Option<PageLimit>,
    pub cursor: Option<Cursor>,
}

#[shared::body(query)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    schemars(rename = "SubscriptionPageQuery")
)]
pub struct PageQuery {
    /// Items in a page; 50 when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 50)))]
    pub limit: Option<PageLimit>,
    pub cursor: Option<Cursor>,
}

#[shared::answer]
pub struct SubscriptionPage {
    /// Newest first.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(max = 100)))]
    pub subscriptions: Vec<Subscription>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<Cursor>,
}

/// A subscription after what was asked of it, and what that owes and gives back.
#[shared::answer(read)]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename = "SubscriptionChanged"))]
pub struct Changed {
    pub subscription: Subscription,
    /// What the charges that are billed in advance owe and give back by it. One that has started
    /// 13 periods ago, and has 100 of them, owes 1,400.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(max = 1400)))]
    pub lines: Vec<Line>,
    /// Their sum.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "SignedMoney"))]
    pub total: Money,
}

/// A line of a subscription, and when it came about.
#[shared::answer(read)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    schemars(rename = "SubscriptionAdjustment")
)]
pub struct Adjustment {
    /// The version that it came with.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1)))]
    pub version: u64,
    /// Its number among the lines of the version.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 999)))]
    pub number: u32,
    pub happened_at: Time,
    pub line: Line,
}

impl Adjustment {
    /// Where a page after this one begins.
    pub fn place(&self) -> i64 {
        i64::try_from(self.version).unwrap_or_default() * MAX_LINES + i64::from(self.number)
    }
}

#[shared::answer]
#[cfg_attr(
    not(target_arch = "wasm32"),
    schemars(rename = "SubscriptionAdjustmentPage")
)]
pub struct AdjustmentPage {
    /// Newest first.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(max = 100)))]
    pub adjustments: Vec<Adjustment>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<Cursor>,
}

/// A version of a subscription, and what made it.
#[shared::answer(read)]
pub struct SubscriptionVersion {
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1)))]
    pub version: u64,
    pub action: StepAction,
    /// When it came to pass: when it was due, or when it was asked for.
    pub happened_at: Time,
    /// Who asked; null for what time alone does.
    pub actor_id: Option<UserId>,
    /// The subscription after it.
    pub subscription: Subscription,
}

impl SubscriptionVersion {
    /// Where a page after this one begins.
    pub fn place(&self) -> i64 {
        i64::try_from(self.version).unwrap_or_default()
    }
}

#[shared::answer]
pub struct SubscriptionVersionPage {
    /// Newest first.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(max = 100)))]
    pub changes: Vec<SubscriptionVersion>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<Cursor>,
}

/// What was advanced.
#[shared::answer]
#[derive(Default)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    schemars(rename = "SubscriptionsAdvanced")
)]
pub struct AdvanceResult {
    /// How often something was done to a subscription.
    pub advanced: u32,
    /// Those that cannot be advanced; the log names them.
    pub failed: u32,
    /// Whether nothing is left that was due.
    pub is_complete: bool,
}

/// The time that an account's clock is to show.
#[shared::body]
pub struct TestClock {
    /// Not earlier than what it shows.
    pub to: SubscriptionTime,
}

/// An account whose clock was moved, and what that did.
#[shared::answer]
pub struct TestClockResult {
    pub account_id: BillingAccountId,
    pub test_clock_at: Time,
    /// How often something was done to one of its subscriptions.
    pub advanced: u32,
    /// Those that cannot be advanced; the log names them.
    pub failed: u32,
    /// Whether nothing is left that was due. If it is false, send the same again.
    pub is_complete: bool,
}

shared::refusals! {
    ACCOUNT_CLOSED = 409 "account_closed", "The account is closed",
        "the account is closed.";
    TRIAL_USED = 409 "trial_used", "The account has had a trial of the plan",
        "the account has had a trial of the plan.";
    SUBSCRIPTION_LIMIT = 409 "subscription_limit", "The account has as many subscriptions as it can have",
        "100 subscriptions of the account have not ended.";
    ACTION_NOT_ALLOWED = 409 "action_not_allowed", "The subscription does not allow this now",
        "the status of the subscription does not allow it; detail says which.";
    CHANGE_PENDING = 409 "change_pending", "Another change waits for the end of the period",
        "another change waits for the end of the period.";
    SUBSCRIPTION_BEHIND = 409 "subscription_behind", "Time has to be caught up with",
        "more periods have ended than one preview takes in; the job catches up.";
    ACCOUNT_NOT_IN_TEST_MODE = 409 "account_not_in_test_mode", "The account is not in test mode",
        "the account was not made with is_test.";
}

pub const LIST: Operation = Operation::new(
    "subscriptions-list",
    Verb::Get,
    "/api/v1/subscriptions",
    Access::Permission("billing:read"),
)
.tag("subscriptions")
.summary("List subscriptions")
.details("Newest first: those of the credential's organization, or, with the platform's permission subscriptions:manage, of all.")
.query::<SubscriptionsQuery>()
.answers(&[Answer::json::<SubscriptionPage>(200, "A page of subscriptions.", r#"{"subscriptions": [{"id": "sub_0199a2c4e1f07b3c8d5e6f708192a3b4", "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "account_id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "plan": "team", "plan_version": 2, "currency": "USD", "quantity": 5, "price_overrides": [], "billing": {"unit": "month", "count": 1, "alignment": "anniversary", "anchor_day": 31}, "time_zone": "Europe/Paris", "proration": "day", "status": "active", "starts_at": "2026-10-31T09:30:00.000000Z", "trial_ends_at": null, "period": {"index": 1, "started_at": "2026-11-30T09:30:00.000000Z", "ends_at": "2026-12-31T09:30:00.000000Z"}, "cancel_at": null, "cancel_credit": null, "paused_at": null, "resumes_at": null, "ended_at": null, "pending_change": null, "metadata": {"contract": "2026-17"}, "version": 3, "created_at": "2026-10-31T09:30:00.123456Z", "updated_at": "2026-11-30T09:30:00.000000Z"}], "next_cursor": null}"#)]);

pub const CREATE: Operation = Operation::new(
    "subscriptions-create",
    Verb::Post,
    "/api/v1/subscriptions",
    Access::Permission("subscriptions:manage"),
)
.tag("subscriptions")
.audited()
.summary("Give an account a plan")
.details("The permission is the platform's and reaches every account. Prices of the plan are for one period. Charges that are billed in advance owe from the start, or from the end of the trial; lines say what, and the next invoice takes them. A second trial of a plan by the same account is refused.")
.body::<NewSubscription>(r#"{"account_id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "plan": "team", "quantity": 5, "billing": {"unit": "month", "anchor_day": 31}, "metadata": {"contract": "2026-17"}}"#)
.idempotent()
.statements(2)
.answers(&[Answer::json::<Changed>(201, "The subscription, made now or by an earlier request with this key.", r#"{"subscription": {"id": "sub_0199a2c4e1f07b3c8d5e6f708192a3b4", "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "account_id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "plan": "team", "plan_version": 2, "currency": "USD", "quantity": 5, "price_overrides": [], "billing": {"unit": "month", "count": 1, "alignment": "anniversary", "anchor_day": 31}, "time_zone": "Europe/Paris", "proration": "day", "status": "active", "starts_at": "2026-10-31T09:30:00.000000Z", "trial_ends_at": null, "period": {"index": 0, "started_at": "2026-10-31T09:30:00.000000Z", "ends_at": "2026-11-30T09:30:00.000000Z"}, "cancel_at": null, "cancel_credit": null, "paused_at": null, "resumes_at": null, "ended_at": null, "pending_change": null, "metadata": {"contract": "2026-17"}, "version": 1, "created_at": "2026-10-31T09:30:00.123456Z", "updated_at": "2026-10-31T09:30:00.123456Z"}, "lines": [{"period_index": 0, "charge": "seats", "description": "Seats", "amount": {"amount": "50.00", "currency": "USD"}, "from": "2026-10-31", "to": "2026-11-30", "proration": "day", "share": 30, "share_of": 30}], "total": {"amount": "50.00", "currency": "USD"}}"#).with_entity_tag()])
.refuses(&[&NOT_FOUND, &ACCOUNT_CLOSED, &TRIAL_USED, &SUBSCRIPTION_LIMIT]);

pub const PREVIEW_NEW: Operation = Operation::new(
    "subscriptions-preview-new",
    Verb::Post,
    "/api/v1/subscriptions/preview",
    Access::Permission("subscriptions:manage"),
)
.tag("subscriptions")
.summary("Say what a new subscription would owe")
.details("The body is that of the request that makes one. Nothing is written, and the id is nobody's.")
.body::<NewSubscription>(r#"{"account_id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "plan": "team", "quantity": 5, "billing": {"unit": "month", "anchor_day": 31}, "metadata": {"contract": "2026-17"}}"#)
.answers(&[Answer::json::<Changed>(200, "The subscription as it would be, and what it would owe.", r#"{"subscription": {"id": "sub_0199a2c4e1f07b3c8d5e6f708192a3b4", "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "account_id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "plan": "team", "plan_version": 2, "currency": "USD", "quantity": 5, "price_overrides": [], "billing": {"unit": "month", "count": 1, "alignment": "anniversary", "anchor_day": 31}, "time_zone": "Europe/Paris", "proration": "day", "status": "active", "starts_at": "2026-10-31T09:30:00.000000Z", "trial_ends_at": null, "period": {"index": 0, "started_at": "2026-10-31T09:30:00.000000Z", "ends_at": "2026-11-30T09:30:00.000000Z"}, "cancel_at": null, "cancel_credit": null, "paused_at": null, "resumes_at": null, "ended_at": null, "pending_change": null, "metadata": {"contract": "2026-17"}, "version": 1, "created_at": "2026-10-31T09:30:00.123456Z", "updated_at": "2026-10-31T09:30:00.123456Z"}, "lines": [{"period_index": 0, "charge": "seats", "description": "Seats", "amount": {"amount": "50.00", "currency": "USD"}, "from": "2026-10-31", "to": "2026-11-30", "proration": "day", "share": 30, "share_of": 30}], "total": {"amount": "50.00", "currency": "USD"}}"#)])
.refuses(&[&NOT_FOUND, &ACCOUNT_CLOSED, &TRIAL_USED, &SUBSCRIPTION_LIMIT]);

pub const ADVANCE: Operation = Operation::new(
    "subscriptions-advance",
    Verb::Post,
    "/api/v1/subscriptions/advance",
    Access::Permission("subscriptions:manage"),
)
.tag("subscriptions")
.summary("Let time pass for subscriptions")
.details("A scheduler calls it every minute. Starts, ends of trials and of pauses, other periods, changes and cancellations that are due are written, each with the moment at which it was due. One call works for about a second, and takes at most ten times 50 subscriptions, those that have waited longest, and 13 periods of each; call it again until is_complete is true. Accounts in test mode are left alone.")
.statements(20)
.answers(&[Answer::json::<AdvanceResult>(200, "What was done.", r#"{"advanced": 12, "failed": 0, "is_complete": true}"#)]);

pub const READ: Operation = Operation::new(
    "subscriptions-read",
    Verb::Get,
    "/api/v1/subscriptions/{id}",
    Access::Permission("billing:read"),
)
.tag("subscriptions")
.summary("Show a subscription")
.details("The platform's permission subscriptions:manage, which reaches every organization, will do instead.")
.path_parameter::<SubscriptionId>("id")
.answers(&[Answer::json::<Subscription>(200, "The subscription.", r#"{"id": "sub_0199a2c4e1f07b3c8d5e6f708192a3b4", "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "account_id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "plan": "team", "plan_version": 2, "currency": "USD", "quantity": 5, "price_overrides": [], "billing": {"unit": "month", "count": 1, "alignment": "anniversary", "anchor_day": 31}, "time_zone": "Europe/Paris", "proration": "day", "status": "active", "starts_at": "2026-10-31T09:30:00.000000Z", "trial_ends_at": null, "period": {"index": 1, "started_at": "2026-11-30T09:30:00.000000Z", "ends_at": "2026-12-31T09:30:00.000000Z"}, "cancel_at": null, "cancel_credit": null, "paused_at": null, "resumes_at": null, "ended_at": null, "pending_change": null, "metadata": {"contract": "2026-17"}, "version": 3, "created_at": "2026-10-31T09:30:00.123456Z", "updated_at": "2026-11-30T09:30:00.000000Z"}"#).with_entity_tag()]);

pub const CHANGE: Operation = Operation::new(
    "subscriptions-change",
    Verb::Post,
    "/api/v1/subscriptions/{id}/change",
    Access::Permission("subscriptions:manage"),
)
.tag("subscriptions")
.audited()
.summary("Change the plan, the quantity or prices")
.details("Now, or when the period ends. The day of a change belongs to the new terms: what was billed of the old ones from this day on is given back, and the new ones are owed. The same terms change nothing. Not while another change waits for the end of the period.")
.path_parameter::<SubscriptionId>("id")
.body::<SubscriptionChange>(r#"{"quantity": 10}"#)
.idempotent()
.conditional()
.statements(7)
.answers(&[Answer::json::<Changed>(200, "Done, now or by an earlier request with this key.", r#"{"subscription": {"id": "sub_0199a2c4e1f07b3c8d5e6f708192a3b4", "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "account_id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "plan": "team", "plan_version": 2, "currency": "USD", "quantity": 10, "price_overrides": [], "billing": {"unit": "month", "count": 1, "alignment": "anniversary", "anchor_day": 31}, "time_zone": "Europe/Paris", "proration": "day", "status": "active", "starts_at": "2026-10-31T09:30:00.000000Z", "trial_ends_at": null, "period": {"index": 1, "started_at": "2026-11-30T09:30:00.000000Z", "ends_at": "2026-12-31T09:30:00.000000Z"}, "cancel_at": null, "cancel_credit": null, "paused_at": null, "resumes_at": null, "ended_at": null, "pending_change": null, "metadata": {"contract": "2026-17"}, "version": 4, "created_at": "2026-10-31T09:30:00.123456Z", "updated_at": "2026-12-16T09:00:00.123456Z"}, "lines": [{"period_index": 1, "charge": "seats", "description": "Seats", "amount": {"amount": "-24.19", "currency": "USD"}, "from": "2026-12-16", "to": "2026-12-31", "proration": "day", "share": 15, "share_of": 31}, {"period_index": 1, "charge": "seats", "description": "Seats", "amount": {"amount": "48.39", "currency": "USD"}, "from": "2026-12-16", "to": "2026-12-31", "proration": "day", "share": 15, "share_of": 31}], "total": {"amount": "24.20", "currency": "USD"}}"#).with_entity_tag()])
.refuses(&[&ACTION_NOT_ALLOWED, &CHANGE_PENDING]);

pub const CANCEL: Operation = Operation::new(
    "subscriptions-cancel",
    Verb::Post,
    "/api/v1/subscriptions/{id}/cancel",
    Access::Permission("subscriptions:manage"),
)
.tag("subscriptions")
.audited()
.summary("Cancel a subscription")
.details("Now, when the period ends, or at a moment; a later cancellation takes the place of one that waits. The day of the end counts as used. It is for good.")
.path_parameter::<SubscriptionId>("id")
.body::<Cancellation>(r#"{"when": "now", "credit": "unused"}"#)
.idempotent()
.conditional()
.statements(7)
.answers(&[Answer::json::<Changed>(200, "Done, now or by an earlier request with this key.", r#"{"subscription": {"id": "sub_0199a2c4e1f07b3c8d5e6f708192a3b4", "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "account_id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "plan": "team", "plan_version": 2, "currency": "USD", "quantity": 5, "price_overrides": [], "billing": {"unit": "month", "count": 1, "alignment": "anniversary", "anchor_day": 31}, "time_zone": "Europe/Paris", "proration": "day", "status": "canceled", "starts_at": "2026-10-31T09:30:00.000000Z", "trial_ends_at": null, "period": {"index": 1, "started_at": "2026-11-30T09:30:00.000000Z", "ends_at": "2026-12-31T09:30:00.000000Z"}, "cancel_at": "2026-12-15T09:00:00.123456Z", "cancel_credit": "unused", "paused_at": null, "resumes_at": null, "ended_at": "2026-12-15T09:00:00.123456Z", "pending_change": null, "metadata": {"contract": "2026-17"}, "version": 4, "created_at": "2026-10-31T09:30:00.123456Z", "updated_at": "2026-12-15T09:00:00.123456Z"}, "lines": [{"period_index": 1, "charge": "seats", "description": "Seats", "amount": {"amount": "-24.19", "currency": "USD"}, "from": "2026-12-16", "to": "2026-12-31", "proration": "day", "share": 15, "share_of": 31}], "total": {"amount": "-24.19", "currency": "USD"}}"#).with_entity_tag()])
.refuses(&[&ACTION_NOT_ALLOWED]);

pub const RESUME: Operation = Operation::new(
    "subscriptions-resume",
    Verb::Post,
    "/api/v1/subscriptions/{id}/resume",
    Access::Permission("subscriptions:manage"),
)
.tag("subscriptions")
.audited()
.summary("Withdraw what is to happen later")
.details("A cancellation and a change that wait are withdrawn.")
.path_parameter::<SubscriptionId>("id")
.idempotent()
.conditional()
.statements(7)
.answers(&[Answer::json::<Changed>(200, "Done, now or by an earlier request with this key.", r#"{"subscription": {"id": "sub_0199a2c4e1f07b3c8d5e6f708192a3b4", "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "account_id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "plan": "team", "plan_version": 2, "currency": "USD", "quantity": 5, "price_overrides": [], "billing": {"unit": "month", "count": 1, "alignment": "anniversary", "anchor_day": 31}, "time_zone": "Europe/Paris", "proration": "day", "status": "active", "starts_at": "2026-10-31T09:30:00.000000Z", "trial_ends_at": null, "period": {"index": 1, "started_at": "2026-11-30T09:30:00.000000Z", "ends_at": "2026-12-31T09:30:00.000000Z"}, "cancel_at": null, "cancel_credit": null, "paused_at": null, "resumes_at": null, "ended_at": null, "pending_change": null, "metadata": {"contract": "2026-17"}, "version": 5, "created_at": "2026-10-31T09:30:00.123456Z", "updated_at": "2026-12-15T09:00:00.123456Z"}, "lines": [], "total": {"amount": "0.00", "currency": "USD"}}"#).with_entity_tag()])
.refuses(&[&ACTION_NOT_ALLOWED]);

pub const PAUSE: Operation = Operation::new(
    "subscriptions-pause",
    Verb::Post,
    "/api/v1/subscriptions/{id}/pause",
    Access::Permission("subscriptions:manage"),
)
.tag("subscriptions")
.audited()
.summary("Pause a subscription")
.details("Only an active one. What was billed in advance of the days after this one is given back. Periods go on, and owe nothing.")
.path_parameter::<SubscriptionId>("id")
.body::<Pause>(r#"{"resumes_at": "2027-01-15T00:00:00Z"}"#)
.idempotent()
.conditional()
.statements(7)
.answers(&[Answer::json::<Changed>(200, "Done, now or by an earlier request with this key.", r#"{"subscription": {"id": "sub_0199a2c4e1f07b3c8d5e6f708192a3b4", "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "account_id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "plan": "team", "plan_version": 2, "currency": "USD", "quantity": 5, "price_overrides": [], "billing": {"unit": "month", "count": 1, "alignment": "anniversary", "anchor_day": 31}, "time_zone": "Europe/Paris", "proration": "day", "status": "paused", "starts_at": "2026-10-31T09:30:00.000000Z", "trial_ends_at": null, "period": {"index": 1, "started_at": "2026-11-30T09:30:00.000000Z", "ends_at": "2026-12-31T09:30:00.000000Z"}, "cancel_at": null, "cancel_credit": null, "paused_at": "2026-12-15T09:00:00.123456Z", "resumes_at": null, "ended_at": null, "pending_change": null, "metadata": {"contract": "2026-17"}, "version": 4, "created_at": "2026-10-31T09:30:00.123456Z", "updated_at": "2026-12-15T09:00:00.123456Z"}, "lines": [{"period_index": 1, "charge": "seats", "description": "Seats", "amount": {"amount": "-24.19", "currency": "USD"}, "from": "2026-12-16", "to": "2026-12-31", "proration": "day", "share": 15, "share_of": 31}], "total": {"amount": "-24.19", "currency": "USD"}}"#).with_entity_tag()])
.refuses(&[&ACTION_NOT_ALLOWED]);

pub const UNPAUSE: Operation = Operation::new(
    "subscriptions-unpause",
    Verb::Post,
    "/api/v1/subscriptions/{id}/unpause",
    Access::Permission("subscriptions:manage"),
)
.tag("subscriptions")
.audited()
.summary("End a pause")
.details("The rest of the period is owed, from this day on.")
.path_parameter::<SubscriptionId>("id")
.idempotent()
.conditional()
.statements(7)
.answers(&[Answer::json::<Changed>(200, "Done, now or by an earlier request with this key.", r#"{"subscription": {"id": "sub_0199a2c4e1f07b3c8d5e6f708192a3b4", "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "account_id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "plan": "team", "plan_version": 2, "currency": "USD", "quantity": 5, "price_overrides": [], "billing": {"unit": "month", "count": 1, "alignment": "anniversary", "anchor_day": 31}, "time_zone": "Europe/Paris", "proration": "day", "status": "active", "starts_at": "2026-10-31T09:30:00.000000Z", "trial_ends_at": null, "period": {"index": 1, "started_at": "2026-11-30T09:30:00.000000Z", "ends_at": "2026-12-31T09:30:00.000000Z"}, "cancel_at": null, "cancel_credit": null, "paused_at": null, "resumes_at": null, "ended_at": null, "pending_change": null, "metadata": {"contract": "2026-17"}, "version": 5, "created_at": "2026-10-31T09:30:00.123456Z", "updated_at": "2026-12-20T09:00:00.123456Z"}, "lines": [{"period_index": 1, "charge": "seats", "description": "Seats", "amount": {"amount": "17.74", "currency": "USD"}, "from": "2026-12-20", "to": "2026-12-31", "proration": "day", "share": 11, "share_of": 31}], "total": {"amount": "17.74", "currency": "USD"}}"#).with_entity_tag()])
.refuses(&[&ACTION_NOT_ALLOWED]);

pub const PREVIEW: Operation = Operation::new(
    "subscriptions-preview",
    Verb::Post,
    "/api/v1/subscriptions/{id}/preview",
    Access::Permission("subscriptions:manage"),
)
.tag("subscriptions")
.summary("Say what a change would owe and give back")
.details("type names the action, and beside it is the body of its request. What is answered is what the request would answer at this moment; nothing is written.")
.path_parameter::<SubscriptionId>("id")
.body::<Action>(r#"{"type": "change", "quantity": 10}"#)
.conditional()
.answers(&[Answer::json::<Changed>(200, "The subscription as it would be, and what it would owe.", r#"{"subscription": {"id": "sub_0199a2c4e1f07b3c8d5e6f708192a3b4", "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "account_id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "plan": "team", "plan_version": 2, "currency": "USD", "quantity": 10, "price_overrides": [], "billing": {"unit": "month", "count": 1, "alignment": "anniversary", "anchor_day": 31}, "time_zone": "Europe/Paris", "proration": "day", "status": "active", "starts_at": "2026-10-31T09:30:00.000000Z", "trial_ends_at": null, "period": {"index": 1, "started_at": "2026-11-30T09:30:00.000000Z", "ends_at": "2026-12-31T09:30:00.000000Z"}, "cancel_at": null, "cancel_credit": null, "paused_at": null, "resumes_at": null, "ended_at": null, "pending_change": null, "metadata": {"contract": "2026-17"}, "version": 4, "created_at": "2026-10-31T09:30:00.123456Z", "updated_at": "2026-12-16T09:00:00.123456Z"}, "lines": [{"period_index": 1, "charge": "seats", "description": "Seats", "amount": {"amount": "-24.19", "currency": "USD"}, "from": "2026-12-16", "to": "2026-12-31", "proration": "day", "share": 15, "share_of": 31}, {"period_index": 1, "charge": "seats", "description": "Seats", "amount": {"amount": "48.39", "currency": "USD"}, "from": "2026-12-16", "to": "2026-12-31", "proration": "day", "share": 15, "share_of": 31}], "total": {"amount": "24.20", "currency": "USD"}}"#)])
.refuses(&[&ACTION_NOT_ALLOWED, &CHANGE_PENDING, &SUBSCRIPTION_BEHIND]);

pub const ADJUSTMENTS: Operation = Operation::new(
    "subscriptions-adjustments",
    Verb::Get,
    "/api/v1/subscriptions/{id}/adjustments",
    Access::Permission("billing:read"),
)
.tag("subscriptions")
.summary("List what a subscription owes and gives back in advance")
.details("Newest first. The platform's permission subscriptions:manage, which reaches every organization, will do instead.")
.path_parameter::<SubscriptionId>("id")
.query::<PageQuery>()
.answers(&[Answer::json::<AdjustmentPage>(200, "A page of lines.", r#"{"adjustments": [{"version": 4, "number": 2, "happened_at": "2026-12-16T09:00:00.123456Z", "line": {"period_index": 1, "charge": "seats", "description": "Seats", "amount": {"amount": "48.39", "currency": "USD"}, "from": "2026-12-16", "to": "2026-12-31", "proration": "day", "share": 15, "share_of": 31}}], "next_cursor": null}"#)]);

pub const CHANGES: Operation = Operation::new(
    "subscriptions-changes",
    Verb::Get,
    "/api/v1/subscriptions/{id}/changes",
    Access::Permission("billing:read"),
)
.tag("subscriptions")
.summary("List the versions of a subscription")
.details("Newest first, with what made each of them. The platform's permission subscriptions:manage, which reaches every organization, will do instead.")
.path_parameter::<SubscriptionId>("id")
.query::<PageQuery>()
.answers(&[Answer::json::<SubscriptionVersionPage>(200, "A page of versions.", r#"{"changes": [{"version": 3, "action": "renewed", "happened_at": "2026-11-30T09:30:00.000000Z", "actor_id": null, "subscription": {"id": "sub_0199a2c4e1f07b3c8d5e6f708192a3b4", "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "account_id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "plan": "team", "plan_version": 2, "currency": "USD", "quantity": 5, "price_overrides": [], "billing": {"unit": "month", "count": 1, "alignment": "anniversary", "anchor_day": 31}, "time_zone": "Europe/Paris", "proration": "day", "status": "active", "starts_at": "2026-10-31T09:30:00.000000Z", "trial_ends_at": null, "period": {"index": 1, "started_at": "2026-11-30T09:30:00.000000Z", "ends_at": "2026-12-31T09:30:00.000000Z"}, "cancel_at": null, "cancel_credit": null, "paused_at": null, "resumes_at": null, "ended_at": null, "pending_change": null, "metadata": {"contract": "2026-17"}, "version": 3, "created_at": "2026-10-31T09:30:00.123456Z", "updated_at": "2026-11-30T09:30:00.000000Z"}}], "next_cursor": null}"#)]);

pub const TEST_CLOCK: Operation = Operation::new(
    "account-test-clock",
    Verb::Post,
    "/api/v1/accounts/{id}/test-clock",
    Access::Permission("subscriptions:manage"),
)
.tag("subscriptions")
.audited()
.summary("Move the clock of an account in test mode")
.details("Forward only, and the account's subscriptions with it, period by period. One call takes 39 periods of 50 subscriptions; send the same again until is_complete is true.")
.path_parameter::<BillingAccountId>("id")
.body::<TestClock>(r#"{"to": "2027-01-01T00:00:00Z"}"#)
.statements(6)
.answers(&[Answer::json::<TestClockResult>(200, "The clock shows this time.", r#"{"account_id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "test_clock_at": "2027-01-01T00:00:00.000000Z", "advanced": 12, "failed": 0, "is_complete": true}"#)])
.refuses(&[&ACCOUNT_NOT_IN_TEST_MODE]);
