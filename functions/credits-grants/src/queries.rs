use serde::Deserialize;
use shared::credits::grant_terms::GrantRefusal;
use shared::credits::owner::CreditOwner;
use shared::credits::{GrantRow, TransactionRow};
use shared::http::Idempotency;
use shared::http::context::Context;
use shared::http::pagination::Page;
use shared::http::problem::Problem;
use shared::ids::{CreditAccountId, CreditGrantId, CreditTransactionId};
use shared::money::Currency;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{Input, Refusal};

/// Ids for the rows that the grant may create. They are drawn before the
/// statement, so that sending it twice creates nothing twice.
pub struct NewIds {
    pub transaction: CreditTransactionId,
    pub account: CreditAccountId,
    pub grant: CreditGrantId,
}

/// What was given or taken back, and to or from whom.
#[derive(Debug, Deserialize)]
pub struct Changed {
    #[serde(flatten)]
    pub owner: CreditOwner,
    pub grant: GrantRow,
    pub transaction: TransactionRow,
}

/// A grant and its position in the account.
#[derive(Debug, Deserialize)]
pub struct Row {
    pub sequence: i64,
    pub grant: GrantRow,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Granted(Changed),
    Voided(Changed),
    Owned(CreditOwner),
    Found { rows: Vec<Row> },
    UserNotFound,
    NotFound,
    ExpiresTooEarly,
    TooManyOpenGrants,
    BalanceLimit,
    NothingLeft,
    IdempotencyKeyReused,
    Unauthenticated,
    Forbidden,
}

impl Answer {
    /// The problem that this answer stands for, when it is none of those that
    /// the statement gives on success, to whoever needs `permission`.
    fn into_problem(self, permission: &str) -> Problem {
        match self {
            Self::UserNotFound => Refusal::UserNotFound.into(),
            Self::NotFound => Refusal::GrantNotFound.into(),
            Self::ExpiresTooEarly => GrantRefusal::ExpiresTooEarly.into(),
            Self::TooManyOpenGrants => GrantRefusal::TooManyOpenGrants.into(),
            Self::BalanceLimit => GrantRefusal::BalanceLimit.into(),
            Self::NothingLeft => Refusal::NothingLeft.into(),
            Self::IdempotencyKeyReused => Problem::idempotency_key_reused(),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::Forbidden => Problem::forbidden(permission),
            Self::Granted(_) | Self::Voided(_) | Self::Owned(_) | Self::Found { .. } => {
                Problem::internal()
            }
        }
    }
}

pub async fn grant(
    context: &Context,
    digest: TokenDigest,
    idempotency: &Idempotency,
    ids: NewIds,
    input: &Input,
) -> Result<Changed, Problem> {
    let terms = &input.terms;
    let parameters = [
        digest.0.to_vec().into(),
        idempotency.key.clone().into(),
        idempotency.request_digest.to_vec().into(),
        ids.transaction.as_uuid().into(),
        ids.account.as_uuid().into(),
        ids.grant.as_uuid().into(),
        input.user_id.as_uuid().into(),
        terms.money.currency().code().to_owned().into(),
        terms.money.amount().into(),
        terms.description.clone().into(),
        terms.kind.clone().into(),
        terms.priority.into(),
        terms.effective_at.into(),
        terms.expires_at.into(),
    ];
    let sql = "SELECT credits_grant($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
                                    $13::timestamp AT TIME ZONE 'UTC',
                                    $14::timestamp AT TIME ZONE 'UTC')::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Granted(changed) => Ok(changed),
        other => Err(other.into_problem("credits:grant")),
    }
}

/// Whose credits a grant belongs to.
pub async fn owner(
    context: &Context,
    digest: TokenDigest,
    id: CreditGrantId,
) -> Result<CreditOwner, Problem> {
    let parameters = [digest.0.to_vec().into(), id.as_uuid().into()];
    let sql = "SELECT credits_owner($1, $2, NULL)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Owned(owner) => Ok(owner),
        other => Err(other.into_problem("credits:grant")),
    }
}

pub async fn void(
    context: &Context,
    digest: TokenDigest,
    idempotency: &Idempotency,
    transaction_id: CreditTransactionId,
    id: CreditGrantId,
) -> Result<Changed, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        idempotency.key.clone().into(),
        idempotency.request_digest.to_vec().into(),
        transaction_id.as_uuid().into(),
        id.as_uuid().into(),
    ];
    let sql = "SELECT credits_grant_void($1, $2, $3, $4, $5)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Voided(changed) => Ok(changed),
        other => Err(other.into_problem("credits:grant")),
    }
}

/// The rows of the page, and one more if there is one.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    currency: Currency,
    page: Page,
) -> Result<Vec<Row>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        currency.code().to_owned().into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.map_or(i64::MAX, |cursor| cursor.0).into(),
    ];
    let sql = "SELECT credits_grants_list($1, $2, $3, $4)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Found { rows } => Ok(rows),
        other => Err(other.into_problem("credits:read")),
    }
}
