//! `POST /api/v1/auth/introspect` as a native service would have it: caller and subject cached by
//! their tokens' digests, and the same SQL function when either is not.

use std::borrow::Cow;

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use shared::auth::jwt;
use shared::http::problem::{self, Problem};
use shared::ids::{ApiKeyId, OrganizationId, SessionId, UserId};
use shared::token::{self, TokenDigest, TokenKind};

use super::fixtures::now_millis;
use super::native_baseline::{Call, Service, access_token, header, json_bytes};

/// As the component: how long what a token stands for is cached.
const TTL: std::time::Duration = std::time::Duration::from_secs(60);

/// Tokens kept at most, each with about 500 bytes: 50 MB.
const MAX_CACHED: u64 = 100_000;

/// What is known of tokens.
pub(super) struct Introspections {
    callers: Cache<TokenDigest, (OrganizationId, u64)>,
    subjects: Cache<TokenDigest, Subject>,
}

/// What a live token stands for.
#[derive(Clone, Deserialize)]
struct Subject {
    organization_id: OrganizationId,
    user_id: UserId,
    session_id: Option<SessionId>,
    api_key_id: Option<ApiKeyId>,
    expires_millis: Option<u64>,
    permissions: Vec<String>,
}

/// Who asks.
#[derive(Deserialize)]
struct Caller {
    organization_id: OrganizationId,
}

/// Who asks, and what for.
#[derive(Deserialize)]
struct Found {
    caller: Caller,
    caller_expires_millis: Option<u64>,
    subject: Option<Subject>,
}

#[derive(Serialize)]
struct Active {
    active: bool,
    token_type: &'static str,
    sub: UserId,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    org: OrganizationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<SessionId>,
    client_id: Cow<'static, str>,
}

impl Introspections {
    pub(super) fn new() -> Self {
        Self {
            callers: Cache::builder()
                .max_capacity(MAX_CACHED)
                .time_to_live(TTL)
                .build(),
            subjects: Cache::builder()
                .max_capacity(MAX_CACHED)
                .time_to_live(TTL)
                .build(),
        }
    }
}

pub(super) async fn introspect(
    service: &Service,
    call: &mut Call,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response, Problem> {
    let caller = access_token(headers)?;
    let is_form = header(headers, header::CONTENT_TYPE)
        .and_then(|value| value.split(';').next())
        .is_some_and(|media_type| {
            media_type
                .trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
    if !is_form {
        return Err(problem::UNSUPPORTED_MEDIA_TYPE
            .because("Send the body as application/x-www-form-urlencoded."));
    }
    let mut tokens = form_urlencoded::parse(body).filter(|(name, _)| name == "token");
    let (Some((_, text)), None) = (tokens.next(), tokens.next()) else {
        return Err(Problem::invalid_parameter(
            "token",
            "required",
            "must be sent once",
        ));
    };
    let subject = token::parse(TokenKind::Access, &text)
        .or_else(|| token::parse(TokenKind::ApiKey, &text))
        .map_or_else(|| token::digest(&text), |token| token.digest);

    let cache = &service.introspections;
    let now_millis = now_millis();
    let known_caller = cache
        .callers
        .get(&caller.digest)
        .filter(|(_, until)| now_millis < *until);
    let known_subject = cache
        .subjects
        .get(&subject)
        .filter(|subject| now_millis < subject.expires_millis.unwrap_or(u64::MAX));
    if let (Some((organization_id, _)), Some(subject)) = (known_caller, known_subject) {
        call.cache = "hit";
        return answer(organization_id, Some(&subject));
    }
    call.cache = "miss";
    let found: Found = service
        .ask(
            call,
            "SELECT auth_introspect($1, $2)::text",
            &[&caller.digest.0.as_slice(), &subject.0.as_slice()],
        )
        .await?;
    let organization_id = found.caller.organization_id;
    let until = found.caller_expires_millis.unwrap_or(u64::MAX);
    cache
        .callers
        .insert(caller.digest, (organization_id, until));
    if let Some(found) = &found.subject {
        cache.subjects.insert(subject, found.clone());
    }
    answer(organization_id, found.subject.as_ref())
}

fn answer(caller: OrganizationId, subject: Option<&Subject>) -> Result<Response, Problem> {
    let json = match subject.filter(|subject| subject.organization_id == caller) {
        None => Ok(br#"{"active":false}"#.to_vec()),
        Some(subject) => serde_json::to_vec(&Active {
            active: true,
            token_type: "Bearer",
            sub: subject.user_id,
            scope: subject.permissions.join(" "),
            exp: subject.expires_millis.map(|millis| millis / 1_000),
            org: subject.organization_id,
            sid: subject.session_id,
            client_id: subject
                .api_key_id
                .map_or(Cow::Borrowed(jwt::FIRST_PARTY_CLIENT), |id| {
                    id.to_string().into()
                }),
        }),
    };
    let json = json.map_err(|_| Problem::internal())?;
    Ok(json_bytes(Bytes::from(json)))
}
