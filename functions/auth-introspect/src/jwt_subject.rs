//! What a JWT stands for. Offline it is good until it expires; who asks here is told
//! what is true now, so the session or API key that it was made from must still be
//! live, and the key that signed it published.
//!
//! The database is asked first, with what the token claims, because only it knows
//! which keys there are. Its answer counts only if the signature is then found right
//! over the very same claims.

use shared::auth::jwt::{self, Claims, Expected, Refusal, SigningKey};
use shared::auth::secrets;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::token::TokenDigest;

use crate::queries::{self, Claimed, Subject};

/// Issuer and verifier take the time from one clock, the database's.
const LEEWAY_SECS: u64 = 0;

/// A JWT that was found good, and what its session or API key stands for at present.
#[derive(Debug)]
pub struct Live {
    pub claims: Claims,
    pub subject: Subject,
}

impl Live {
    /// What the token permits of what its owner still may.
    pub fn scope(&self) -> String {
        let still = self.subject.permissions.iter();
        let names: Vec<&str> = still
            .map(String::as_str)
            .filter(|name| self.claims.permits(name))
            .collect();
        names.join(" ")
    }
}

/// `token`, whose unverified `kid` and `claims` are given, if it is live.
pub async fn find(
    context: &Context,
    caller: TokenDigest,
    token: &str,
    kid: &str,
    claims: Claims,
) -> Result<Option<Live>, Problem> {
    let claimed = Claimed {
        kid,
        organization_id: claims.org,
        session_id: claims.sid,
        // A client that is no API key of ours is no client of ours.
        api_key_id: claims.client_id.parse().ok(),
    };
    let at_present = queries::introspect_jwt(context, caller, &claimed).await?;
    let Some(subject) = at_present.subject else {
        return Ok(None);
    };
    let master = secrets::master_secret(context).await?;
    let issuer = secrets::read(context, "public_url").await?;
    Ok(verify(token, kid, &master, &issuer, at_present.now_secs)
        .ok()
        .and_then(|claims| belong(claims, subject)))
}

/// The claims of a token that the key `kid` signed for us.
fn verify(
    token: &str,
    kid: &str,
    master: &[u8],
    issuer: &str,
    now_secs: u64,
) -> Result<Claims, Refusal> {
    let key = SigningKey::derive(master, kid).map_err(|_| Refusal::KeyId)?;
    let expected = Expected {
        issuer,
        audience: issuer,
    };
    jwt::verify(token, &[key.public_jwk()], &expected, now_secs, LEEWAY_SECS)
}

/// Both together, if the token is of this very user, organization and session or key.
fn belong(claims: Claims, subject: Subject) -> Option<Live> {
    let client_id = subject
        .api_key_id
        .map_or_else(|| jwt::FIRST_PARTY_CLIENT.to_owned(), |id| id.to_string());
    let is_same = claims.sub == subject.user_id.to_string()
        && claims.org == subject.organization_id
        && claims.sid == subject.session_id
        && claims.client_id == client_id;
    is_same.then_some(Live { claims, subject })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::auth::jwt::Audience;
    use shared::ids::{ApiKeyId, OrganizationId, SessionId, UserId};

    const NOW: u64 = 1_800_000_000;
    const ISSUER: &str = "https://turnpike.example";

    fn subject() -> Subject {
        Subject {
            organization_id: OrganizationId::new(1, &[1; 10]),
            user_id: UserId::new(1, &[2; 10]),
            session_id: Some(SessionId::new(1, &[3; 10])),
            api_key_id: None,
            expires_millis: None,
            permissions: vec!["a".to_owned(), "c".to_owned()],
        }
    }

    fn claims() -> Claims {
        let subject = subject();
        Claims {
            iss: ISSUER.to_owned(),
            sub: subject.user_id.to_string(),
            aud: Audience::One(ISSUER.to_owned()),
            exp: NOW + 300,
            iat: NOW,
            nbf: None,
            jti: "1".to_owned(),
            client_id: jwt::FIRST_PARTY_CLIENT.to_owned(),
            scope: "a b".to_owned(),
            org: subject.organization_id,
            sid: subject.session_id,
        }
    }

    #[test]
    fn a_token_is_verified_with_the_key_that_it_names_and_the_time_of_the_database() {
        let key = SigningKey::derive(b"master", "one").expect("a good id");
        let token = key.sign(&claims()).expect("plain claims");
        let table = [
            ("one", ISSUER, NOW, Ok(())),
            ("one", ISSUER, NOW + 299, Ok(())),
            ("one", ISSUER, NOW + 300, Err(Refusal::Expired)),
            ("one", ISSUER, NOW - 1, Err(Refusal::IssuedInFuture)),
            ("one", "https://other.example", NOW, Err(Refusal::Issuer)),
            ("two", ISSUER, NOW, Err(Refusal::UnknownKey)),
            ("a b", ISSUER, NOW, Err(Refusal::KeyId)),
        ];
        for (kid, issuer, now_secs, expected) in table {
            let got = verify(&token, kid, b"master", issuer, now_secs).map(|_| ());
            assert_eq!(got, expected, "{kid} {issuer} {now_secs}");
        }
        assert_eq!(
            verify(&token, "one", b"another", ISSUER, NOW),
            Err(Refusal::Signature)
        );
        let for_others = Claims {
            aud: Audience::One("https://api.example".to_owned()),
            ..claims()
        };
        let token = key.sign(&for_others).expect("plain claims");
        assert_eq!(
            verify(&token, "one", b"master", ISSUER, NOW),
            Err(Refusal::Audience)
        );
    }

    #[test]
    fn a_token_belongs_to_exactly_one_credential() {
        let live = belong(claims(), subject()).expect("they fit");
        assert_eq!(live.scope(), "a", "what was lost since is gone");
        let others = [
            Subject {
                user_id: UserId::new(9, &[9; 10]),
                ..subject()
            },
            Subject {
                organization_id: OrganizationId::new(9, &[9; 10]),
                ..subject()
            },
            Subject {
                session_id: Some(SessionId::new(9, &[9; 10])),
                ..subject()
            },
            Subject {
                session_id: None,
                api_key_id: Some(ApiKeyId::new(9, &[9; 10])),
                ..subject()
            },
        ];
        for other in others {
            assert!(belong(claims(), other.clone()).is_none(), "{other:?}");
        }
        let of_client = Claims {
            client_id: "cli".to_owned(),
            ..claims()
        };
        assert!(belong(of_client, subject()).is_none());
    }
}
