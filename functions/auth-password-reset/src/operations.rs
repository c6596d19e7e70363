use shared::auth::hash_lease::TOO_MANY_HASHES;
use shared::auth::password::{NewPassword, PasswordChanged};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::mail::MailToken;

#[shared::body]
pub struct PasswordReset {
    pub token: MailToken,
    pub new_password: NewPassword,
}

pub const RESET: Operation = Operation::new(
    "auth-password-reset",
    Verb::Post,
    "/api/v1/auth/password/reset",
    Access::Public,
)
.audited()
.tag("auth")
.summary("Replace a forgotten password")
.details(
    "Spends the token of a reset mail, sets the password, verifies the email and ends every session \
     of the user, with every pending link and with the invitations, API keys and unconfirmed second \
     factor that those sessions made. A second factor in force stays, and so do other API keys. If the \
     email was never verified before, the account becomes new: its second factor, recovery codes and API \
     keys end.",
)
.body::<PasswordReset>(
    r#"{"token": "tpe_AAAAAAAAAAAAAAAAAAAAAAGZosTh8Hs8jV5vcIGSo7Tjpu7fmL4PomeT6Xff1BnacXYY8AtaK1lIW0AU18D6thDbL-8", "new_password": "staple of a new battery"}"#,
)
.statements(2)
.answers(&[Answer::json::<PasswordChanged>(
    200,
    "The password is changed.",
    r#"{"status": "changed"}"#,
)])
.refuses(&[&TOO_MANY_HASHES]);
