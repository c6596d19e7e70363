use shared::credits::grant::TOO_MANY_OPEN_GRANTS;
use shared::credits::grant_terms::GrantTerms;
use shared::credits::{CreditPool, Grant, Transaction, TransactionsQuery};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::pagination::Cursor;
use shared::ids::{OrganizationId, UserId};
use shared::money::Currency;

#[shared::body(query)]
pub struct PoolQuery {
    /// The currency; USD when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = "USD")))]
    pub currency: Option<Currency>,
}

/// What was given, and to which pool.
#[shared::answer(read)]
pub struct PoolGranted {
    organization_id: OrganizationId,
    grant: Grant,
    transaction: Transaction,
}

/// A transaction of the pool, and who asked for it.
#[shared::answer]
pub struct PoolTransaction {
    #[serde(flatten)]
    pub transaction: Transaction,
    /// The member who spent, or whoever granted, voided or refunded. Null for what fell
    /// due.
    pub actor_id: Option<UserId>,
}

#[shared::answer]
pub struct PoolTransactionPage {
    /// Newest first.
    pub transactions: Vec<PoolTransaction>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<Cursor>,
}

pub const READ: Operation = Operation::new(
    "credit-pool-read",
    Verb::Get,
    "/api/v1/org-billing/organizations/{id}/credit-pool",
    Access::Permission("billing:read"),
)
.tag("org-billing")
.summary("Show what an organization's pool has")
.details("It is zero before the first grant, and exact to the moment.")
.path_parameter::<OrganizationId>("id")
.query::<PoolQuery>()
.answers(&[Answer::json::<CreditPool>(
    200,
    "The pool in one currency.",
    r#"{"organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "available": {"amount": "98.75", "currency": "USD"}, "held": {"amount": "0.00", "currency": "USD"}, "total": {"amount": "98.75", "currency": "USD"}, "pending": {"amount": "0.00", "currency": "USD"}, "allocated": {"amount": "48.75", "currency": "USD"}, "unallocated": {"amount": "50.00", "currency": "USD"}}"#,
)]);

pub const GRANTS_CREATE: Operation = Operation::new(
    "credit-pool-grants-create",
    Verb::Post,
    "/api/v1/org-billing/organizations/{id}/credit-pool/grants",
    Access::Permission("credits:grant"),
)
.audited()
.tag("org-billing")
.summary("Give credits to an organization's pool")
.details("The permission reaches every organization. The terms are those of POST /api/v1/credits/grants, and void and refunds are those routes too.")
.path_parameter::<OrganizationId>("id")
.idempotent()
.body::<GrantTerms>(
    r#"{"amount": "100.00", "currency": "USD", "description": "Welcome", "kind": "paid", "priority": 50, "expires_at": "2027-11-21T00:00:00Z"}"#,
)
.answers(&[Answer::json::<PoolGranted>(
    201,
    "Granted, now or by an earlier request with this key.",
    r#"{"organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "grant": {"id": "cgr_0199a2c4e222af70818293a4b5c6d7e9", "kind": "paid", "priority": 50, "state": "open", "amount": {"amount": "100.00", "currency": "USD"}, "remaining": {"amount": "100.00", "currency": "USD"}, "held": {"amount": "0.00", "currency": "USD"}, "description": "Welcome", "effective_at": "2026-11-21T09:30:00.123456Z", "expires_at": "2027-11-21T00:00:00.000000Z", "voided_at": null, "created_at": "2026-11-21T09:30:00.123456Z"}, "transaction": {"id": "ctx_0199a2c4e222af70818293a4b5c6d7e8", "kind": "grant", "amount": {"amount": "100.00", "currency": "USD"}, "available_after": {"amount": "100.00", "currency": "USD"}, "debited": "issued", "credited": "available", "description": "Welcome", "service": null, "model": null, "occurred_at": "2026-11-21T09:30:00.123456Z", "created_at": "2026-11-21T09:30:00.123456Z"}}"#,
)])
.refuses(&[&TOO_MANY_OPEN_GRANTS]);

pub const TRANSACTIONS: Operation = Operation::new(
    "credit-pool-transactions",
    Verb::Get,
    "/api/v1/org-billing/organizations/{id}/credit-pool/transactions",
    Access::Permission("billing:read"),
)
.tag("org-billing")
.summary("List the pool's ledger")
.details("Newest first, in all currencies or in one, with who asked for each transaction. Of one moment they are in the order of their currencies.")
.path_parameter::<OrganizationId>("id")
.query::<TransactionsQuery>()
.answers(&[Answer::json::<PoolTransactionPage>(
    200,
    "A page of the ledger.",
    r#"{"transactions": [{"id": "ctx_0199a2c4e2119e6fb08192a3b4c5d6e7", "kind": "consume", "amount": {"amount": "-1.25", "currency": "USD"}, "available_after": {"amount": "98.75", "currency": "USD"}, "debited": "available", "credited": "consumed", "description": "1,250 tokens", "service": null, "model": null, "occurred_at": "2026-11-21T09:30:00.123456Z", "created_at": "2026-11-21T09:30:00.123456Z", "actor_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4"}], "next_cursor": null}"#,
)]);
