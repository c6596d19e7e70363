//! One-time codes (HOTP, RFC 4226; TOTP, RFC 6238) and the recovery codes that
//! stand in for a lost authenticator.
//!
//! The parameters are those every authenticator app assumes: SHA-1, 30 seconds,
//! six digits. SHA-1's collisions do not matter here, because HMAC does not
//! rest on collision resistance.
//!
//! Nothing here enforces single use. The caller stores the step that [`matching_step`]
//! returns and the digests of the recovery codes, and accepts each only once. A step
//! must be greater than the last one used; the statement that checks this also records
//! the step.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use crate::auth::derived_key;
use crate::ids::UserId;

/// Bytes of a secret: 160 bits, the length of a SHA-1 (RFC 4226, section 4, R6).
pub const SECRET_BYTES: usize = 20;
/// Random bytes that make each enrolment of a user different.
pub const ENROLMENT_BYTES: usize = 16;
/// How long a code is shown (RFC 6238, section 5.2).
pub const STEP_SECS: u64 = 30;
/// How many steps a clock may be off in either direction. Three codes of a million are
/// then correct at any time, so the caller must limit guesses.
pub const WINDOW_STEPS: u64 = 1;

/// How many digits a code has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digits {
    /// As authenticator apps show.
    Six = 6,
    /// As in the test vectors of RFC 6238.
    Eight = 8,
}

impl Digits {
    const fn count(self) -> usize {
        self as usize
    }
}

/// The secret of one enrolment: HMAC-SHA256 of user and enrolment under `master`, cut
/// to 20 bytes. It is computed when it is needed and stored nowhere. A new `enrolment`
/// gives a new secret. The enrolment itself need not be secret.
pub fn derive_secret(
    master: &[u8],
    user: UserId,
    enrolment: &[u8; ENROLMENT_BYTES],
) -> [u8; SECRET_BYTES] {
    let user = user.as_uuid();
    let key = derived_key::derive(
        master,
        "turnpike totp secret v1",
        &[user.as_bytes(), enrolment],
    );
    let mut secret = [0u8; SECRET_BYTES];
    secret.copy_from_slice(&key[..SECRET_BYTES]);
    secret
}

/// The code for `counter` (RFC 4226, section 5.3), with its leading zeros.
pub fn hotp(secret: &[u8], counter: u64, digits: Digits) -> String {
    let value = truncated_mac(secret, counter) % 10u32.pow(digits as u32);
    format!("{value:0width$}", width = digits.count())
}

/// The 31 bits that RFC 4226, section 5.3, takes from the HMAC.
fn truncated_mac(secret: &[u8], counter: u64) -> u32 {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret)
        .expect("HMAC takes a key of any length (RFC 2104, section 2)");
    mac.update(&counter.to_be_bytes());
    let mac: [u8; 20] = mac.finalize().into_bytes().into();
    let offset = usize::from(mac[19] & 0x0f);
    let mut word = [0u8; 4];
    word.copy_from_slice(&mac[offset..offset + 4]);
    u32::from_be_bytes(word) & 0x7fff_ffff
}

/// The step that contains a second since 1970 (RFC 6238, section 4.2).
pub const fn step_at(unix_secs: u64) -> u64 {
    unix_secs / STEP_SECS
}

/// The code that an authenticator shows at `unix_secs`.
pub fn totp(secret: &[u8], unix_secs: u64, digits: Digits) -> String {
    hotp(secret, step_at(unix_secs), digits)
}

/// The step of a six-digit code, if it is the current one or at most [`WINDOW_STEPS`]
/// off. In the rare case that two steps have the same code, it is the later one. A
/// caller that demands ever greater steps then accepts the code once and not twice.
///
/// Takes the same time whichever step matches, and if none does.
pub fn matching_step(secret: &[u8], code: &str, unix_secs: u64) -> Option<u64> {
    let well_formed = code.len() == Digits::Six.count() && code.bytes().all(|b| b.is_ascii_digit());
    if !well_formed {
        return None;
    }
    let now = step_at(unix_secs);
    let mut matched = 0u64;
    let mut found = subtle::Choice::from(0);
    for step in now.saturating_sub(WINDOW_STEPS)..=now + WINDOW_STEPS {
        let is_match = hotp(secret, step, Digits::Six)
            .as_bytes()
            .ct_eq(code.as_bytes());
        matched.conditional_assign(&step, is_match);
        found |= is_match;
    }
    bool::from(found).then_some(matched)
}

