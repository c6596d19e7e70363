//! Public keys as JSON (JWK, RFC 7517; OKP keys, RFC 8037, section 2).

use std::collections::BTreeMap;
use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

#[cfg(not(target_arch = "wasm32"))]
use super::SigningKeyId;
use super::{ALGORITHM, is_key_id};

const KEY_TYPE: &str = "OKP";
const CURVE: &str = "Ed25519";
const USE: &str = "sig";

/// A public Ed25519 key that verifies signatures. Its JSON form has `kty`, `crv`,
/// `x`, `kid`, `alg` and `use`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct PublicJwk {
    kid: String,
    key: VerifyingKey,
}

#[cfg(not(target_arch = "wasm32"))]
impl schemars::JsonSchema for PublicJwk {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Jwk".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "description": "A public key. RFC 7517; of this kind, RFC 8037.",
            "required": ["kty", "crv", "x", "kid", "alg", "use"],
            "properties": {
                "kty": {"const": KEY_TYPE},
                "crv": {"const": CURVE},
                "x": {
                    "type": "string", "pattern": "^[A-Za-z0-9_-]{43}$",
                    "description": "The public key.",
                },
                "kid": generator.subschema_for::<SigningKeyId>(),
                "alg": {"const": ALGORITHM},
                "use": {"const": USE},
            },
            "additionalProperties": false,
        })
    }
}

impl PublicJwk {
    pub(super) fn new(kid: String, key: VerifyingKey) -> Self {
        Self { kid, key }
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub(super) fn verifying_key(&self) -> &VerifyingKey {
        &self.key
    }

    /// The public key in URL-safe base64: the member `x`.
    pub fn x(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.as_bytes())
    }

    /// The key's thumbprint (RFC 7638; its members, RFC 8037, appendix A.3).
    pub fn thumbprint(&self) -> String {
        thumbprint(&BTreeMap::from([
            ("crv", CURVE),
            ("kty", KEY_TYPE),
            ("x", &self.x()),
        ]))
    }
}

/// The SHA-256 thumbprint (RFC 7638, section 3) of a key's required members, in
/// URL-safe base64. The key's type decides which members are required.
pub fn thumbprint(required: &BTreeMap<&str, &str>) -> String {
    let members: Map<String, Value> = required
        .iter()
        .map(|(&name, &value)| (name.to_owned(), Value::from(value)))
        .collect();
    let canonical = Value::Object(members).to_string();
    URL_SAFE_NO_PAD.encode(Sha256::digest(canonical.as_bytes()))
}

/// A JWK that is not a public Ed25519 key for signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidJwk;

impl fmt::Display for InvalidJwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a public Ed25519 signature key with a key id")
    }
}

impl std::error::Error for InvalidJwk {}

#[derive(Serialize, Deserialize)]
struct Document {
    kty: String,
    crv: String,
    x: String,
    kid: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
}

impl From<PublicJwk> for Document {
    fn from(jwk: PublicJwk) -> Self {
        Self {
            kty: KEY_TYPE.to_owned(),
            crv: CURVE.to_owned(),
            x: jwk.x(),
            kid: jwk.kid,
            alg: Some(ALGORITHM.to_owned()),
            purpose: Some(USE.to_owned()),
        }
    }
}

impl TryFrom<Document> for PublicJwk {
    type Error = InvalidJwk;

    fn try_from(document: Document) -> Result<Self, InvalidJwk> {
        let is_ours = document.kty == KEY_TYPE
            && document.crv == CURVE
            && document.alg.is_none_or(|alg| alg == ALGORITHM)
            && document.purpose.is_none_or(|purpose| purpose == USE)
            && is_key_id(&document.kid);
        if !is_ours {
            return Err(InvalidJwk);
        }
        let x = URL_SAFE_NO_PAD.decode(document.x).ok();
        x.and_then(|x| x.try_into().ok())
            .and_then(|x| VerifyingKey::from_bytes(&x).ok())
            // A key of small order accepts signatures that nobody made.
            .filter(|key| !key.is_weak())
            .map(|key| Self::new(document.kid, key))
            .ok_or(InvalidJwk)
    }
}
