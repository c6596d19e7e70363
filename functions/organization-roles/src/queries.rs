use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{OrganizationId, UserId};
use shared::organizations::{self, Permission, RoleName};
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{ROLE_IN_USE, ROLE_LIMIT, ROLE_WIDELY_HELD, Role, RoleDeleted, RoleList};

/// Most roles of one organization's own.
const MAX_ROLES: i32 = 100;

fn refuse(refused: &Refused) -> Option<Problem> {
    Some(match refused.code.as_str() {
        "permission_unknown" => Problem::invalid_field(
            "permissions",
            "unknown",
            "must be permissions of GET /api/v1/permissions that are not the platform's",
        ),
        "role_exceeds_own" => organizations::role_exceeds_own(),
        "role_is_built_in" => organizations::role_is_built_in(),
        "role_in_use" => ROLE_IN_USE
            .because("A member or an invitation has this role. Give them another one first."),
        "role_limit" => ROLE_LIMIT.because(format!(
            "An organization has at most {MAX_ROLES} roles of its own."
        )),
        "role_widely_held" => ROLE_WIDELY_HELD.because(
            "A role that so many members hold is not changed. Make another role, and move them.",
        ),
        _ => return None,
    })
}

pub async fn list(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
) -> Result<RoleList, Problem> {
    let parameters = [digest.0.to_vec().into(), organization_id.as_uuid().into()];
    let sql = "SELECT organization_roles($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

/// Who holds the role.
pub async fn holders(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    name: &RoleName,
    max_holders: i32,
) -> Result<Vec<UserId>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        name.to_string().into(),
        max_holders.into(),
    ];
    let sql = "SELECT organization_role_holders($1, $2, $3, $4)::text";
    db::call(context, sql, &parameters, refuse).await
}

/// The role as it is now; `None` when somebody holds it who is not among
/// `known_holders`.
pub async fn put(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    name: &RoleName,
    permissions: &[Permission],
    known_holders: &[UserId],
) -> Result<Option<Role>, Problem> {
    let permissions: Vec<String> = permissions.iter().cloned().map(Into::into).collect();
    let known_holders: Vec<String> = known_holders
        .iter()
        .map(|holder| holder.as_uuid().to_string())
        .collect();
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        name.to_string().into(),
        permissions.into(),
        known_holders.into(),
        MAX_ROLES.into(),
    ];
    let sql = "SELECT organization_role_put($1, $2, $3, $4, $5::text[]::uuid[], $6)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn delete(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    name: RoleName,
) -> Result<RoleDeleted, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        String::from(name).into(),
    ];
    let sql = "SELECT organization_role_delete($1, $2, $3)::text";
    db::call(context, sql, &parameters, refuse).await
}
