use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::mail::{MailAccepted, TOO_MANY_REQUESTS};
use shared::text::email::EmailAddress;

#[shared::body]
pub struct ForgottenPassword {
    pub email: EmailAddress,
}

pub const FORGOT: Operation = Operation::new(
    "auth-password-forgot",
    Verb::Post,
    "/api/v1/auth/password/forgot",
    Access::Public,
)
.audited()
.tag("auth")
.summary("Mail a link that resets the password")
.details(
    "Sends the link to the user who has the email, if anybody has. The answer is the same and takes \
     as long either way, so it tells nobody who has an account. The link works for an hour and \
     replaces earlier ones. An email that was sent many within the hour is sent no further one \
     while the last is new and unused, and that one stays good.",
)
.body::<ForgottenPassword>(r#"{"email": "ada@example.com"}"#)
.answers(&[Answer::json::<MailAccepted>(
    202,
    "Accepted, whether anybody has the email or not.",
    r#"{"status": "accepted"}"#,
)])
.refuses(&[&TOO_MANY_REQUESTS]);
