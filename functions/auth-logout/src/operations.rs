use shared::http::operation::{Access, Answer, Operation, Verb};

#[shared::answer(read)]
pub struct LoggedOut {
    pub status: SessionStatus,
}

#[shared::answer(read)]
pub enum SessionStatus {
    LoggedOut,
}

pub const LOGOUT: Operation = Operation::new(
    "auth-logout",
    Verb::Post,
    "/api/v1/auth/logout",
    Access::Session,
)
.audited()
.tag("auth")
.summary("End the session")
.details(
    "Its tokens are dead for every request that begins after this answer. An API key has no \
     session to end. The request has no body.",
)
.answers(&[Answer::json::<LoggedOut>(
    200,
    "The session has ended.",
    r#"{"status": "logged_out"}"#,
)]);
