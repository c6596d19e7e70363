//! The mail that Turnpike sends: which messages there are, and their texts.
//!
//! A message is stored as its kind, its token and its detail. Its text is rendered when
//! it is sent, so that no text with a secret in it is ever stored. A link carries its
//! token after a `#`. A browser does not send that part, so the token appears in no
//! server's log and in no Referer.

#[cfg(feature = "spin")]
pub mod outbox;

use serde_json::Value;

use crate::http::input;
use crate::http::problem::Problem;
use crate::text::layout;
use crate::token::{self, PresentedToken, TokenKind};

/// Most mails of one purpose to one recipient that one client address causes in an hour,
/// and most that all of them cause before mail is spaced out. A person who mistypes and
/// tries again needs two or three.
pub const MAX_PER_EMAIL_PER_HOUR: i32 = 5;

/// Most mails of one purpose that one client address causes in an hour: about three a
/// second. Behind a proxy that is not trusted all clients have one address, so a crowd
/// that signs up must fit. Mass mail must not.
pub const MAX_PER_ADDRESS_PER_HOUR: i32 = 10_000;

/// How long the link that verifies or changes an email works: a day, because mail may
/// wait in a queue or overnight.
pub const EMAIL_TTL_SECS: i32 = 24 * 60 * 60;

/// How long the link that resets a password works: an hour. Until then, anybody who
/// reads the mail can take over the account.
pub const RESET_TTL_SECS: i32 = 60 * 60;

/// How long the link works that gives a changed email back: a week, because whoever lost
/// their account may be away. Until then nobody else can have the email.
pub const UNDO_TTL_SECS: i32 = 7 * 24 * 60 * 60;

/// Longest token that is looked at, in characters. Ours have 95.
const MAX_TOKEN_CHARS: usize = 200;

/// Most characters that a message shows of a name. Somebody else chose that name.
const MAX_SHOWN_CHARS: usize = 100;

/// The kinds of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// To a new user: the link that proves their email.
    VerifyEmail,
    /// To the owner of an account whose email was used to sign up again.
    EmailTaken,
    /// The link that replaces a forgotten password.
    ResetPassword,
    /// To a user's new email: the link that confirms it.
    ChangeEmail,
    /// To a user's old email, after the change: the link that undoes it, if the old email had
    /// been proved to be theirs.
    EmailChanged,
    /// To a user whose password was changed or reset.
    PasswordChanged,
    /// To a user who signs in with a second factor from now on.
    SecondFactorEnabled,
    /// To a user who signs in without a second factor from now on.
    SecondFactorDisabled,
    /// To a user whose second factor the platform removes, because it was lost: when it will be off.
    SecondFactorRemoval,
    /// To a user for whom an API key was made: its name.
    ApiKeyCreated,
    /// To a user one of whose API keys was given a new secret: its name.
    ApiKeyRotated,
    /// To a user who signed in on a device that had not signed in before: where.
    NewDevice,
    /// To a user who signed in, or confirmed who they are, with a recovery code: how many are left.
    RecoveryCodeUsed,
    /// To a user whose recovery codes were replaced by new ones.
    RecoveryCodesReplaced,
    /// To somebody who is invited to an organization.
    Invitation,
    /// To the address that an alert names, when usage has reached a threshold.
    UsageAlert,
}

/// A message as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::VerifyEmail,
        Self::EmailTaken,
        Self::ResetPassword,
        Self::ChangeEmail,
        Self::EmailChanged,
        Self::PasswordChanged,
        Self::SecondFactorEnabled,
        Self::SecondFactorDisabled,
        Self::SecondFactorRemoval,
        Self::ApiKeyCreated,
        Self::ApiKeyRotated,
        Self::NewDevice,
        Self::RecoveryCodeUsed,
        Self::RecoveryCodesReplaced,
        Self::Invitation,
        Self::UsageAlert,
    ];

    /// The name under which a message of the kind is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::EmailTaken => "email_taken",
            Self::ResetPassword => "reset_password",
            Self::ChangeEmail => "change_email",
            Self::EmailChanged => "email_changed",
            Self::PasswordChanged => "password_changed",
            Self::SecondFactorEnabled => "second_factor_enabled",
            Self::SecondFactorDisabled => "second_factor_disabled",
            Self::SecondFactorRemoval => "second_factor_removal",
            Self::ApiKeyCreated => "api_key_created",
            Self::ApiKeyRotated => "api_key_rotated",
            Self::NewDevice => "new_device",
            Self::RecoveryCodeUsed => "recovery_code_used",
            Self::RecoveryCodesReplaced => "recovery_codes_replaced",
            Self::Invitation => "invitation",
            Self::UsageAlert => "usage_alert",
        }
    }

    /// The kind with that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The page of the console that the link leads to, for a kind with a link.
    const fn page(self) -> Option<&'static str> {
        match self {
            Self::VerifyEmail | Self::ChangeEmail => Some("verify-email"),
            Self::ResetPassword => Some("reset-password"),
            Self::Invitation => Some("accept-invitation"),
            Self::EmailChanged => Some("undo-email-change"),
            Self::EmailTaken
            | Self::PasswordChanged
            | Self::SecondFactorEnabled
            | Self::SecondFactorDisabled
            | Self::SecondFactorRemoval
            | Self::ApiKeyCreated
            | Self::ApiKeyRotated
            | Self::NewDevice
            | Self::RecoveryCodeUsed
            | Self::RecoveryCodesReplaced
            | Self::UsageAlert => None,
        }
    }
}

