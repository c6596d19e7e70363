use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{OrganizationId, UserId};
use shared::organizations::{self, Organization, OrganizationName};
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{ORGANIZATION_LIMIT, OrganizationChange, OrganizationList};

/// Most organizations that are listed. Who belongs to more sees the newest.
const MAX_LISTED: i32 = 100;

/// Most organizations that a user owns: as many as are listed.
const MAX_OWNED: i32 = 100;

/// A changed organization, and everybody who may know its old name.
#[derive(Deserialize)]
pub struct Changed {
    pub organization: Organization,
    pub member_ids: Vec<UserId>,
}

fn refuse(refused: &Refused) -> Option<Problem> {
    Some(match refused.code.as_str() {
        "organization_limit" => {
            ORGANIZATION_LIMIT.because(format!("A user owns at most {MAX_OWNED} organizations."))
        }
        "time_zone_unknown" => organizations::time_zone_unknown(),
        _ => return None,
    })
}

pub async fn list(context: &Context, digest: TokenDigest) -> Result<OrganizationList, Problem> {
    let parameters = [digest.0.to_vec().into(), MAX_LISTED.into()];
    let sql = "SELECT organizations_list($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn create(
    context: &Context,
    digest: TokenDigest,
    id: OrganizationId,
    name: OrganizationName,
) -> Result<Organization, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        String::from(name).into(),
        MAX_OWNED.into(),
    ];
    let sql = "SELECT organization_create($1, $2, $3, $4)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn read(
    context: &Context,
    digest: TokenDigest,
    id: OrganizationId,
) -> Result<Organization, Problem> {
    let parameters = [digest.0.to_vec().into(), id.as_uuid().into()];
    let sql = "SELECT organization_read($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn change(
    context: &Context,
    digest: TokenDigest,
    id: OrganizationId,
    change: OrganizationChange,
) -> Result<Changed, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        change.name.map(String::from).into(),
        change.time_zone.map(String::from).into(),
    ];
    let sql = "SELECT organization_change($1, $2, $3, $4)::text";
    db::call(context, sql, &parameters, refuse).await
}
