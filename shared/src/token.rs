//! Opaque bearer tokens.
//!
//! A token reads `tpa_` followed by 70 characters of URL-safe base64: the
//! owner's UUID (16 bytes), a secret of 256 random bits (32 bytes) and a CRC-32
//! of what precedes it (4 bytes). Three properties follow.
//!
//! - The checksum lets a component refuse a mistyped or invented token without a
//!   lookup, and lets secret scanners recognise a leaked one.
//! - The owner inside names the cache generation of everything cached about them,
//!   before the first lookup. The owner grants nothing: the digest covers the whole
//!   token, so a token with a changed owner is unknown.
//! - Only a SHA-256 of the token is stored. The secret is uniformly random, so nobody
//!   can guess it, and a fast hash is enough.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::ids::UserId;

/// Bytes of randomness in a token: 256 bits.
pub const SECRET_BYTES: usize = 32;

const OWNER_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 4;
const BODY_BYTES: usize = OWNER_BYTES + SECRET_BYTES + CHECKSUM_BYTES;

/// Characters after the prefix: 52 bytes at 6 bits a character, rounded up.
pub const BODY_CHARS: usize = (BODY_BYTES * 8).div_ceil(6);

/// What a token may be used for. Its prefix says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Presented as `Authorization: Bearer` with every request of a session.
    Access,
    /// Exchanged once for a new pair.
    Refresh,
    /// Presented as `Authorization: Bearer` by a program.
    ApiKey,
    /// Sent by email, and used once to prove that the mail arrived.
    Email,
}

impl TokenKind {
    /// The token's first characters.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Access => "tpa_",
            Self::Refresh => "tpr_",
            Self::ApiKey => "tpk_",
            Self::Email => "tpe_",
        }
    }
}

/// The SHA-256 of a whole token. The database and the cache know the token by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest(pub [u8; 32]);

impl TokenDigest {
    /// The digest as 43 characters of URL-safe base64, for cache keys.
    pub fn to_base64(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// A well-formed token that somebody presented. Only the database knows whether it
/// exists and is still valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresentedToken {
    /// The owner that the token claims. Never a reason to grant anything.
    pub owner: UserId,
    /// The digest to look it up by.
    pub digest: TokenDigest,
}

/// Makes a new token of `kind` for `owner`. The secret must come from a cryptographic
/// source.
pub fn mint(kind: TokenKind, owner: UserId, secret: &[u8; SECRET_BYTES]) -> String {
    let mut body = [0u8; BODY_BYTES];
    body[..OWNER_BYTES].copy_from_slice(owner.as_uuid().as_bytes());
    body[OWNER_BYTES..OWNER_BYTES + SECRET_BYTES].copy_from_slice(secret);
    let checksum = checksum(kind, &body[..OWNER_BYTES + SECRET_BYTES]);
    body[OWNER_BYTES + SECRET_BYTES..].copy_from_slice(&checksum);
    let mut token = String::with_capacity(kind.prefix().len() + BODY_CHARS);
    token.push_str(kind.prefix());
    URL_SAFE_NO_PAD.encode_string(body, &mut token);
    token
}

/// Reads a presented token. `None` if it is not of kind `kind`.
pub fn parse(kind: TokenKind, text: &str) -> Option<PresentedToken> {
    let encoded = text.strip_prefix(kind.prefix())?;
    if encoded.len() != BODY_CHARS {
        return None;
    }
    let mut body = [0u8; BODY_BYTES];
    let written = URL_SAFE_NO_PAD.decode_slice(encoded, &mut body).ok()?;
    if written != BODY_BYTES {
        return None;
    }
    let (signed, presented_checksum) = body.split_at(OWNER_BYTES + SECRET_BYTES);
    if checksum(kind, signed) != *presented_checksum {
        return None;
    }
    let owner = Uuid::from_slice(&signed[..OWNER_BYTES]).ok()?;
    Some(PresentedToken {
        owner: UserId::from_uuid(owner),
        digest: digest(text),
    })
}

/// The digest under which `token` is stored.
pub fn digest(token: &str) -> TokenDigest {
    TokenDigest(Sha256::digest(token.as_bytes()).into())
}

/// The checksum covers the kind, so that a token with the prefix of another kind is
/// refused before any lookup.
fn checksum(kind: TokenKind, signed: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(kind.prefix().as_bytes());
    hasher.update(signed);
    hasher.finalize().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (UserId, String) {
        let owner = UserId::new(1_700_000_000_000, &[3; 10]);
        (owner, mint(TokenKind::Access, owner, &[9; SECRET_BYTES]))
    }

    #[test]
    fn a_minted_token_is_read_back() {
        let (owner, token) = sample();
        assert_eq!(token.len(), 4 + BODY_CHARS);
        let presented = parse(TokenKind::Access, &token).expect("a minted token is well formed");
        assert_eq!(presented.owner, owner);
        assert_eq!(presented.digest, digest(&token));
    }

    #[test]
    fn another_secret_is_another_digest() {
        let (owner, token) = sample();
        let other = mint(TokenKind::Access, owner, &[8; SECRET_BYTES]);
        assert_ne!(digest(&token), digest(&other));
    }

    #[test]
    fn every_single_character_change_is_refused() {
        let (_, token) = sample();
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII stays ASCII");
            assert_eq!(
                parse(TokenKind::Access, &changed),
                None,
                "character {at} of the token was changed and it still passed"
            );
        }
    }

    #[test]
    fn malformed_tokens_are_refused() {
        let (_, token) = sample();
        let table = [
            String::new(),
            "tpa_".to_owned(),
            token[4..].to_owned(),
            token.replace("tpa_", "tpr_"),
            format!("{token}A"),
            format!("{token}="),
            format!(" {token}"),
            token[..token.len() - 1].to_owned(),
            format!("tpa_{}", "é".repeat(BODY_CHARS / 2)),
        ];
        for text in table {
            assert_eq!(
                parse(TokenKind::Access, &text),
                None,
                "{text:?} was accepted"
            );
        }
    }
}
