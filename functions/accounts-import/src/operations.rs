use shared::billing::account_batch::ItemProblem;
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::ids::BillingAccountId;

/// What became of one row.
#[shared::answer]
pub struct ImportedRow {
    /// The line of the file on which the row begins, from 1.
    pub line: usize,
    /// The status that a request of its own would have had.
    pub status: u16,
    /// The account; null when it was refused.
    pub account_id: Option<BillingAccountId>,
    /// Null when it was not.
    pub problem: Option<ItemProblem>,
}

/// One answer for each row, in the order of the file.
#[shared::answer]
pub struct AccountsImport {
    pub rows: Vec<ImportedRow>,
}

pub const IMPORT: Operation = Operation::new(
    "accounts-import",
    Verb::Post,
    "/api/v1/accounts/import",
    Access::Permission("accounts:manage"),
)
.audited()
.tag("accounts")
.summary("Make and change accounts from a CSV file")
.details("The permission is the platform's. Reads what GET /api/v1/accounts/export writes: RFC 4180 in UTF-8 with a header row, up to 1,000 rows in 2,048,000 bytes. Columns may be fewer and in any order; name must be among them. A row with an id changes that account, if it has the version of the row or the row has none; a row without one makes an account. An empty field clears what it stands for, but metadata is merged. Of an account that is there organization_id, user_id, kind, is_test, status and created_at are not read, and of a new one status, version and created_at. What is wrong with one row spoils no other; a file that is no table, or has other columns, is refused whole. One leading apostrophe is taken off each field.")
.body_of::<String>("text/csv", "name,external_id,billing_country\nAnalytical Engines Ltd,crm-4711,GB\n")
.answers(&[Answer::json::<AccountsImport>(
    200,
    "One answer for each row.",
    r#"{"rows": [{"line": 2, "status": 201, "account_id": "acc_0199a2c4e1f17c4d9e6f708192a3b4c5", "problem": null}, {"line": 3, "status": 422, "account_id": null, "problem": {"code": "invalid_fields", "title": "The request has invalid fields", "detail": "One or more fields are invalid; nothing was changed.", "errors": [{"field": "email", "code": "invalid_email", "message": "must be an email address"}]}}]}"#,
)]);
