use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::money::Currency;
use shared::store::db;
use shared::token::TokenDigest;

use crate::operations::Balance;

#[derive(Debug, Deserialize)]
pub struct Found {
    /// When the token ends, or the balance changes by itself.
    pub token_expires_millis: u64,
    pub balance: Balance,
}

pub async fn balance(
    context: &Context,
    digest: TokenDigest,
    currency: Currency,
) -> Result<Found, Problem> {
    let parameters = [digest.0.to_vec().into(), currency.code().to_owned().into()];
    let sql = "SELECT credits_balance($1, $2)::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}
