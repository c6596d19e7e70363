//! The key that signs checkpoints of the audit log.
//!
//! It is derived from the deployment's master secret when it is needed, and the database
//! never has it: whoever changes the database cannot write a checkpoint that fits. To
//! verify a signature only the public half is needed, so that the log can be checked where
//! the master secret is not.

use std::fmt;
use std::str::FromStr;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::auth::derived_key;

/// What is signed begins with this, so that no other signature of the deployment is one of
/// a checkpoint.
const CONTEXT: &str = "turnpike audit checkpoint v1\n";

/// The private half. It is wiped from memory when dropped.
pub struct CheckpointKey(SigningKey);

/// Shows that there is a key and not which.
impl fmt::Debug for CheckpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckpointKey(..)")
    }
}

/// The public half. Its text is 43 characters of URL-safe base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicCheckpointKey(VerifyingKey);

/// The text is no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidKey;

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a public key has 43 characters of URL-safe base64")
    }
}

impl std::error::Error for InvalidKey {}

impl CheckpointKey {
    /// The key of the deployment that has this master secret.
    pub fn derive(master: &[u8]) -> Self {
        let seed = derived_key::derive(master, "turnpike audit checkpoint key v1", &[]);
        Self(SigningKey::from_bytes(&seed))
    }

    /// The public half.
    pub fn public(&self) -> PublicCheckpointKey {
        PublicCheckpointKey(self.0.verifying_key())
    }

    /// The signature of a text, as 86 characters of URL-safe base64.
    pub fn sign(&self, text: &str) -> String {
        let signature = self.0.sign(&signed(text));
        URL_SAFE_NO_PAD.encode(signature.to_bytes())
    }
}

impl PublicCheckpointKey {
    /// Whether `signature` is that of `text`.
    pub fn verify(&self, text: &str, signature: &str) -> bool {
        let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
        Signature::from_slice(&bytes)
            .is_ok_and(|signature| self.0.verify_strict(&signed(text), &signature).is_ok())
    }
}

fn signed(text: &str) -> Vec<u8> {
    [CONTEXT.as_bytes(), text.as_bytes()].concat()
}

impl fmt::Display for PublicCheckpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }
}

impl FromStr for PublicCheckpointKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidKey)?;
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| InvalidKey)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| InvalidKey)?;
        // Everybody could sign for a key of small order.
        (!key.is_weak()).then_some(Self(key)).ok_or(InvalidKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_text_and_one_secret() {
        let key = CheckpointKey::derive(b"master");
        let signature = key.sign("a text\n");
        let public: PublicCheckpointKey = key.public().to_string().parse().expect("its own text");
        assert_eq!(public, key.public());
        let other = CheckpointKey::derive(b"another").public();
        let short = &signature[1..];
        let table = [
            (public, "a text\n", &*signature, true),
            (public, "a text", &signature, false),
            (public, "A text\n", &signature, false),
            (other, "a text\n", &signature, false),
            (public, "a text\n", short, false),
            (public, "a text\n", "", false),
        ];
        for (key, text, signature, expected) in table {
            assert_eq!(
                key.verify(text, signature),
                expected,
                "{text:?} {signature}"
            );
        }
    }

    #[test]
    fn other_texts_are_no_public_keys() {
        let point_of_small_order = URL_SAFE_NO_PAD.encode([0; 32]);
        for text in ["", "AAAA", &point_of_small_order, "not base64!"] {
            assert_eq!(
                text.parse::<PublicCheckpointKey>(),
                Err(InvalidKey),
                "{text:?}"
            );
        }
    }
}
