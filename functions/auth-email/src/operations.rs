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

/// The link that was sent to the email of before.
#[shared::body]
pub struct EmailUndoing {
    pub token: MailToken,
}

#[shared::answer]
pub struct EmailUndone {
    pub status: EmailUndoneStatus,
}

#[shared::answer]
pub enum EmailUndoneStatus {
    Undone,
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
    "Spends the token of a mail that verifies the email or changes it. After a change every other \
     session than the one that asked for it ends, every link that was sent before is void, and the old \
     email is told. If it had been verified, it is sent a link that undoes the change, for 7 days, \
     within which nobody else can have it.",
)
.body::<EmailConfirmation>(
    r#"{"token": "tpe_AAAAAAAAAAAAAAAAAAAAAAGZosTh8Hs8jV5vcIGSo7Tjpu7fmL4PomeT6Xff1BnacXYY8AtaK1lIW0AU18D6thDbL-8"}"#,
)
.statements(2)
.answers(&[Answer::json::<EmailConfirmed>(
    200,
    "The email is verified, or changed.",
    r#"{"status": "verified"}"#,
)]);

pub const UNDO: Operation = Operation::new(
    "auth-email-undo",
    Verb::Post,
    "/api/v1/auth/email/undo",
    Access::Public,
)
.audited()
.tag("auth")
.summary("Undo a change of the email")
.details(
    "Spends the token of the mail that told the old email of its change. The account has that email \
     again, whatever it was changed to since. Every session ends, with all that is pending and every \
     API key; a second factor ends that was put in force since the change was asked for, or by the \
     session that asked; the password opens nothing any more, and a link that sets another is sent to \
     the email.",
)
.body::<EmailUndoing>(
    r#"{"token": "tpe_AAAAAAAAAAAAAAAAAAAAAAGZosTh8Hs8jV5vcIGSo7Tjpu7fmL4PomeT6Xff1BnacXYY8AtaK1lIW0AU18D6thDbL-8"}"#,
)
.statements(2)
.answers(&[Answer::json::<EmailUndone>(
    200,
    "The account has the email again. The link that sets a password is on its way.",
    r#"{"status": "undone"}"#,
)]);
