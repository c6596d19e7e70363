//! Signed access tokens (JWT, RFC 7519; profile RFC 9068) for those who validate
//! without asking Turnpike, signed with Ed25519 (RFC 8037) and nothing else.
//!
//! Such a token cannot be revoked: it is good until it expires. Turnpike's own
//! routes therefore take opaque tokens, and these live for minutes.
//!
//! A header names no algorithm and no key that it could choose: the algorithm is
//! fixed, and the key is one of those that the verifier already holds.

mod jwk;
mod strict_object;

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::auth::derived_key;
use crate::ids::{OrganizationId, SessionId};

pub use jwk::{InvalidJwk, PublicJwk, thumbprint};
use strict_object::StrictObject;

/// Longest compact token in bytes: half of the 8 KiB that proxies commonly allow
/// all headers together. Ours have about 600.
pub const MAX_TOKEN_BYTES: usize = 4096;
/// Longest key id in bytes; the thumbprint of a key has 43.
pub const MAX_KEY_ID_BYTES: usize = 64;
/// The only algorithm (RFC 8037, section 3.1).
pub const ALGORITHM: &str = "EdDSA";
/// The type that keeps access tokens apart from other JWTs of the same issuer
/// (RFC 9068, section 2.1).
pub const TYPE: &str = "at+jwt";

/// What every token must carry, beside what is optional.
const REQUIRED_CLAIMS: [&str; 7] = ["iss", "sub", "aud", "exp", "iat", "jti", "org"];

/// Whom a token is for (RFC 7519, section 4.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One audience, as a string.
    One(String),
    /// Several, as an array.
    Many(Vec<String>),
}

impl Audience {
    /// Whether `audience` is among them.
    pub fn contains(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Many(many) => many.iter().any(|one| one == audience),
        }
    }
}

/// What a token says. Times are whole seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// Whom it speaks for: a `usr_` id, or a client's.
    pub sub: String,
    /// Whom it is for.
    pub aud: Audience,
    /// From when on it is no longer good.
    pub exp: u64,
    /// When it was issued.
    pub iat: u64,
    /// Before when it is not yet good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// The token's own id.
    pub jti: String,
    /// The client that it was issued to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// What it permits: names with spaces between them (RFC 6749, section 3.3).
    #[serde(default)]
    pub scope: String,
    /// The organization that it is good in.
    pub org: OrganizationId,
    /// The session that it was issued in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
}

impl Claims {
    /// Whether `scope` is among what the token permits.
    pub fn permits(&self, scope: &str) -> bool {
        !scope.is_empty() && self.scope.split(' ').any(|one| one == scope)
    }
}

/// The text is no key id: 1 to 64 letters, digits, `-` or `_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidKeyId;

impl fmt::Display for InvalidKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a key id must have 1 to {MAX_KEY_ID_BYTES} letters, digits, '-' or '_'"
        )
    }
}

impl std::error::Error for InvalidKeyId {}

/// The alphabet holds nothing that means anything in a path, in SQL or in JSON.
fn is_key_id(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    (1..=MAX_KEY_ID_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

/// A new key id of 128 random bits, which must come from a cryptographic source:
/// 22 characters of URL-safe base64.
pub fn key_id(random: &[u8; 16]) -> String {
    URL_SAFE_NO_PAD.encode(random)
}

/// The claims could not be written, or make a token of more than
/// [`MAX_TOKEN_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningFailed;

impl fmt::Display for SigningFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the claims could not be signed")
    }
}

impl std::error::Error for SigningFailed {}

/// A private key with its id. It is wiped from memory when dropped.
pub struct SigningKey {
    kid: String,
    key: ed25519_dalek::SigningKey,
}

/// Says which key it is, and not what it is.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?}, ..)", self.kid)
    }
}

