//! A session or an API key is traded for a token that anyone can validate without
//! asking. What it may be used for, and for how long, the database decides; it is
//! put together and signed here, because the database has no keys.

use serde::Serialize;
use serde_json::Value;
use shared::auth::jwt::{self, Audience, Claims, SigningKey};
use shared::auth::secrets;
use shared::http::context::Context;
use shared::http::fields::{self, Fields, Invalid};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

use crate::queries::{self, Grant};

/// Longest audience in characters: a URL of a service. In JSON each of them takes at
/// most two bytes, so that with it a token stays far below its 4,096.
const MAX_AUDIENCE_CHARS: usize = 255;
/// Longest scope in characters: 32 permissions of 30 and the spaces between them
/// are 991.
const MAX_SCOPE_CHARS: usize = 1_000;

#[derive(Serialize)]
struct Output {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    scope: String,
}

/// A token, as asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Input {
    audience: Option<String>,
    scope: Option<Vec<String>>,
}

pub fn scope_exceeded() -> Problem {
    Problem::invalid_field(
        "scope",
        "exceeds_own",
        "must be permissions that you hold yourself",
    )
}

fn audience(value: &Value) -> Result<String, Invalid> {
    let text = fields::text(value, 1..=MAX_AUDIENCE_CHARS)?;
    if text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(text);
    }
    Err(Invalid::new(
        "invalid_character",
        "must have visible ASCII characters only",
    ))
}

/// Permissions with a space between each two (RFC 6749, section 3.3).
fn scope(value: &Value) -> Result<Vec<String>, Invalid> {
    let text = fields::text(value, 1..=MAX_SCOPE_CHARS)?;
    let mut scope: Vec<String> = text.split(' ').map(str::to_owned).collect();
    if scope.iter().any(String::is_empty) {
        return Err(Invalid::new(
            "invalid",
            "must be permissions with one space between each two",
        ));
    }
    scope.sort();
    scope.dedup();
    Ok(scope)
}

fn read(mut fields: Fields) -> Result<Input, Problem> {
    let audience = fields.optional("audience", audience);
    let scope = fields.optional("scope", scope);
    fields.finish(|| {
        Some(Input {
            audience: audience?,
            scope: scope?,
        })
    })
}

fn claims(issuer: String, audience: Option<String>, grant: &Grant, jti: String) -> Claims {
    Claims {
        aud: Audience::One(audience.unwrap_or_else(|| issuer.clone())),
        iss: issuer,
        sub: grant.user_id.to_string(),
        exp: grant.expires_secs,
        iat: grant.issued_secs,
        nbf: None,
        jti,
        client_id: grant.api_key_id.map(|id| id.to_string()),
        scope: grant.scope.join(" "),
        org: grant.organization_id,
        sid: grant.session_id,
    }
}

