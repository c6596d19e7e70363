use serde::Deserialize;
use shared::credits::owner::CreditOwner;
use shared::credits::place::CreditPlace;
use shared::credits::{Grant, grant};
use shared::http::Idempotency;
use shared::http::context::Context;
use shared::http::pagination::{Listed, Page};
use shared::http::problem::Problem;
use shared::ids::{CreditAccountId, CreditGrantId, CreditTransactionId};
use shared::money::Currency;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{GrantVoided, Granted, NOTHING_LEFT, NewGrant, USER_WITHOUT_ORGANIZATION};

/// Ids for the rows that the grant may create. They are drawn before the
/// statement, so that sending it twice creates nothing twice.
pub struct NewIds {
    pub transaction: CreditTransactionId,
    pub account: CreditAccountId,
    pub grant: CreditGrantId,
}

/// A grant, and when it was made in microseconds since 1970.
#[derive(Debug, Deserialize)]
pub struct Row {
    pub at_micros: i64,
    pub grant: Grant,
}

impl Row {
    /// Where a page after this one begins.
    pub fn place(&self) -> CreditPlace {
        let Grant { amount, id, .. } = &self.grant;
        CreditPlace::new(self.at_micros, amount.currency(), id.as_uuid())
    }
}

/// 404: no grant has the id, of whomever.
pub fn grant_not_found() -> Problem {
    Problem::not_found("There is no grant with this id.")
}

fn refuse(refused: &Refused) -> Option<Problem> {
    match refused.code.as_str() {
        "not_found" => Some(grant_not_found()),
        "user_not_found" => Some(Problem::not_found("There is no user with this user_id.")),
        "membership_not_found" => Some(Problem::not_found(
            "The user belongs to no organization with this organization_id.",
        )),
        "user_without_organization" => Some(
            USER_WITHOUT_ORGANIZATION.because("Nothing was granted. Let the user join one first."),
        ),
        "nothing_left" => Some(
            NOTHING_LEFT
                .because("It was spent, is held, has expired or was voided; nothing was changed."),
        ),
        code => grant::refused(code),
    }
}

pub async fn create(
    context: &Context,
    digest: TokenDigest,
    idempotency: &Idempotency,
    ids: NewIds,
    grant: NewGrant,
) -> Result<Granted, Problem> {
    let user_id = grant.user_id;
    let organization_id = grant.organization_id;
    let terms = grant.terms();
    let parameters = [
        digest.0.to_vec().into(),
        idempotency.key.clone().into(),
        idempotency.request_digest.to_vec().into(),
        ids.transaction.as_uuid().into(),
        ids.account.as_uuid().into(),
        ids.grant.as_uuid().into(),
        user_id.as_uuid().into(),
        terms.currency.code().to_owned().into(),
        terms.amount.0.into(),
        terms.description().into(),
        terms.kind().into(),
        terms.priority().into(),
        terms.effective_at().into(),
        terms.expires_at().into(),
        organization_id.map(|id| id.as_uuid()).into(),
    ];
    let sql = "SELECT credits_grant($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
                                    $13::timestamp AT TIME ZONE 'UTC',
                                    $14::timestamp AT TIME ZONE 'UTC', $15)::text";
    db::call(context, sql, &parameters, refuse).await
}

/// Whose credits a grant belongs to.
pub async fn owner(
    context: &Context,
    digest: TokenDigest,
    id: CreditGrantId,
) -> Result<CreditOwner, Problem> {
    let parameters = [digest.0.to_vec().into(), id.as_uuid().into()];
    let sql = "SELECT credits_owner($1, $2, NULL)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn void(
    context: &Context,
    digest: TokenDigest,
    idempotency: &Idempotency,
    transaction_id: CreditTransactionId,
    id: CreditGrantId,
) -> Result<GrantVoided, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        idempotency.key.clone().into(),
        idempotency.request_digest.to_vec().into(),
        transaction_id.as_uuid().into(),
        id.as_uuid().into(),
    ];
    let sql = "SELECT credits_grant_void($1, $2, $3, $4, $5)::text";
    db::call(context, sql, &parameters, refuse).await
}

/// The rows of the page, and one more if there is one: in one currency, or in all.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    currency: Option<Currency>,
    page: &Page<CreditPlace>,
) -> Result<Listed<Vec<Row>>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        currency.map(|currency| currency.code().to_owned()).into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.and_then(|place| place.at_utc()).into(),
        page.after.map(|place| place.currency_code()).into(),
        page.after.map(|place| place.id()).into(),
    ];
    let sql = "SELECT credits_grants_list($1, $2, $3,
                                          $4::timestamp AT TIME ZONE 'UTC', $5, $6)::text, cursor_key()";
    db::list(context, sql, &parameters, db::no_refusal_of_its_own).await
}
