use shared::credits::grant::TOO_MANY_OPEN_GRANTS;
use shared::credits::grant_terms::{GrantTerms, Priority};
use shared::credits::{Description, Grant, GrantKind, Transaction};
use shared::http::input::PositiveAmount;
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::pagination::{Cursor, PageLimit};
use shared::http::problem::NOT_FOUND;
use shared::http::time::Moment;
use shared::ids::{CreditGrantId, OrganizationId, UserId};
use shared::money::Currency;

#[shared::body(query)]
pub struct GrantsQuery {
    /// The currency. All currencies when absent.
    pub currency: Option<Currency>,
    /// Items in a page; 50 when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 50)))]
    pub limit: Option<PageLimit>,
    pub cursor: Option<Cursor>,
}

#[shared::answer]
pub struct GrantPage {
    /// Newest first.
    pub grants: Vec<Grant>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<Cursor>,
}

/// What is granted, to whom, and on which terms.
#[shared::body]
pub struct NewGrant {
    pub user_id: UserId,
    /// The organization in which the user can spend the credits, one of theirs. The oldest of
    /// theirs, in which they sign in, when absent or null.
    pub organization_id: Option<OrganizationId>,
    pub amount: PositiveAmount,
    pub currency: Currency,
    /// The granter's words. Empty when absent.
    pub description: Option<Description>,
    /// paid when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = "paid")))]
    pub kind: Option<GrantKind>,
    /// 0 is spent first, 100 last. 50 when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 50)))]
    pub priority: Option<Priority>,
    /// From when on it can be spent: now when absent, null or in the past.
    pub effective_at: Option<Moment>,
    /// Until when, exclusive. It does not expire when absent or null.
    pub expires_at: Option<Moment>,
}

impl NewGrant {
    /// The terms, without whom they are for.
    pub fn terms(self) -> GrantTerms {
        GrantTerms {
            amount: self.amount,
            currency: self.currency,
            description: self.description,
            kind: self.kind,
            priority: self.priority,
            effective_at: self.effective_at,
            expires_at: self.expires_at,
        }
    }
}

#[shared::answer(read)]
pub struct Granted {
    user_id: UserId,
    /// The organization in which the user can spend the credits.
    organization_id: OrganizationId,
    grant: Grant,
    transaction: Transaction,
}

#[shared::answer(read)]
pub struct GrantVoided {
    /// Whose grant it is; absent when it is the pool's.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    /// The organization that the credits belong to.
    organization_id: OrganizationId,
    grant: Grant,
    transaction: Transaction,
}

shared::refusals! {
    USER_WITHOUT_ORGANIZATION = 409 "user_without_organization", "The user belongs to no organization",
        "credits are spent in an organization, and the user belongs to none.";
    NOTHING_LEFT = 409 "nothing_left", "Nothing is left of the grant",
        "nothing of the grant is left to take back.";
}

pub const LIST: Operation = Operation::new(
    "credits-grants",
    Verb::Get,
    "/api/v1/credits/grants",
    Access::Permission("credits:read"),
)
.tag("credits")
.summary("List the caller's grants")
.details("Newest first, in all currencies or in one, those that were spent, voided or have expired included. Of one moment they are in the order of their currencies.")
.query::<GrantsQuery>()
.answers(&[Answer::json::<GrantPage>(
    200,
    "A page of grants.",
    r#"{"grants": [{"id": "cgr_0199a2c4e222af70818293a4b5c6d7e9", "kind": "paid", "priority": 50, "state": "open", "amount": {"amount": "100.00", "currency": "USD"}, "remaining": {"amount": "100.00", "currency": "USD"}, "held": {"amount": "0.00", "currency": "USD"}, "description": "Welcome", "effective_at": "2026-11-21T09:30:00.123456Z", "expires_at": "2027-11-21T00:00:00.000000Z", "voided_at": null, "created_at": "2026-11-21T09:30:00.123456Z"}], "next_cursor": null}"#,
)]);

