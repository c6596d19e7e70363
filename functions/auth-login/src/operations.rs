use shared::auth::hash_lease::TOO_MANY_HASHES;
use shared::auth::lockout::TOO_MANY_ATTEMPTS;
use shared::auth::password::Password;
use shared::auth::second_factor::{self, CodeText};
use shared::auth::session::SIGNED_IN;
use shared::http::input::Reader;
use shared::http::operation::{Access, Operation, Verb};
use shared::http::problem::Problem;
use shared::text::email::EmailAddress;

/// Who signs in, and how they prove it.
#[shared::body(check)]
pub struct Login {
    pub email: EmailAddress,
    pub password: Password,
    /// The six digits that the authenticator shows. They work once, and half a minute
    /// early or late.
    pub totp_code: Option<CodeText>,
    /// A recovery code in place of totp_code, in upper or lower case, with or without
    /// its hyphen. Not along with totp_code (conflict).
    pub recovery_code: Option<CodeText>,
    /// For browsers: true sets the tokens as cookies that no script reads, and leaves
    /// them out of the body.
    pub cookie: Option<bool>,
}

impl Login {
    fn check(&self, reader: &mut Reader) {
        second_factor::check_one(self.totp_code.as_ref(), self.recovery_code.as_ref(), reader);
    }
}

shared::refusals! {
    INVALID_CREDENTIALS = 401 "invalid_credentials", "The email or password is wrong",
        "the email is unknown, the password is wrong, or the user is disabled; the failure is counted.";
    SECOND_FACTOR_REQUIRED = 401 "second_factor_required", "A second factor is required",
        "the password is right and the user has a second factor, but neither totp_code nor recovery_code was sent; nothing is counted.";
    INVALID_SECOND_FACTOR = 401 "invalid_second_factor", "The second factor is wrong",
        "the code is wrong, too old, or was used before; the failure is counted.";
}

pub fn invalid_credentials() -> Problem {
    INVALID_CREDENTIALS.because("No user has this email and password.")
}

/// The password was right. Nothing was counted, and no session opened.
pub fn second_factor_required() -> Problem {
    SECOND_FACTOR_REQUIRED
        .because("Send totp_code or recovery_code along with the email and the password.")
}

pub fn invalid_second_factor() -> Problem {
    INVALID_SECOND_FACTOR.because("The code is wrong, too old, or was used before.")
}

pub const LOGIN: Operation = Operation::new(
    "auth-login",
    Verb::Post,
    "/api/v1/auth/login",
    Access::Public,
)
.audited()
.tag("auth")
.summary("Sign in")
.details(
    "Checks the password and opens a session in the user's oldest organization, or in none for a \
     user who belongs to none. The access token lives for 15 minutes, the refresh token for 30 days. After 5 wrong guesses in a row at an \
     email, known or not, the address that guesses waits for it: for 1 second, then 2, 4 and so on \
     up to 900. After 300 an address waits for all. A right guess or an hour without any ends the \
     count. Nobody else waits. The login sets a cookie by which it knows the device again: one that \
     is shown is counted by itself, whatever strangers and its address did. A user with a second factor sends totp_code or recovery_code too. A user \
     without one is not asked, and a code of theirs is not looked at.",
)
.body::<Login>(r#"{"email": "ada@example.com", "password": "correct horse battery"}"#)
.statements(6)
.answers(&[SIGNED_IN])
.refuses(&[
    &INVALID_CREDENTIALS,
    &SECOND_FACTOR_REQUIRED,
    &INVALID_SECOND_FACTOR,
    &TOO_MANY_ATTEMPTS,
    &TOO_MANY_HASHES,
]);
