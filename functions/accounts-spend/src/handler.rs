//! Usage that meters counted is rated by the code that estimates and invoices, so that nobody
//! copies a number from one to the other.

use shared::billing::account;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

use crate::operations::AccountSpend;
use crate::{queries, spend};

pub async fn read(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", account::not_found)?;
    let facts = queries::read(context, token.digest, id).await?;
    let subscriptions = facts.subscriptions.iter().map(spend::of);
    let spend = AccountSpend {
        account_id: id,
        as_of: facts.as_of,
        subscriptions: subscriptions.collect::<Result<_, _>>()?,
    };
    Reply::json(200, &spend)
}
