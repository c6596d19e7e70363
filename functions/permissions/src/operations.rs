use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::organizations::Permission;

/// A permission that a role can hold.
#[shared::answer(read)]
pub struct PermissionShown {
    name: Permission,
    description: String,
    /// Reaches across tenants, so that only a platform's role holds it.
    is_platform: bool,
}

#[shared::answer(read)]
pub struct PermissionList {
    permissions: Vec<PermissionShown>,
}

pub const LIST: Operation = Operation::new(
    "permissions",
    Verb::Get,
    "/api/v1/permissions",
    Access::User,
)
.tag("organizations")
.summary("List every permission")
.details("For every credential.")
.answers(&[Answer::json::<PermissionList>(
    200,
    "The permissions, by name.",
    r#"{"permissions": [{"name": "audit:read", "description": "Read the organization's audit log", "is_platform": false}]}"#,
)]);
