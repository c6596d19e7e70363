use serde::Deserialize;
use shared::credits::place::CreditPlace;
use shared::credits::{Transaction, TransactionFilter};
use shared::http::context::Context;
use shared::http::pagination::{Listed, Page};
use shared::http::problem::Problem;
use shared::money::Currency;
use shared::store::db;
use shared::token::TokenDigest;

/// A transaction, and when it came to pass in microseconds since 1970.
#[derive(Debug, Deserialize)]
pub struct Row {
    pub at_micros: i64,
    pub transaction: Transaction,
}

impl Row {
    /// Where a page after this one begins.
    pub fn place(&self) -> CreditPlace {
        let Transaction { amount, id, .. } = &self.transaction;
        CreditPlace::new(self.at_micros, amount.currency(), id.as_uuid())
    }
}

/// The rows of the page, and one more if there is one: in one currency, or in all.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    currency: Option<Currency>,
    filter: &TransactionFilter,
    page: &Page<CreditPlace>,
) -> Result<Listed<Vec<Row>>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        currency.map(|currency| currency.code().to_owned()).into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        filter.kind_name().into(),
        filter.since_utc().into(),
        filter.until_utc().into(),
        page.after.and_then(|place| place.at_utc()).into(),
        page.after.map(|place| place.currency_code()).into(),
        page.after.map(|place| place.id()).into(),
    ];
    let sql = "SELECT credits_transactions($1, $2, $3, $4,
                                           $5::timestamp AT TIME ZONE 'UTC',
                                           $6::timestamp AT TIME ZONE 'UTC',
                                           $7::timestamp AT TIME ZONE 'UTC', $8, $9)::text, cursor_key()";
    db::list(context, sql, &parameters, db::no_refusal_of_its_own).await
}
