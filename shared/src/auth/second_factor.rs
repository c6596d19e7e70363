//! The second factor of a request: a one-time code, or a recovery code in its place.
//!
//! [`Code::check`] says what a code proves. The statement that takes the [`Proof`]
//! makes sure that the code proves it only once.

use serde::Deserialize;
use serde::de::Error as _;
use uuid::Uuid;

use crate::auth::totp::{self, ENROLMENT_BYTES, RecoveryCode};
use crate::http::input::{self, Reader, Text};
use crate::ids::UserId;

crate::refusals! {
    /// What was asked for needs a second factor.
    TOTP_NOT_ENABLED = 409 "totp_not_enabled", "The second factor is off",
        "the second factor is off.";
}

/// Most characters of a code that are read. A recovery code has 11, and people add
/// spaces and hyphens.
pub const MAX_CODE_CHARS: usize = 64;

/// A code as a body gives it, in `totp_code` or `recovery_code`.
pub type CodeText = Text<1, MAX_CODE_CHARS>;

/// Random bytes that make each enrolment of a user different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enrolment(pub [u8; ENROLMENT_BYTES]);

/// The database writes an enrolment as 32 hexadecimal digits.
impl<'de> Deserialize<'de> for Enrolment {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        // A UUID also has 16 bytes, and its parser reads them without hyphens.
        let bytes = Uuid::try_parse(&digits).map_err(D::Error::custom)?;
        Ok(Self(bytes.into_bytes()))
    }
}

/// A code that was presented.
#[derive(Clone, PartialEq, Eq)]
pub enum Code {
    /// A one-time code from the authenticator.
    OneTime(String),
    /// A recovery code, which replaces a lost authenticator.
    Recovery(String),
}

/// Shows the kind of the code and not the code.
impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.field())
    }
}

/// What a correct code proves. The statement that relies on it spends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// The enrolment that the code was checked against.
    pub enrolment: Enrolment,
    /// The step or the recovery code that is spent.
    pub spent: Spent,
}

/// How the database identifies a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// The time step of a one-time code.
    Step(i64),
    /// The digest of a recovery code. It may be none of the user's codes.
    Recovery([u8; 32]),
}

/// Notes the mistake of a body that gives both codes, for the `check` of its type.
pub fn check_one(
    totp_code: Option<&CodeText>,
    recovery_code: Option<&CodeText>,
    reader: &mut Reader,
) {
    if totp_code.is_some() && recovery_code.is_some() {
        let invalid = input::Invalid::new("conflict", "must not be given with totp_code");
        reader.refuse_member("recovery_code", invalid);
    }
}

impl Code {
    /// The code of a body that gives one of both, if it gives one.
    pub fn given(totp_code: Option<CodeText>, recovery_code: Option<CodeText>) -> Option<Self> {
        let recovery = || recovery_code.map(|text| Self::Recovery(text.0));
        totp_code
            .map(|text| Self::OneTime(text.0))
            .or_else(recovery)
    }

    /// The field that carried the code.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::OneTime(_) => "totp_code",
            Self::Recovery(_) => "recovery_code",
        }
    }

    /// What the code proves at `unix_secs` for an enrolment of `user`. `None` if it is
    /// wrong. `master` is the deployment's secret.
    pub fn check(
        &self,
        master: &[u8],
        user: UserId,
        enrolment: Enrolment,
        unix_secs: u64,
    ) -> Option<Proof> {
        let spent = match self {
            Self::OneTime(code) => {
                let secret = totp::derive_secret(master, user, &enrolment.0);
                let step = totp::matching_step(&secret, code, unix_secs)?;
                Spent::Step(i64::try_from(step).ok()?)
            }
            Self::Recovery(code) => Spent::Recovery(RecoveryCode::parse(code)?.digest(user)),
        };
        Some(Proof { enrolment, spent })
    }
}

