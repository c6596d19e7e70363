use shared::billing::subscription::{
    BillingPeriod, PeriodTime, PlanCode, Seats, Subscription, SubscriptionStatus,
};
use shared::http::input::{UnsignedMoney, Whole};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::ids::OrganizationId;

/// The largest whole number that every JSON parser reads exactly (RFC 8259,
/// section 6).
const MAX_VERSION: i64 = 9_007_199_254_740_991;

/// The terms that a subscription is to have.
#[shared::body]
pub struct SubscriptionTerms {
    pub plan: PlanCode,
    pub seats: Seats,
    pub status: SubscriptionStatus,
    pub billing_period: BillingPeriod,
    /// Of one seat for one billing period.
    pub seat_price: UnsignedMoney,
    /// Absent and null: as it is; now, to the second, for a first subscription, a new start
    /// after canceled, and another billing period.
    pub period_started_at: Option<PeriodTime>,
    /// Exclusive, and later than the beginning. Absent and null: as it is, or one billing
    /// period after the beginning.
    pub period_ends_at: Option<PeriodTime>,
    /// The version that the terms replace; 0 for a first subscription. Another one is a 409.
    /// Absent and null: whichever it is.
    pub version: Option<Whole<0, MAX_VERSION>>,
}

shared::refusals! {
    VERSION_CONFLICT = 409 "version_conflict", "The subscription has another version",
        "the subscription has another version than the one given.";
    ACCOUNT_CLOSED = 409 "account_closed", "The account is closed",
        "the account is closed.";
    SUBSCRIPTION_CANCELED = 409 "subscription_canceled", "The subscription is canceled",
        "the subscription was canceled, and begins anew only as active or trialing.";
}

pub const READ: Operation = Operation::new(
    "organization-subscription-read",
    Verb::Get,
    "/api/v1/org-billing/organizations/{id}/subscription",
    Access::Permission("billing:read"),
)
.tag("org-billing")
.summary("Show an organization's subscription")
.details("The platform's permission subscriptions:manage, which reaches every organization, will do instead. Without a subscription it is a 404.")
.path_parameter::<OrganizationId>("id")
.answers(&[Answer::json::<Subscription>(
    200,
    "The subscription.",
    r#"{"organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "plan": "team", "seats": 3, "status": "active", "billing_period": "month", "seat_price": {"amount": "12.50", "currency": "USD"}, "mrr": {"amount": "37.50", "currency": "USD"}, "period_started_at": "2026-11-21T00:00:00.000000Z", "period_ends_at": "2026-12-21T00:00:00.000000Z", "version": 1, "created_at": "2026-11-21T09:30:00.123456Z", "updated_at": "2026-11-21T09:30:00.123456Z"}"#,
)]);

pub const PUT: Operation = Operation::new(
    "organization-subscription-put",
    Verb::Put,
    "/api/v1/org-billing/organizations/{id}/subscription",
    Access::Permission("subscriptions:manage"),
)
.audited()
.tag("org-billing")
.summary("Set an organization's subscription")
.details("The permission is the platform's and reaches every organization. The same terms again change nothing. Every other change raises the version, and is in the organization's audit log.")
.path_parameter::<OrganizationId>("id")
.body::<SubscriptionTerms>(r#"{"plan": "team", "seats": 3, "status": "active", "billing_period": "month", "seat_price": {"amount": "12.50", "currency": "USD"}, "version": 1}"#)
.answers(&[
    Answer::json::<Subscription>(
        200,
        "The subscription has these terms.",
        r#"{"organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "plan": "team", "seats": 3, "status": "active", "billing_period": "month", "seat_price": {"amount": "12.50", "currency": "USD"}, "mrr": {"amount": "37.50", "currency": "USD"}, "period_started_at": "2026-11-21T00:00:00.000000Z", "period_ends_at": "2026-12-21T00:00:00.000000Z", "version": 2, "created_at": "2026-11-21T09:30:00.123456Z", "updated_at": "2026-11-22T09:30:00.123456Z"}"#,
    ),
    Answer::json::<Subscription>(
        201,
        "The organization has its first subscription.",
        r#"{"organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "plan": "team", "seats": 3, "status": "active", "billing_period": "month", "seat_price": {"amount": "12.50", "currency": "USD"}, "mrr": {"amount": "37.50", "currency": "USD"}, "period_started_at": "2026-11-21T00:00:00.000000Z", "period_ends_at": "2026-12-21T00:00:00.000000Z", "version": 1, "created_at": "2026-11-21T09:30:00.123456Z", "updated_at": "2026-11-21T09:30:00.123456Z"}"#,
    ),
])
.refuses(&[&VERSION_CONFLICT, &ACCOUNT_CLOSED, &SUBSCRIPTION_CANCELED]);