/// Renders the message of a kind. `token` is the token of its link, for a kind with a
/// link. `detail` is what else the kind tells.
pub fn render(kind: Kind, public_url: &str, token: Option<&str>, detail: &Value) -> Message {
    let base = public_url.trim_end_matches('/');
    let link = kind.page().map_or_else(String::new, |page| {
        format!("{base}/#/{page}?token={}", token.unwrap_or_default())
    });
    let (subject, text) = match kind {
        Kind::VerifyEmail => (
            "Confirm your email address".to_owned(),
            format!(
                "Welcome. Open this link to confirm that this email address is yours:\n\n{link}\n\n\
                 The link works once, for 24 hours. If you did not sign up, ignore this message."
            ),
        ),
        Kind::EmailTaken => (
            "You already have an account".to_owned(),
            format!(
                "Somebody, perhaps you, signed up with this email address, which has an account already. \
                 Nothing was changed.\n\nSign in at {base}/#/login, or reset your password at \
                 {base}/#/forgot-password.\n\nIf this was not you, ignore this message."
            ),
        ),
        Kind::ResetPassword => (
            "Reset your password".to_owned(),
            format!(
                "Open this link to choose a new password:\n\n{link}\n\n\
                 The link works once, for an hour. If you did not ask for it, ignore this message: \
                 your password stays as it is."
            ),
        ),
        Kind::ChangeEmail => (
            "Confirm your new email address".to_owned(),
            format!(
                "Open this link to sign in with this email address from now on:\n\n{link}\n\n\
                 The link works once, for 24 hours. If you did not ask for it, ignore this message."
            ),
        ),
        Kind::EmailChanged => (
            "Your email address was changed".to_owned(),
            format!(
                "Your account has another email address from now on, and this one does not sign in any more.\n\n{}",
                if token.is_none() {
                    "If this was not you, tell whoever runs this service at once.".to_owned()
                } else {
                    format!(
                        "If this was not you, open this link: it gives your account this address back, ends \
                         every session, and sends you a link to choose a new password:\n\n{link}\n\n\
                         The link works once, for 7 days. If it was you, ignore this message."
                    )
                }
            ),
        ),
        Kind::PasswordChanged => (
            "Your password was changed".to_owned(),
            notice(
                "The password of your account was replaced, and every other session was ended.",
                base,
            ),
        ),
        Kind::SecondFactorEnabled => (
            "Your second factor was turned on".to_owned(),
            notice(
                "To sign in to your account takes a code of your authenticator from now on.",
                base,
            ),
        ),
        Kind::SecondFactorDisabled => (
            "Your second factor was turned off".to_owned(),
            notice(
                "To sign in to your account takes nothing but the password from now on.",
                base,
            ),
        ),
        Kind::SecondFactorRemoval => (
            "Your second factor will be removed".to_owned(),
            format!(
                "Somebody told whoever runs this service that your second factor was lost. From {} on, signing in \
                 to your account will take nothing but the password.\n\nIf this was not you, sign in at \
                 {base}/#/login with your second factor or a recovery code: that keeps it. Then choose a new \
                 password, and tell whoever runs this service.",
                shown(detail, "due_at"),
            ),
        ),
        Kind::ApiKeyCreated => (
            "A new API key".to_owned(),
            notice(
                &format!(
                    "An API key with the name \"{}\" was made for your account.",
                    shown(detail, "name")
                ),
                base,
            ),
        ),
        Kind::ApiKeyRotated => (
            "An API key has a new secret".to_owned(),
            notice(
                &format!(
                    "The API key with the name \"{}\" of your account was given a new secret.",
                    shown(detail, "name")
                ),
                base,
            ),
        ),
        Kind::NewDevice => (
            "A sign-in from a new device".to_owned(),
            notice(
                &format!(
                    "Somebody signed in to your account with your password, on a device that had not signed in \
                     before.\n\nAddress: {}\nProgram: {}",
                    shown(detail, "address"),
                    shown(detail, "user_agent"),
                ),
                base,
            ),
        ),
        Kind::RecoveryCodeUsed => (
            "A recovery code was used".to_owned(),
            notice(
                &format!(
                    "One of your recovery codes took the place of your second factor. It works no more. Codes that \
                     are left: {}.",
                    shown(detail, "codes_left"),
                ),
                base,
            ),
        ),
        Kind::RecoveryCodesReplaced => (
            "Your recovery codes were replaced".to_owned(),
            notice(
                "Your account has new recovery codes, and the ones from before work no more.",
                base,
            ),
        ),
        Kind::Invitation => {
            let organization = shown(detail, "organization_name");
            (
                format!("You are invited to join {organization}"),
                format!(
                    "{} invites you to join {organization} as {}. Open this link to accept:\n\n{link}\n\n\
                     The link works once, for 7 days. If you did not expect it, ignore this message.",
                    shown(detail, "inviter_email"),
                    shown(detail, "role"),
                ),
            )
        }
        Kind::UsageAlert => usage_alert(detail),
    };
    Message { subject, text }
}

