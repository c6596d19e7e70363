//! Invitations to an email, known or not. The token goes into the mail and
//! nowhere else: whoever accepts has read the mail.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::{InvitationId, OrganizationId, OutboxMessageId, UserId};
use shared::organizations;
use shared::token::{self, TokenKind};

use crate::operations::NewInvitation;
use crate::queries::{self, Draft};

fn draw(context: &Context, organization: OrganizationId) -> Result<Draft, Problem> {
    let now_millis = context.now_millis();
    // Whoever is invited may be nobody yet, so the token's owner is a fresh
    // id that names nobody.
    let owner = UserId::new(now_millis, &context.random()?);
    Ok(Draft {
        id: InvitationId::owned(organization, now_millis, &context.random()?),
        message_id: OutboxMessageId::owned(organization, now_millis, &context.random()?),
        token: token::mint(TokenKind::Email, organization, owner, &context.random()?),
    })
}

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id = request.named("id", organizations::not_found)?;
    let invitations = queries::list(context, token.digest, organization_id).await?;
    Reply::json(200, &invitations)
}

pub async fn create(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id = request.named("id", organizations::not_found)?;
    let (body, _) = request.json::<NewInvitation>().await?;
    let draft = draw(context, organization_id)?;
    let invitation = queries::create(context, token.digest, organization_id, body, draft).await?;
    Reply::json(201, &invitation)
}

pub async fn revoke(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id = request.named("id", organizations::not_found)?;
    let id = request.named("invitation_id", organizations::not_found)?;
    let revoked = queries::revoke(context, token.digest, organization_id, id).await?;
    Reply::json(200, &revoked)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input;

    use super::*;

    #[test]
    fn bodies() {
        let table = [
            (
                json!({"email": "Ada@Example.com", "role": "member"}),
                vec![],
            ),
            (json!({}), vec!["email", "role"]),
            (json!({"email": "ada", "role": ""}), vec!["email", "role"]),
            (json!({"email": 1, "role": 1}), vec!["email", "role"]),
            (
                json!({"email": "ada@example.com", "role": "member", "token": "x"}),
                vec!["token"],
            ),
        ];
        for (body, expected) in table {
            let errors = input::value_at::<NewInvitation>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
