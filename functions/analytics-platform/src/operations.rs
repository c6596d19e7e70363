use shared::billing::analytics::{CreditTotals, SETTLEMENT_PENDING, SubscriptionTotals};
use shared::billing::subscription::SubscriptionStatus;
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::pagination::{Cursor, PageLimit};
use shared::http::period::Day;
use shared::http::time::Time;
use shared::ids::OrganizationId;
use shared::money::{Currency, Money};
use shared::organizations::OrganizationName;
use shared::rating::plan_terms::PlanCode;

#[shared::body(query)]
pub struct PlatformFiguresQuery {
    /// The currency of the figures; USD when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = "USD")))]
    pub currency: Option<Currency>,
    /// The first day, of UTC. The first of the month in which the last day lies when absent.
    pub since: Option<Day>,
    /// The day after the last. Tomorrow when absent.
    pub until: Option<Day>,
}

/// The figures of the platform in one currency.
#[shared::answer(read)]
pub struct PlatformFigures {
    pub currency: Currency,
    /// The first day.
    pub since: Day,
    /// The day after the last.
    pub until: Day,
    /// The moment that the figures are of.
    pub as_of: Time,
    pub credits: CreditTotals,
    pub outstanding: OutstandingCredits,
    pub subscriptions: SubscriptionTotals,
    /// Those that bring most first.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(max = 100)))]
    pub plans: Vec<PlanFigures>,
}

/// What was granted and can still be spent, now or later.
#[shared::answer(read)]
pub struct OutstandingCredits {
    /// Granted and not spent: pending, available and held.
    pub liability: Money,
}

/// The subscriptions of one plan.
#[shared::answer(read)]
pub struct PlanFigures {
    pub plan: PlanCode,
    /// Those that are active or past due.
    pub subscriptions: u64,
    /// The seats of these subscriptions.
    pub seats: u64,
    pub mrr: Money,
}

#[shared::body(query)]
pub struct OrganizationFiguresQuery {
    /// The currency of the figures; USD when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = "USD")))]
    pub currency: Option<Currency>,
    /// Items in a page.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 50)))]
    pub limit: Option<PageLimit>,
    pub cursor: Option<Cursor>,
}

#[shared::answer]
pub struct OrganizationFiguresPage {
    /// The currency of the figures.
    pub currency: Currency,
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(max = 100)))]
    pub organizations: Vec<OrganizationFigures>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<Cursor>,
}

/// An organization, its subscription and its credit pool.
#[shared::answer(read)]
pub struct OrganizationFigures {
    pub organization_id: OrganizationId,
    pub name: OrganizationName,
    pub plan: PlanCode,
    pub status: SubscriptionStatus,
    /// The seats that are subscribed to.
    pub seats: u64,
    /// Zero unless the subscription is active or past due.
    pub mrr: Money,
    pub pool: PoolFigures,
}

/// An organization's credit pool.
#[shared::answer(read)]
pub struct PoolFigures {
    /// What can be spent.
    pub available: Money,
    /// What was spent, less what was refunded.
    pub consumed: Money,
}

pub const READ: Operation = Operation::new(
    "analytics-platform",
    Verb::Get,
    "/api/v1/org-billing/analytics/platform",
    Access::Permission("analytics:read"),
)
.tag("analytics")
.summary("The figures of the platform")
.details("The permission is the platform's. Credits are those of the period, in one currency; what is outstanding, the monthly recurring revenue and the plans are of now. Exact to as_of: what has lapsed counts, looked at or not. At most 3,653 days.")
.query::<PlatformFiguresQuery>()
.answers(&[Answer::json::<PlatformFigures>(
    200,
    "The figures.",
    r#"{"currency": "USD", "since": "2026-11-01", "until": "2026-11-22", "as_of": "2026-11-21T09:30:00.123456Z", "credits": {"sold": {"amount": "1250.00", "currency": "USD"}, "promotional": {"amount": "40.00", "currency": "USD"}, "consumed": {"amount": "912.50", "currency": "USD"}, "refunded": {"amount": "2.50", "currency": "USD"}, "expired": {"amount": "10.00", "currency": "USD"}, "voided": {"amount": "0.00", "currency": "USD"}, "spends": 7300}, "outstanding": {"liability": {"amount": "4200.00", "currency": "USD"}}, "subscriptions": {"mrr": {"amount": "170.00", "currency": "USD"}, "active": 2, "new_mrr": {"amount": "30.00", "currency": "USD"}, "expansion_mrr": {"amount": "0.00", "currency": "USD"}, "contraction_mrr": {"amount": "20.00", "currency": "USD"}, "churned_mrr": {"amount": "30.00", "currency": "USD"}, "reactivation_mrr": {"amount": "0.00", "currency": "USD"}, "net_new_mrr": {"amount": "-20.00", "currency": "USD"}}, "plans": [{"plan": "team", "subscriptions": 1, "seats": 13, "mrr": {"amount": "130.00", "currency": "USD"}}]}"#,
)])
.refuses(&[&SETTLEMENT_PENDING]);

pub const ORGANIZATIONS: Operation = Operation::new(
    "analytics-organizations",
    Verb::Get,
    "/api/v1/org-billing/analytics/platform/organizations",
    Access::Permission("analytics:read"),
)
.tag("analytics")
.summary("List organizations by what they bring")
.details("The permission is the platform's. The organizations with a subscription in one currency, which the answer names, those of the most monthly recurring revenue first. One whose revenue changes between two pages may be shown twice or not at all.")
.query::<OrganizationFiguresQuery>()
.answers(&[Answer::json::<OrganizationFiguresPage>(
    200,
    "A page of organizations.",
    r#"{"currency": "USD", "organizations": [{"organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "name": "Analytical Engines", "plan": "team", "status": "active", "seats": 13, "mrr": {"amount": "130.00", "currency": "USD"}, "pool": {"available": {"amount": "500.00", "currency": "USD"}, "consumed": {"amount": "10.00", "currency": "USD"}}}], "next_cursor": null}"#,
)]);
