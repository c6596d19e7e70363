use shared::billing::account::{
    self, ACCOUNT_EXISTS, ACCOUNT_IN_USE, Account, AccountChange, AccountStatus, CURRENCY_FIXED,
    EXTERNAL_ID_TAKEN, ExternalId, NewAccount,
};
use shared::http::input::{self, FromText, Invalid, Name};
use shared::http::operation::{Access, Answer, Operation, OtherBody, Verb};
use shared::http::pagination::{Cursor, PageLimit};
use shared::http::problem::RECENT_LOGIN_REQUIRED;
use shared::ids::{BillingAccountId, OrganizationId, UserId};
use shared::money::Currency;
use shared::serde_json::Value;

/// A member of metadata, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataFilter {
    pub key: String,
    pub value: String,
}

impl FromText for MetadataFilter {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| Invalid::new("invalid", "must be a key, = and a value: tier=gold"))?;
        let key = account::metadata_key(key)?;
        let value = input::length(value, 0..=account::MAX_METADATA_VALUE_CHARS)?;
        Ok(Self {
            key: key.to_owned(),
            value: value.to_owned(),
        })
    }
}

shared::describe!(MetadataFilter as "MetadataFilter", {
    "type": "string", "pattern": "^[^=]{1,40}=", "maxLength": 541,
    "description": "A key, = and a value. The key can have no =.",
    "examples": ["tier=gold"],
});

#[shared::body(query)]
pub struct AccountsListQuery {
    /// Those with one status.
    pub status: Option<AccountStatus>,
    /// Those that are billed in one currency.
    pub currency: Option<Currency>,
    /// The one with this external id.
    pub external_id: Option<ExternalId>,
    /// Those with one member of metadata.
    pub metadata: Option<MetadataFilter>,
    /// Those whose name or email begins so, in upper or lower case. Only the first 100
    /// characters of each are looked at.
    pub q: Option<Name<100>>,
    /// Items in a page.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 50)))]
    pub limit: Option<PageLimit>,
    pub cursor: Option<Cursor>,
}

#[shared::answer]
pub struct AccountPage {
    // As the database shows them: to read each field of theirs and to write it again is 53 KB of
    // code.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "Vec<Account>", length(max = 100))
    )]
    pub accounts: Vec<Value>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<Cursor>,
}

/// Who is to own the organization of an account.
#[shared::body]
pub struct AccountOwnerChange {
    pub user_id: UserId,
}

/// Who owns the organization of an account.
#[shared::answer(read)]
pub struct AccountOwner {
    account_id: BillingAccountId,
    organization_id: OrganizationId,
    user_id: UserId,
}

shared::refusals! {
    /// The organization has members.
    OWNER_PRESENT = 409 "owner_present", "The organization has an owner",
        "the organization of the account has members.";
    ORGANIZATION_LIMIT = 409 "organization_limit", "The user owns as many organizations as one can",
        "the user owns 100 organizations.";
}

/// An account with few fields, as answers show it.
const EXAMPLE: &str = r#"{"id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "user_id": null, "kind": "organization", "name": "Analytical Engines Ltd", "external_id": "crm-4711", "email": "billing@example.com", "phone": null, "billing_address": {"line1": "12 St James's Square", "city": "London", "postal_code": "SW1Y 4LE", "country": "GB"}, "shipping_address": null, "tax_ids": [{"type": "gb_vat", "value": "GB123456789"}], "currency": "GBP", "time_zone": "Europe/London", "locale": "en-GB", "payment_terms_days": 30, "invoice_settings": {"grace_days": 0, "consolidation": "account", "footer": null}, "metadata": {"tier": "gold"}, "parent_id": null, "status": "active", "is_test": false, "test_clock_at": null, "version": 1, "created_at": "2026-11-21T09:30:00.123456Z", "updated_at": "2026-11-21T09:30:00.123456Z", "closed_at": null}"#;

