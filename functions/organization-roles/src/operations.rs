use shared::http::input::List;
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::problem::RECENT_LOGIN_REQUIRED;
use shared::ids::OrganizationId;
use shared::organizations::{Permission, ROLE_EXCEEDS_OWN, ROLE_IS_BUILT_IN, RoleName};

/// Most permissions in a role. There are fewer than that.
pub const MAX_PERMISSIONS: usize = 32;

/// How often a change begins anew because somebody else was just given the role.
pub const MAX_ATTEMPTS: u32 = 3;

/// A role and what it allows.
#[shared::answer(read)]
pub struct Role {
    name: RoleName,
    is_built_in: bool,
    permissions: Vec<Permission>,
}

#[shared::answer(read)]
pub struct RoleList {
    pub roles: Vec<Role>,
}

#[shared::answer(read)]
pub struct RoleDeleted {
    pub status: Deleted,
}

#[shared::answer(read)]
pub enum Deleted {
    Deleted,
}

/// What a role is to allow.
#[shared::body]
pub struct NewRole {
    /// Permissions that the caller holds and that are not the platform's. None is a role
    /// that only belongs.
    pub permissions: List<Permission, 0, MAX_PERMISSIONS>,
}

shared::refusals! {
    ROLE_LIMIT = 409 "role_limit", "The organization has as many roles as it can",
        "the organization has 100 roles of its own.";
    ROLE_IN_USE = 409 "role_in_use", "The role is in use",
        "a member or an invitation has the role. Give them another one first.";
    ROLE_WIDELY_HELD = 409 "role_widely_held", "Too many members hold the role",
        "more than 500 members hold the role. Make another, and move them.";
}

pub const LIST: Operation = Operation::new(
    "organization-roles",
    Verb::Get,
    "/api/v1/organizations/{id}/roles",
    Access::Permission("organization:read"),
)
.tag("organizations")
.summary("List the roles")
.details("The built-in roles, then the organization's own.")
.path_parameter::<OrganizationId>("id")
.answers(&[Answer::json::<RoleList>(
    200,
    "The roles that a member can hold.",
    r#"{"roles": [{"name": "member", "is_built_in": true, "permissions": ["credits:consume", "credits:read"]}]}"#,
)]);

pub const PUT: Operation = Operation::new(
    "organization-roles-put",
    Verb::Put,
    "/api/v1/organizations/{id}/roles/{name}",
    Access::SessionWith("roles:manage"),
)
.audited()
.tag("organizations")
.summary("Make or change a role")
.details(
    "New permissions hold for every request of the role's holders that begins after this answer. \
     To give a role all that an owner has needs a recent login.",
)
.path_parameter::<OrganizationId>("id")
.path_parameter::<RoleName>("name")
.body::<NewRole>(r#"{"permissions": ["audit:read"]}"#)
// Who holds the role, and the change, of each attempt.
.statements(2 * MAX_ATTEMPTS)
.answers(&[Answer::json::<Role>(
    200,
    "The role has the permissions.",
    r#"{"name": "auditor", "is_built_in": false, "permissions": ["audit:read"]}"#,
)])
.refuses(&[
    &ROLE_EXCEEDS_OWN,
    &ROLE_IS_BUILT_IN,
    &ROLE_LIMIT,
    &ROLE_WIDELY_HELD,
    &RECENT_LOGIN_REQUIRED,
]);

pub const DELETE: Operation = Operation::new(
    "organization-roles-delete",
    Verb::Delete,
    "/api/v1/organizations/{id}/roles/{name}",
    Access::SessionWith("roles:manage"),
)
.audited()
.tag("organizations")
.summary("Delete a role")
.path_parameter::<OrganizationId>("id")
.path_parameter::<RoleName>("name")
.answers(&[Answer::json::<RoleDeleted>(
    200,
    "The role is deleted.",
    r#"{"status": "deleted"}"#,
)])
.refuses(&[&ROLE_EXCEEDS_OWN, &ROLE_IS_BUILT_IN, &ROLE_IN_USE]);
