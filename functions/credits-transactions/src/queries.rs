use serde::Deserialize;
use shared::credits::{TransactionFilter, TransactionRow};
use shared::http::context::Context;
use shared::http::pagination::Page;
use shared::http::problem::Problem;
use shared::money::Currency;
use shared::store::db;
use shared::token::TokenDigest;

/// A transaction and its position in the account.
#[derive(Debug, Deserialize)]
pub struct Row {
    pub sequence: i64,
    pub transaction: TransactionRow,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Found { rows: Vec<Row> },
    Unauthenticated,
    Forbidden,
}

/// The rows of the page, and one more if there is one.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    currency: Currency,
    filter: &TransactionFilter,
    page: Page,
) -> Result<Vec<Row>, Problem> {
    let before = page.after.map_or(i64::MAX, |cursor| cursor.0);
    let parameters = [
        digest.0.to_vec().into(),
        currency.code().to_owned().into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        before.into(),
        filter.kind.clone().into(),
        filter.since.into(),
        filter.until.into(),
    ];
    let sql = "SELECT credits_transactions($1, $2, $3, $4, $5,
                                           $6::timestamp AT TIME ZONE 'UTC',
                                           $7::timestamp AT TIME ZONE 'UTC')::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Found { rows } => Ok(rows),
        Answer::Unauthenticated => Err(Problem::unauthenticated()),
        Answer::Forbidden => Err(Problem::forbidden("credits:read")),
    }
}
