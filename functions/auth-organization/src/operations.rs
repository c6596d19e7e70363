use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::problem;
use shared::ids::{OrganizationId, SessionId, UserId};

/// Where the session is to act.
#[shared::body]
pub struct OrganizationChange {
    /// One of the caller's organizations.
    pub organization_id: OrganizationId,
}

/// What the session is now, in the words of a login.
#[shared::answer(read)]
pub struct SessionOrganization {
    session_id: SessionId,
    user_id: UserId,
    organization_id: OrganizationId,
}

pub const CHANGE: Operation = Operation::new(
    "auth-organization",
    Verb::Put,
    "/api/v1/auth/organization",
    Access::Session,
)
.tag("organizations")
.summary("Act in another organization")
.details(
    "The session, with its access and refresh tokens, acts in the organization for every request \
     that begins after this answer.",
)
.body::<OrganizationChange>(r#"{"organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5"}"#)
.answers(&[Answer::json::<SessionOrganization>(
    200,
    "The session acts in the organization.",
    r#"{
        "session_id": "ses_0199a2c4e2008d5eaf708192a3b4c5d6",
        "user_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4",
        "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5"
    }"#,
)])
.refuses(&[&problem::NOT_FOUND]);
