use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::time::Time;
use shared::ids::UserId;

/// A user as the platform sees them.
#[shared::answer(read)]
pub struct User {
    id: UserId,
    email: String,
    /// The role that reaches across tenants, if any.
    platform_role: Option<String>,
    created_at: Time,
    /// Null unless the user is disabled.
    disabled_at: Option<Time>,
}

/// What becomes of a user.
#[shared::body]
pub struct UserChange {
    pub disabled: bool,
}

shared::refusals! {
    OWN_USER = 409 "own_user", "Nobody disables themselves",
        "nobody disables themselves.";
}

pub const READ: Operation = Operation::new(
    "users",
    Verb::Get,
    "/api/v1/users/{id}",
    Access::Permission("users:manage"),
)
.tag("organizations")
.summary("Read a user")
.details("The permission is the platform's.")
.path_parameter::<UserId>("id")
.answers(&[Answer::json::<User>(
    200,
    "The user.",
    r#"{"id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "email": "ada@example.com", "platform_role": null, "created_at": "2026-11-21T09:30:00.123456Z", "disabled_at": null}"#,
)]);

pub const CHANGE: Operation = Operation::new(
    "users-change",
    Verb::Patch,
    "/api/v1/users/{id}",
    Access::Permission("users:manage"),
)
.audited()
.tag("organizations")
.summary("Disable or enable a user")
.details("The permission is the platform's. A disabled user's sessions end, and every credential of theirs is refused, for every request that begins after this answer. Enabling brings no session back; API keys that were not revoked work again.")
.path_parameter::<UserId>("id")
.body::<UserChange>(r#"{"disabled": true}"#)
.answers(&[Answer::json::<User>(
    200,
    "The user is disabled, or is not.",
    r#"{"id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "email": "ada@example.com", "platform_role": null, "created_at": "2026-11-21T09:30:00.123456Z", "disabled_at": "2026-11-22T09:30:00.123456Z"}"#,
)])
.refuses(&[&OWN_USER]);