/// `secret` in base32 (RFC 4648, section 6) without padding, for users who type it into
/// an authenticator without a camera.
pub fn secret_text(secret: &[u8; SECRET_BYTES]) -> String {
    BASE32_NOPAD.encode(secret)
}

/// The URI that an authenticator reads from a QR code. `issuer` and `account` may have
/// any characters.
pub fn enrolment_uri(issuer: &str, account: &str, secret: &[u8; SECRET_BYTES]) -> String {
    let issuer = percent_encode(issuer);
    let account = percent_encode(account);
    format!(
        "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits={}&period={STEP_SECS}",
        secret_text(secret),
        Digits::Six.count(),
    )
}

/// Everything but the unreserved characters (RFC 3986, section 2.3) is encoded.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// How many recovery codes a user is given at once.
pub const RECOVERY_CODES: usize = 10;
/// Characters in a recovery code, without the hyphen: 10 times 5 bits, 50 bits.
pub const RECOVERY_CODE_CHARS: usize = 10;
/// Random bytes for a set of codes: one for each of 10 times 10 characters. Five bits
/// of each are used, so that every character is equally likely.
pub const RECOVERY_RANDOM_BYTES: usize = RECOVERY_CODES * RECOVERY_CODE_CHARS;

/// Crockford's base32. It has no I, L, O and U, which are misread or spell words.
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A code that replaces a one-time code once. It is shown once, as `XXXXX-XXXXX`, and
/// stored as a digest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RecoveryCode([u8; RECOVERY_CODE_CHARS]);

impl RecoveryCode {
    /// Makes a set of codes. The bytes must come from a cryptographic source.
    pub fn mint(random: &[u8; RECOVERY_RANDOM_BYTES]) -> [Self; RECOVERY_CODES] {
        std::array::from_fn(|code| {
            Self(std::array::from_fn(|at| {
                let byte = random[code * RECOVERY_CODE_CHARS + at];
                CROCKFORD[usize::from(byte & 0x1f)]
            }))
        })
    }

    /// Reads a code as people type it: in either case, with O for 0 and I or L for 1,
    /// with hyphens and spaces anywhere or nowhere. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut code = [0u8; RECOVERY_CODE_CHARS];
        let mut length = 0;
        for byte in text.bytes().filter(|b| !matches!(b, b'-' | b' ')) {
            let symbol = match byte.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            if !CROCKFORD.contains(&symbol) {
                return None;
            }
            *code.get_mut(length)? = symbol;
            length += 1;
        }
        (length == RECOVERY_CODE_CHARS).then_some(Self(code))
    }

    /// The SHA-256 under which the code of `user` is stored. It covers the user, so
    /// that one search cannot find the codes of all users.
    pub fn digest(&self, user: UserId) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(b"turnpike recovery code v1");
        hasher.update(user.as_uuid().as_bytes());
        hasher.update(self.0);
        hasher.finalize().into()
    }
}

impl fmt::Display for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, &symbol) in self.0.iter().enumerate() {
            if at == RECOVERY_CODE_CHARS / 2 {
                f.write_str("-")?;
            }
            write!(f, "{}", char::from(symbol))?;
        }
        Ok(())
    }
}

/// An answer shows the code once.
impl serde::Serialize for RecoveryCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

crate::describe!(RecoveryCode as "RecoveryCode", {
    "type": "string", "pattern": "^[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}$",
    "description": "A code that replaces a one-time code once.",
    "examples": ["7K2MP-Q9XTA"],
});

/// Shows that there is a code and not which.
impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(..)")
    }
}

#[cfg(test)]
mod tests;