/// What has happened to an account, and what to do if it was somebody else.
fn notice(what: &str, base: &str) -> String {
    format!(
        "{what}\n\nIf this was not you, choose a new password at {base}/#/forgot-password, which ends every \
         session, and tell whoever runs this service."
    )
}

/// What an alert tells: the figures at the moment when it fired.
fn usage_alert(detail: &Value) -> (String, String) {
    let name = shown(detail, "alert_name");
    let threshold = shown(detail, "threshold");
    let subject = shown(detail, "subject");
    let whose = if subject.is_empty() {
        String::new()
    } else {
        format!(" of {subject}")
    };
    let text = format!(
        "What the meter {} of {} counted{whose} has reached {threshold} in {} ({}). It was {} then.\n\n\
         You are told once for each threshold and period, because the alert \"{name}\" names this address. \
         Whoever manages the alerts of the organization can archive it.",
        shown(detail, "meter"),
        shown(detail, "organization_name"),
        shown(detail, "period"),
        shown(detail, "time_zone"),
        shown(detail, "value"),
    );
    (format!("{name}: usage has reached {threshold}"), text)
}

/// Puts a text that somebody else chose on one line, and cuts it to the length of a
/// name. Otherwise it could add a header after a subject, or a message of its own to a
/// text.
fn shown(detail: &Value, member: &str) -> String {
    let text = detail.get(member).and_then(Value::as_str);
    text.unwrap_or_default()
        .chars()
        .map(|c| if layout::is_control(c) { ' ' } else { c })
        .take(MAX_SHOWN_CHARS)
        .collect()
}

crate::refusals! {
    /// A client's address caused as many mails, or a recipient was sent as many, as may be.
    TOO_MANY_REQUESTS = 429 "too_many_requests", "Too much mail was asked for",
        "as much mail was asked for within the hour as may be.";
}

crate::text_type! {
    /// The token of a link in a mail.
    MailToken, |text| input::line(text, 1..=MAX_TOKEN_CHARS).map(str::to_owned), {
        "type": "string", "minLength": 1, "maxLength": MAX_TOKEN_CHARS,
        "description": "The token of the link in the mail. It works once. One that is unknown, used, expired or replaced by a later one is invalid_or_expired.",
        "examples": ["tpe_AAAAAAAAAAAAAAAAAAAAAAGZosTh8Hs8jV5vcIGSo7Tjpu7fmL4PomeT6Xff1BnacXYY8AtaK1lIW0AU18D6thDbL-8"],
    }
}

impl MailToken {
    /// The token, to be looked up.
    ///
    /// # Errors
    /// [`invalid_token`] when it cannot be one of ours.
    pub fn presented(&self) -> Result<PresentedToken, Problem> {
        token::parse(TokenKind::Email, self).ok_or_else(invalid_token)
    }
}

/// What becomes of a wish for mail.
#[shared::answer]
pub enum MailStatus {
    /// Mail is sent, if there is anybody to send it to.
    Accepted,
}

