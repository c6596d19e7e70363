use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::problem::RECENT_LOGIN_REQUIRED;
use shared::mail::{MailAccepted, MailToken, TOO_MANY_REQUESTS};
use shared::text::email::EmailAddress;

/// The email that is to be the user's.
#[shared::body]
pub struct EmailChange {
    pub email: EmailAddress,
}

#[shared::body]
pub struct EmailConfirmation {
    pub token: MailToken,
}

#[shared::answer]
pub struct EmailVerified {
    pub status: EmailVerifiedStatus,
}

#[shared::answer]
pub enum EmailVerifiedStatus {
    Verified,
}

#[shared::answer]
pub struct EmailConfirmed {
    pub status: EmailConfirmedStatus,
}

/// What a token did.
#[shared::answer(read)]
pub enum EmailConfirmedStatus {
    Verified,
    Changed,
}

pub const CHANGE: Operation = Operation::new(
    "auth-email",
    Verb::Put,
    "/api/v1/auth/email",
    Access::Session,
)
.audited()
.tag("auth")
.summary("Change the email")
.details(
    "Sends a link to the new email. The email becomes the user's when the link is confirmed. An \
     email that somebody has gets the same answer and no mail. Needs a recent login. The user's own \
     email is a 422 with the code unchanged.",
)
.body::<EmailChange>(r#"{"email": "ada@example.org"}"#)
.answers(&[Answer::json::<MailAccepted>(
    202,
    "Accepted, whether the email is free or not.",
    r#"{"status": "accepted"}"#,
)])
.refuses(&[&RECENT_LOGIN_REQUIRED, &TOO_MANY_REQUESTS]);

pub const VERIFICATION: Operation = Operation::new(
    "auth-email-verification",
    Verb::Post,
    "/api/v1/auth/email/verification",
    Access::Session,
)
.audited()
.tag("auth")
.summary("Send the verification mail again")
.details("Replaces the link that was sent before.")
.answers(&[
    Answer::json::<EmailVerified>(
        200,
        "The email is verified already, and nothing is sent.",
        r#"{"status": "verified"}"#,
    ),
    Answer::json::<MailAccepted>(202, "The mail is on its way.", r#"{"status": "accepted"}"#),
])
.refuses(&[&TOO_MANY_REQUESTS]);

pub const CONFIRM: Operation = Operation::new(
    "auth-email-confirm",
    Verb::Post,
    "/api/v1/auth/email/confirm",
    Access::Public,
)
.audited()
.tag("auth")
.summary("Confirm an email")
.details(
    "Spends the token of a mail that verifies the email or changes it. After a change the old email \
     is told, and every link that was sent before is void.",
)
.body::<EmailConfirmation>(
    r#"{"token": "tpe_AAAAAAAAAAAAAAAAAAAAAAGZosTh8Hs8jV5vcIGSo7Tjpu7fmL4PomeT6Xff1BnacXYY8AtaK1lIW0AU18D6thDbL-8"}"#,
)
.answers(&[Answer::json::<EmailConfirmed>(
    200,
    "The email is verified, or changed.",
    r#"{"status": "verified"}"#,
)]);
