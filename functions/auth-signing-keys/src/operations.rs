use shared::auth::jwt::SigningKeyId;
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::problem::Problem;
use shared::http::time::Time;

/// A key that signs JWTs, as it is listed.
#[shared::answer(read)]
pub struct SigningKey {
    kid: SigningKeyId,
    state: SigningKeyState,
    created_at: Time,
    signs_from: Time,
    /// From when on it is not published. Null: no end is set.
    retired_at: Option<Time>,
}

#[shared::answer(read)]
pub enum SigningKeyState {
    /// It is published, and signs later.
    Next,
    /// It signs new tokens.
    Signing,
    /// It signs no more, and its tokens are still good.
    Published,
    /// It is gone.
    Retired,
}

#[shared::answer(read)]
pub struct SigningKeyList {
    signing_keys: Vec<SigningKey>,
}

#[shared::answer(read)]
pub struct SigningKeyRotated {
    signing_key: SigningKey,
}

#[shared::answer(read)]
pub struct SigningKeyWithdrawn {
    status: SigningKeyStatus,
}

#[shared::answer(read)]
pub enum SigningKeyStatus {
    Withdrawn,
}

shared::refusals! {
    ROTATION_PENDING = 409 "rotation_pending", "A rotation is under way",
        "a new key is published and waits to sign; Retry-After is when it does.";
}

pub fn rotation_pending(retry_after_secs: u32) -> Problem {
    Problem {
        retry_after_secs: Some(retry_after_secs),
        ..ROTATION_PENDING.because(
            "A new key is published and waits to sign. Rotate again after that, or withdraw it.",
        )
    }
}

pub const LIST: Operation = Operation::new(
    "auth-signing-keys",
    Verb::Get,
    "/api/v1/auth/signing-keys",
    Access::Permission("signing_keys:manage"),
)
.tag("auth")
.summary("List the keys that sign JWTs")
.details("The permission is the platform's. The newest 100, retired ones included.")
.answers(&[Answer::json::<SigningKeyList>(
    200,
    "The keys, newest first.",
    r#"{"signing_keys": [{
        "kid": "Zm9yIGV4YW1wbGUgb25seQ", "state": "next",
        "created_at": "2026-11-21T09:30:00.123456Z",
        "signs_from": "2026-11-21T09:36:00.123456Z", "retired_at": null
    }]}"#,
)]);

pub const ROTATE: Operation = Operation::new(
    "auth-signing-keys-rotate",
    Verb::Post,
    "/api/v1/auth/signing-keys",
    Access::Permission("signing_keys:manage"),
)
.audited()
.tag("auth")
.summary("Publish a new signing key")
.details(
    "The permission is the platform's. The new key signs 360 seconds later, when nobody keeps a \
     list without it. The old one is published until what it signed has expired.",
)
.answers(&[Answer::json::<SigningKeyRotated>(
    201,
    "The new key.",
    r#"{"signing_key": {
        "kid": "Zm9yIGV4YW1wbGUgb25seQ", "state": "next",
        "created_at": "2026-11-21T09:30:00.123456Z",
        "signs_from": "2026-11-21T09:36:00.123456Z", "retired_at": null
    }}"#,
)])
.refuses(&[&ROTATION_PENDING]);

pub const WITHDRAW: Operation = Operation::new(
    "auth-signing-keys-withdraw",
    Verb::Delete,
    "/api/v1/auth/signing-keys/{kid}",
    Access::Permission("signing_keys:manage"),
)
.audited()
.tag("auth")
.summary("Withdraw a signing key at once")
.details(
    "The permission is the platform's. For a key that leaked: it leaves the published list, and \
     introspection calls its tokens not active. If it was signing, another key signs the next \
     token. Services that verify offline accept the key until the list that they keep runs out, \
     for at most 300 seconds.",
)
.path_parameter::<SigningKeyId>("kid")
.answers(&[Answer::json::<SigningKeyWithdrawn>(
    200,
    "It is withdrawn.",
    r#"{"status": "withdrawn"}"#,
)]);
