use shared::billing::subscription::BillingPeriod;
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::pagination::{Cursor, PageLimit};
use shared::http::time::Time;
use shared::ids::PlanId;
use shared::money::Currency;
use shared::rating::plan_terms::{PlanCode, PlanName};

/// A plan of the platform's catalog.
#[shared::answer(read)]
pub struct Plan {
    pub id: PlanId,
    pub code: PlanCode,
    pub name: PlanName,
    pub currency: Currency,
    pub billing_period: BillingPeriod,
    /// Null while it has none.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1000)))]
    pub newest_version: Option<u32>,
    /// An archived plan gets no new version. Those that it has can still be read and estimated.
    pub archived: bool,
    pub created_at: Time,
    pub updated_at: Time,
    /// Its place in the list.
    #[serde(skip_serializing)]
    pub sequence: i64,
}

#[shared::answer]
pub struct PlanPage {
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(max = 100)))]
    pub plans: Vec<Plan>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<Cursor>,
}

#[shared::answer(read)]
pub struct PlanShown {
    pub plan: Plan,
}

#[shared::body(query)]
pub struct PlansListQuery {
    /// Items in a page.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 50)))]
    pub limit: Option<PageLimit>,
    pub cursor: Option<Cursor>,
}

/// A plan to make.
#[shared::body]
pub struct NewPlan {
    pub code: PlanCode,
    pub name: PlanName,
    pub currency: Currency,
    pub billing_period: BillingPeriod,
}

/// What becomes of a plan. What is absent stays as it is.
#[shared::body]
pub struct PlanChange {
    pub name: Option<PlanName>,
    pub archived: Option<bool>,
}

shared::refusals! {
    PLAN_EXISTS = 409 "plan_exists", "There is another plan with this code",
        "there is a plan with this code and another name, currency or period.";
}

pub const LIST: Operation = Operation::new(
    "plans-list",
    Verb::Get,
    "/api/v1/plans",
    Access::Permission("plans:read"),
)
.tag("plans")
.summary("List the plans")
.details("Newest first, archived ones included. Plans are the same for every organization.")
.query::<PlansListQuery>()
.answers(&[
    Answer::json::<PlanPage>(
        200,
        "A page of plans.",
        r#"{"plans": [{"id": "pln_0199a2c4e2447b3c8d5e6f708192a3b4", "code": "team", "name": "Team", "currency": "USD", "billing_period": "month", "newest_version": 2, "archived": false, "created_at": "2026-11-21T09:30:00.123456Z", "updated_at": "2026-11-21T10:00:00.123456Z"}], "next_cursor": null}"#,
    ),
]);

pub const CREATE: Operation = Operation::new(
    "plans-create",
    Verb::Post,
    "/api/v1/plans",
    Access::Permission("plans:manage"),
)
.audited()
.tag("plans")
.summary("Make a plan")
.details("Code, currency and billing period never change. Repeating it is harmless, so it takes no Idempotency-Key.")
.body::<NewPlan>(
    r#"{"code": "team", "name": "Team", "currency": "USD", "billing_period": "month"}"#,
)
.answers(&[
    Answer::json::<PlanShown>(
        200,
        "There was just this plan before.",
        r#"{"plan": {"id": "pln_0199a2c4e2447b3c8d5e6f708192a3b4", "code": "team", "name": "Team", "currency": "USD", "billing_period": "month", "newest_version": 2, "archived": false, "created_at": "2026-11-21T09:30:00.123456Z", "updated_at": "2026-11-21T10:00:00.123456Z"}}"#,
    ),
    Answer::json::<PlanShown>(
        201,
        "The plan, which has no version yet.",
        r#"{"plan": {"id": "pln_0199a2c4e2447b3c8d5e6f708192a3b4", "code": "team", "name": "Team", "currency": "USD", "billing_period": "month", "newest_version": null, "archived": false, "created_at": "2026-11-21T09:30:00.123456Z", "updated_at": "2026-11-21T10:00:00.123456Z"}}"#,
    ),
])
.refuses(&[&PLAN_EXISTS]);

pub const READ: Operation = Operation::new(
    "plans-read",
    Verb::Get,
    "/api/v1/plans/{code}",
    Access::Permission("plans:read"),
)
.tag("plans")
.summary("Show a plan")
.path_parameter::<PlanCode>("code")
.answers(&[
    Answer::json::<PlanShown>(
        200,
        "The plan.",
        r#"{"plan": {"id": "pln_0199a2c4e2447b3c8d5e6f708192a3b4", "code": "team", "name": "Team", "currency": "USD", "billing_period": "month", "newest_version": 2, "archived": false, "created_at": "2026-11-21T09:30:00.123456Z", "updated_at": "2026-11-21T10:00:00.123456Z"}}"#,
    ),
]);

pub const CHANGE: Operation = Operation::new(
    "plans-change",
    Verb::Patch,
    "/api/v1/plans/{code}",
    Access::Permission("plans:manage"),
)
.audited()
.tag("plans")
.summary("Rename or archive a plan")
.details("What is absent stays as it is. It can be taken from the archive again.")
.path_parameter::<PlanCode>("code")
.body::<PlanChange>(
    r#"{"archived": true}"#,
)
.answers(&[
    Answer::json::<PlanShown>(
        200,
        "The plan.",
        r#"{"plan": {"id": "pln_0199a2c4e2447b3c8d5e6f708192a3b4", "code": "team", "name": "Team", "currency": "USD", "billing_period": "month", "newest_version": 2, "archived": true, "created_at": "2026-11-21T09:30:00.123456Z", "updated_at": "2026-11-21T10:00:00.123456Z"}}"#,
    ),
]);
