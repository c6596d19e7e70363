use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::problem::{RECENT_LOGIN_REQUIRED, SESSION_REQUIRED};
use shared::http::time::Time;
use shared::ids::{InvitationId, OrganizationId, UserId};
use shared::mail;
use shared::organizations::{ROLE_EXCEEDS_OWN, RoleName};
use shared::text::email::EmailAddress;

/// An invitation that can be accepted.
#[shared::answer(read)]
pub struct Invitation {
    id: InvitationId,
    email: String,
    role: RoleName,
    invited_by: UserId,
    created_at: Time,
    /// Until when it can be accepted.
    expires_at: Time,
}

#[shared::answer(read)]
pub struct InvitationList {
    pub invitations: Vec<Invitation>,
}

/// Whom to invite as what.
#[shared::body]
pub struct NewInvitation {
    pub email: EmailAddress,
    /// A role of the organization; any other is a 422.
    pub role: RoleName,
}

#[shared::answer(read)]
pub struct InvitationRevoked {
    pub status: InvitationRevocation,
}

#[shared::answer(read)]
pub enum InvitationRevocation {
    Revoked,
}

shared::refusals! {
    EMAIL_NOT_VERIFIED = 403 "email_not_verified", "Your email is not verified",
        "nobody has shown yet that the caller's email is theirs; POST /api/v1/auth/email/verification sends the link that does.";
    ALREADY_MEMBER = 409 "already_member", "The user is a member already",
        "a member has the email.";
    INVITATION_LIMIT = 409 "invitation_limit", "Too many invitations are pending",
        "100 invitations are pending.";
}

pub const LIST: Operation = Operation::new(
    "organization-invitations",
    Verb::Get,
    "/api/v1/organizations/{id}/invitations",
    Access::Permission("members:manage"),
)
.tag("organizations")
.summary("List the invitations")
.details("Those that can be accepted, at most 100.")
.path_parameter::<OrganizationId>("id")
.answers(&[Answer::json::<InvitationList>(
    200,
    "The invitations, newest first.",
    r#"{"invitations": [{"id": "ivt_0199a2c4e5669f708192a3b4c5d6e7f8", "email": "charles@example.com", "role": "member", "invited_by": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "created_at": "2026-11-21T09:30:00.123456Z", "expires_at": "2026-11-28T09:30:00.123456Z"}]}"#,
)]);

pub const CREATE: Operation = Operation::new(
    "organization-invitations-create",
    Verb::Post,
    "/api/v1/organizations/{id}/invitations",
    Access::Permission("members:manage"),
)
.audited()
.tag("organizations")
.summary("Invite somebody")
.details("Mails a token that can be accepted for seven days. An email that was invited before gets a new token, and the old one is dead; so after a 503 send this again. Whoever invites must have a verified email. To invite an owner, or into a role with all that an owner has, needs a session with a recent login. The invitation ends when whoever invited has less than it offers.")
.path_parameter::<OrganizationId>("id")
.body::<NewInvitation>(r#"{"email": "charles@example.com", "role": "member"}"#)
.answers(&[Answer::json::<Invitation>(
    201,
    "The email is invited.",
    r#"{"id": "ivt_0199a2c4e5669f708192a3b4c5d6e7f8", "email": "charles@example.com", "role": "member", "invited_by": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "created_at": "2026-11-21T09:30:00.123456Z", "expires_at": "2026-11-28T09:30:00.123456Z"}"#,
)])
.refuses(&[
    &EMAIL_NOT_VERIFIED,
    &ROLE_EXCEEDS_OWN,
    &ALREADY_MEMBER,
    &INVITATION_LIMIT,
    &SESSION_REQUIRED,
    &RECENT_LOGIN_REQUIRED,
    &mail::TOO_MANY_REQUESTS,
]);

pub const REVOKE: Operation = Operation::new(
    "organization-invitations-revoke",
    Verb::Delete,
    "/api/v1/organizations/{id}/invitations/{invitation_id}",
    Access::Permission("members:manage"),
)
.audited()
.tag("organizations")
.summary("Take an invitation back")
.path_parameter::<OrganizationId>("id")
.path_parameter::<InvitationId>("invitation_id")
.answers(&[Answer::json::<InvitationRevoked>(
    200,
    "It cannot be accepted any more.",
    r#"{"status": "revoked"}"#,
)])
.refuses(&[&ROLE_EXCEEDS_OWN]);
