use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{InvitationId, OrganizationId};
use shared::mail;
use shared::organizations;
use shared::store::db;
use shared::token::{self, TokenDigest};

use crate::handler::{self, Draft, Input, Invitation};

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Listed { invitations: Vec<Invitation> },
    Created { invitation: Invitation },
    Revoked,
    RoleUnknown,
    RoleExceedsOwn,
    AlreadyMember,
    InvitationLimit,
    TooManyMails { retry_after_secs: u32 },
    NotFound,
    Unauthenticated,
    Forbidden,
}

impl Answer {
    /// The problem that this answer stands for, when it is none of those that
    /// the statement gives on success.
    fn into_problem(self) -> Problem {
        match self {
            Self::RoleUnknown => organizations::role_unknown(),
            Self::RoleExceedsOwn => organizations::role_exceeds_own(),
            Self::AlreadyMember => handler::already_member(),
            Self::InvitationLimit => handler::invitation_limit(),
            Self::TooManyMails { retry_after_secs } => mail::too_many_mails(retry_after_secs),
            Self::NotFound => organizations::not_found(),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::Forbidden => Problem::forbidden("members:manage"),
            Self::Listed { .. } | Self::Created { .. } | Self::Revoked => Problem::internal(),
        }
    }
}

pub async fn list(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    limit: i32,
) -> Result<Vec<Invitation>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        limit.into(),
    ];
    let sql = "SELECT organization_invitations($1, $2, $3)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Listed { invitations } => Ok(invitations),
        other => Err(other.into_problem()),
    }
}

pub async fn create(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    input: &Input,
    draft: &Draft,
) -> Result<Invitation, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        draft.id.as_uuid().into(),
        input.email.as_str().to_owned().into(),
        input.role.clone().into(),
        draft.token.clone().into(),
        token::digest(&draft.token).0.to_vec().into(),
        draft.message_id.as_uuid().into(),
        draft.ttl_secs.into(),
        draft.max_pending.into(),
        mail::MAX_PER_EMAIL_PER_HOUR.into(),
    ];
    let sql =
        "SELECT organization_invitation_create($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Created { invitation } => Ok(invitation),
        other => Err(other.into_problem()),
    }
}

pub async fn revoke(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    id: InvitationId,
) -> Result<(), Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        id.as_uuid().into(),
    ];
    let sql = "SELECT organization_invitation_revoke($1, $2, $3)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Revoked => Ok(()),
        other => Err(other.into_problem()),
    }
}
