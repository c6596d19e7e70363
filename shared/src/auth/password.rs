//! Password hashing: Argon2id (RFC 9106) with the parameters that OWASP lists.
//!
//! A password is text, not bytes: two systems may send different code points for the
//! same keys. So both sides are converted to Unicode's form NFKC first (NIST SP
//! 800-63B, section 5.1.1.2).

mod first_guesses;

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, Version};
use icu_normalizer::ComposingNormalizerBorrowed;

use crate::http::input::{self, FromText, Invalid};
use crate::http::problem::Problem;
use crate::text::email::EmailAddress;

/// Memory in KiB: 7 MiB. OWASP considers it with five passes as strong as 19 MiB with
/// two. In wasm it is a fifth faster (docs/decisions/0011).
pub const MEMORY_KIB: u32 = 7 * 1024;
/// Passes over the memory.
pub const PASSES: u32 = 5;
/// Lanes. A component has one thread, so more would only be slower.
pub const LANES: u32 = 1;
/// Bytes of salt (RFC 9106, section 3.1, recommends 16).
pub const SALT_BYTES: usize = 16;
/// Bytes of output: 256 bits, the library's default and twice what is needed.
const OUTPUT_BYTES: usize = 32;

/// Fewest characters in a password (NIST SP 800-63B, section 5.1.1.2), counted
/// after normalization.
pub const MIN_CHARS: usize = 8;
/// Most characters in a password, counted after normalization. A passphrase fits, and
/// the work for one request is bounded.
pub const MAX_CHARS: usize = 128;
/// Most characters of a presented password that are read before normalization. The
/// longest canonical decomposition has four, so this is 4 times [`MAX_CHARS`].
pub const MAX_PRESENTED_CHARS: usize = 4 * MAX_CHARS;
/// Most bytes of a normalized password: [`MAX_CHARS`] of at most four in UTF-8.
const MAX_BYTES: usize = 4 * MAX_CHARS;

/// A hash to verify against when the user does not exist, so that a login with an
/// unknown email costs as much as one with a known email. Its salt and output were
/// drawn at random, not computed from a password.
pub const NOBODY: &str = "$argon2id$v=19$m=7168,t=5,p=1$\
     c3RhbmRzLWZvci1ub2JvZA$\
     xKq0m0H2cJ8Yw3n5Tz7r1vBdEo9uLsGfPiQ4aXhN6Vk";

/// Why a text may not become a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordError {
    /// Fewer than [`MIN_CHARS`] or more than [`MAX_CHARS`].
    WrongLength,
    /// It is one of the passwords that are tried first.
    TooCommon,
    /// It is the email, or the part before the `@`.
    EqualsEmail,
}

impl PasswordError {
    /// The stable code of a field error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::WrongLength => "wrong_length",
            Self::TooCommon => "too_common",
            Self::EqualsEmail => "equals_email",
        }
    }

    /// The problem of a body that has the text as `field`.
    pub fn problem(self, field: &'static str) -> Problem {
        Problem::invalid_field(field, self.code(), self.to_string())
    }
}

impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongLength => write!(f, "must have {MIN_CHARS} to {MAX_CHARS} characters"),
            Self::TooCommon => f.write_str("is one of the most common passwords"),
            Self::EqualsEmail => f.write_str("must not be the email or its first part"),
        }
    }
}

impl std::error::Error for PasswordError {}

impl From<PasswordError> for Invalid {
    fn from(error: PasswordError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// A normalized password that is about to be hashed or verified. A body has one where
/// somebody presents their password.
#[derive(Clone)]
pub struct Password(String);

/// Shows that there is a password and not which.
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl Password {
    /// A password that somebody presents, of any length. If it is longer than a
    /// password can be, it is cut where it has become too long. It still matches
    /// nothing, and it costs no more than any other.
    pub fn presented(text: &str) -> Self {
        Self(normalize(text))
    }
}

impl FromText for Password {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        input::length(text, 1..=MAX_PRESENTED_CHARS).map(Self::presented)
    }
}

crate::describe!(Password as "Password", {
    "type": "string", "minLength": 1, "maxLength": MAX_PRESENTED_CHARS,
    "description": "A password that is shorter or longer than sign-up allows is wrong, and not invalid.",
    "examples": ["correct horse battery"],
});

/// A password that somebody chose. It breaks no rule, except that it may be the email of
/// its owner.
#[derive(Debug, Clone)]
pub struct NewPassword(Password);

impl NewPassword {
    /// A password that somebody chose, at sign-up or for a change.
    ///
    /// # Errors
    /// [`PasswordError::WrongLength`] or [`PasswordError::TooCommon`].
    pub fn parse(text: &str) -> Result<Self, PasswordError> {
        let password = Password::presented(text);
        if !(MIN_CHARS..=MAX_CHARS).contains(&password.0.chars().count()) {
            return Err(PasswordError::WrongLength);
        }
        if first_guesses::contains(&password.0.to_lowercase()) {
            return Err(PasswordError::TooCommon);
        }
        Ok(Self(password))
    }

