//! How long a session of Turnpike's role lets things take. `turnpike migrate` sets these on the
//! role, because a pooler may refuse settings in the address of the database.

/// How long Postgres works on one statement. Shorter than a request waits for it, so that a
/// statement is not left running behind a client that was told 503.
pub const STATEMENT_TIMEOUT_MILLIS: u32 = 1_500;

/// How long a statement waits for a row that another holds: long enough for hundreds of spends to
/// pass, each holding the row for about a millisecond.
pub const LOCK_TIMEOUT_MILLIS: u32 = 1_000;

/// How long a transaction may do nothing. Components begin none, so that this is for one that
/// somebody left open by hand, with its locks.
pub const IDLE_IN_TRANSACTION_TIMEOUT_MILLIS: u32 = 5_000;

/// How long a session may do nothing, so that those of instances that have ended go.
pub const IDLE_SESSION_TIMEOUT_MILLIS: u32 = 300_000;

/// The timeouts by the names that Postgres has for them.
pub const SESSION_TIMEOUTS: [(&str, u32); 4] = [
    ("statement_timeout", STATEMENT_TIMEOUT_MILLIS),
    ("lock_timeout", LOCK_TIMEOUT_MILLIS),
    (
        "idle_in_transaction_session_timeout",
        IDLE_IN_TRANSACTION_TIMEOUT_MILLIS,
    ),
    ("idle_session_timeout", IDLE_SESSION_TIMEOUT_MILLIS),
];
