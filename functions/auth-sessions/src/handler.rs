use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::SessionId;
use shared::store::cache;
use shared::store::cache_key::Scope;
use shared::token::PresentedToken;

use crate::queries;

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let sessions = queries::list(context, token.digest).await?;
    Reply::json(200, &sessions)
}

pub async fn revoke_others(context: &Context, request: &Request) -> Result<Reply, Problem> {
    end(context, request.access_token()?, None).await
}

pub async fn revoke(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let session = request.named("id", queries::not_found)?;
    end(context, token, Some(session)).await
}

/// Ends the session or, when none is named, all but the caller's own.
async fn end(
    context: &Context,
    token: PresentedToken,
    session: Option<SessionId>,
) -> Result<Reply, Problem> {
    let scopes = Scope::all_of_user(token.owner);
    let write = queries::revoke(context, token.digest, session);
    let revoked = cache::during_write(context, &scopes, write).await?;
    Reply::json(200, &revoked)
}
