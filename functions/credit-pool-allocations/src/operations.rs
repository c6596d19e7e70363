use shared::credits::{Allocation, AllocationReset};
use shared::http::input::UnsignedMoney;
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::pagination::{Cursor, PageLimit};
use shared::ids::{OrganizationId, UserId};
use shared::money::Currency;

#[shared::body(query)]
pub struct AllocationsQuery {
    /// The currency. All currencies when absent.
    pub currency: Option<Currency>,
    /// Items in a page; 50 when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 50)))]
    pub limit: Option<PageLimit>,
    pub cursor: Option<Cursor>,
}

#[shared::body(query)]
pub struct AllocationQuery {
    /// The currency; USD when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = "USD")))]
    pub currency: Option<Currency>,
}

#[shared::answer]
pub struct AllocationPage {
    /// Newest first.
    pub allocations: Vec<Allocation>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<Cursor>,
}

/// What a member is to be allowed.
#[shared::body]
pub struct NewAllocation {
    /// The most that they may take in a period, and in which currency: there is one
    /// allocation for each.
    pub limit: UnsignedMoney,
    /// When what was used starts from nothing again.
    pub reset: AllocationReset,
}

#[shared::answer(read)]
pub struct AllocationRemoved {
    status: AllocationRemovedStatus,
}

#[shared::answer(read)]
pub enum AllocationRemovedStatus {
    Removed,
}

shared::refusals! {
    ALLOCATION_LIMIT = 409 "allocation_limit", "The organization has as many allocations as it can",
        "the organization has 10,000 allocations in this currency.";
}

pub const LIST: Operation = Operation::new(
    "credit-pool-allocations-list",
    Verb::Get,
    "/api/v1/org-billing/organizations/{id}/credit-pool/allocations",
    Access::Permission("pool:manage"),
)
.tag("org-billing")
.summary("List what is allocated")
.details("Newest first, in all currencies or in one.")
.path_parameter::<OrganizationId>("id")
.query::<AllocationsQuery>()
.answers(&[Answer::json::<AllocationPage>(
    200,
    "A page of the allocations.",
    r#"{"allocations": [{"user_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "limit": {"amount": "50.00", "currency": "USD"}, "used": {"amount": "1.25", "currency": "USD"}, "remaining": {"amount": "48.75", "currency": "USD"}, "reset": "month", "period_started_at": "2026-11-01T00:00:00.000000Z", "period_ends_at": "2026-12-01T00:00:00.000000Z"}], "next_cursor": null}"#,
)]);

pub const PUT: Operation = Operation::new(
    "credit-pool-allocations-put",
    Verb::Put,
    "/api/v1/org-billing/organizations/{id}/credit-pool/allocations/{user_id}",
    Access::Permission("pool:manage"),
)
.audited()
.tag("org-billing")
.summary("Say what a member may spend of the pool")
.details("Another limit keeps what was used; another reset begins a new period with nothing used. Who is no member is a 404.")
.path_parameter::<OrganizationId>("id")
.path_parameter::<UserId>("user_id")
.body::<NewAllocation>(
    r#"{"limit": {"amount": "50.00", "currency": "USD"}, "reset": "month"}"#,
)
.answers(&[Answer::json::<Allocation>(
    200,
    "The member has the allocation.",
    r#"{"user_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "limit": {"amount": "50.00", "currency": "USD"}, "used": {"amount": "1.25", "currency": "USD"}, "remaining": {"amount": "48.75", "currency": "USD"}, "reset": "month", "period_started_at": "2026-11-01T00:00:00.000000Z", "period_ends_at": "2026-12-01T00:00:00.000000Z"}"#,
)])
.refuses(&[&ALLOCATION_LIMIT]);

pub const REMOVE: Operation = Operation::new(
    "credit-pool-allocations-remove",
    Verb::Delete,
    "/api/v1/org-billing/organizations/{id}/credit-pool/allocations/{user_id}",
    Access::Permission("pool:manage"),
)
.audited()
.tag("org-billing")
.summary("Take a member's allocation away")
.details("What was not spent of it is unallocated again.")
.path_parameter::<OrganizationId>("id")
.path_parameter::<UserId>("user_id")
.query::<AllocationQuery>()
.answers(&[Answer::json::<AllocationRemoved>(
    200,
    "The member has none in this currency.",
    r#"{"status": "removed"}"#,
)]);
