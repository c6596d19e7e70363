use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::UserId;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{self, User};

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Found { user: User },
    Changed { user: User },
    OwnUser,
    NotFound,
    Unauthenticated,
    Forbidden,
}

impl Answer {
    /// The user, or the problem that this answer stands for.
    fn into_user(self) -> Result<User, Problem> {
        match self {
            Self::Found { user } | Self::Changed { user } => Ok(user),
            Self::OwnUser => Err(handler::own_user()),
            Self::NotFound => Err(handler::not_found()),
            Self::Unauthenticated => Err(Problem::unauthenticated()),
            Self::Forbidden => Err(Problem::forbidden("users:manage")),
        }
    }
}

pub async fn read(context: &Context, digest: TokenDigest, id: UserId) -> Result<User, Problem> {
    let parameters = [digest.0.to_vec().into(), id.as_uuid().into()];
    let answer: Answer = db::call(context, "SELECT user_read($1, $2)::text", &parameters).await?;
    answer.into_user()
}

pub async fn change(
    context: &Context,
    digest: TokenDigest,
    id: UserId,
    disabled: bool,
) -> Result<User, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        disabled.into(),
    ];
    let sql = "SELECT user_change($1, $2, $3)::text";
    let answer: Answer = db::call(context, sql, &parameters).await?;
    answer.into_user()
}
