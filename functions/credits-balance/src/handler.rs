//! For showing, not for deciding: a spend reads the balance under lock.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::store::cache::{self, Lookup};
use shared::store::cache_key::{CacheKey, Namespace, Scope};

use crate::operations::{Balance, BalanceQuery};
use crate::queries;

pub async fn balance(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let query: BalanceQuery = request.query()?;
    let currency = query.currency.unwrap_or_default();
    let key = CacheKey::<Balance>::for_token_and_currency(
        Namespace::CreditBalance,
        token.digest,
        currency,
    );
    let fill = match cache::look_up(context, key, Scope::Credits(token.owner)).await {
        Lookup::Hit(entry) => return Ok(Reply::from_json_bytes(200, entry.payload.clone())),
        Lookup::Miss(fill) => fill,
    };
    let found = queries::balance(context, token.digest, currency).await?;
    fill.store(context, &found.balance, found.token_expires_millis)
        .await;
    Reply::json(200, &found.balance)
}
