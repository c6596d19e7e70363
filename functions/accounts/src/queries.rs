use serde::Deserialize;
use serde_json::Value;
use shared::billing::account::{self, AccountReader};
use shared::http::context::Context;
use shared::http::pagination::{Listed, Page, Place};
use shared::http::problem::Problem;
use shared::ids::{BillingAccountId, UserId};
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;
use uuid::Uuid;

use crate::operations::{AccountOwner, AccountsListQuery, ORGANIZATION_LIMIT, OWNER_PRESENT};

/// Most organizations that a user owns, as where people make them.
const MAX_OWNED: i32 = 100;

/// Bytes of a UUID.
const ID_BYTES: usize = 16;

/// Where an account stands in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountPlace {
    pub id: BillingAccountId,
    /// What the list with `q` is ordered by, 100 characters at most; empty without.
    pub text: String,
}

impl Place for AccountPlace {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.id.as_uuid().as_bytes().to_vec();
        bytes.extend(self.text.as_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, text) = bytes.split_first_chunk::<ID_BYTES>()?;
        let text = std::str::from_utf8(text).ok()?;
        // Postgres stores no NUL.
        (!text.contains('\0')).then(|| Self {
            id: BillingAccountId::from_uuid(Uuid::from_bytes(*id)),
            text: text.to_owned(),
        })
    }
}

/// An account of a list.
#[derive(Debug, Deserialize)]
pub struct Row {
    id: BillingAccountId,
    text: String,
    pub account: Value,
}

impl Row {
    pub fn place(&self) -> AccountPlace {
        AccountPlace {
            id: self.id,
            text: self.text.clone(),
        }
    }
}

/// An account that was read, and whose accounts the token may read.
#[derive(Debug, Deserialize)]
pub struct Found {
    pub token_expires_millis: u64,
    pub reader: AccountReader,
    pub account: Value,
}

fn refuse(refused: &Refused) -> Option<Problem> {
    Some(match refused.code.as_str() {
        "owner_unknown" => Problem::invalid_field(
            "user_id",
            "unknown",
            "must be the id of a user who is not disabled",
        ),
        "owner_unverified" => Problem::invalid_field(
            "user_id",
            "email_not_verified",
            "must be the id of a user whose email is verified",
        ),
        "owner_present" => {
            OWNER_PRESENT.because("An owner invites others, and gives the organization another.")
        }
        "organization_limit" => {
            ORGANIZATION_LIMIT.because(format!("A user owns at most {MAX_OWNED} organizations."))
        }
        _ => return account::refuse(refused),
    })
}

/// The accounts of the page, and one more if there is one.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    query: AccountsListQuery,
    page: &Page<AccountPlace>,
) -> Result<Listed<Vec<Row>>, Problem> {
    let (key, value) = query
        .metadata
        .map(|filter| (filter.key, filter.value))
        .unzip();
    let (after_text, after_id) = page
        .after
        .clone()
        .map(|place| (place.text, place.id.as_uuid()))
        .unzip();
    let parameters = [
        digest.0.to_vec().into(),
        query.status.map(|status| status.as_str().to_owned()).into(),
        query
            .currency
            .map(|currency| currency.code().to_owned())
            .into(),
        query.external_id.map(String::from).into(),
        key.into(),
        value.into(),
        query.q.map(String::from).into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        after_text.into(),
        after_id.into(),
    ];
    let sql = "SELECT billing_accounts_list($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)::text,
                      cursor_key()";
    db::list(context, sql, &parameters, refuse).await
}

pub async fn find(
    context: &Context,
    digest: TokenDigest,
    id: BillingAccountId,
) -> Result<Found, Problem> {
    let parameters = [digest.0.to_vec().into(), id.as_uuid().into()];
    let sql = "SELECT billing_account_read($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn create(
    context: &Context,
    digest: TokenDigest,
    item: &Value,
) -> Result<Value, Problem> {
    let parameters = [digest.0.to_vec().into(), item.to_string().into()];
    let sql = "SELECT billing_account_create($1, $2::text::jsonb)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn change(
    context: &Context,
    digest: TokenDigest,
    item: &Value,
) -> Result<Value, Problem> {
    let parameters = [digest.0.to_vec().into(), item.to_string().into()];
    let sql = "SELECT billing_account_change($1, $2::text::jsonb)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn close(
    context: &Context,
    digest: TokenDigest,
    id: BillingAccountId,
    is_closed: bool,
) -> Result<Value, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        is_closed.into(),
    ];
    let sql = "SELECT billing_account_close($1, $2, $3)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn set_owner(
    context: &Context,
    digest: TokenDigest,
    id: BillingAccountId,
    user_id: UserId,
) -> Result<AccountOwner, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        user_id.as_uuid().into(),
        MAX_OWNED.into(),
    ];
    let sql = "SELECT billing_account_owner_set($1, $2, $3, $4)::text";
    db::call(context, sql, &parameters, refuse).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_round_trip() {
        let longest = "\u{10ffff}".repeat(100);
        for text in ["", "ada", "zoë & co", &longest] {
            let place = AccountPlace {
                id: BillingAccountId::new(7, &[3; 10]),
                text: text.to_owned(),
            };
            assert!(place.to_bytes().len() <= 800, "{text}");
            assert_eq!(AccountPlace::from_bytes(&place.to_bytes()), Some(place));
        }
        for bytes in [&b"short"[..], &[0xff; 17], &[0; 17]] {
            assert_eq!(AccountPlace::from_bytes(bytes), None, "{bytes:?}");
        }
    }
}
