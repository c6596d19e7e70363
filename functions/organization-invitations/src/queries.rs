use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{InvitationId, OrganizationId, OutboxMessageId};
use shared::mail;
use shared::organizations;
use shared::store::db::{self, Refused};
use shared::token::{self, TokenDigest};

use crate::operations::{
    ALREADY_MEMBER, EMAIL_NOT_VERIFIED, INVITATION_LIMIT, Invitation, InvitationList,
    InvitationRevoked, NewInvitation,
};

/// Most invitations of an organization that can be accepted at a time. All are listed.
const MAX_PENDING: i32 = 100;

/// How long an invitation can be accepted: seven days.
const TTL_SECS: i32 = 7 * 24 * 60 * 60;

/// What is drawn for an invitation.
pub struct Draft {
    pub id: InvitationId,
    pub message_id: OutboxMessageId,
    pub token: String,
}

fn refuse(refused: &Refused) -> Option<Problem> {
    Some(match refused.code.as_str() {
        "email_not_verified" => EMAIL_NOT_VERIFIED
            .because("Open the link in the mail that verifies your email, and send this again."),
        "role_unknown" => organizations::role_unknown(),
        "role_exceeds_own" => organizations::role_exceeds_own(),
        "already_member" => ALREADY_MEMBER.because("A member of the organization has this email."),
        "invitation_limit" => INVITATION_LIMIT.because(format!(
            "At most {MAX_PENDING} invitations are pending at a time. Take some back."
        )),
        _ => return mail::refuse(refused),
    })
}

pub async fn list(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
) -> Result<InvitationList, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        MAX_PENDING.into(),
    ];
    let sql = "SELECT organization_invitations($1, $2, $3)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn create(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    invitation: NewInvitation,
    draft: Draft,
) -> Result<Invitation, Problem> {
    let token_digest = token::digest(&draft.token);
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        draft.id.as_uuid().into(),
        invitation.email.as_str().to_owned().into(),
        String::from(invitation.role).into(),
        draft.token.into(),
        token_digest.0.to_vec().into(),
        draft.message_id.as_uuid().into(),
        TTL_SECS.into(),
        MAX_PENDING.into(),
        mail::MAX_PER_EMAIL_PER_HOUR.into(),
    ];
    let sql =
        "SELECT organization_invitation_create($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn revoke(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    id: InvitationId,
) -> Result<InvitationRevoked, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        id.as_uuid().into(),
    ];
    let sql = "SELECT organization_invitation_revoke($1, $2, $3)::text";
    db::call(context, sql, &parameters, refuse).await
}
