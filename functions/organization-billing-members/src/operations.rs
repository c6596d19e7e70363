use shared::credits::Allocation;
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::pagination::{Cursor, PageLimit};
use shared::ids::{OrganizationId, UserId};
use shared::money::Currency;
use shared::organizations::RoleName;

/// Which page of the members is wanted, and of what they may spend which currency.
#[shared::body(query)]
pub struct BillingMemberQuery {
    /// The currency. All currencies when absent.
    pub currency: Option<Currency>,
    /// Items in a page; 50 when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 50)))]
    pub limit: Option<PageLimit>,
    pub cursor: Option<Cursor>,
}

/// A member, and what they may take and have taken of the pool.
#[shared::answer(read)]
pub struct BillingMember {
    user_id: UserId,
    email: String,
    role: RoleName,
    /// What they may take and have taken, by currency; empty where nothing is allocated.
    allocations: Vec<Allocation>,
    /// Their place in the list.
    #[serde(skip_serializing)]
    pub sequence: i64,
}

#[shared::answer]
pub struct BillingMemberPage {
    /// The latest joined first.
    pub members: Vec<BillingMember>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<Cursor>,
}

pub const LIST: Operation = Operation::new(
    "organization-billing-members",
    Verb::Get,
    "/api/v1/org-billing/organizations/{id}/members",
    Access::Permission("billing:read"),
)
.tag("org-billing")
.summary("List who may spend what, and has")
.details("The latest joined first, with what each may take of the pool, and has taken, in all currencies or in one.")
.path_parameter::<OrganizationId>("id")
.query::<BillingMemberQuery>()
.answers(&[Answer::json::<BillingMemberPage>(
    200,
    "A page of the members.",
    r#"{"members": [{"user_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "email": "ada@example.com", "role": "owner", "allocations": [{"user_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "limit": {"amount": "50.00", "currency": "USD"}, "used": {"amount": "1.25", "currency": "USD"}, "remaining": {"amount": "48.75", "currency": "USD"}, "reset": "month", "period_started_at": "2026-11-01T00:00:00.000000Z", "period_ends_at": "2026-12-01T00:00:00.000000Z"}]}], "next_cursor": null}"#,
)]);