impl SigningKey {
    /// The key that `kid` names under `master`. It is computed whenever it is
    /// needed and stored nowhere; a new `kid` is a new key.
    ///
    /// # Errors
    /// [`InvalidKeyId`].
    pub fn derive(master: &[u8], kid: &str) -> Result<Self, InvalidKeyId> {
        if !is_key_id(kid) {
            return Err(InvalidKeyId);
        }
        let seed = derived_key::derive(master, "turnpike jwt signing key v1", &[kid.as_bytes()]);
        Ok(Self {
            kid: kid.to_owned(),
            key: ed25519_dalek::SigningKey::from_bytes(&seed),
        })
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half, as a JWKS document lists it.
    pub fn public_jwk(&self) -> PublicJwk {
        PublicJwk::new(self.kid.clone(), self.key.verifying_key())
    }

    /// A compact JWS (RFC 7515, section 3.1) of `claims`, which [`Claims`] are
    /// or a type that holds more.
    ///
    /// # Errors
    /// [`SigningFailed`].
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, SigningFailed> {
        let payload = serde_json::to_vec(claims).map_err(|_| SigningFailed)?;
        // No character of a key id needs escaping.
        let header = format!(
            r#"{{"alg":"{ALGORITHM}","typ":"{TYPE}","kid":"{}"}}"#,
            self.kid
        );
        let compact = self.sign_bytes(header.as_bytes(), &payload);
        if compact.len() > MAX_TOKEN_BYTES {
            return Err(SigningFailed);
        }
        Ok(compact)
    }

    fn sign_bytes(&self, header: &[u8], payload: &[u8]) -> String {
        let mut compact = signing_input(header, payload);
        let signature = self.key.sign(compact.as_bytes());
        compact.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.to_bytes(), &mut compact);
        compact
    }
}

/// What is signed (RFC 7515, section 5.1).
fn signing_input(header: &[u8], payload: &[u8]) -> String {
    let mut input = URL_SAFE_NO_PAD.encode(header);
    input.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut input);
    input
}

/// Who must have issued a token, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The only issuer that is accepted, compared byte for byte.
    pub issuer: &'a str,
    /// Who is asking: must be among the token's audience.
    pub audience: &'a str,
}

/// Why a token is not accepted. For logs and tests: a client is told no more
/// than `invalid_token`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// More than [`MAX_TOKEN_BYTES`].
    TooLong,
    /// Not three segments with two dots between them.
    Segments,
    /// A segment is not URL-safe base64 in its one unpadded form.
    Encoding,
    /// The header is not a JSON object with unique names.
    Header,
    /// The header holds something besides `alg`, `typ` and `kid`: a key or the
    /// address of one, or an extension that must be understood.
    ForbiddenHeader,
    /// The algorithm is not `EdDSA`, in this very spelling.
    Algorithm,
    /// The type is not `at+jwt`: some other token of the same issuer.
    Type,
    /// The key id is absent or not one that we could have given.
    KeyId,
    /// No key with this id.
    UnknownKey,
    /// The signature is not this key's over these bytes.
    Signature,
    /// The payload is not a JSON object with unique names, or a claim has the
    /// wrong type.
    Payload,
    /// A claim that every token carries is absent.
    MissingClaim(&'static str),
    /// Another issuer.
    Issuer,
    /// For others.
    Audience,
    /// Expired.
    Expired,
    /// `nbf` is still to come.
    NotYetValid,
    /// `iat` is still to come.
    IssuedInFuture,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the token is too long",
            Self::Segments => "the token does not have three segments",
            Self::Encoding => "a segment is not unpadded URL-safe base64",
            Self::Header => "the header is not a JSON object with unique names",
            Self::ForbiddenHeader => "the header holds a parameter that is not accepted",
            Self::Algorithm => "the algorithm is not EdDSA",
            Self::Type => "the token is not an access token",
            Self::KeyId => "the key id is malformed",
            Self::UnknownKey => "the key is unknown",
            Self::Signature => "the signature is wrong",
            Self::Payload => "the claims are malformed",
            Self::MissingClaim(name) => return write!(f, "the claim {name} is missing"),
            Self::Issuer => "the issuer is another",
            Self::Audience => "the token is for another audience",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::IssuedInFuture => "the token was issued in the future",
        })
    }
}

impl std::error::Error for Refusal {}

/// The claims of a compact token, if one of `keys` signed it and it is good at
/// `now_secs` (since 1970) for the one who asks. Clocks may differ by
/// `leeway_secs`, either way.
///
/// # Errors
/// The first [`Refusal`]; nothing that the token says has any effect before its
/// signature was found right, except the choice among `keys`.
pub fn verify(
    compact: &str,
    keys: &[PublicJwk],
    expected: &Expected<'_>,
    now_secs: u64,
    leeway_secs: u64,
) -> Result<Claims, Refusal> {
    let segments = Segments::of(compact)?;
    let header = decode(segments.header)?;
    let payload = decode(segments.payload)?;
    let signature = decode(segments.signature)?;

    let kid = read_header(&header)?;
    let key = keys
        .iter()
        .find(|key| key.kid() == kid)
        .ok_or(Refusal::UnknownKey)?;
    let signature = Signature::from_slice(&signature).map_err(|_| Refusal::Signature)?;
    // Strict: no key or point of small order, so that a signature is good for
    // one key and one message only.
    key.verifying_key()
        .verify_strict(segments.signed.as_bytes(), &signature)
        .map_err(|_| Refusal::Signature)?;

    let claims = read_claims(&payload)?;
    check_claims(&claims, expected, now_secs, leeway_secs)?;
    Ok(claims)
}

