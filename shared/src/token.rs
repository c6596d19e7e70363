//! Opaque bearer tokens.
//!
//! A token reads `tpa_` followed by 91 characters of URL-safe base64: the UUIDs of its
//! organization and of its owner (16 bytes each), a secret of 256 random bits (32 bytes)
//! and a CRC-32 of what precedes it (4 bytes). Four properties follow.
//!
//! - The checksum lets a component refuse a mistyped or invented token without a
//!   lookup, and lets secret scanners recognise a leaked one.
//! - The owner inside names the cache generation of everything cached about them,
//!   before the first lookup.
//! - The organization inside leads to the database that knows the token, once there are
//!   several. Neither of the two grants anything: the digest covers the whole token, so a
//!   token with a changed owner or organization is unknown.
//! - Only a SHA-256 of the token is stored. The secret is uniformly random, so nobody
//!   can guess it, and a fast hash is enough.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::checksum::crc32;
use crate::ids::{OrganizationId, UserId};

/// Bytes of randomness in a token: 256 bits.
pub const SECRET_BYTES: usize = 32;

const UUID_BYTES: usize = 16;
const SIGNED_BYTES: usize = 2 * UUID_BYTES + SECRET_BYTES;
const CHECKSUM_BYTES: usize = 4;
const BODY_BYTES: usize = SIGNED_BYTES + CHECKSUM_BYTES;
const HASH_BYTES: usize = 32;

/// Characters after the prefix: 68 bytes at 6 bits a character, rounded up.
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

/// The organization that a token leads to (16 bytes), and then the SHA-256 of the whole
/// token (32 bytes). SQL takes it as one parameter, described at the SQL function
/// `authenticate`, so that the parameter alone leads to the organization's database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest(pub [u8; UUID_BYTES + HASH_BYTES]);

impl TokenDigest {
    fn new(organization: OrganizationId, token: &str) -> Self {
        let mut bytes = [0; UUID_BYTES + HASH_BYTES];
        bytes[..UUID_BYTES].copy_from_slice(organization.as_uuid().as_bytes());
        bytes[UUID_BYTES..].copy_from_slice(&Sha256::digest(token.as_bytes()));
        Self(bytes)
    }

    /// The SHA-256 as 64 lower-case hexadecimal digits, as Postgres writes it.
    pub fn to_hex(self) -> String {
        let hash = &self.0[UUID_BYTES..];
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The SHA-256 as 43 characters of URL-safe base64, for cache keys. The organization is
    /// left out: it is part of what was hashed.
    pub fn to_base64(self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0[UUID_BYTES..])
    }
}

/// A well-formed token that somebody presented. Only the database knows whether it
/// exists and is still valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresentedToken {
    /// The organization that the token claims to act in, [`OrganizationId::NONE`] for none.
    /// Never a reason to grant anything.
    pub organization: OrganizationId,
    /// The owner that the token claims. Never a reason to grant anything.
    pub owner: UserId,
    /// What it is used for.
    pub kind: TokenKind,
    /// The digest to look it up by.
    pub digest: TokenDigest,
}

/// Makes a new token of `kind` for `owner`, which acts in `organization`:
/// [`OrganizationId::NONE`] for what belongs to a person alone. The secret must come from a
/// cryptographic source.
pub fn mint(
    kind: TokenKind,
    organization: OrganizationId,
    owner: UserId,
    secret: &[u8; SECRET_BYTES],
) -> String {
    let mut body = [0u8; BODY_BYTES];
    body[..UUID_BYTES].copy_from_slice(organization.as_uuid().as_bytes());
    body[UUID_BYTES..2 * UUID_BYTES].copy_from_slice(owner.as_uuid().as_bytes());
    body[2 * UUID_BYTES..SIGNED_BYTES].copy_from_slice(secret);
    let checksum = checksum(kind, &body[..SIGNED_BYTES]);
    body[SIGNED_BYTES..].copy_from_slice(&checksum);
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
    let (signed, presented_checksum) = body.split_at(SIGNED_BYTES);
    if checksum(kind, signed) != *presented_checksum {
        return None;
    }
    let organization = Uuid::from_slice(&signed[..UUID_BYTES]).ok()?;
    let owner = Uuid::from_slice(&signed[UUID_BYTES..2 * UUID_BYTES]).ok()?;
    let organization = OrganizationId::from_uuid(organization);
    Some(PresentedToken {
        organization,
        owner: UserId::from_uuid(owner),
        kind,
        digest: TokenDigest::new(organization, text),
    })
}

/// The digest under which `text` is looked up. A text that is no token leads to no
/// organization, and is found nowhere.
pub fn digest(text: &str) -> TokenDigest {
    let kinds = [
        TokenKind::Access,
        TokenKind::Refresh,
        TokenKind::ApiKey,
        TokenKind::Email,
    ];
    let token = kinds.into_iter().find_map(|kind| parse(kind, text));
    token.map_or_else(
        || TokenDigest::new(OrganizationId::NONE, text),
        |token| token.digest,
    )
}

/// The checksum covers the kind, so that a token with the prefix of another kind is
/// refused before any lookup.
fn checksum(kind: TokenKind, signed: &[u8]) -> [u8; CHECKSUM_BYTES] {
    crc32(&[kind.prefix().as_bytes(), signed]).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn organization() -> OrganizationId {
        OrganizationId::new(1_700_000_000_001, &[4; 10])
    }

    fn sample() -> (UserId, String) {
        let owner = UserId::new(1_700_000_000_000, &[3; 10]);
        let secret = [9; SECRET_BYTES];
        let token = mint(TokenKind::Access, organization(), owner, &secret);
        (owner, token)
    }

    #[test]
    fn a_minted_token_is_read_back() {
        let (owner, token) = sample();
        assert_eq!(token.len(), 4 + BODY_CHARS);
        let presented = parse(TokenKind::Access, &token).expect("a minted token is well formed");
        assert_eq!(presented.owner, owner);
        assert_eq!(presented.organization, organization());
        assert_eq!(presented.digest, digest(&token));
        assert_eq!(
            presented.digest.0[..16],
            *organization().as_uuid().as_bytes()
        );
        assert_eq!(presented.digest.0[16..], *Sha256::digest(&token));
    }

    #[test]
    fn a_text_that_is_no_token_leads_to_no_organization() {
        for text in ["", "tpa_", &sample().1[1..]] {
            let digest = digest(text);
            assert_eq!(digest.0[..16], [0; 16], "{text:?}");
            assert_eq!(digest.0[16..], *Sha256::digest(text), "{text:?}");
        }
    }

    #[test]
    fn whatever_differs_is_another_hash() {
        let (owner, token) = sample();
        let secret = [9; SECRET_BYTES];
        let elsewhere = OrganizationId::new(1, &[5; 10]);
        let stranger = UserId::new(1, &[5; 10]);
        let others = [
            mint(TokenKind::Access, organization(), owner, &[8; SECRET_BYTES]),
            mint(TokenKind::Access, organization(), stranger, &secret),
            mint(TokenKind::Access, elsewhere, owner, &secret),
            mint(TokenKind::Access, OrganizationId::NONE, owner, &secret),
            mint(TokenKind::ApiKey, organization(), owner, &secret),
        ];
        for other in others {
            assert_ne!(digest(&token).to_base64(), digest(&other).to_base64());
        }
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