/// The same after a change.
const CHANGED_EXAMPLE: &str = r#"{"id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "user_id": null, "kind": "organization", "name": "Analytical Engines Ltd", "external_id": "crm-4711", "email": "billing@example.com", "phone": null, "billing_address": {"line1": "1 Ockham Road", "city": "London", "postal_code": "SW1Y 4LE", "country": "GB"}, "shipping_address": null, "tax_ids": [{"type": "gb_vat", "value": "GB123456789"}], "currency": "GBP", "time_zone": "Europe/London", "locale": "en-GB", "payment_terms_days": 30, "invoice_settings": {"grace_days": 0, "consolidation": "account", "footer": null}, "metadata": {"tier": "gold"}, "parent_id": null, "status": "active", "is_test": false, "test_clock_at": null, "version": 2, "created_at": "2026-11-21T09:30:00.123456Z", "updated_at": "2026-11-22T09:30:00.123456Z", "closed_at": null}"#;

/// The same after it was closed.
const CLOSED_EXAMPLE: &str = r#"{"id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "user_id": null, "kind": "organization", "name": "Analytical Engines Ltd", "external_id": null, "email": null, "phone": null, "billing_address": null, "shipping_address": null, "tax_ids": [], "currency": null, "time_zone": "UTC", "locale": null, "payment_terms_days": 0, "invoice_settings": {"grace_days": 0, "consolidation": "account", "footer": null}, "metadata": {}, "parent_id": null, "status": "closed", "is_test": false, "test_clock_at": null, "version": 2, "created_at": "2026-11-21T09:30:00.123456Z", "updated_at": "2026-11-22T09:30:00.123456Z", "closed_at": "2026-11-22T09:30:00.123456Z"}"#;

/// The body of a change, whichever of its two types it is said to have.
const CHANGE_EXAMPLE: &str = r#"{"billing_address": {"line1": "1 Ockham Road", "line2": null}}"#;

const PAGE_EXAMPLE: &str = r#"{"accounts": [{"id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "user_id": null, "kind": "organization", "name": "Analytical Engines Ltd", "external_id": null, "email": null, "phone": null, "billing_address": null, "shipping_address": null, "tax_ids": [], "currency": null, "time_zone": "UTC", "locale": null, "payment_terms_days": 0, "invoice_settings": {"grace_days": 0, "consolidation": "account", "footer": null}, "metadata": {}, "parent_id": null, "status": "active", "is_test": false, "test_clock_at": null, "version": 1, "created_at": "2026-11-21T09:30:00.123456Z", "updated_at": "2026-11-21T09:30:00.123456Z", "closed_at": null}], "next_cursor": null}"#;

pub const LIST: Operation = Operation::new(
    "accounts-list",
    Verb::Get,
    "/api/v1/accounts",
    Access::Permission("billing:read"),
)
.tag("accounts")
.summary("List the accounts")
.details("Those of the credential's organization; with the platform's permission accounts:read all. Newest first, or with q in the order of what begins so. What is asked for together holds together.")
.query::<AccountsListQuery>()
.answers(&[Answer::json::<AccountPage>(
    200,
    "A page of accounts.",
    PAGE_EXAMPLE,
)]);

