//! What a client gets when it signs in: an access token, a refresh token, and how long
//! they last. Login and refresh give the same answer.

use serde::{Deserialize, Serialize};

use crate::http::problem::Problem;
use crate::http::{ACCESS_COOKIE, REFRESH_COOKIE, Reply};
use crate::ids::{OrganizationId, SessionId, UserId};
use crate::token::{self, SECRET_BYTES, TokenDigest, TokenKind};

/// How long an access token lives: a quarter of an hour. Revocation takes effect at
/// once. This limits what a token is worth that leaked unnoticed.
pub const ACCESS_TTL_SECS: i32 = 15 * 60;

/// How long a session lives if it is not refreshed: thirty days.
pub const REFRESH_TTL_SECS: i32 = 30 * 24 * 60 * 60;

/// A new access token and the refresh token that replaces it.
pub struct TokenPair {
    access: String,
    refresh: String,
}

/// The session that a pair belongs to, as the database returns it.
#[derive(Debug, Deserialize)]
pub struct Session {
    session_id: SessionId,
    user_id: UserId,
    organization_id: OrganizationId,
    expires_at: String,
}

#[derive(Serialize)]
struct Output<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    token_type: &'static str,
    expires_in: i32,
    expires_at: &'a str,
    user_id: UserId,
    organization_id: OrganizationId,
    session_id: SessionId,
}

/// How the client carries its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// In the answer's body, for `Authorization: Bearer`.
    Bearer,
    /// In cookies that no script can read.
    Cookie,
}

impl TokenPair {
    /// Makes a pair for `owner`. Both secrets must come from a cryptographic source.
    pub fn mint(owner: UserId, access: &[u8; SECRET_BYTES], refresh: &[u8; SECRET_BYTES]) -> Self {
        Self {
            access: token::mint(TokenKind::Access, owner, access),
            refresh: token::mint(TokenKind::Refresh, owner, refresh),
        }
    }

    /// The digest under which the access token is stored.
    pub fn access_digest(&self) -> TokenDigest {
        token::digest(&self.access)
    }

    /// The digest under which the refresh token is stored.
    pub fn refresh_digest(&self) -> TokenDigest {
        token::digest(&self.refresh)
    }

    /// The reply that gives the pair to the client.
    ///
    /// # Errors
    /// Those of [`Reply::json`].
    pub fn reply(&self, session: &Session, carrier: Carrier) -> Result<Reply, Problem> {
        let in_body = carrier == Carrier::Bearer;
        let reply = Reply::json(
            200,
            &Output {
                access_token: in_body.then_some(self.access.as_str()),
                refresh_token: in_body.then_some(self.refresh.as_str()),
                token_type: if in_body { "Bearer" } else { "Cookie" },
                expires_in: ACCESS_TTL_SECS,
                expires_at: &session.expires_at,
                user_id: session.user_id,
                organization_id: session.organization_id,
                session_id: session.session_id,
            },
        )?;
        Ok(match carrier {
            Carrier::Bearer => reply,
            Carrier::Cookie => reply
                .with_cookie(ACCESS_COOKIE, &self.access, ACCESS_TTL_SECS)
                .with_cookie(REFRESH_COOKIE, &self.refresh, REFRESH_TTL_SECS),
        })
    }
}