    /// The password, which the owner of `email` chose.
    ///
    /// # Errors
    /// [`PasswordError::EqualsEmail`].
    pub fn of(self, email: &EmailAddress) -> Result<Password, PasswordError> {
        let lower = self.0.0.to_lowercase();
        let local = email
            .as_str()
            .split_once('@')
            .map_or("", |(local, _)| local);
        let is_address = EmailAddress::parse(&self.0.0).is_ok_and(|address| address == *email);
        if is_address || lower == local {
            return Err(PasswordError::EqualsEmail);
        }
        Ok(self.0)
    }
}

impl FromText for NewPassword {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        Ok(Self::parse(text)?)
    }
}

crate::describe!(NewPassword as "NewPassword", {
    "type": "string", "minLength": 1, "maxLength": MAX_PRESENTED_CHARS,
    "description": "8 to 128 characters after normalization (NFKC), without NUL. In upper or lower case, it must not be the email or the part before its @ (equals_email), nor one of the most common passwords (too_common).",
    "examples": ["correct horse battery"],
});

/// What happened to a password.
#[shared::answer(read)]
pub enum PasswordStatus {
    /// It is another one from now on.
    Changed,
}

/// A password was replaced.
#[shared::answer(read)]
pub struct PasswordChanged {
    status: PasswordStatus,
}

impl PasswordChanged {
    /// The answer, which is always the same.
    pub const ANSWER: Self = Self {
        status: PasswordStatus::Changed,
    };
}

/// The NFKC form (Unicode Standard Annex 15) of `text`, up to and including the first
/// character that makes it too long for a password. One character can become eighteen.
fn normalize(text: &str) -> String {
    let mut normalized = String::with_capacity(text.len().min(MAX_BYTES));
    for c in ComposingNormalizerBorrowed::new_nfkc().normalize_iter(text.chars()) {
        normalized.push(c);
        if normalized.len() > MAX_BYTES {
            break;
        }
    }
    normalized
}

/// Hashing failed. Valid parameters and a 16-byte salt rule that out.
#[derive(Debug)]
pub struct HashingFailed;

impl fmt::Display for HashingFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the password could not be hashed")
    }
}

impl std::error::Error for HashingFailed {}

/// The password's hash as a PHC string: `$argon2id$v=19$m=..,t=..,p=..$salt$hash`.
/// `pepper` is a secret that the database does not hold (RFC 9106, section 3.1, calls
/// it K). An empty pepper means none.
///
/// # Errors
/// [`HashingFailed`] if there is not enough memory.
pub fn hash(
    password: &Password,
    salt: &[u8; SALT_BYTES],
    pepper: &[u8],
) -> Result<String, HashingFailed> {
    let params =
        Params::new(MEMORY_KIB, PASSES, LANES, Some(OUTPUT_BYTES)).map_err(|_| HashingFailed)?;
    Argon2::new_with_secret(pepper, Algorithm::Argon2id, Version::V0x13, params)
        .map_err(|_| HashingFailed)?
        .hash_password_with_salt(password.0.as_bytes(), salt)
        .map(|hash: PasswordHash| hash.to_string())
        .map_err(|_| HashingFailed)
}

/// Whether `phc` is a hash of `password` with the same pepper. The parameters come from
/// the stored hash. A stored hash that cannot be read matches nothing.
pub fn verify(password: &Password, phc: &str, pepper: &[u8]) -> bool {
    let Ok(stored) = PasswordHash::new(phc) else {
        return false;
    };
    // The algorithm, version and parameters given here are not used.
    Argon2::new_with_secret(
        pepper,
        Algorithm::Argon2id,
        Version::V0x13,
        Params::default(),
    )
    .is_ok_and(|argon2| {
        argon2
            .verify_password(password.0.as_bytes(), &stored)
            .is_ok()
    })
}

/// Whether `phc` was made with other than today's algorithm and parameters. If so, a
/// login should store a new hash, because the password is known only then. The hash
/// does not show which pepper was used.
pub fn needs_rehash(phc: &str) -> bool {
    let Ok(stored) = PasswordHash::new(phc) else {
        return true;
    };
    let is_todays = stored.algorithm == ARGON2ID_IDENT
        && stored.version == Some(Version::V0x13.into())
        && Params::try_from(&stored).is_ok_and(|params| {
            params.m_cost() == MEMORY_KIB && params.t_cost() == PASSES && params.p_cost() == LANES
        })
        && stored.salt.is_some_and(|salt| salt.len() >= SALT_BYTES)
        && stored.hash.is_some_and(|hash| hash.len() == OUTPUT_BYTES);
    !is_todays
}

#[cfg(test)]
mod tests;
