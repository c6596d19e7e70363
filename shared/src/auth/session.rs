//! What a client gets when it signs in: an access token, a refresh token, and how long
//! they last. Login, refresh and a change of the organization give the same answer.

use crate::http::operation::Answer;
use crate::http::time::Time;
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
#[cfg(feature = "spin")]
#[derive(Debug, serde::Deserialize)]
pub struct Session {
    session_id: SessionId,
    user_id: UserId,
    organization_id: Option<OrganizationId>,
    expires_at: Time,
}

/// A session, with its tokens unless cookies carry them.
#[shared::answer]
pub struct SignedIn {
    /// Send it as Authorization: Bearer. Only its SHA-256 is stored: it cannot be shown
    /// again. Absent with cookies.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "String", extend("pattern" = "^tpa_[A-Za-z0-9_-]{91}$"))
    )]
    pub access_token: Option<String>,
    /// Good for one refresh within 30 days. Absent with cookies.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "String", extend("pattern" = "^tpr_[A-Za-z0-9_-]{91}$"))
    )]
    pub refresh_token: Option<String>,
    /// What carries the tokens.
    pub token_type: Carrier,
    /// Seconds that the access token lives from its making.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(extend("const" = ACCESS_TTL_SECS))
    )]
    pub expires_in: i32,
    /// When the access token expires.
    pub expires_at: Time,
    /// Who signed in.
    pub user_id: UserId,
    /// The organization that the session acts in. Null for a user who belongs to none.
    pub organization_id: Option<OrganizationId>,
    /// The session.
    pub session_id: SessionId,
}

/// The answer of a login, of a refresh and of a change of the organization.
pub const SIGNED_IN: Answer = Answer::json::<SignedIn>(
    200,
    "A new pair of tokens, in the body or in cookies.",
    r#"{
        "access_token": "tpa_AZmixOHxfE2eb3CBkqO0xQGZosTh8Hs8jV5vcIGSo7QlixSJb70h6nMxSV5Z5tJ_kOiDamLvr5xPm6wm1W7JSia-EJ0",
        "refresh_token": "tpr_AZmixOHxfE2eb3CBkqO0xQGZosTh8Hs8jV5vcIGSo7QgNLKgbKK1HjAEJOiLPEXxzoDn0PVnDdGzUAGTGpe0ZdX7woU",
        "token_type": "Bearer", "expires_in": 900, "expires_at": "2026-11-21T09:30:00.123456Z",
        "user_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4",
        "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5",
        "session_id": "ses_0199a2c4e2008d5eaf708192a3b4c5d6"
    }"#,
)
.with_cookies();

/// How the client carries its tokens.
#[shared::answer]
#[derive(Copy, PartialEq, Eq)]
pub enum Carrier {
    /// In the answer's body, for `Authorization: Bearer`.
    #[serde(rename = "Bearer")]
    Bearer,
    /// In cookies that no script can read.
    #[serde(rename = "Cookie")]
    Cookie,
}

/// How a token is presented (RFC 6750).
#[shared::answer]
pub enum TokenType {
    /// In the Authorization header, after the word Bearer.
    #[serde(rename = "Bearer")]
    Bearer,
}

impl TokenPair {
    /// Makes a pair for `owner` that acts in `organization`, [`OrganizationId::NONE`] for
    /// none. Both secrets must come from a cryptographic source.
    pub fn mint(
        organization: OrganizationId,
        owner: UserId,
        access: &[u8; SECRET_BYTES],
        refresh: &[u8; SECRET_BYTES],
    ) -> Self {
        Self {
            access: token::mint(TokenKind::Access, organization, owner, access),
            refresh: token::mint(TokenKind::Refresh, organization, owner, refresh),
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
    /// Those of [`crate::http::Reply::json`].
    #[cfg(feature = "spin")]
    pub fn reply(
        &self,
        session: Session,
        carrier: Carrier,
    ) -> Result<crate::http::Reply, crate::http::problem::Problem> {
        use crate::http::{ACCESS_COOKIE, REFRESH_COOKIE, Reply};

        let (access_token, refresh_token) = match carrier {
            Carrier::Bearer => (Some(self.access.clone()), Some(self.refresh.clone())),
            Carrier::Cookie => (None, None),
        };
        let reply = Reply::json(
            200,
            &SignedIn {
                access_token,
                refresh_token,
                token_type: carrier,
                expires_in: ACCESS_TTL_SECS,
                expires_at: session.expires_at,
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
