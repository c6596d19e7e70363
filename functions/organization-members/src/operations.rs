use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::pagination::{Cursor, PageLimit};
use shared::http::problem::{RECENT_LOGIN_REQUIRED, SESSION_REQUIRED};
use shared::http::time::Time;
use shared::ids::{OrganizationId, UserId};
use shared::organizations::{ROLE_EXCEEDS_OWN, RoleName};

/// Which page of the members is wanted.
#[shared::body(query)]
pub struct MemberQuery {
    /// Items in a page; 50 when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 50)))]
    pub limit: Option<PageLimit>,
    pub cursor: Option<Cursor>,
}

/// A member of an organization.
#[shared::answer(read)]
pub struct Member {
    user_id: UserId,
    email: String,
    role: RoleName,
    /// Whether the platform disabled the user.
    is_disabled: bool,
    joined_at: Time,
    /// Their place in the list.
    #[serde(skip_serializing)]
    pub sequence: i64,
}

#[shared::answer]
pub struct MemberPage {
    pub members: Vec<Member>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<Cursor>,
}

/// What a member is to be.
#[shared::body]
pub struct MemberChange {
    /// A role of the organization; any other is a 422.
    pub role: RoleName,
}

#[shared::answer(read)]
pub struct MemberRemoved {
    pub status: MemberRemoval,
}

#[shared::answer(read)]
pub enum MemberRemoval {
    Removed,
}

shared::refusals! {
    LAST_OWNER = 409 "last_owner", "An organization keeps an owner",
        "the organization would be left without an owner who can sign in.";
}

pub const LIST: Operation = Operation::new(
    "organization-members",
    Verb::Get,
    "/api/v1/organizations/{id}/members",
    Access::Permission("organization:read"),
)
.tag("organizations")
.summary("List the members")
.details("The latest joined first.")
.path_parameter::<OrganizationId>("id")
.query::<MemberQuery>()
.answers(&[Answer::json::<MemberPage>(
    200,
    "A page of members.",
    r#"{"members": [{"user_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "email": "ada@example.com", "role": "owner", "is_disabled": false, "joined_at": "2026-11-21T09:30:00.123456Z"}], "next_cursor": null}"#,
)]);

pub const CHANGE: Operation = Operation::new(
    "organization-members-change",
    Verb::Patch,
    "/api/v1/organizations/{id}/members/{user_id}",
    Access::Permission("members:manage"),
)
.audited()
.tag("organizations")
.summary("Change a member's role")
.details("It holds for every request of the member that begins after this answer. Invitations of theirs end that offer more than they now have. To make an owner, or give a role with all that an owner has, needs a session with a recent login.")
.path_parameter::<OrganizationId>("id")
.path_parameter::<UserId>("user_id")
.body::<MemberChange>(r#"{"role": "admin"}"#)
.answers(&[Answer::json::<Member>(
    200,
    "The member has the role.",
    r#"{"user_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "email": "ada@example.com", "role": "admin", "is_disabled": false, "joined_at": "2026-11-21T09:30:00.123456Z"}"#,
)])
.refuses(&[&ROLE_EXCEEDS_OWN, &LAST_OWNER, &SESSION_REQUIRED, &RECENT_LOGIN_REQUIRED]);

pub const REMOVE: Operation = Operation::new(
    "organization-members-remove",
    Verb::Delete,
    "/api/v1/organizations/{id}/members/{user_id}",
    Access::Permission("members:manage"),
)
.audited()
.tag("organizations")
.summary("Remove a member, or leave")
.details("A member's own session may do it without the permission. Ends the member's sessions and revokes their API keys in the organization.")
.path_parameter::<OrganizationId>("id")
.path_parameter::<UserId>("user_id")
.answers(&[Answer::json::<MemberRemoved>(
    200,
    "The member is removed.",
    r#"{"status": "removed"}"#,
)])
.refuses(&[&ROLE_EXCEEDS_OWN, &LAST_OWNER]);
