use serde::Deserialize;
use shared::credits::{Transaction, TransactionFilter};
use shared::http::context::Context;
use shared::http::pagination::{Listed, Page};
use shared::http::problem::Problem;
use shared::money::Currency;
use shared::store::db;
use shared::token::TokenDigest;

/// A transaction and its position in the account.
#[derive(Debug, Deserialize)]
pub struct Row {
    pub sequence: i64,
    pub transaction: Transaction,
}

/// The rows of the page, and one more if there is one.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    currency: Currency,
    filter: &TransactionFilter,
    page: &Page,
) -> Result<Listed<Vec<Row>>, Problem> {
    let before = page.after.unwrap_or(i64::MAX);
    let parameters = [
        digest.0.to_vec().into(),
        currency.code().to_owned().into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        before.into(),
        filter.kind_name().into(),
        filter.since_utc().into(),
        filter.until_utc().into(),
    ];
    let sql = "SELECT credits_transactions($1, $2, $3, $4, $5,
                                           $6::timestamp AT TIME ZONE 'UTC',
                                           $7::timestamp AT TIME ZONE 'UTC')::text, cursor_key()";
    db::list(context, sql, &parameters, db::no_refusal_of_its_own).await
}
