use serde::{Deserialize, Serialize};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::{OrganizationId, SessionId, UserId};
use shared::store::cache::{self, Lookup};
use shared::store::cache_key::{CacheKey, Namespace, Scope};

use crate::queries;

/// What the route answers, and what is cached.
#[derive(Debug, Serialize, Deserialize)]
pub struct Output {
    pub user_id: UserId,
    pub email: String,
    pub email_verified: bool,
    pub organization_id: OrganizationId,
    pub organization_name: String,
    /// The session, unless the credential is an API key.
    pub session_id: Option<SessionId>,
    pub permissions: Vec<String>,
    pub created_at: String,
}

pub async fn me(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let key = CacheKey::<Output>::for_token(Namespace::User, token.digest);
    let fill = match cache::look_up(context, key, Scope::Auth(token.owner)).await {
        Lookup::Hit(entry) => return Ok(Reply::from_json_bytes(200, entry.payload.clone())),
        Lookup::Miss(fill) => fill,
    };
    let found = queries::me(context, token.digest).await?;
    fill.store(context, &found.output, found.token_expires_millis)
        .await;
    Reply::json(200, &found.output)
}