pub const CREATE: Operation = Operation::new(
    "credits-grants-create",
    Verb::Post,
    "/api/v1/credits/grants",
    Access::Permission("credits:grant"),
)
.audited()
.tag("credits")
.summary("Give credits to a user")
.details("The permission reaches users of every organization. The credits belong to the user in one organization, and are spent with tokens that act there. The Idempotency-Key is the caller's in that organization: with another organization it is another key. A grant is spent from effective_at until expires_at, in the order of priority, expiry and age. A grant that would raise the sum of the account's grants to 10^18 or more is a 422 that names amount. An expires_at that is not later than now and than effective_at is one that names it. A user_id that is nobody's is a 404, and so is an organization_id to which the user does not belong.")
.idempotent()
.body::<NewGrant>(
    r#"{"user_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "amount": "100.00", "currency": "USD", "description": "Welcome", "kind": "paid", "priority": 50, "expires_at": "2027-11-21T00:00:00Z"}"#,
)
.answers(&[Answer::json::<Granted>(
    201,
    "Granted, now or by an earlier request with this key.",
    r#"{"user_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "grant": {"id": "cgr_0199a2c4e222af70818293a4b5c6d7e9", "kind": "paid", "priority": 50, "state": "open", "amount": {"amount": "100.00", "currency": "USD"}, "remaining": {"amount": "100.00", "currency": "USD"}, "held": {"amount": "0.00", "currency": "USD"}, "description": "Welcome", "effective_at": "2026-11-21T09:30:00.123456Z", "expires_at": "2027-11-21T00:00:00.000000Z", "voided_at": null, "created_at": "2026-11-21T09:30:00.123456Z"}, "transaction": {"id": "ctx_0199a2c4e222af70818293a4b5c6d7e8", "kind": "grant", "amount": {"amount": "100.00", "currency": "USD"}, "available_after": {"amount": "100.00", "currency": "USD"}, "debited": "issued", "credited": "available", "description": "Welcome", "service": null, "model": null, "occurred_at": "2026-11-21T09:30:00.123456Z", "created_at": "2026-11-21T09:30:00.123456Z"}}"#,
)])
.refuses(&[&NOT_FOUND, &TOO_MANY_OPEN_GRANTS, &USER_WITHOUT_ORGANIZATION]);

pub const VOID: Operation = Operation::new(
    "credits-grants-void",
    Verb::Post,
    "/api/v1/credits/grants/{id}/void",
    Access::Permission("credits:grant"),
)
.audited()
.tag("credits")
.summary("Take back what is left of a grant")
.details("The permission reaches users and pools of every organization. What was spent stays spent, and what is held stays held. What comes back to the grant later, by a release or a refund, is taken back then.")
.path_parameter::<CreditGrantId>("id")
.idempotent()
.statements(2)
.answers(&[Answer::json::<GrantVoided>(
    200,
    "Taken back, now or by an earlier request with this key.",
    r#"{"user_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "grant": {"id": "cgr_0199a2c4e222af70818293a4b5c6d7e9", "kind": "paid", "priority": 50, "state": "closed", "amount": {"amount": "100.00", "currency": "USD"}, "remaining": {"amount": "0.00", "currency": "USD"}, "held": {"amount": "0.00", "currency": "USD"}, "description": "Welcome", "effective_at": "2026-11-21T09:30:00.123456Z", "expires_at": "2027-11-21T00:00:00.000000Z", "voided_at": "2026-11-21T09:45:00.123456Z", "created_at": "2026-11-21T09:30:00.123456Z"}, "transaction": {"id": "ctx_0199a2c4e2558c4d9e6f708192a3b4c5", "kind": "void", "amount": {"amount": "-100.00", "currency": "USD"}, "available_after": {"amount": "0.00", "currency": "USD"}, "debited": "available", "credited": "issued", "description": "void", "service": null, "model": null, "occurred_at": "2026-11-21T09:30:00.123456Z", "created_at": "2026-11-21T09:30:00.123456Z"}}"#,
)])
.refuses(&[&NOTHING_LEFT]);