pub async fn token(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (fields, _) = request.json_fields().await?;
    let input = read(fields)?;
    let new_kid = jwt::key_id(&context.random()?);
    let grant = queries::grant(context, token.digest, new_kid, input.scope).await?;

    let master = secrets::master_secret(context).await?;
    let issuer = secrets::read(context, "public_url").await?;
    let random = context.random()?;
    let jti = uuid::Builder::from_unix_timestamp_millis(context.now_millis(), &random).into_uuid();
    let claims = claims(issuer, input.audience, &grant, jti.to_string());
    let internal = |reason: String| {
        context.log("error", &reason);
        Problem::internal()
    };
    let key = SigningKey::derive(&master, &grant.kid)
        .map_err(|error| internal(format!("the signing key is stored wrongly: {error}")))?;
    let access_token = key
        .sign(&claims)
        .map_err(|error| internal(format!("a token was not signed: {error}")))?;
    Reply::json(
        200,
        &Output {
            access_token,
            token_type: "Bearer",
            expires_in: grant.expires_secs.saturating_sub(grant.issued_secs),
            scope: claims.scope,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use shared::ids::{ApiKeyId, OrganizationId, SessionId, UserId};

    #[test]
    fn bodies() {
        let long = "x".repeat(256);
        let long_scope = "x".repeat(1_001);
        let table = [
            (json!({}), vec![]),
            (json!({"audience": null, "scope": null}), vec![]),
            (json!({"audience": "https://api.example/v1"}), vec![]),
            (json!({"scope": "credits:read credits:consume"}), vec![]),
            (json!({"audience": ""}), vec!["audience"]),
            (json!({"audience": long}), vec!["audience"]),
            (json!({"audience": "a b"}), vec!["audience"]),
            (json!({"audience": "é"}), vec!["audience"]),
            (json!({"audience": ["a"]}), vec!["audience"]),
            (json!({"scope": ""}), vec!["scope"]),
            (json!({"scope": " "}), vec!["scope"]),
            (json!({"scope": "a  b"}), vec!["scope"]),
            (json!({"scope": "a "}), vec!["scope"]),
            (json!({"scope": ["a"]}), vec!["scope"]),
            (json!({"scope": long_scope}), vec!["scope"]),
            (json!({"ttl_secs": 1}), vec!["ttl_secs"]),
        ];
        for (body, expected) in table {
            let errors = Fields::new(body.clone())
                .and_then(read)
                .err()
                .map(|problem| problem.errors)
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|error| &*error.field).collect();
            assert_eq!(named, expected, "{body}");
        }
        let input = Fields::new(json!({"scope": "b a b"})).and_then(read);
        assert_eq!(
            input.map(|input| input.scope),
            Ok(Some(vec!["a".to_owned(), "b".to_owned()])),
            "each once, in order"
        );
    }

    #[test]
    fn a_token_says_whom_it_is_from_and_for() {
        let grant = Grant {
            kid: "one".to_owned(),
            issued_secs: 1_000,
            expires_secs: 1_300,
            user_id: UserId::new(1, &[1; 10]),
            organization_id: OrganizationId::new(1, &[2; 10]),
            session_id: Some(SessionId::new(1, &[3; 10])),
            api_key_id: None,
            scope: vec!["a".to_owned(), "b".to_owned()],
        };
        let of_session = claims("https://x".to_owned(), None, &grant, "j".to_owned());
        assert_eq!(of_session.aud, Audience::One("https://x".to_owned()));
        assert_eq!((of_session.iat, of_session.exp), (1_000, 1_300));
        assert_eq!(of_session.sub, grant.user_id.to_string());
        assert_eq!(of_session.scope, "a b");
        assert_eq!(of_session.sid, grant.session_id);
        assert_eq!(of_session.client_id, None);

        let id = ApiKeyId::new(1, &[4; 10]);
        let grant = Grant {
            session_id: None,
            api_key_id: Some(id),
            ..grant
        };
        let of_key = claims(
            "https://x".to_owned(),
            Some("api".to_owned()),
            &grant,
            "j".to_owned(),
        );
        assert_eq!(of_key.aud, Audience::One("api".to_owned()));
        assert_eq!(of_key.client_id, Some(id.to_string()));
        assert_eq!(of_key.sid, None);
    }

    #[test]
    fn the_largest_token_can_be_signed() {
        let grant = Grant {
            kid: "k".repeat(jwt::MAX_KEY_ID_BYTES),
            issued_secs: u64::MAX,
            expires_secs: u64::MAX,
            user_id: UserId::new(1, &[1; 10]),
            organization_id: OrganizationId::new(1, &[2; 10]),
            session_id: Some(SessionId::new(1, &[3; 10])),
            api_key_id: Some(ApiKeyId::new(1, &[4; 10])),
            scope: vec!["s".repeat(MAX_SCOPE_CHARS)],
        };
        // Every character of it is escaped.
        let audience = "\"".repeat(MAX_AUDIENCE_CHARS);
        let issuer = "i".repeat(255);
        let claims = claims(issuer, Some(audience), &grant, "j".repeat(36));
        let key = SigningKey::derive(b"master", &grant.kid).expect("a good id");
        assert!(key.sign(&claims).is_ok());
    }
}
