//! For showing, not for deciding: a spend reads the balance under lock.

use serde::Serialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::UserId;
use shared::money::Money;
use shared::store::cache::{self, Lookup};
use shared::store::cache_key::{CacheKey, Namespace, Scope};

use crate::queries;

/// What the route answers, and what is cached.
#[derive(Debug, Serialize)]
pub struct Output {
    pub user_id: UserId,
    /// What can be spent now.
    pub available: Money,
    /// What is reserved for operations under way.
    pub held: Money,
    /// Both together.
    pub total: Money,
    /// What was granted and is not effective yet.
    pub pending: Money,
}

pub async fn balance(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let currency = request.currency()?;
    let key = CacheKey::<Output>::for_token_and_currency(
        Namespace::CreditBalance,
        token.digest,
        currency,
    );
    let fill = match cache::look_up(context, key, Scope::Credits(token.owner)).await {
        Lookup::Hit(entry) => return Ok(Reply::from_json_bytes(200, entry.payload.clone())),
        Lookup::Miss(fill) => fill,
    };
    let found = queries::balance(context, token.digest, currency).await?;
    let output = found.output(currency)?;
    fill.store(context, &output, found.token_expires_millis)
        .await;
    Reply::json(200, &output)
}
