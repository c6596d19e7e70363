use serde::Deserialize;
use shared::credits::{Transaction, TransactionFilter, TransactionKind};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{CreditAccountId, OrganizationId};
use shared::money::Currency;
use shared::store::db;
use shared::token::TokenDigest;

/// A transaction and its position in the account.
#[derive(Debug, Deserialize)]
pub struct Row {
    pub sequence: i64,
    pub transaction: Transaction,
}

/// What is left to read after a page.
#[derive(Debug)]
pub struct Position {
    pub organization: OrganizationId,
    pub account: CreditAccountId,
    pub currency: Currency,
    pub kind: Option<TransactionKind>,
    /// The first transaction that is wanted.
    pub from: i64,
    /// The one after the last that is.
    pub before: i64,
}

#[derive(Debug, Deserialize)]
pub struct Beginning {
    /// None for whoever never had credits, as the account is.
    pub organization_id: Option<OrganizationId>,
    pub account_id: Option<CreditAccountId>,
    pub from: i64,
    pub rows: Vec<Row>,
}

/// The newest `limit` of the transactions that are wanted.
pub async fn begin(
    context: &Context,
    digest: TokenDigest,
    currency: Currency,
    filter: &TransactionFilter,
    limit: i32,
) -> Result<Beginning, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        currency.code().to_owned().into(),
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
    let parameters = [
        position.organization.as_uuid().into(),
        position.account.as_uuid().into(),
        position.currency.code().to_owned().into(),
        position.kind.map(|kind| kind.as_str().to_owned()).into(),
        position.from.into(),
        position.before.into(),
        limit.into(),
    ];
    let sql = "SELECT transfers_page($1, $2, $3, $4, $5, $6, $7)::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}
