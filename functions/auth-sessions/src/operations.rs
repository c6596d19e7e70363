use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::time::Time;
use shared::ids::{OrganizationId, SessionId};

/// One sign-in, from login to logout or expiry.
#[shared::answer(read)]
pub struct Session {
    id: SessionId,
    /// Null for a session in no organization.
    organization_id: Option<OrganizationId>,
    /// The login.
    created_at: Time,
    /// The login, the latest refresh, or the latest change of the organization.
    last_used_at: Time,
    /// When it ends unless it is refreshed: 30 days after the latest refresh, and never later
    /// than 180 days after the login.
    expires_at: Time,
    /// Where the login came from, as the host saw it.
    address: String,
    /// The login's User-Agent, cut off after 200 characters.
    user_agent: String,
    /// Whether it is the caller's.
    is_current: bool,
}

#[shared::answer(read)]
pub struct SessionList {
    sessions: Vec<Session>,
}

#[shared::answer(read)]
pub struct SessionsRevoked {
    /// Sessions that were ended. One that had ended before does not count.
    revoked: u64,
}

pub const LIST: Operation = Operation::new(
    "auth-sessions",
    Verb::Get,
    "/api/v1/auth/sessions",
    Access::Session,
)
.tag("auth")
.summary("List the caller's sessions")
.details("Those that have not ended, of every organization: the newest 100.")
.answers(&[Answer::json::<SessionList>(
    200,
    "The sessions, newest first.",
    r#"{"sessions": [{
        "id": "ses_0199a2c4e2008d5eaf708192a3b4c5d6",
        "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5",
        "created_at": "2026-11-21T09:30:00.123456Z",
        "last_used_at": "2026-11-21T09:30:00.123456Z",
        "expires_at": "2026-12-21T09:30:00.123456Z",
        "address": "203.0.113.7", "user_agent": "Mozilla/5.0", "is_current": true
    }]}"#,
)]);

pub const REVOKE_OTHERS: Operation = Operation::new(
    "auth-sessions-revoke-others",
    Verb::Delete,
    "/api/v1/auth/sessions",
    Access::Session,
)
.audited()
.tag("auth")
.summary("End every session but the caller's")
.details(
    "The tokens are dead for every request that begins after this answer. Links, invitations and API \
     keys that those sessions made end too.",
)
.answers(&[Answer::json::<SessionsRevoked>(
    200,
    "How many were ended.",
    r#"{"revoked": 2}"#,
)]);

pub const REVOKE: Operation = Operation::new(
    "auth-sessions-revoke",
    Verb::Delete,
    "/api/v1/auth/sessions/{id}",
    Access::Session,
)
.audited()
.tag("auth")
.summary("End one session")
.details(
    "It may be the caller's own, which is a logout then. One that has moved to another organization \
     since is ended there. Links, invitations and API keys that another session made end with it.",
)
.path_parameter::<SessionId>("id")
.answers(&[Answer::json::<SessionsRevoked>(
    200,
    "It has ended.",
    r#"{"revoked": 1}"#,
)]);
