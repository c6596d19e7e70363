use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::time::Time;
use shared::ids::{OrganizationId, SessionId, UserId};
use shared::organizations::Permission;

/// Whom a token or API key belongs to, and what it may do.
#[shared::answer(read)]
pub struct Me {
    pub user_id: UserId,
    pub email: String,
    /// Whether mail to the email was shown to arrive.
    pub email_verified: bool,
    /// Null for a user who belongs to none.
    pub organization_id: Option<OrganizationId>,
    /// Null with the organization.
    pub organization_name: Option<String>,
    /// Null for an API key.
    pub session_id: Option<SessionId>,
    /// What the credential may do, in alphabetical order.
    pub permissions: Vec<Permission>,
    /// When the user was registered.
    pub created_at: Time,
}

pub const READ: Operation = Operation::new("auth-me", Verb::Get, "/api/v1/auth/me", Access::User)
    .tag("auth")
    .summary("Show who a token or API key belongs to")
    .answers(&[Answer::json::<Me>(
        200,
        "The user, organization and permissions behind the token.",
        r#"{
            "user_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4",
            "email": "ada@example.com", "email_verified": true,
            "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5",
            "organization_name": "ada@example.com",
            "session_id": "ses_0199a2c4e2008d5eaf708192a3b4c5d6",
            "permissions": ["credits:consume", "credits:read"],
            "created_at": "2026-11-21T09:30:00.123456Z"
        }"#,
    )]);