pub const CREATE: Operation = Operation::new(
    "accounts-create",
    Verb::Post,
    "/api/v1/accounts",
    Access::Permission("accounts:manage"),
)
.audited()
.tag("accounts")
.summary("Make an account")
.details("The permission is the platform's. Without organization_id and user_id it comes with an organization of its own that has no member: usage, credits and subscriptions can belong to it at once, and PUT /api/v1/accounts/{id}/owner gives it to a person later. With both it is another account of that member in that organization. There is no Idempotency-Key: an external_id makes a retry safe.")
.body::<NewAccount>(r#"{"name": "Analytical Engines Ltd", "external_id": "crm-4711", "email": "billing@example.com", "billing_address": {"line1": "12 St James's Square", "city": "London", "postal_code": "SW1Y 4LE", "country": "GB"}, "tax_ids": [{"type": "gb_vat", "value": "GB123456789"}], "currency": "GBP", "time_zone": "Europe/London", "locale": "en-GB", "payment_terms_days": 30, "metadata": {"tier": "gold"}}"#)
.answers(&[Answer::json::<Account>(201, "The account.", EXAMPLE).with_entity_tag()])
.refuses(&[&EXTERNAL_ID_TAKEN, &ACCOUNT_EXISTS]);

pub const READ: Operation = Operation::new(
    "accounts-read",
    Verb::Get,
    "/api/v1/accounts/{id}",
    Access::Permission("billing:read"),
)
.tag("accounts")
.summary("Show an account")
.details("One of the credential's organization; with the platform's permission accounts:read any. That of an organization has the organization's digits.")
.path_parameter::<BillingAccountId>("id")
.answers(&[Answer::json::<Account>(200, "The account.", EXAMPLE).with_entity_tag()]);

pub const CHANGE: Operation = Operation::new(
    "accounts-change",
    Verb::Patch,
    "/api/v1/accounts/{id}",
    Access::Permission("billing:manage"),
)
.audited()
.conditional()
.tag("accounts")
.summary("Change an account")
.details("A merge patch (RFC 7396): null clears a field, what is absent stays, and an object is merged into what is there. Name, email, phone, addresses, tax ids and locale are the organization's to change; the rest needs the platform's permission accounts:manage, which reaches every account. The same values again change nothing and raise no version. The audit log has the names of the fields, and not their values.")
.path_parameter::<BillingAccountId>("id")
.body_of::<AccountChange>("application/merge-patch+json", CHANGE_EXAMPLE)
.other_bodies(&[OtherBody::new::<AccountChange>("application/json", CHANGE_EXAMPLE)])
.answers(&[Answer::json::<Account>(200, "The account.", CHANGED_EXAMPLE).with_entity_tag()])
.refuses(&[&EXTERNAL_ID_TAKEN, &CURRENCY_FIXED]);

pub const CLOSE: Operation = Operation::new(
    "accounts-close",
    Verb::Post,
    "/api/v1/accounts/{id}/close",
    Access::Permission("accounts:manage"),
)
.audited()
.tag("accounts")
.summary("Close an account")
.details("The permission is the platform's. Closing a closed one changes nothing.")
.path_parameter::<BillingAccountId>("id")
.answers(&[Answer::json::<Account>(200, "It is closed.", CLOSED_EXAMPLE).with_entity_tag()])
.refuses(&[&ACCOUNT_IN_USE]);

pub const REOPEN: Operation = Operation::new(
    "accounts-reopen",
    Verb::Post,
    "/api/v1/accounts/{id}/reopen",
    Access::Permission("accounts:manage"),
)
.audited()
.tag("accounts")
.summary("Reopen an account")
.details("The permission is the platform's. Reopening one that is not closed changes nothing.")
.path_parameter::<BillingAccountId>("id")
.answers(&[Answer::json::<Account>(200, "It is not closed.", EXAMPLE).with_entity_tag()]);

pub const SET_OWNER: Operation = Operation::new(
    "accounts-set-owner",
    Verb::Put,
    "/api/v1/accounts/{id}/owner",
    Access::SessionWith("accounts:manage"),
)
.audited()
.tag("accounts")
.summary("Give an account to a person")
.details("The permission is the platform's. Makes the user the owner of the account's organization, which must have no member yet; sent again for the same user, it changes nothing. Needs a recent login.")
.path_parameter::<BillingAccountId>("id")
.body::<AccountOwnerChange>(r#"{"user_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4"}"#)
.answers(&[Answer::json::<AccountOwner>(
    200,
    "The user owns the organization.",
    r#"{"account_id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "user_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4"}"#,
)])
.refuses(&[&OWNER_PRESENT, &ORGANIZATION_LIMIT, &RECENT_LOGIN_REQUIRED]);