/// The key id and the claims that a compact token names, whoever wrote it: to look
/// up which keys and which session [`verify`] and its caller must have. Nothing of
/// it is a reason to grant anything.
///
/// # Errors
/// The [`Refusal`] of a token that [`verify`] would refuse with any key.
pub fn read_unverified(compact: &str) -> Result<(String, Claims), Refusal> {
    let segments = Segments::of(compact)?;
    let kid = read_header(&decode(segments.header)?)?;
    let claims = read_claims(&decode(segments.payload)?)?;
    Ok((kid, claims))
}

/// The parts of a compact token, still encoded.
struct Segments<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// Header and payload with the dot between them.
    signed: &'a str,
}

impl<'a> Segments<'a> {
    fn of(compact: &'a str) -> Result<Self, Refusal> {
        if compact.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::TooLong);
        }
        let (signed, signature) = compact.rsplit_once('.').ok_or(Refusal::Segments)?;
        let (header, payload) = signed.split_once('.').ok_or(Refusal::Segments)?;
        if payload.contains('.') {
            return Err(Refusal::Segments);
        }
        Ok(Self {
            header,
            payload,
            signature,
            signed,
        })
    }
}

/// The engine refuses padding, the other alphabet, and bits beyond the last
/// byte, so that every token has one spelling.
fn decode(segment: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD
        .decode(segment)
        .map_err(|_| Refusal::Encoding)
}

fn parse_object(json: &[u8], refusal: Refusal) -> Result<Map<String, Value>, Refusal> {
    serde_json::from_slice(json)
        .map(|StrictObject(members)| members)
        .map_err(|_| refusal)
}

fn read_header(json: &[u8]) -> Result<String, Refusal> {
    let mut header = parse_object(json, Refusal::Header)?;
    let algorithm = header.remove("alg");
    let kind = header.remove("typ");
    let kid = header.remove("kid");
    if !header.is_empty() {
        return Err(Refusal::ForbiddenHeader);
    }
    if algorithm.as_ref().and_then(Value::as_str) != Some(ALGORITHM) {
        return Err(Refusal::Algorithm);
    }
    // The prefix may be left out, and mostly is (RFC 7515, section 4.1.9).
    let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
    if kind.strip_prefix("application/").unwrap_or(kind) != TYPE {
        return Err(Refusal::Type);
    }
    match kid {
        Some(Value::String(kid)) if is_key_id(&kid) => Ok(kid),
        _ => Err(Refusal::KeyId),
    }
}

fn read_claims(json: &[u8]) -> Result<Claims, Refusal> {
    let claims = parse_object(json, Refusal::Payload)?;
    if let Some(name) = REQUIRED_CLAIMS
        .into_iter()
        .find(|&name| !claims.contains_key(name))
    {
        return Err(Refusal::MissingClaim(name));
    }
    serde_json::from_value(Value::Object(claims)).map_err(|_| Refusal::Payload)
}

fn check_claims(
    claims: &Claims,
    expected: &Expected<'_>,
    now_secs: u64,
    leeway_secs: u64,
) -> Result<(), Refusal> {
    if claims.iss != expected.issuer {
        return Err(Refusal::Issuer);
    }
    if !claims.aud.contains(expected.audience) {
        return Err(Refusal::Audience);
    }
    // On the second itself it has expired (RFC 7519, section 4.1.4).
    if now_secs >= claims.exp.saturating_add(leeway_secs) {
        return Err(Refusal::Expired);
    }
    let latest_secs = now_secs.saturating_add(leeway_secs);
    if claims.nbf.is_some_and(|nbf| nbf > latest_secs) {
        return Err(Refusal::NotYetValid);
    }
    if claims.iat > latest_secs {
        return Err(Refusal::IssuedInFuture);
    }
    Ok(())
}

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod known_answers;