/// The parameters of `second_factor_spend`: the enrolment, the step and the digest.
#[cfg(feature = "spin")]
pub fn parameters(proof: Option<&Proof>) -> [crate::store::db::Parameter; 3] {
    let step = proof.and_then(|proof| match proof.spent {
        Spent::Step(step) => Some(step),
        Spent::Recovery(_) => None,
    });
    let digest = proof.and_then(|proof| match proof.spent {
        Spent::Step(_) => None,
        Spent::Recovery(digest) => Some(digest.to_vec()),
    });
    let enrolment = proof.map(|proof| proof.enrolment.0.to_vec());
    [enrolment.into(), step.into(), digest.into()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::totp::Digits;
    use serde_json::json;

    const ENROLMENT: Enrolment = Enrolment([0x5a; ENROLMENT_BYTES]);

    fn user() -> UserId {
        UserId::new(1_700_000_000_000, &[3; 10])
    }

    /// A body as sign-in has it.
    #[shared::body(check)]
    struct Codes {
        totp_code: Option<CodeText>,
        recovery_code: Option<CodeText>,
    }

    impl Codes {
        fn check(&self, reader: &mut Reader) {
            check_one(self.totp_code.as_ref(), self.recovery_code.as_ref(), reader);
        }
    }

    #[test]
    fn codes_are_read_and_refused_by_name() {
        let table = [
            (json!({}), Ok(None)),
            (json!({"totp_code": null}), Ok(None)),
            (
                json!({"totp_code": "123456"}),
                Ok(Some(Code::OneTime("123456".into()))),
            ),
            (
                json!({"recovery_code": "x"}),
                Ok(Some(Code::Recovery("x".into()))),
            ),
            (
                json!({"totp_code": "123456", "recovery_code": "x"}),
                Err(vec![("recovery_code", "conflict")]),
            ),
            (
                json!({"totp_code": 123_456, "recovery_code": ""}),
                Err(vec![
                    ("totp_code", "wrong_type"),
                    ("recovery_code", "wrong_length"),
                ]),
            ),
            (
                json!({"recovery_code": "x".repeat(MAX_CODE_CHARS + 1)}),
                Err(vec![("recovery_code", "wrong_length")]),
            ),
        ];
        for (body, expected) in table {
            let read = input::value_at::<Codes>(&body, "")
                .map(|codes| Code::given(codes.totp_code, codes.recovery_code));
            let read = read.map_err(|errors| {
                let named = errors.into_iter();
                named
                    .map(|e| (e.field.into_owned(), e.code))
                    .collect::<Vec<_>>()
            });
            let expected = expected.map_err(|errors| {
                let named = errors.into_iter();
                named
                    .map(|(field, code)| (field.to_owned(), code))
                    .collect::<Vec<_>>()
            });
            assert_eq!(read, expected, "{body}");
        }
    }

    #[test]
    fn a_one_time_code_proves_its_step_for_its_user_and_enrolment() {
        let unix_secs = 1_700_000_010;
        let secret = totp::derive_secret(b"master", user(), &ENROLMENT.0);
        let code = Code::OneTime(totp::totp(&secret, unix_secs, Digits::Six));
        let step = i64::try_from(totp::step_at(unix_secs)).expect("a step is small");
        let expected = Proof {
            enrolment: ENROLMENT,
            spent: Spent::Step(step),
        };
        let other = UserId::new(1_700_000_000_001, &[3; 10]);
        let table = [
            (&b"master"[..], user(), ENROLMENT, unix_secs, Some(expected)),
            (b"master", user(), ENROLMENT, unix_secs + 30, Some(expected)),
            (b"master", user(), ENROLMENT, unix_secs + 90, None),
            (b"other", user(), ENROLMENT, unix_secs, None),
            (b"master", other, ENROLMENT, unix_secs, None),
            (
                b"master",
                user(),
                Enrolment([1; ENROLMENT_BYTES]),
                unix_secs,
                None,
            ),
        ];
        for (master, user, enrolment, unix_secs, expected) in table {
            let proof = code.check(master, user, enrolment, unix_secs);
            assert_eq!(proof, expected, "{user} {enrolment:?} {unix_secs}");
        }
    }

    #[test]
    fn a_recovery_code_is_told_apart_by_user() {
        let check = |text: &str, user| {
            Code::Recovery(text.to_owned())
                .check(b"", user, ENROLMENT, 0)
                .map(|proof| proof.spent)
        };
        let spent = check("ABCDE-12345", user());
        assert!(matches!(spent, Some(Spent::Recovery(_))));
        assert_eq!(spent, check("abcde 12345", user()));
        assert_ne!(spent, check("ABCDE-12345", UserId::new(1, &[1; 10])));
        assert_eq!(check("ABCDE-1234", user()), None);
    }

    #[test]
    fn an_enrolment_is_read_from_hexadecimal_digits() {
        let read = |text: &str| serde_json::from_value::<Enrolment>(json!(text)).ok();
        assert_eq!(read(&"5a".repeat(16)), Some(ENROLMENT));
        assert_eq!(read(&"5a".repeat(15)), None);
    }
}