/// Mail was asked for. Only its recipient learns whether any was sent.
#[shared::answer]
pub struct MailAccepted {
    /// Always the same.
    pub status: MailStatus,
}

impl MailAccepted {
    /// The answer, which is always the same.
    pub const ANSWER: Self = Self {
        status: MailStatus::Accepted,
    };
}

/// The problem of a statement that sends mail or spends a token of a mail, and refuses.
#[cfg(feature = "spin")]
pub fn refuse(refused: &crate::store::db::Refused) -> Option<Problem> {
    match refused.code.as_str() {
        "too_many_requests" => refused.fact("retry_after_secs").map(too_many_mails),
        "invalid_token" => Some(invalid_token()),
        _ => None,
    }
}

/// 429: as many mails were sent to a recipient, or caused by a client's address, as may
/// be.
pub fn too_many_mails(retry_after_secs: u32) -> Problem {
    Problem {
        retry_after_secs: Some(retry_after_secs),
        ..TOO_MANY_REQUESTS.because(format!("Try again in {retry_after_secs} seconds."))
    }
}

/// 422: a token from a mail does not work. The answer does not say whether it is
/// unknown, expired, used, or replaced by a later one.
pub fn invalid_token() -> Problem {
    Problem::invalid_field(
        "token",
        "invalid_or_expired",
        "is unknown, used or expired; ask for another mail",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_read_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.name()), Some(kind));
        }
        assert_eq!(Kind::parse("newsletter"), None);
    }

    #[test]
    fn messages() {
        let table = [
            (
                Kind::VerifyEmail,
                "Confirm your email address",
                "Welcome. Open this link to confirm that this email address is yours:\n\n\
                 https://pay.example/#/verify-email?token=tpe_x\n\n\
                 The link works once, for 24 hours. If you did not sign up, ignore this message.",
            ),
            (
                Kind::EmailTaken,
                "You already have an account",
                "Somebody, perhaps you, signed up with this email address, which has an account already. \
                 Nothing was changed.\n\n\
                 Sign in at https://pay.example/#/login, or reset your password at \
                 https://pay.example/#/forgot-password.\n\n\
                 If this was not you, ignore this message.",
            ),
            (
                Kind::ResetPassword,
                "Reset your password",
                "Open this link to choose a new password:\n\n\
                 https://pay.example/#/reset-password?token=tpe_x\n\n\
                 The link works once, for an hour. If you did not ask for it, ignore this message: \
                 your password stays as it is.",
            ),
            (
                Kind::ChangeEmail,
                "Confirm your new email address",
                "Open this link to sign in with this email address from now on:\n\n\
                 https://pay.example/#/verify-email?token=tpe_x\n\n\
                 The link works once, for 24 hours. If you did not ask for it, ignore this message.",
            ),
            (
                Kind::EmailChanged,
                "Your email address was changed",
                "Your account has another email address from now on, and this one does not sign in any more.\n\n\
                 If this was not you, open this link: it gives your account this address back, ends every \
                 session, and sends you a link to choose a new password:\n\n\
                 https://pay.example/#/undo-email-change?token=tpe_x\n\n\
                 The link works once, for 7 days. If it was you, ignore this message.",
            ),
            (
                Kind::PasswordChanged,
                "Your password was changed",
                "The password of your account was replaced, and every other session was ended.\n\n\
                 If this was not you, choose a new password at https://pay.example/#/forgot-password, which \
                 ends every session, and tell whoever runs this service.",
            ),
            (
                Kind::SecondFactorEnabled,
                "Your second factor was turned on",
                "To sign in to your account takes a code of your authenticator from now on.\n\n\
                 If this was not you, choose a new password at https://pay.example/#/forgot-password, which \
                 ends every session, and tell whoever runs this service.",
            ),
            (
                Kind::SecondFactorDisabled,
                "Your second factor was turned off",
                "To sign in to your account takes nothing but the password from now on.\n\n\
                 If this was not you, choose a new password at https://pay.example/#/forgot-password, which \
                 ends every session, and tell whoever runs this service.",
            ),
            (
                Kind::SecondFactorRemoval,
                "Your second factor will be removed",
                "Somebody told whoever runs this service that your second factor was lost. From \
                 2026-11-24T09:30:00.123456Z on, signing in to your account will take nothing but the password.\n\n\
                 If this was not you, sign in at https://pay.example/#/login with your second factor or a recovery \
                 code: that keeps it. Then choose a new password, and tell whoever runs this service.",
            ),
            (
                Kind::ApiKeyCreated,
                "A new API key",
                "An API key with the name \"CI\" was made for your account.\n\n\
                 If this was not you, choose a new password at https://pay.example/#/forgot-password, which \
                 ends every session, and tell whoever runs this service.",
            ),
            (
                Kind::ApiKeyRotated,
                "An API key has a new secret",
                "The API key with the name \"CI\" of your account was given a new secret.\n\n\
                 If this was not you, choose a new password at https://pay.example/#/forgot-password, which \
                 ends every session, and tell whoever runs this service.",
            ),
            (
                Kind::NewDevice,
                "A sign-in from a new device",
                "Somebody signed in to your account with your password, on a device that had not signed in \
                 before.\n\nAddress: 203.0.113.7\nProgram: curl/8.5\n\n\
                 If this was not you, choose a new password at https://pay.example/#/forgot-password, which \
                 ends every session, and tell whoever runs this service.",
            ),
            (
                Kind::RecoveryCodeUsed,
                "A recovery code was used",
                "One of your recovery codes took the place of your second factor. It works no more. Codes \
                 that are left: 7.\n\n\
                 If this was not you, choose a new password at https://pay.example/#/forgot-password, which \
                 ends every session, and tell whoever runs this service.",
            ),
            (
                Kind::RecoveryCodesReplaced,
                "Your recovery codes were replaced",
                "Your account has new recovery codes, and the ones from before work no more.\n\n\
                 If this was not you, choose a new password at https://pay.example/#/forgot-password, which \
                 ends every session, and tell whoever runs this service.",
            ),
            (
                Kind::Invitation,
                "You are invited to join Ada & Co",
                "ada@example.com invites you to join Ada & Co as admin. Open this link to accept:\n\n\
                 https://pay.example/#/accept-invitation?token=tpe_x\n\n\
                 The link works once, for 7 days. If you did not expect it, ignore this message.",
            ),
            (
                Kind::UsageAlert,
                "Budget: usage has reached 800000",
                "What the meter tokens of Ada & Co counted of cus_42 has reached 800000 in 2026-11 \
                 (Europe/Berlin). It was 800412.5 then.\n\n\
                 You are told once for each threshold and period, because the alert \"Budget\" names this \
                 address. Whoever manages the alerts of the organization can archive it.",
            ),
        ];
        assert_eq!(table.len(), Kind::ALL.len(), "every kind has its row");
        let detail = json!({
            "organization_name": "Ada & Co", "inviter_email": "ada@example.com", "role": "admin",
            "name": "CI", "address": "203.0.113.7", "user_agent": "curl/8.5", "codes_left": "7",
            "due_at": "2026-11-24T09:30:00.123456Z",
            "alert_name": "Budget", "meter": "tokens", "subject": "cus_42", "period": "2026-11",
            "time_zone": "Europe/Berlin", "threshold": "800000", "value": "800412.5",
        });
        for (kind, subject, text) in table {
            for url in ["https://pay.example", "https://pay.example/"] {
                let message = render(kind, url, Some("tpe_x"), &detail);
                assert_eq!(message.subject, subject, "{kind:?}");
                assert_eq!(message.text, text, "{kind:?}");
            }
        }
    }

    #[test]
    fn an_email_that_was_never_proved_gets_no_link_that_undoes() {
        let message = render(
            Kind::EmailChanged,
            "https://pay.example",
            None,
            &Value::Null,
        );
        assert_eq!(
            message.text,
            "Your account has another email address from now on, and this one does not sign in any more.\n\n\
             If this was not you, tell whoever runs this service at once."
        );
    }

    #[test]
    fn a_name_stays_on_its_line() {
        let detail =
            json!({"organization_name": format!("A\r\nBcc: eve@example.com {}", "x".repeat(500))});
        let message = render(Kind::Invitation, "", None, &detail);
        assert!(!message.subject.contains(['\r', '\n']), "{message:?}");
        assert!(message.subject.chars().count() <= 130, "{message:?}");
    }

    #[test]
    fn an_alert_on_all_usage_names_no_subject() {
        let detail = json!({"organization_name": "Ada & Co", "meter": "tokens", "subject": null,
                            "alert_name": "A\nB", "threshold": "1", "value": "2"});
        let message = render(Kind::UsageAlert, "", None, &detail);
        assert!(
            message
                .text
                .starts_with("What the meter tokens of Ada & Co counted has reached 1 in"),
            "{message:?}"
        );
        assert_eq!(message.subject, "A B: usage has reached 1");
    }
}
