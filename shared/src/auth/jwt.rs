//! Signed access tokens (JWT, RFC 7519; profile RFC 9068) for services that validate
//! them without asking Turnpike. They are signed with Ed25519 (RFC 8037) and nothing
//! else.
//!
//! Such a token cannot be revoked: it is valid until it expires. So Turnpike's own
//! routes take opaque tokens, and signed tokens live for minutes.
//!
//! A token's header cannot choose an algorithm or a key: the algorithm is fixed, and
//! the key is one that the verifier already holds.

mod jwk;
mod strict_object;

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::auth::derived_key;
use crate::http::input::Invalid;
use crate::ids::{OrganizationId, SessionId};

pub use jwk::{InvalidJwk, PublicJwk, thumbprint};
use strict_object::StrictObject;

/// Longest compact token in bytes: half of the 8 KiB that proxies commonly allow for
/// all headers together. Turnpike's own tokens have about 600.
pub const MAX_TOKEN_BYTES: usize = 4096;
/// Longest key id in bytes; the thumbprint of a key has 43.
pub const MAX_KEY_ID_BYTES: usize = 64;
/// The only algorithm (RFC 8037, section 3.1).
pub const ALGORITHM: &str = "EdDSA";
/// The type that tells access tokens from other JWTs of the same issuer (RFC 9068,
/// section 2.1).
pub const TYPE: &str = "at+jwt";

/// The claims that every token must carry.
const REQUIRED_CLAIMS: [&str; 8] = ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "org"];

/// The client of a token that was made from a session: the people who sign in here do so
/// with Turnpike itself.
pub const FIRST_PARTY_CLIENT: &str = "turnpike";

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

/// The claims of a token. Times are whole seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// Whom it speaks for: a `usr_` id, or a client's.
    pub sub: String,
    /// Whom it is for.
    pub aud: Audience,
    /// When it expires.
    pub exp: u64,
    /// When it was issued.
    pub iat: u64,
    /// When it becomes valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// The token's own id.
    pub jti: String,
    /// The client that it was issued to (RFC 9068, section 2.2): a `key_` id, or
    /// [`FIRST_PARTY_CLIENT`].
    pub client_id: String,
    /// The scopes, separated by spaces (RFC 6749, section 3.3). Without any there is no
    /// such claim, because a scope is never empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// The organization that it is valid in.
    pub org: OrganizationId,
    /// The session that it was issued in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
}

impl Claims {
    /// Whether the token permits `scope`.
    pub fn permits(&self, scope: &str) -> bool {
        !scope.is_empty() && self.scope.split(' ').any(|one| one == scope)
    }
}

/// The text is not a key id: 1 to 64 letters, digits, `-` or `_`.
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

/// No character of the alphabet has a meaning in a path, in SQL or in JSON.
fn is_key_id(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    (1..=MAX_KEY_ID_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

crate::text_type! {
    /// The id of a signing key.
    SigningKeyId, |text| match is_key_id(text) {
        true => Ok(text.to_owned()),
        false => Err(Invalid::new("invalid", InvalidKeyId.to_string())),
    }, {
        "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$",
        "minLength": 1, "maxLength": MAX_KEY_ID_BYTES,
        "description": "A signing key.",
        "examples": ["Zm9yIGV4YW1wbGUgb25seQ"],
    }
}

/// Makes a new key id: 22 characters of URL-safe base64 for 128 random bits, which must
/// come from a cryptographic source.
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

/// Shows which key it is and not the key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?}, ..)", self.kid)
    }
}

impl SigningKey {
    /// The key that `kid` names under `master`. It is computed when it is needed and
    /// stored nowhere. A new `kid` is a new key.
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

    /// Signs `claims` as a compact JWS (RFC 7515, section 3.1). They are [`Claims`] or
    /// a type with more members.
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

/// The bytes that are signed (RFC 7515, section 5.1).
fn signing_input(header: &[u8], payload: &[u8]) -> String {
    let mut input = URL_SAFE_NO_PAD.encode(header);
    input.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut input);
    input
}

/// The issuer and the audience that a verifier insists on.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The only accepted issuer, compared byte for byte.
    pub issuer: &'a str,
    /// The verifier. It must be among the token's audience.
    pub audience: &'a str,
}

/// Why a token is refused. For logs and tests: a client learns only `invalid_token`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// More than [`MAX_TOKEN_BYTES`].
    TooLong,
    /// Not three segments with two dots between them.
    Segments,
    /// A segment is not URL-safe base64 in its only unpadded form.
    Encoding,
    /// The header is not a JSON object with unique names.
    Header,
    /// The header has a member besides `alg`, `typ` and `kid`: a key, the address of a
    /// key, or an extension that a reader must understand.
    ForbiddenHeader,
    /// The algorithm is not spelled exactly `EdDSA`.
    Algorithm,
    /// The type is not `at+jwt`: it is another token of the same issuer.
    Type,
    /// The key id is absent, or Turnpike cannot have given it.
    KeyId,
    /// No key with this id.
    UnknownKey,
    /// The signature is not from this key over these bytes.
    Signature,
    /// The payload is not a JSON object with unique names, or a claim has the
    /// wrong type.
    Payload,
    /// A claim that every token carries is absent.
    MissingClaim(&'static str),
    /// It is from another issuer.
    Issuer,
    /// It is for another audience.
    Audience,
    /// It has expired.
    Expired,
    /// `nbf` is in the future.
    NotYetValid,
    /// `iat` is in the future.
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

/// The claims of a compact token, if one of `keys` signed it and it is valid at
/// `now_secs` (since 1970) for the expected audience. Clocks may differ by
/// `leeway_secs` in either direction.
///
/// # Errors
/// The first [`Refusal`]. Before the signature is verified, the token only chooses
/// among `keys`.
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
    // Strict: no key and no point of small order is accepted, so that a signature is
    // valid for one key and one message only.
    key.verifying_key()
        .verify_strict(segments.signed.as_bytes(), &signature)
        .map_err(|_| Refusal::Signature)?;

    let claims = read_claims(&payload)?;
    check_claims(&claims, expected, now_secs, leeway_secs)?;
    Ok(claims)
}

/// The key id and the claims that a compact token names, whoever wrote it. They say
/// which keys and which session [`verify`] and its caller need. Nothing in them is a
/// reason to grant anything.
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

/// The engine refuses padding, the other alphabet, and bits beyond the last byte. So
/// every token has one spelling.
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
    // The prefix may be omitted, and usually is (RFC 7515, section 4.1.9).
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
    // A token has expired from the very second of `exp` on (RFC 7519, section 4.1.4).
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
