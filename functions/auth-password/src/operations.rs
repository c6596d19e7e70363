use shared::auth::hash_lease::TOO_MANY_HASHES;
use shared::auth::lockout::TOO_MANY_ATTEMPTS;
use shared::auth::password::{NewPassword, Password, PasswordChanged};
use shared::http::operation::{Access, Answer, Operation, Verb};

#[shared::body]
pub struct PasswordChange {
    /// The present password, whatever the credential.
    pub current_password: Password,
    pub new_password: NewPassword,
}

pub const CHANGE: Operation = Operation::new(
    "auth-password",
    Verb::Put,
    "/api/v1/auth/password",
    Access::Session,
)
.audited()
.tag("auth")
.summary("Change the password")
.details(
    "Ends every other session of the user, and the links, invitations and API keys that those made. \
     A wrong current password is a 422 that names current_password with the code wrong, and counts \
     against the sign-in alone. Every device that the user signed in from is forgotten but this one, \
     whose cookie is set anew.",
)
.body::<PasswordChange>(
    r#"{"current_password": "correct horse battery", "new_password": "staple of a new battery"}"#,
)
.statements(3)
.answers(&[Answer::json::<PasswordChanged>(
    200,
    "The password is changed.",
    r#"{"status": "changed"}"#,
)
.with_cookies()])
.refuses(&[&TOO_MANY_ATTEMPTS, &TOO_MANY_HASHES]);
