use shared::auth::lockout::TOO_MANY_ATTEMPTS;
use shared::auth::second_factor::{CodeText, TOTP_NOT_ENABLED};
use shared::auth::totp::{RECOVERY_CODES, RecoveryCode};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::problem::RECENT_LOGIN_REQUIRED;

/// Whether the second factor is on.
#[shared::answer(read)]
pub struct SecondFactorState {
    enabled: bool,
    /// Recovery codes that were not used.
    recovery_codes_left: u32,
}

#[shared::answer]
pub struct TotpEnrolled {
    /// The secret in base32, for an authenticator without a camera.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("pattern" = "^[A-Z2-7]{32}$")))]
    pub secret: String,
    /// What the QR code for an authenticator says.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("pattern" = "^otpauth://totp/")))]
    pub uri: String,
}

#[shared::body]
pub struct TotpConfirmation {
    /// The six digits that the authenticator shows.
    pub code: CodeText,
}

#[shared::answer]
pub struct RecoveryCodes {
    /// They are shown this once.
    pub recovery_codes: [RecoveryCode; RECOVERY_CODES],
}

#[shared::answer(read)]
pub struct TotpDisabled {
    status: TotpDisabledStatus,
}

#[shared::answer(read)]
pub enum TotpDisabledStatus {
    Disabled,
}

shared::refusals! {
    TOTP_ENABLED = 409 "totp_enabled", "The second factor is on already",
        "the second factor is on already.";
    TOTP_NOT_ENROLLED = 409 "totp_not_enrolled", "There is no enrolment to confirm",
        "there is no enrolment, or it is older than an hour.";
}

/// An answer with recovery codes.
const CODES: &str = r#"{"recovery_codes": ["7K2MP-Q9XTA", "B4NZD-0WHEC", "Y6RGS-3VJ1F", "58TQA-MXK7P", "C2D9H-ZEWN4", "JG0RV-6BS3Y", "QT1XM-F8KA5", "4PHCD-WN72E", "9ZVB6-RS0GJ", "MX3TK-Y5QAF"]}"#;

pub const READ: Operation =
    Operation::new("auth-totp", Verb::Get, "/api/v1/auth/totp", Access::Session)
        .tag("auth")
        .summary("Tell whether the second factor is on")
        .answers(&[Answer::json::<SecondFactorState>(
            200,
            "Whether it is on, and how many recovery codes are left.",
            r#"{"enabled": true, "recovery_codes_left": 9}"#,
        )]);

pub const ENROL: Operation = Operation::new(
    "auth-totp-enrol",
    Verb::Post,
    "/api/v1/auth/totp",
    Access::Session,
)
.audited()
.tag("auth")
.summary("Begin to enrol an authenticator")
.details(
    "Draws a secret, in place of one that was not confirmed. Sign-in asks for nothing until a first \
     code is confirmed, which must happen within an hour. Needs a recent login. The request has no \
     body.",
)
.statements(2)
.answers(&[Answer::json::<TotpEnrolled>(
    201,
    "The secret, shown this once.",
    r#"{"secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "uri": "otpauth://totp/Turnpike:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Turnpike&algorithm=SHA1&digits=6&period=30"}"#,
)])
.refuses(&[&RECENT_LOGIN_REQUIRED, &TOTP_ENABLED]);

pub const DISABLE: Operation = Operation::new(
    "auth-totp-disable",
    Verb::Delete,
    "/api/v1/auth/totp",
    Access::Session,
)
.audited()
.tag("auth")
.summary("Turn the second factor off")
.details(
    "Ends the enrolment and its recovery codes. Needs a recent login, and a user with a second \
     factor used it for that. The answer is the same when the second factor is off already.",
)
.answers(&[Answer::json::<TotpDisabled>(
    200,
    "The second factor is off.",
    r#"{"status": "disabled"}"#,
)])
.refuses(&[&RECENT_LOGIN_REQUIRED]);

pub const CONFIRM: Operation = Operation::new(
    "auth-totp-confirm",
    Verb::Post,
    "/api/v1/auth/totp/confirm",
    Access::Session,
)
.audited()
.tag("auth")
.summary("Turn the second factor on")
.details(
    "Takes a first code of the enrolled authenticator, and answers with ten recovery codes. From \
     then on a login asks for a second factor. The user's other sessions live on, but each must \
     reauthenticate with a code before a sensitive change. A wrong code is a 422 that names code \
     with the code wrong, and counts against the sign-in alone.",
)
.body::<TotpConfirmation>(r#"{"code": "287082"}"#)
.statements(3)
.answers(&[Answer::json::<RecoveryCodes>(
    200,
    "The second factor is on.",
    CODES,
)])
.refuses(&[&TOTP_NOT_ENROLLED, &TOTP_ENABLED, &TOO_MANY_ATTEMPTS]);

pub const REPLACE_RECOVERY_CODES: Operation = Operation::new(
    "auth-totp-recovery-codes",
    Verb::Post,
    "/api/v1/auth/totp/recovery-codes",
    Access::Session,
)
.audited()
.tag("auth")
.summary("Replace the recovery codes")
.details("The old ones no longer work. Needs a recent login. The request has no body.")
.answers(&[Answer::json::<RecoveryCodes>(200, "The new ones.", CODES)])
.refuses(&[&RECENT_LOGIN_REQUIRED, &TOTP_NOT_ENABLED]);
