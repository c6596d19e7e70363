use shared::billing::account::Account;
use shared::billing::account_batch::{ItemProblem, MAX_ITEMS};
use shared::http::input::List;
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::serde_json::Value;

/// Accounts to make and to change. Each is read by itself, so that what is wrong with one spoils no
/// other.
#[shared::body]
pub struct AccountBatch {
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "List<shared::billing::account_batch::AccountItem, 1, MAX_ITEMS>")
    )]
    pub items: List<Value, 1, MAX_ITEMS>,
}

/// What became of one account.
#[shared::answer]
pub struct AccountItemAnswer {
    /// The status that a request of its own would have had.
    pub status: u16,
    /// Null when it was refused.
    pub account: Option<Account>,
    /// Null when it was not.
    pub problem: Option<ItemProblem>,
}

/// One answer for each account, in the order of the request.
#[shared::answer]
pub struct AccountBatchAnswer {
    pub items: Vec<AccountItemAnswer>,
}

pub const WRITE: Operation = Operation::new(
    "accounts-bulk",
    Verb::Post,
    "/api/v1/accounts/bulk",
    Access::Permission("accounts:manage"),
)
.audited()
.tag("accounts")
.summary("Make and change many accounts")
.details("The permission is the platform's. Up to 1,000 accounts in 2,048,000 bytes, each of which is answered as by a request of its own: what is wrong with one spoils no other. One account may come twice, and is changed in the order of the external ids and then of the request. There is no Idempotency-Key: external ids and versions make a retry safe.")
.body::<AccountBatch>(r#"{"items": [{"create": {"name": "Analytical Engines Ltd", "external_id": "crm-4711"}}, {"update": {"id": "acc_0199a2c4e2447b3c8d5e6f708192a3b4", "version": 3, "change": {"phone": null}}}]}"#)
.answers(&[Answer::json::<AccountBatchAnswer>(
    200,
    "One answer for each account.",
    r#"{"items": [{"status": 412, "account": null, "problem": {"code": "version_conflict", "title": "The resource has another version", "detail": "Its version is 4. Read it, and decide anew.", "errors": []}}]}"#,
)]);
