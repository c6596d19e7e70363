use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::store::cache::{self, Lookup};
use shared::store::cache_key::{CacheKey, Namespace, Scope};

use crate::operations::Me;
use crate::queries;

pub async fn read(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let key = CacheKey::<Me>::for_token(Namespace::User, token.digest);
    let fill = match cache::look_up(context, key, Scope::Auth(token.owner)).await {
        Lookup::Hit(entry) => return Ok(Reply::from_json_bytes(200, entry.payload.clone())),
        Lookup::Miss(fill) => fill,
    };
    let found = queries::find(context, token.digest).await?;
    fill.store(context, &found.me, found.token_expires_millis)
        .await;
    Reply::json(200, &found.me)
}
