use shared::http::context::Context;
use shared::http::pagination::{Listed, Page};
use shared::http::problem::Problem;
use shared::ids::{OrganizationId, UserId};
use shared::organizations::{self, RoleName};
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{LAST_OWNER, Member, MemberRemoved};

fn refuse(refused: &Refused) -> Option<Problem> {
    Some(match refused.code.as_str() {
        "role_unknown" => organizations::role_unknown(),
        "role_exceeds_own" => organizations::role_exceeds_own(),
        "last_owner" => LAST_OWNER
            .because("This is the last owner who can sign in. Make another member an owner first."),
        _ => return None,
    })
}

/// The members of the page, and one more if there is one.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    page: &Page,
) -> Result<Listed<Vec<Member>>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.unwrap_or(i64::MAX).into(),
    ];
    let sql = "SELECT organization_members($1, $2, $3, $4)::text, cursor_key()";
    db::list(context, sql, &parameters, refuse).await
}

pub async fn change(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    user_id: UserId,
    role: RoleName,
) -> Result<Member, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        user_id.as_uuid().into(),
        String::from(role).into(),
    ];
    let sql = "SELECT organization_member_change($1, $2, $3, $4)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn remove(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    user_id: UserId,
) -> Result<MemberRemoved, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        user_id.as_uuid().into(),
    ];
    let sql = "SELECT organization_member_remove($1, $2, $3)::text";
    db::call(context, sql, &parameters, refuse).await
}
