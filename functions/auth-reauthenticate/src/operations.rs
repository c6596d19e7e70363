use shared::auth::hash_lease::TOO_MANY_HASHES;
use shared::auth::lockout::TOO_MANY_ATTEMPTS;
use shared::auth::password::Password;
use shared::auth::second_factor::{self, CodeText};
use shared::http::input::{Invalid, Reader};
use shared::http::operation::{Access, Answer, Operation, Verb};

/// What proves who the caller is: a password, a code, or both.
#[shared::body(check)]
pub struct Reauthentication {
    /// Required of a user without a second factor.
    pub password: Option<Password>,
    /// The six digits that the authenticator shows. They work once, and half a minute
    /// early or late.
    pub totp_code: Option<CodeText>,
    /// A recovery code in place of totp_code, in upper or lower case, with or without
    /// its hyphen. Not along with totp_code (conflict).
    pub recovery_code: Option<CodeText>,
}

impl Reauthentication {
    fn check(&self, reader: &mut Reader) {
        let (totp_code, recovery_code) = (self.totp_code.as_ref(), self.recovery_code.as_ref());
        second_factor::check_one(totp_code, recovery_code, reader);
        if self.password.is_none() && totp_code.is_none() && recovery_code.is_none() {
            reader.refuse_member("password", Invalid::new("required", "is required"));
        }
    }
}

#[shared::answer(read)]
pub struct Reauthenticated {
    status: ReauthenticatedStatus,
    /// Seconds for which the session may make sensitive changes.
    valid_for_secs: u32,
}

#[shared::answer(read)]
pub enum ReauthenticatedStatus {
    Confirmed,
}

pub const REAUTHENTICATE: Operation = Operation::new(
    "auth-reauthenticate",
    Verb::Post,
    "/api/v1/auth/reauthenticate",
    Access::Session,
)
.audited()
.tag("auth")
.summary("Prove again who one is")
.details(
    "The session may make sensitive changes for 10 minutes. Without that, each of them answers \
     recent_login_required. A user without a second factor sends the password. A user with one sends \
     totp_code or recovery_code, and may send the password too. Whatever is sent must be right: a \
     wrong password or code is a 422 that names it with the code wrong, and counts against the \
     sign-in alone.",
)
.body::<Reauthentication>(r#"{"password": "correct horse battery"}"#)
.statements(4)
.answers(&[Answer::json::<Reauthenticated>(
    200,
    "The session may make sensitive changes.",
    r#"{"status": "confirmed", "valid_for_secs": 600}"#,
)])
.refuses(&[&TOO_MANY_ATTEMPTS, &TOO_MANY_HASHES]);
