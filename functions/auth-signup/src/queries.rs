use shared::context::Context;
use shared::db;
use shared::email::EmailAddress;
use shared::ids::{OrganizationId, UserId};
use shared::problem::Problem;

/// Registers the user unless the email is taken, and does not tell which.
pub async fn signup(
    context: &Context,
    user_id: UserId,
    organization_id: OrganizationId,
    email: &EmailAddress,
    password_hash: &str,
) -> Result<(), Problem> {
    let parameters = [
        user_id.as_uuid().into(),
        organization_id.as_uuid().into(),
        email.as_str().to_owned().into(),
        password_hash.to_owned().into(),
    ];
    db::call_row(
        context,
        "SELECT auth_signup($1, $2, $3, $4)::text",
        &parameters,
    )
    .await?;
    Ok(())
}
