use shared::auth::jwt::PublicJwk;
use shared::http::operation::{Access, Answer, Operation, Verb};

/// How long a list may be kept: 300 seconds. The database waits for longer than that
/// before a new key signs; see its function `jwks_max_age_interval`.
pub const CACHE_CONTROL: &str = "public, max-age=300";

/// RFC 7517.
#[shared::answer]
pub struct Jwks {
    pub keys: Vec<PublicJwk>,
}

pub const LIST: Operation = Operation::new(
    "auth-jwks",
    Verb::Get,
    "/.well-known/jwks.json",
    Access::Public,
)
.tag("auth")
.summary("List the keys that JWTs are verified with")
.details(
    "RFC 7517. The list may be kept for five minutes; a new key signs after that. When a token \
     names a key that is not in the list, fetch it again, at most once a minute.",
)
.statements(2)
.answers(&[Answer::json::<Jwks>(
    200,
    "The keys that sign, are about to, or have signed what may still be good.",
    r#"{"keys": [{
        "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "kid": "Zm9yIGV4YW1wbGUgb25seQ", "alg": "EdDSA", "use": "sig"
    }]}"#,
)
.with_cache_control(CACHE_CONTROL)]);
