//! Keys of the whole deployment, for the platform's own people. What leaves here are
//! ids and times: a private key is derived where it signs, and shown to nobody.

use shared::auth::jwt;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

use crate::queries;

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let keys = queries::list(context, token.digest).await?;
    Reply::json(200, &keys)
}

pub async fn rotate(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let new_kid = jwt::key_id(&context.random()?);
    let rotated = queries::rotate(context, token.digest, new_kid).await?;
    Reply::json(201, &rotated)
}

pub async fn withdraw(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let kid = request.named("kid", queries::not_found)?;
    let withdrawn = queries::withdraw(context, token.digest, kid).await?;
    Reply::json(200, &withdrawn)
}

#[cfg(test)]
mod tests {
    use crate::operations::rotation_pending;

    #[test]
    fn a_pending_rotation_says_when_to_come_back() {
        let problem = rotation_pending(42);
        assert_eq!((problem.status, problem.retry_after_secs), (409, Some(42)));
    }
}
