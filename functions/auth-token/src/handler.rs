//! A session or an API key is traded for a token that anyone can validate without
//! asking. What it may be used for, and for how long, the database decides; it is
//! put together and signed here, because the database has no keys.

use shared::auth::jwt::{self, Audience, Claims, SigningKey};
use shared::auth::secrets;
use shared::auth::session::TokenType;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

use crate::operations::{TokenGranted, TokenRequest, TokenScope};
use crate::queries::{self, Grant};

/// The permissions of a scope.
fn permissions(scope: &TokenScope) -> Vec<String> {
    scope.split(' ').map(str::to_owned).collect()
}

/// Whether the deployment issues tokens for `audience`: `configured` has its audiences with
/// spaces between them, and the issuer is always one.
fn is_issued_for(audience: &str, issuer: &str, configured: &str) -> bool {
    audience == issuer
        || configured
            .split_ascii_whitespace()
            .any(|one| one == audience)
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
        client_id: grant
            .api_key_id
            .map_or_else(|| jwt::FIRST_PARTY_CLIENT.to_owned(), |id| id.to_string()),
        scope: grant.scope.join(" "),
        org: grant.organization_id,
        sid: grant.session_id,
    }
}

pub async fn grant(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (wanted, _) = request.json::<TokenRequest>().await?;
    let issuer = secrets::read(context, "public_url").await?;
    if let Some(audience) = &wanted.audience {
        let configured = secrets::read(context, "token_audiences").await?;
        if !is_issued_for(audience, &issuer, &configured) {
            return Err(Problem::invalid_field(
                "audience",
                "unknown",
                "must be one of the deployment's audiences",
            ));
        }
    }
    let scope = wanted.scope.as_ref().map(permissions);
    let new_kid = jwt::key_id(&context.random()?);
    let grant = queries::grant(context, token.digest, new_kid, scope).await?;

    let master = secrets::master_secret(context).await?;
    let random = context.random()?;
    let jti = uuid::Builder::from_unix_timestamp_millis(context.now_millis(), &random).into_uuid();
    let audience = wanted.audience.map(String::from);
    let claims = claims(issuer, audience, &grant, jti.to_string());
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
        &TokenGranted {
            access_token,
            token_type: TokenType::Bearer,
            expires_in: grant.expires_secs.saturating_sub(grant.issued_secs),
            scope: (!claims.scope.is_empty()).then_some(claims.scope),
        },
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input;
    use shared::ids::{ApiKeyId, OrganizationId, SessionId, UserId};

    use super::*;
    use crate::operations::{MAX_AUDIENCE_CHARS, MAX_SCOPE_CHARS};

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
            let errors = input::value_at::<TokenRequest>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|error| &*error.field).collect();
            assert_eq!(named, expected, "{body}");
        }
        let wanted: TokenRequest =
            input::value(&json!({"scope": "b a b"})).expect("the body is right");
        assert_eq!(
            wanted.scope.as_ref().map(permissions),
            Some(vec!["a".to_owned(), "b".to_owned()]),
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
        assert_eq!(of_session.client_id, "turnpike");

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
        assert_eq!(of_key.client_id, id.to_string());
        assert_eq!(of_key.sid, None);
    }

    #[test]
    fn audiences_are_those_of_the_deployment() {
        const ISSUER: &str = "https://pay.example";
        let two = " https://api.example/v1\n  mail ";
        let table = [
            (ISSUER, "", true),
            (ISSUER, two, true),
            ("https://api.example/v1", two, true),
            ("mail", two, true),
            ("", "", false),
            ("", two, false),
            ("mai", two, false),
            ("MAIL", two, false),
            ("https://api.example/", two, false),
            ("https://api.example/v1 mail", two, false),
            ("https://pay.example/", "", false),
        ];
        for (audience, configured, expected) in table {
            let got = is_issued_for(audience, ISSUER, configured);
            assert_eq!(got, expected, "{audience:?} of {configured:?}");
        }
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
