use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{ACCESS_COOKIE, REFRESH_COOKIE, Reply, Request};
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::queries;

/// The token is dead for every request that begins after this one's answer.
pub async fn logout(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let scopes = Scope::all_of_user(token.owner);
    let write = queries::end_session(context, token.digest);
    let ended = cache::during_write(context, &scopes, write).await?;
    let reply = Reply::json(200, &ended)?;
    // A browser would go on sending cookies that are worth nothing.
    Ok(if request.header_is_present("cookie") {
        reply
            .with_cookie(ACCESS_COOKIE, "", 0)
            .with_cookie(REFRESH_COOKIE, "", 0)
    } else {
        reply
    })
}
