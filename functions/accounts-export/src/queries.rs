use serde::Deserialize;
use shared::billing::account::{Account, AccountReader};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::BillingAccountId;
use shared::store::db;
use shared::token::TokenDigest;

/// The first page, and whose accounts the token may read.
#[derive(Debug, Deserialize)]
pub struct Beginning {
    pub reader: AccountReader,
    pub accounts: Vec<Account>,
}

/// The newest `limit` accounts.
pub async fn begin(
    context: &Context,
    digest: TokenDigest,
    limit: i32,
) -> Result<Beginning, Problem> {
    let parameters = [digest.0.to_vec().into(), limit.into()];
    let sql = "SELECT billing_accounts_export($1, $2)::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}

/// The newest `limit` accounts before one of them.
pub async fn next(
    context: &Context,
    reader: AccountReader,
    before: BillingAccountId,
    limit: i32,
) -> Result<Vec<Account>, Problem> {
    let parameters = [
        reader.organization_id.map(|id| id.as_uuid()).into(),
        before.as_uuid().into(),
        limit.into(),
    ];
    let sql = "SELECT billing_accounts_page($1, $2, $3)::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}
