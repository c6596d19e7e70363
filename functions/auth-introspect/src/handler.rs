//! The route that gateways call before every request of theirs, so it is the
//! one that must be fast: both the caller and the subject are cached, each
//! under the sign-in of its own user, and a full hit asks nothing of Postgres.
//!
//! A JWT is asked about seldom, by whoever cannot wait for it to expire, and so goes
//! to Postgres each time.
//!
//! A token that is unknown, expired, revoked, malformed or of another
//! organization is answered alike (RFC 7662, section 2.2), so that the route
//! cannot be used to find out which tokens exist.

use std::borrow::Cow;

use shared::auth::jwt;
use shared::auth::session::TokenType;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::store::cache::{self, Lookup};
use shared::store::cache_key::{CacheKey, Namespace, Scope};
use shared::token::{self, TokenKind};

use crate::jwt_subject::{self, Live};
use crate::operations::{ActiveToken, Introspection, IntrospectionForm};
use crate::queries::{self, Caller, Subject};

/// A scope is never empty (RFC 6749, section 3.3): without permissions there is none.
fn scope(permissions: String) -> Option<String> {
    (!permissions.is_empty()).then_some(permissions)
}

/// Which client the subject is used by, as its JWTs say it.
fn client_id(subject: &Subject) -> Cow<'static, str> {
    subject
        .api_key_id
        .map_or(Cow::Borrowed(jwt::FIRST_PARTY_CLIENT), |id| {
            id.to_string().into()
        })
}

fn answer(caller: Caller, subject: Option<&Subject>) -> Introspection {
    match subject.filter(|subject| subject.organization_id == caller.organization_id) {
        None => Introspection::INACTIVE,
        Some(subject) => Introspection::Active(Box::new(ActiveToken {
            active: true,
            token_type: TokenType::Bearer,
            sub: subject.user_id,
            scope: scope(subject.permissions.join(" ")),
            exp: subject.expires_millis.map(|millis| millis / 1_000),
            org: subject.organization_id,
            sid: subject.session_id,
            client_id: client_id(subject),
            iss: None,
            aud: None,
            jti: None,
            iat: None,
        })),
    }
}

/// A JWT's own words, but for the permissions that were lost since.
fn answer_jwt(live: Option<Live>) -> Introspection {
    let Some(live) = live else {
        return Introspection::INACTIVE;
    };
    let permissions = live.scope();
    let Live { claims, subject } = live;
    Introspection::Active(Box::new(ActiveToken {
        active: true,
        token_type: TokenType::Bearer,
        sub: subject.user_id,
        scope: scope(permissions),
        exp: Some(claims.exp),
        org: subject.organization_id,
        sid: subject.session_id,
        client_id: client_id(&subject),
        iss: Some(claims.iss),
        aud: Some(claims.aud),
        jti: Some(claims.jti),
        iat: Some(claims.iat),
    }))
}

pub async fn introspect(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let caller_token = request.access_token()?;
    let form = IntrospectionForm::read(request.form().await?)?;
    let text = form.token.as_str();
    let subject_token =
        token::parse(TokenKind::Access, text).or_else(|| token::parse(TokenKind::ApiKey, text));
    if subject_token.is_none()
        && let Ok((kid, claims)) = jwt::read_unverified(text)
    {
        let live = jwt_subject::find(context, caller_token.digest, text, &kid, claims).await?;
        return Reply::json(200, &answer_jwt(live));
    }

    let caller_key = CacheKey::<Caller>::for_token(Namespace::Permissions, caller_token.digest);
    let caller = cache::look_up(context, caller_key, Scope::Auth(caller_token.owner)).await;
    // A text that is not a token at all is looked up by its digest like any
    // other, and not found; only the caller's right to ask is then at stake.
    let digest = subject_token.map_or_else(|| token::digest(text), |token| token.digest);
    let subject = match subject_token {
        Some(token) => {
            let key = CacheKey::<Subject>::for_token(Namespace::Token, token.digest);
            Some(cache::look_up(context, key, Scope::Auth(token.owner)).await)
        }
        None => None,
    };
    if let (Lookup::Hit(caller), Some(Lookup::Hit(subject))) = (&caller, &subject)
        && let (Some(caller), Some(subject)) =
            (caller.value::<Caller>(), subject.value::<Subject>())
    {
        return Reply::json(200, &answer(caller, Some(&subject)));
    }
    let found = queries::introspect(context, caller_token.digest, digest).await?;
    if let Lookup::Miss(fill) = caller {
        fill.store(
            context,
            &found.caller,
            found.caller_expires_millis.unwrap_or(u64::MAX),
        )
        .await;
    }
    if let (Some(Lookup::Miss(fill)), Some(subject)) = (subject, &found.subject) {
        fill.store(context, subject, subject.expires_millis.unwrap_or(u64::MAX))
            .await;
    }
    Reply::json(200, &answer(found.caller, found.subject.as_ref()))
}

#[cfg(test)]
mod tests {
    use shared::ids::{OrganizationId, UserId};

    use super::*;

    #[test]
    fn forms() {
        /// The form's fields, and its token or the code of its refusal.
        type Row<'a> = (&'a [(&'a str, &'a str)], Result<&'a str, &'a str>);
        let table: [Row<'_>; 6] = [
            (&[("token", "abc")], Ok("abc")),
            (
                &[("token_type_hint", "access_token"), ("token", "abc")],
                Ok("abc"),
            ),
            (&[], Err("required")),
            (&[("token", "")], Err("required")),
            (&[("Token", "abc")], Err("required")),
            (&[("token", "a"), ("token", "b")], Err("repeated")),
        ];
        for (form, expected) in table {
            let form: Vec<_> = form
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect();
            let read = IntrospectionForm::read(form.clone());
            let got = read
                .map(|form| form.token)
                .map_err(|problem| problem.errors[0].code);
            assert_eq!(got, expected.map(str::to_owned), "{form:?}");
        }
    }

    #[test]
    fn a_foreign_token_is_exactly_inactive() {
        let ours = OrganizationId::new(1, &[1; 10]);
        let theirs = OrganizationId::new(1, &[2; 10]);
        let subject = Subject {
            organization_id: theirs,
            user_id: UserId::new(1, &[3; 10]),
            session_id: None,
            api_key_id: None,
            expires_millis: Some(1_500),
            permissions: vec!["credits:read".to_owned()],
        };
        let body = |caller, subject| {
            let reply = Reply::json(200, &answer(caller, subject));
            reply.expect("plain data").body
        };
        assert_eq!(
            body(
                Caller {
                    organization_id: ours
                },
                Some(&subject)
            ),
            br#"{"active":false}"#
        );
        assert_eq!(
            body(
                Caller {
                    organization_id: ours
                },
                None
            ),
            br#"{"active":false}"#
        );
        let active = body(
            Caller {
                organization_id: theirs,
            },
            Some(&subject),
        );
        assert!(
            active.starts_with(br#"{"active":true,"#),
            "{}",
            String::from_utf8_lossy(&active)
        );
    }
}
