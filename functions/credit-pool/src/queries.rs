use serde::Deserialize;
use shared::credits::grant_terms::{GrantRefusal, GrantTerms};
use shared::credits::{GrantRow, TransactionFilter, TransactionRow};
use shared::http::Idempotency;
use shared::http::context::Context;
use shared::http::pagination::Page;
use shared::http::problem::Problem;
use shared::ids::{CreditAccountId, CreditGrantId, CreditTransactionId, OrganizationId, UserId};
use shared::money::decimal_text::DecimalText;
use shared::money::{Currency, Money};
use shared::organizations;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{Granted, Output};

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
    available: DecimalText,
    held: DecimalText,
    pending: DecimalText,
    allocated: DecimalText,
}

impl Found {
    pub fn output(
        &self,
        organization_id: OrganizationId,
        currency: Currency,
    ) -> Result<Output, Problem> {
        let money = |amount: DecimalText| Money::new(amount.0, currency);
        let total = self.available.0.checked_add(self.held.0);
        let left = self.available.0.checked_sub(self.allocated.0);
        let (Some(total), Some(left)) = (total, left) else {
            return Err(Problem::internal());
        };
        let unallocated = Money::new(left, currency);
        Ok(Output {
            organization_id,
            available: money(self.available),
            held: money(self.held),
            total: Money::new(total, currency),
            pending: money(self.pending),
            allocated: money(self.allocated),
            unallocated: if unallocated.is_negative() {
                Money::zero(currency)
            } else {
                unallocated
            },
        })
    }
}

/// A transaction, who asked for it, and its position in the account.
#[derive(Debug, Deserialize)]
pub struct Row {
    pub sequence: i64,
    pub actor_id: Option<UserId>,
    pub transaction: TransactionRow,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum ReadAnswer {
    Found(Found),
    NotFound,
    Unauthenticated,
    Forbidden,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum ListAnswer {
    Found { rows: Vec<Row> },
    NotFound,
    Unauthenticated,
    Forbidden,
}

#[derive(Deserialize)]
struct GrantMade {
    grant: GrantRow,
    transaction: TransactionRow,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum GrantAnswer {
    Granted(Box<GrantMade>),
    NotFound,
    ExpiresTooEarly,
    TooManyOpenGrants,
    BalanceLimit,
    IdempotencyKeyReused,
    Unauthenticated,
    Forbidden,
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
    match db::call(context, sql, &parameters).await? {
        ReadAnswer::Found(found) => Ok(found),
        ReadAnswer::NotFound => Err(organizations::not_found()),
        ReadAnswer::Unauthenticated => Err(Problem::unauthenticated()),
        ReadAnswer::Forbidden => Err(Problem::forbidden("billing:read")),
    }
}

/// The rows of the page, and one more if there is one.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    currency: Currency,
    filter: &TransactionFilter,
    page: Page,
) -> Result<Vec<Row>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        currency.code().to_owned().into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.map_or(i64::MAX, |cursor| cursor.0).into(),
        filter.kind.clone().into(),
        filter.since.into(),
        filter.until.into(),
    ];
    let sql = "SELECT credit_pool_transactions($1, $2, $3, $4, $5, $6,
                                               $7::timestamp AT TIME ZONE 'UTC',
                                               $8::timestamp AT TIME ZONE 'UTC')::text";
    match db::call(context, sql, &parameters).await? {
        ListAnswer::Found { rows } => Ok(rows),
        ListAnswer::NotFound => Err(organizations::not_found()),
        ListAnswer::Unauthenticated => Err(Problem::unauthenticated()),
        ListAnswer::Forbidden => Err(Problem::forbidden("billing:read")),
    }
}

pub async fn grant(
    context: &Context,
    digest: TokenDigest,
    idempotency: &Idempotency,
    ids: NewIds,
    organization_id: OrganizationId,
    terms: &GrantTerms,
) -> Result<Granted, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        idempotency.key.clone().into(),
        idempotency.request_digest.to_vec().into(),
        ids.transaction.as_uuid().into(),
        ids.account.as_uuid().into(),
        ids.grant.as_uuid().into(),
        organization_id.as_uuid().into(),
        terms.money.currency().code().to_owned().into(),
        terms.money.amount().into(),
        terms.description.clone().into(),
        terms.kind.clone().into(),
        terms.priority.into(),
        terms.effective_at.into(),
        terms.expires_at.into(),
    ];
    let sql = "SELECT credit_pool_grant($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
                                        $13::timestamp AT TIME ZONE 'UTC',
                                        $14::timestamp AT TIME ZONE 'UTC')::text";
    match db::call(context, sql, &parameters).await? {
        GrantAnswer::Granted(made) => Ok(Granted {
            organization_id,
            grant: made.grant.into(),
            transaction: made.transaction.into(),
        }),
        GrantAnswer::NotFound => Err(Problem::not_found("There is no organization with this id.")),
        GrantAnswer::ExpiresTooEarly => Err(GrantRefusal::ExpiresTooEarly.into()),
        GrantAnswer::TooManyOpenGrants => Err(GrantRefusal::TooManyOpenGrants.into()),
        GrantAnswer::BalanceLimit => Err(GrantRefusal::BalanceLimit.into()),
        GrantAnswer::IdempotencyKeyReused => Err(Problem::idempotency_key_reused()),
        GrantAnswer::Unauthenticated => Err(Problem::unauthenticated()),
        GrantAnswer::Forbidden => Err(Problem::forbidden("credits:grant")),
    }
}
