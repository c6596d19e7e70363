use shared::auth::second_factor::TOTP_NOT_ENABLED;
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::problem::RECENT_LOGIN_REQUIRED;
use shared::http::time::Time;
use shared::ids::{OrganizationId, UserId};

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

/// Which organization is given an owner.
#[shared::body]
pub struct OwnershipGift {
    pub organization_id: OrganizationId,
}

/// A member as the owner of an organization.
#[shared::answer(read)]
pub struct Ownership {
    organization_id: OrganizationId,
    user_id: UserId,
    role: OwnerRole,
}

/// The one role of an owner.
#[shared::answer(read)]
pub enum OwnerRole {
    Owner,
}

/// The removal of a second factor that its user has lost.
#[shared::answer(read)]
pub struct SecondFactorRemoval {
    user_id: UserId,
    /// From when on the password alone signs in; null when the second factor stays.
    due_at: Option<Time>,
}

shared::refusals! {
    /// The organization has somebody who can give it another owner.
    OWNER_PRESENT = 409 "owner_present", "The organization has an owner",
        "the organization has an owner who is not disabled.";
    OWN_SECOND_FACTOR = 409 "own_second_factor", "Nobody removes a second factor of their own this way",
        "it is the caller's own second factor.";
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
.details("The permission is the platform's. A disabled user's sessions end, and every credential of theirs is refused, for every request that begins after this answer. Everything that is pending of them ends as well: links, invitations that they made, API keys. Enabling brings none of it back.")
.path_parameter::<UserId>("id")
.body::<UserChange>(r#"{"disabled": true}"#)
.answers(&[Answer::json::<User>(
    200,
    "The user is disabled, or is not.",
    r#"{"id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "email": "ada@example.com", "platform_role": null, "created_at": "2026-11-21T09:30:00.123456Z", "disabled_at": "2026-11-22T09:30:00.123456Z"}"#,
)])
.refuses(&[&OWN_USER]);

pub const OWN: Operation = Operation::new(
    "users-ownerships",
    Verb::Post,
    "/api/v1/users/{id}/ownerships",
    Access::SessionWith("users:manage"),
)
.audited()
.tag("organizations")
.summary("Give an organization an owner")
.details(
    "The permission is the platform's. Makes a member the owner of an organization whose owners \
     are all disabled. The others stay what they are. A user who is no member, or is disabled, is a \
     404. Needs a recent login.",
)
.path_parameter::<UserId>("id")
.body::<OwnershipGift>(r#"{"organization_id": "org_0199a2c4e2447b3c8d5e6f708192a3b4"}"#)
.answers(&[Answer::json::<Ownership>(
    200,
    "The user is an owner of the organization.",
    r#"{"organization_id": "org_0199a2c4e2447b3c8d5e6f708192a3b4", "user_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "role": "owner"}"#,
)])
.refuses(&[&OWNER_PRESENT, &RECENT_LOGIN_REQUIRED]);

/// An answer while a removal waits.
const REMOVAL: &str = r#"{"user_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "due_at": "2026-11-24T09:30:00.123456Z"}"#;

pub const REMOVE_FACTOR: Operation = Operation::new(
    "users-second-factor-removal",
    Verb::Put,
    "/api/v1/users/{id}/second-factor-removal",
    Access::SessionWith("users:manage"),
)
.audited()
.tag("organizations")
.summary("Remove a second factor that was lost")
.details(
    "The permission is the platform's. The user is told by mail at once, and three days later the \
     password alone signs in. If they use the second factor or a recovery code before, it stays. Asked \
     for again, the removal is due when it was. Needs a recent login.",
)
.path_parameter::<UserId>("id")
.answers(&[Answer::json::<SecondFactorRemoval>(
    200,
    "When it is due.",
    REMOVAL,
)])
.refuses(&[&OWN_SECOND_FACTOR, &TOTP_NOT_ENABLED, &RECENT_LOGIN_REQUIRED]);

pub const KEEP_FACTOR: Operation = Operation::new(
    "users-second-factor-removal-withdraw",
    Verb::Delete,
    "/api/v1/users/{id}/second-factor-removal",
    Access::SessionWith("users:manage"),
)
.audited()
.tag("organizations")
.summary("Withdraw the removal of a second factor")
.details("The permission is the platform's. One that has come to pass cannot be withdrawn: the second factor is off.")
.path_parameter::<UserId>("id")
.answers(&[Answer::json::<SecondFactorRemoval>(
    200,
    "The second factor stays.",
    r#"{"user_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "due_at": null}"#,
)])
.refuses(&[&OWN_SECOND_FACTOR, &TOTP_NOT_ENABLED]);
