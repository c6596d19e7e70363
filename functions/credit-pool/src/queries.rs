use serde::Deserialize;
use shared::credits::grant_terms::GrantTerms;
use shared::credits::place::CreditPlace;
use shared::credits::{CreditPool, Transaction, TransactionFilter, grant};
use shared::http::Idempotency;
use shared::http::context::Context;
use shared::http::pagination::{Listed, Page};
use shared::http::problem::Problem;
use shared::ids::{CreditAccountId, CreditGrantId, CreditTransactionId, OrganizationId, UserId};
use shared::money::Currency;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::PoolGranted;

/// Ids for the rows that the grant may create. They are drawn before the
/// statement, so that sending it twice creates nothing twice.
pub struct NewIds {
    pub transaction: CreditTransactionId,
    pub account: CreditAccountId,
    pub grant: CreditGrantId,
}

/// The pool, and until when it and the token may be kept.
#[derive(Debug, Deserialize)]
pub struct Found {
    pub token_expires_millis: u64,
    /// When it changes by itself.
    pub pool_expires_millis: u64,
    pub pool: CreditPool,
}

/// A transaction, who asked for it, and when it came to pass in microseconds since 1970.
#[derive(Debug, Deserialize)]
pub struct Row {
    pub at_micros: i64,
    pub actor_id: Option<UserId>,
    pub transaction: Transaction,
}

impl Row {
    /// Where a page after this one begins.
    pub fn place(&self) -> CreditPlace {
        let Transaction { amount, id, .. } = &self.transaction;
        CreditPlace::new(self.at_micros, amount.currency(), id.as_uuid())
    }
}

fn refuse_grant(refused: &Refused) -> Option<Problem> {
    match refused.code.as_str() {
        "not_found" => Some(Problem::not_found("There is no organization with this id.")),
        code => grant::refused(code),
    }
}

pub async fn find(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    currency: Currency,
) -> Result<Found, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        currency.code().to_owned().into(),
    ];
    let sql = "SELECT credit_pool_read($1, $2, $3)::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}

/// The rows of the page, and one more if there is one: in one currency, or in all.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    currency: Option<Currency>,
    filter: &TransactionFilter,
    page: &Page<CreditPlace>,
) -> Result<Listed<Vec<Row>>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        currency.map(|currency| currency.code().to_owned()).into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        filter.kind_name().into(),
        filter.since_utc().into(),
        filter.until_utc().into(),
        page.after.and_then(|place| place.at_utc()).into(),
        page.after.map(|place| place.currency_code()).into(),
        page.after.map(|place| place.id()).into(),
    ];
    let sql = "SELECT credit_pool_transactions($1, $2, $3, $4, $5,
                                               $6::timestamp AT TIME ZONE 'UTC',
                                               $7::timestamp AT TIME ZONE 'UTC',
                                               $8::timestamp AT TIME ZONE 'UTC', $9, $10)::text, cursor_key()";
    db::list(context, sql, &parameters, db::no_refusal_of_its_own).await
}

pub async fn grant(
    context: &Context,
    digest: TokenDigest,
    idempotency: &Idempotency,
    ids: NewIds,
    organization_id: OrganizationId,
    terms: &GrantTerms,
) -> Result<PoolGranted, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        idempotency.key.clone().into(),
        idempotency.request_digest.to_vec().into(),
        ids.transaction.as_uuid().into(),
        ids.account.as_uuid().into(),
        ids.grant.as_uuid().into(),
        organization_id.as_uuid().into(),
        terms.currency.code().to_owned().into(),
        terms.amount.0.into(),
        terms.description().into(),
        terms.kind().into(),
        terms.priority().into(),
        terms.effective_at().into(),
        terms.expires_at().into(),
    ];
    let sql = "SELECT credit_pool_grant($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
                                        $13::timestamp AT TIME ZONE 'UTC',
                                        $14::timestamp AT TIME ZONE 'UTC')::text";
    db::call(context, sql, &parameters, refuse_grant).await
}
