//! What is asked for is allowed and recorded first, and done then: a removal costs nobody anything
//! but a read of Postgres, and one that was cut short is asked for again.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::store::cache_removal;

use crate::operations::{
    CacheEntriesQuery, CacheNamespace, CacheOwner, CacheRemoval, namespace_not_found,
    owner_not_found,
};
use crate::queries;

pub async fn remove_namespace(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let namespace: CacheNamespace = request.named("namespace", namespace_not_found)?;
    let query: CacheEntriesQuery = request.query()?;
    let patterns = namespace.patterns(query.pattern.as_ref());
    if patterns.is_empty() {
        return Err(Problem::invalid_parameter(
            "pattern",
            "invalid",
            "must be a pattern of the namespace",
        ));
    }
    let subject = query.pattern.as_deref().unwrap_or(namespace.0.name());
    queries::allow(context, token.digest, subject).await?;
    let removed = cache_removal::remove(context, &patterns).await?;
    Reply::json(200, &CacheRemoval::from(removed))
}

pub async fn remove_owner(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let owner: CacheOwner = request.named("id", owner_not_found)?;
    queries::allow(context, token.digest, &owner.to_string()).await?;
    let removed = cache_removal::remove_scopes(context, &owner.scopes()).await?;
    Reply::json(200, &CacheRemoval::from(removed))
}
