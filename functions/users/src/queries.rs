use shared::auth::second_factor::TOTP_NOT_ENABLED;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{OrganizationId, UserId};
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{
    OWN_SECOND_FACTOR, OWN_USER, OWNER_PRESENT, Ownership, SecondFactorRemoval, User,
};

/// 404: there is no such user.
pub fn not_found() -> Problem {
    Problem::not_found("There is no user with this id.")
}

fn refuse(refused: &Refused) -> Option<Problem> {
    Some(match refused.code.as_str() {
        "not_found" => not_found(),
        "owner_present" => OWNER_PRESENT.because("An owner gives the organization another."),
        "own_second_factor" => {
            OWN_SECOND_FACTOR.because("Ask another holder of users:manage, or turn it off.")
        }
        "totp_not_enabled" => TOTP_NOT_ENABLED.because("The password alone signs in already."),
        "own_user" => OWN_USER.because("Ask another holder of users:manage."),
        _ => return None,
    })
}

pub async fn read(context: &Context, digest: TokenDigest, id: UserId) -> Result<User, Problem> {
    let parameters = [digest.0.to_vec().into(), id.as_uuid().into()];
    db::call(
        context,
        "SELECT user_read($1, $2)::text",
        &parameters,
        refuse,
    )
    .await
}

pub async fn change(
    context: &Context,
    digest: TokenDigest,
    id: UserId,
    disabled: bool,
) -> Result<User, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        disabled.into(),
    ];
    let sql = "SELECT user_change($1, $2, $3)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn own(
    context: &Context,
    digest: TokenDigest,
    id: UserId,
    organization_id: OrganizationId,
) -> Result<Ownership, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        organization_id.as_uuid().into(),
    ];
    let sql = "SELECT user_ownership_give($1, $2, $3)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn remove_factor(
    context: &Context,
    digest: TokenDigest,
    id: UserId,
) -> Result<SecondFactorRemoval, Problem> {
    let parameters = [digest.0.to_vec().into(), id.as_uuid().into()];
    let sql = "SELECT user_second_factor_remove($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn keep_factor(
    context: &Context,
    digest: TokenDigest,
    id: UserId,
) -> Result<SecondFactorRemoval, Problem> {
    let parameters = [digest.0.to_vec().into(), id.as_uuid().into()];
    let sql = "SELECT user_second_factor_keep($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}
