use serde::{Deserialize, Serialize};
use shared::credits::{Transaction, TransactionFilter, TransactionKind};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{OrganizationId, UserId};
use shared::money::Currency;
use shared::store::db;
use shared::token::TokenDigest;

/// A transaction and its position in the account.
#[derive(Debug, Deserialize)]
pub struct Row {
    pub sequence: i64,
    pub transaction: Transaction,
}

/// What is left to read of an account.
#[derive(Debug, Serialize, Deserialize)]
pub struct Part {
    /// The account's currency.
    pub currency: Currency,
    /// The first transaction that is wanted.
    pub first: i64,
    /// The one after the last that is.
    pub before: i64,
}

/// What is left to read after a page.
#[derive(Debug)]
pub struct Position {
    pub organization: OrganizationId,
    pub user: UserId,
    pub kind: Option<TransactionKind>,
    /// One for each account.
    pub parts: Vec<Part>,
}

#[derive(Debug, Deserialize)]
pub struct Beginning {
    pub organization_id: OrganizationId,
    pub user_id: UserId,
    /// None for whoever never had credits.
    pub parts: Vec<Part>,
    pub rows: Vec<Row>,
}

/// The newest `limit` of the transactions that are wanted: in one currency, or in all.
pub async fn begin(
    context: &Context,
    digest: TokenDigest,
    currency: Option<Currency>,
    filter: &TransactionFilter,
    limit: i32,
) -> Result<Beginning, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        currency.map(|currency| currency.code().to_owned()).into(),
        limit.into(),
        filter.kind_name().into(),
        filter.since_utc().into(),
        filter.until_utc().into(),
    ];
    let sql = "SELECT credits_transactions_export($1, $2, $3, $4,
                                                  $5::timestamp AT TIME ZONE 'UTC',
                                                  $6::timestamp AT TIME ZONE 'UTC')::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}

/// The newest `limit` of what is left.
pub async fn next(context: &Context, position: &Position, limit: i32) -> Result<Vec<Row>, Problem> {
    // Codes and numbers always serialize; the empty text is for the type checker.
    let parts = serde_json::to_string(&position.parts).unwrap_or_default();
    let parameters = [
        position.organization.as_uuid().into(),
        position.user.as_uuid().into(),
        parts.into(),
        position.kind.map(|kind| kind.as_str().to_owned()).into(),
        limit.into(),
    ];
    let sql = "SELECT transfers_page($1, $2, $3::text::jsonb, $4, $5)::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}
