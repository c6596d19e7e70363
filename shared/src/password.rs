//! Password hashing: Argon2id (RFC 9106) with the parameters that OWASP lists.

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

/// Memory in KiB: 19 MiB, OWASP's first choice together with two passes.
pub const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over the memory.
pub const PASSES: u32 = 2;
/// Lanes. A component has one thread, so more would only be slower.
pub const LANES: u32 = 1;
/// Bytes of salt (RFC 9106, section 3.1, recommends 16).
pub const SALT_BYTES: usize = 16;

/// Fewest characters in a password (NIST SP 800-63B, section 5.1.1.2).
pub const MIN_CHARS: usize = 8;
/// Most characters in a password: room for a passphrase, and a bound on the
/// work that a single request can ask for.
pub const MAX_CHARS: usize = 128;

/// A hash to verify against when there is no such user, so that a login with an
/// unknown email costs what a known one does. It is the hash of nothing anyone
/// knows: salt and output were drawn at random, not computed from a password.
pub const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$\
     c3RhbmRzLWZvci1ub2JvZA$\
     xKq0m0H2cJ8Yw3n5Tz7r1vBdEo9uLsGfPiQ4aXhN6Vk";

/// Hashing failed, which valid parameters and a 16-byte salt rule out.
#[derive(Debug)]
pub struct HashingFailed;

impl fmt::Display for HashingFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the password could not be hashed")
    }
}

impl std::error::Error for HashingFailed {}

/// The password's hash as a PHC string: `$argon2id$v=19$m=..,t=..,p=..$salt$hash`.
///
/// # Errors
/// [`HashingFailed`] if the memory cannot be had.
pub fn hash(password: &str, salt: &[u8; SALT_BYTES]) -> Result<String, HashingFailed> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| HashingFailed)?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(password.as_bytes(), salt)
        .map(|hash: PasswordHash| hash.to_string())
        .map_err(|_| HashingFailed)
}

/// Whether `password` is the one that `phc` was made from. The parameters are
/// the stored hash's own. A stored hash that cannot be read matches nothing.
pub fn verify(password: &str, phc: &str) -> bool {
    let Ok(stored) = PasswordHash::new(phc) else {
        return false;
    };
    Argon2::default()
        .verify_password(password.as_bytes(), &stored)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_verifies_against_its_own_hash_only() {
        let phc = hash("correct horse", &[7; SALT_BYTES]).expect("the parameters are valid");
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        let table = [
            ("correct horse", true),
            ("correct horse ", false),
            ("Correct horse", false),
            ("", false),
        ];
        for (password, matches) in table {
            assert_eq!(verify(password, &phc), matches, "{password:?}");
        }
    }

    #[test]
    fn the_salt_decides() {
        let one = hash("same password", &[1; SALT_BYTES]).expect("valid");
        let two = hash("same password", &[2; SALT_BYTES]).expect("valid");
        assert_ne!(one, two);
    }

    #[test]
    fn nobody_is_well_formed_with_todays_parameters_and_matches_nothing() {
        let parsed =
            PasswordHash::new(NOBODY).expect("NOBODY must parse, or it would cost no time");
        let todays = hash("x", &[0; SALT_BYTES]).expect("valid");
        let todays = PasswordHash::new(&todays).expect("just made");
        assert_eq!(
            parsed.params, todays.params,
            "rewrite NOBODY with the new parameters"
        );
        assert_eq!(parsed.hash.map(|h| h.len()), todays.hash.map(|h| h.len()));
        assert!(!verify("", NOBODY));
    }

    #[test]
    fn an_unreadable_hash_matches_nothing() {
        for phc in ["", "plain", "$argon2id$", "$2b$10$abcdefghijklmnopqrstuv"] {
            assert!(!verify("password", phc), "{phc:?}");
        }
    }
}
