use serde::Deserialize;
use shared::context::Context;
use shared::db;
use shared::email::EmailAddress;
use shared::ids::{SessionId, UserId};
use shared::problem::Problem;
use shared::session::{ACCESS_TTL_SECS, REFRESH_TTL_SECS, Session, TokenPair};

/// Who an email belongs to, and what their password must match.
pub struct User {
    pub id: UserId,
    pub password_hash: String,
}

/// Whether the login may go on.
pub enum Begin {
    Locked { retry_after_secs: u32 },
    Proceed(Option<User>),
}

/// Where the login comes from, for the list of sessions.
pub struct Client {
    pub user_agent: String,
    pub address: String,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum BeginAnswer {
    Locked {
        retry_after_secs: u32,
    },
    Proceed {
        user_id: Option<UserId>,
        password_hash: Option<String>,
    },
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum OpenAnswer {
    Opened(Session),
    Refused,
}

/// Reads the hash, unless the login is locked out.
pub async fn begin(
    context: &Context,
    email: &EmailAddress,
    address: &str,
) -> Result<Begin, Problem> {
    let parameters = [email.as_str().to_owned().into(), address.to_owned().into()];
    let answer = db::call(
        context,
        "SELECT auth_login_begin($1, $2)::text",
        &parameters,
    )
    .await?;
    Ok(match answer {
        BeginAnswer::Locked { retry_after_secs } => Begin::Locked { retry_after_secs },
        BeginAnswer::Proceed {
            user_id,
            password_hash,
        } => Begin::Proceed(
            user_id
                .zip(password_hash)
                .map(|(id, password_hash)| User { id, password_hash }),
        ),
    })
}

/// Opens a session; `None` if the user changed since their hash was read.
pub async fn open_session(
    context: &Context,
    user: &User,
    new_hash: String,
    session_id: SessionId,
    pair: &TokenPair,
    client: Client,
) -> Result<Option<Session>, Problem> {
    let parameters = [
        user.id.as_uuid().into(),
        user.password_hash.clone().into(),
        new_hash.into(),
        session_id.as_uuid().into(),
        pair.access_digest().0.to_vec().into(),
        pair.refresh_digest().0.to_vec().into(),
        ACCESS_TTL_SECS.into(),
        REFRESH_TTL_SECS.into(),
        client.user_agent.into(),
        client.address.into(),
    ];
    let sql = "SELECT auth_login($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)::text";
    Ok(match db::call(context, sql, &parameters).await? {
        OpenAnswer::Opened(session) => Some(session),
        OpenAnswer::Refused => None,
    })
}
