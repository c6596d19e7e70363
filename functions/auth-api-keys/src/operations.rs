use shared::http::input::{List, Name, Whole};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::problem::RECENT_LOGIN_REQUIRED;
use shared::http::time::Time;
use shared::ids::ApiKeyId;
use shared::organizations::Permission;

/// Longest name in characters.
pub const MAX_NAME_CHARS: usize = 100;

/// Most scopes of a key. There are fewer permissions than that.
pub const MAX_SCOPES: usize = 32;

/// Longest life of a key in seconds: two years.
pub const MAX_TTL_SECS: i64 = 2 * 365 * 24 * 60 * 60;

/// Longest overlap of a rotation in seconds: a week.
pub const MAX_OVERLAP_SECS: i64 = 7 * 24 * 60 * 60;

/// What is asked for.
#[shared::body]
pub struct NewApiKey {
    /// What you call it.
    pub name: Name<MAX_NAME_CHARS>,
    /// Permissions that the caller holds. Any other is a 422 with the code exceeds_own.
    pub scopes: List<Permission, 1, MAX_SCOPES>,
    /// Seconds that the key lives, at most two years. Absent and null: until it is revoked.
    pub ttl_secs: Option<Whole<1, MAX_TTL_SECS>>,
}

/// How a key gets its new secret.
#[shared::body]
pub struct ApiKeyRotation {
    /// Seconds for which the old secret still works, at most a week. Absent and null: a day.
    pub overlap_secs: Option<Whole<1, MAX_OVERLAP_SECS>>,
}

/// A key without its secret.
#[shared::answer(read)]
pub struct ApiKey {
    id: ApiKeyId,
    name: String,
    /// The key's last 6 characters, which are its checksum.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("pattern" = "^[A-Za-z0-9_-]{6}$")))]
    hint: String,
    scopes: Vec<Permission>,
    /// Null: until it is revoked.
    expires_at: Option<Time>,
    /// The last request with the key that succeeded or was forbidden, within about a minute.
    /// Null when none is known, and where a key is issued.
    pub last_used_at: Option<Time>,
    created_at: Time,
}

#[shared::answer]
pub struct ApiKeyList {
    pub api_keys: Vec<ApiKey>,
}

#[shared::answer]
pub struct ApiKeyIssued {
    /// Send it as Authorization: Bearer. Only its SHA-256 is stored, so it cannot be shown again.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("pattern" = "^tpk_[A-Za-z0-9_-]{91}$")))]
    pub key: String,
    pub api_key: ApiKey,
}

#[shared::answer(read)]
pub struct ApiKeyRevoked {
    status: ApiKeyRevokedStatus,
}

#[shared::answer(read)]
pub enum ApiKeyRevokedStatus {
    Revoked,
}

pub const LIST: Operation = Operation::new(
    "auth-api-keys",
    Verb::Get,
    "/api/v1/auth/api-keys",
    Access::Permission("api_keys:manage"),
)
.tag("auth")
.summary("List the caller's API keys")
.details(
    "The newest 100 keys of the credential's organization that were not revoked, expired ones included.",
)
.answers(&[Answer::json::<ApiKeyList>(
    200,
    "The keys, newest first, without their secrets.",
    r#"{"api_keys": [{"id": "key_0199a2c4e2339f708192a3b4c5d6e7f8", "name": "CI", "hint": "o82KrQ", "scopes": ["credits:read"], "expires_at": null, "last_used_at": null, "created_at": "2026-11-21T09:30:00.123456Z"}]}"#,
)]);

/// The answer of an operation that shows a key.
const ISSUED: &str = r#"{"key": "tpk_AZmixOHxfE2eb3CBkqO0xQGZosTh8Hs8jV5vcIGSo7RdVnQtMbLddLK5iAGf5BQtogkpUgBXxMeMskMdBcFIko82KrQ", "api_key": {"id": "key_0199a2c4e2339f708192a3b4c5d6e7f8", "name": "CI", "hint": "o82KrQ", "scopes": ["credits:read"], "expires_at": null, "last_used_at": null, "created_at": "2026-11-21T09:30:00.123456Z"}}"#;

pub const CREATE: Operation = Operation::new(
    "auth-api-keys-create",
    Verb::Post,
    "/api/v1/auth/api-keys",
    Access::Permission("api_keys:manage"),
)
.audited()
.tag("auth")
.summary("Create an API key")
.details(
    "The key acts as its user, in the credential's organization, within its scopes. A session needs a \
     recent login. A key that was made with an API key is revoked with it. Its user is told by mail. \
     There is no Idempotency-Key: after a 503 look whether the key is listed, and revoke it.",
)
.body::<NewApiKey>(r#"{"name": "CI", "scopes": ["credits:read"], "ttl_secs": 2592000}"#)
.answers(&[Answer::json::<ApiKeyIssued>(
    201,
    "The key, shown this once, and how it is listed.",
    ISSUED,
)])
.refuses(&[&RECENT_LOGIN_REQUIRED]);

pub const REVOKE: Operation = Operation::new(
    "auth-api-keys-revoke",
    Verb::Delete,
    "/api/v1/auth/api-keys/{id}",
    Access::Permission("api_keys:manage"),
)
.audited()
.tag("auth")
.summary("Revoke an API key")
.details(
    "Every request that begins after this answer is refused with the key, and with the secret that \
     a rotation replaced. Keys that it made or rotated, and that those did, are revoked with it.",
)
.path_parameter::<ApiKeyId>("id")
.answers(&[Answer::json::<ApiKeyRevoked>(
    200,
    "It is revoked.",
    r#"{"status": "revoked"}"#,
)]);

pub const ROTATE: Operation = Operation::new(
    "auth-api-keys-rotate",
    Verb::Post,
    "/api/v1/auth/api-keys/{id}/rotate",
    Access::Permission("api_keys:manage"),
)
.audited()
.tag("auth")
.summary("Give an API key a new secret")
.details(
    "The old secret still works for overlap_secs. A secret that was in its overlap from an earlier \
     rotation ends now. Name, scopes and expiry stay. Revoke a key that leaked, and do not rotate \
     it. A session needs a recent login. An API key rotates only keys whose scopes it holds, else the answer is a 422 with the code \
     exceeds_own.",
)
.path_parameter::<ApiKeyId>("id")
.body::<ApiKeyRotation>(r#"{"overlap_secs": 3600}"#)
.answers(&[Answer::json::<ApiKeyIssued>(
    200,
    "The key, shown this once, and how it is listed.",
    ISSUED,
)])
.refuses(&[&RECENT_LOGIN_REQUIRED]);
