use shared::auth::hash_lease::TOO_MANY_HASHES;
use shared::auth::password::NewPassword;
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::mail::{MailStatus, TOO_MANY_REQUESTS};
use shared::text::email::EmailAddress;

/// Who is to be registered.
#[shared::body]
pub struct Signup {
    pub email: EmailAddress,
    pub password: NewPassword,
}

/// The same whether the email was free or not.
#[shared::answer]
pub struct SignupAccepted {
    pub status: MailStatus,
    /// The email as it is stored.
    pub email: String,
}

pub const SIGNUP: Operation = Operation::new(
    "auth-signup",
    Verb::Post,
    "/api/v1/auth/signup",
    Access::Public,
)
.audited()
.tag("auth")
.summary("Register a user")
.details(
    "Creates the user and an organization of their own, of which they are the owner. An email that \
     is registered already changes nothing and is answered alike, so the answer tells nobody who \
     has an account. Whoever has the email is sent the link that verifies it, or is told that they \
     have an account.",
)
.body::<Signup>(r#"{"email": "ada@example.com", "password": "correct horse battery"}"#)
.statements(2)
.answers(&[Answer::json::<SignupAccepted>(
    202,
    "Accepted, whether the email was free or not.",
    r#"{"status": "accepted", "email": "ada@example.com"}"#,
)])
.refuses(&[&TOO_MANY_REQUESTS, &TOO_MANY_HASHES]);
