use serde::Deserialize;
use shared::context::Context;
use shared::db;
use shared::email::EmailAddress;
use shared::ids::{OrganizationId, SessionId, UserId};
use shared::problem::Problem;
use shared::token::TokenDigest;
use spin_sdk::pg::DbValue;

/// Who an email belongs to, and what their password must match.
pub struct User {
    pub id: UserId,
    pub password_hash: String,
}

/// The session that was opened.
#[derive(Deserialize)]
pub struct Session {
    pub organization_id: OrganizationId,
    pub expires_at: String,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum OpenAnswer {
    Opened(Session),
    Refused,
}

pub async fn find_user(context: &Context, email: &EmailAddress) -> Result<Option<User>, Problem> {
    let row = db::call_row(
        context,
        "SELECT prefixed_id('usr_', id), password_hash FROM users
          WHERE email = $1 AND disabled_at IS NULL",
        &[email.as_str().to_owned().into()],
    )
    .await?;
    let [DbValue::Str(id), DbValue::Str(password_hash)] = row.as_slice() else {
        return Ok(None);
    };
    let id = id.parse().map_err(|_| Problem::internal())?;
    Ok(Some(User {
        id,
        password_hash: password_hash.clone(),
    }))
}

/// Opens a session; `None` if the user changed since their hash was read.
pub async fn open_session(
    context: &Context,
    user: &User,
    session_id: SessionId,
    digest: TokenDigest,
    ttl_secs: i32,
) -> Result<Option<Session>, Problem> {
    let parameters = [
        user.id.as_uuid().into(),
        user.password_hash.clone().into(),
        session_id.as_uuid().into(),
        digest.0.to_vec().into(),
        ttl_secs.into(),
    ];
    let answer = db::call(
        context,
        "SELECT auth_login($1, $2, $3, $4, $5)::text",
        &parameters,
    )
    .await?;
    Ok(match answer {
        OpenAnswer::Opened(session) => Some(session),
        OpenAnswer::Refused => None,
    })
}
