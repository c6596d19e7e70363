use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::mail::MailToken;
use shared::organizations::Organization;

/// The invitation that is accepted.
#[shared::body]
pub struct Acceptance {
    /// From the mail. One that is unknown, taken back, replaced, expired, or used by somebody
    /// who is no member any more is a 422 with the code invalid_or_expired.
    pub token: MailToken,
}

shared::refusals! {
    WRONG_RECIPIENT = 403 "wrong_recipient", "The invitation is for another email",
        "the invitation is for another email.";
    ROLE_GONE = 409 "role_gone", "The role of the invitation is gone",
        "the role of the invitation is gone.";
}

pub const ACCEPT: Operation = Operation::new(
    "invitations-accept",
    Verb::Post,
    "/api/v1/invitations/accept",
    Access::Session,
)
.audited()
.tag("organizations")
.summary("Accept an invitation")
.details("The session's user must be the one whose email was invited. It works once; the same user who sends it again is answered alike while they are a member. The email counts as verified. The session goes on in its own organization.")
.body::<Acceptance>(
    r#"{"token": "tpe_AZmixOHxfE2eb3CBkqO0xQGZosTh8Hs8jV5vcIGSo7Tjpu7fmL4PomeT6Xff1BnacXYY8AtaK1lIW0AU18D6tttKk7Y"}"#,
)
.answers(&[Answer::json::<Organization>(
    200,
    "The user is a member.",
    r#"{"id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "name": "Analytical Engines", "role": "member", "time_zone": "Europe/Berlin", "created_at": "2026-11-21T09:30:00.123456Z"}"#,
)])
.refuses(&[&WRONG_RECIPIENT, &ROLE_GONE]);
