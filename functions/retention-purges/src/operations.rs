use shared::auth::jwt::SigningKeyId;
use shared::http::operation::{Access, Answer, Operation, Verb};

#[shared::answer(read)]
#[derive(Copy, PartialEq, Eq)]
pub enum PurgeStatus {
    Done,
    AlreadyRunning,
}

/// Rows that were deleted, by table.
#[shared::answer(read)]
#[derive(Default)]
pub struct RowsDeleted {
    access_tokens: u32,
    refresh_tokens: u32,
    sessions: u32,
    email_tokens: u32,
    login_attempts: u32,
    mail_quota: u32,
    outbox_messages: u32,
    idempotency_keys: u32,
    entitlement_resets: u32,
}

impl RowsDeleted {
    /// Counts those of another round too.
    pub fn add(&mut self, other: &Self) {
        for (sum, count) in [
            (&mut self.access_tokens, other.access_tokens),
            (&mut self.refresh_tokens, other.refresh_tokens),
            (&mut self.sessions, other.sessions),
            (&mut self.email_tokens, other.email_tokens),
            (&mut self.login_attempts, other.login_attempts),
            (&mut self.mail_quota, other.mail_quota),
            (&mut self.outbox_messages, other.outbox_messages),
            (&mut self.idempotency_keys, other.idempotency_keys),
            (&mut self.entitlement_resets, other.entitlement_resets),
        ] {
            *sum += count;
        }
    }
}

/// What a purge did.
#[shared::answer]
pub struct Purged {
    /// already_running: somebody else was purging, and nothing was done, or no more than is told.
    pub status: PurgeStatus,
    pub deleted: RowsDeleted,
    /// Whether nothing was left that has lapsed. If not, call it again.
    pub is_complete: bool,
    /// The signing key that was published, because the one before it was old enough. Null: none.
    pub signing_key: Option<SigningKeyId>,
}

/// Rounds of one request, however short they are. Each is a statement.
pub const MAX_ROUNDS: u32 = 20;

pub const PURGE: Operation = Operation::new(
    "retention-purges",
    Verb::Post,
    "/api/v1/retention/purges",
    Access::Permission("retention:purge"),
)
.tag("operations")
.summary("Delete what has lapsed, and rotate the signing key by its age")
.details("A scheduler calls it every ten minutes. For a second it deletes sessions, tokens, idempotency keys, counts of guesses and of mail, and mail that was sent, once they are older than they are kept: see Retention in docs/operations.md. Call it again while is_complete is false. Of two calls at once one purges. The ledger, the audit log and what it counts of usage are never touched. A key that has signed JWTs for 90 days gets its successor.")
.audited()
.statements(MAX_ROUNDS)
.answers(&[Answer::json::<Purged>(
    200,
    "What was deleted.",
    r#"{"status": "done", "deleted": {"access_tokens": 120, "refresh_tokens": 4100, "sessions": 90, "email_tokens": 12, "login_attempts": 31, "mail_quota": 18, "outbox_messages": 40, "idempotency_keys": 9000, "entitlement_resets": 0}, "is_complete": true, "signing_key": null}"#,
)]);
