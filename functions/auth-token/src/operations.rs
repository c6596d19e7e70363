use shared::auth::session::TokenType;
use shared::http::input::{self, Invalid};
use shared::http::operation::{Access, Answer, Operation, Verb};

/// Longest audience in characters: a URL of a service. In JSON each of them takes at
/// most two bytes, so that with it a token stays far below its 4,096.
pub const MAX_AUDIENCE_CHARS: usize = 255;
/// Longest scope in characters: 32 permissions of 30 and the spaces between them
/// are 991.
pub const MAX_SCOPE_CHARS: usize = 1_000;

shared::text_type! {
    /// Whom a token is for: visible characters of ASCII.
    TokenAudience, |text| audience(text), {
        "type": "string", "pattern": "^[!-~]+$", "minLength": 1, "maxLength": MAX_AUDIENCE_CHARS,
        "description": "Who is to accept the token: its aud.",
        "examples": ["https://api.example.com"],
    }
}

shared::text_type! {
    /// Permissions with a space between each two (RFC 6749, section 3.3). They are kept
    /// once each, and in order.
    TokenScope, |text| scope(text), {
        "type": "string", "pattern": "^[^ \\u0000]+( [^ \\u0000]+)*$",
        "minLength": 1, "maxLength": MAX_SCOPE_CHARS,
        "description": "Permissions with a space between each two.",
        "examples": ["credits:read"],
    }
}

fn audience(text: &str) -> Result<String, Invalid> {
    input::length(text, 1..=MAX_AUDIENCE_CHARS)?;
    if text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(Invalid::new(
        "invalid_character",
        "must have visible ASCII characters only",
    ))
}

fn scope(text: &str) -> Result<String, Invalid> {
    input::line(text, 1..=MAX_SCOPE_CHARS)?;
    let mut names: Vec<&str> = text.split(' ').collect();
    if names.contains(&"") {
        return Err(Invalid::new(
            "invalid",
            "must be permissions with one space between each two",
        ));
    }
    names.sort_unstable();
    names.dedup();
    Ok(names.join(" "))
}

/// The token that is wanted.
#[shared::body]
pub struct TokenRequest {
    /// One of the deployment's audiences; any other is refused (unknown). The issuer when
    /// it is absent or null.
    pub audience: Option<TokenAudience>,
    /// Permissions that the caller holds; any other is refused (exceeds_own). All that
    /// the caller holds when it is absent or null.
    pub scope: Option<TokenScope>,
}

/// A JWT, and what it is good for.
#[shared::answer]
pub struct TokenGranted {
    /// A JWT (RFC 9068): typ at+jwt, alg EdDSA.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(extend(
            "pattern" = "^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$",
            "maxLength" = 4096,
        ))
    )]
    pub access_token: String,
    pub token_type: TokenType,
    /// Seconds: 300, or fewer when the credential expires sooner.
    pub expires_in: u64,
    /// Permissions, in alphabetical order, with a space between each two. Absent when there
    /// are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "TokenScope"))]
    pub scope: Option<String>,
}

shared::refusals! {
    ORGANIZATION_REQUIRED = 403 "organization_required", "The session acts in no organization",
        "the session acts in no organization, where nobody holds a permission.";
}

pub const GRANT: Operation = Operation::new(
    "auth-token",
    Verb::Post,
    "/api/v1/auth/token",
    Access::User,
)
.audited()
.tag("auth")
.summary("Get a JWT for those who validate offline")
.details(
    "RFC 9068. From a session or an API key. The token has iss, sub, aud, iat, exp, jti, client_id, \
     org, scope unless it permits nothing, and sid for a session. client_id is the API key's id, and \
     turnpike for a session. It lives for 300 seconds, and never longer than the credential. It opens no route here: it is for services that verify it with \
     /.well-known/jwks.json. Until it expires they do not learn of a logout; a service that must \
     know asks for an introspection.",
)
.body::<TokenRequest>(r#"{"audience": "https://api.example.com", "scope": "credits:read"}"#)
.statements(2)
.answers(&[Answer::json::<TokenGranted>(
    200,
    "The token.",
    r#"{
        "access_token": "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6IlptOXlJR1Y0WVcxd2JHVWdiMjVzZVEifQ.eyJpc3MiOiJodHRwczovL3R1cm5waWtlLmV4YW1wbGUifQ.c2lnbmF0dXJl",
        "token_type": "Bearer", "expires_in": 300, "scope": "credits:read"
    }"#,
)])
.refuses(&[&ORGANIZATION_REQUIRED]);
