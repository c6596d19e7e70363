use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::UserId;
use shared::money::decimal_text::DecimalText;
use shared::money::{Currency, Money};
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::Output;

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Found(Found),
    Unauthenticated,
    Forbidden,
}

#[derive(Debug, Deserialize)]
pub struct Found {
    /// When the token ends, or the balance changes by itself.
    pub token_expires_millis: u64,
    user_id: UserId,
    available: DecimalText,
    held: DecimalText,
    pending: DecimalText,
}

impl Found {
    pub fn output(&self, currency: Currency) -> Result<Output, Problem> {
        let available = Money::new(self.available.0, currency);
        let held = Money::new(self.held.0, currency);
        let total = available
            .checked_add(held)
            .map_err(|_| Problem::internal())?;
        Ok(Output {
            user_id: self.user_id,
            available,
            held,
            total,
            pending: Money::new(self.pending.0, currency),
        })
    }
}

pub async fn balance(
    context: &Context,
    digest: TokenDigest,
    currency: Currency,
) -> Result<Found, Problem> {
    let parameters = [digest.0.to_vec().into(), currency.code().to_owned().into()];
    match db::call(context, "SELECT credits_balance($1, $2)::text", &parameters).await? {
        Answer::Found(found) => Ok(found),
        Answer::Unauthenticated => Err(Problem::unauthenticated()),
        Answer::Forbidden => Err(Problem::forbidden("credits:read")),
    }
}
