//! Invitations to an email, known or not. The token goes into the mail and
//! nowhere else: whoever accepts has read the mail.

use serde::{Deserialize, Serialize};
use shared::http::context::Context;
use shared::http::fields::{self, Fields};
use shared::http::problem::Problem;
use shared::http::{Method, Reply, Request};
use shared::ids::{InvitationId, OutboxMessageId, UserId};
use shared::organizations::{self, segments};
use shared::text::email::EmailAddress;
use shared::token::{self, TokenKind};

use crate::queries;

/// Most invitations of an organization that can be accepted at a time. All are listed.
const MAX_PENDING: i32 = 100;

/// How long an invitation can be accepted: seven days.
const TTL_SECS: i32 = 7 * 24 * 60 * 60;

/// An invitation that can be accepted.
#[derive(Debug, Serialize, Deserialize)]
pub struct Invitation {
    id: InvitationId,
    email: String,
    role: String,
    invited_by: UserId,
    created_at: String,
    expires_at: String,
}

#[derive(Serialize)]
struct Listed {
    invitations: Vec<Invitation>,
}

#[derive(Serialize)]
struct Revoked {
    status: &'static str,
}

/// Whom to invite as what.
#[derive(Debug, PartialEq, Eq)]
pub struct Input {
    pub email: EmailAddress,
    pub role: String,
}

/// What is drawn for an invitation, and its limits.
pub struct Draft {
    pub id: InvitationId,
    pub message_id: OutboxMessageId,
    pub token: String,
    pub ttl_secs: i32,
    pub max_pending: i32,
}

impl Draft {
    fn draw(context: &Context) -> Result<Self, Problem> {
        let now_millis = context.now_millis();
        // Whoever is invited may be nobody yet, so the token's owner is a fresh
        // id that names nobody.
        let owner = UserId::new(now_millis, &context.random()?);
        Ok(Self {
            id: InvitationId::new(now_millis, &context.random()?),
            message_id: OutboxMessageId::new(now_millis, &context.random()?),
            token: token::mint(TokenKind::Email, owner, &context.random()?),
            ttl_secs: TTL_SECS,
            max_pending: MAX_PENDING,
        })
    }
}

pub fn already_member() -> Problem {
    Problem::new(
        409,
        "already_member",
        "The user is a member already",
        "A member of the organization has this email.",
    )
}

pub fn invitation_limit() -> Problem {
    Problem::new(
        409,
        "invitation_limit",
        "Too many invitations are pending",
        format!("At most {MAX_PENDING} invitations are pending at a time. Take some back."),
    )
}

/// The methods of a path.
pub fn allow(path: &str) -> &'static str {
    if segments(path).len() > 2 {
        "DELETE"
    } else {
        "GET, POST"
    }
}

fn read(mut fields: Fields) -> Result<Input, Problem> {
    let email = fields.required("email", fields::email);
    let role = fields.required("role", organizations::role);
    fields.finish(|| {
        Some(Input {
            email: email?,
            role: role?,
        })
    })
}

pub async fn invitations(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id = organizations::named(request.path())?;
    if let Some(id) = segments(request.path()).get(2) {
        let id = id.parse().map_err(|_| organizations::not_found())?;
        queries::revoke(context, token.digest, organization_id, id).await?;
        return Reply::json(200, &Revoked { status: "revoked" });
    }
    if matches!(request.method(), Method::Get) {
        let invitations =
            queries::list(context, token.digest, organization_id, MAX_PENDING).await?;
        return Reply::json(200, &Listed { invitations });
    }
    let (fields, _) = request.json_fields().await?;
    let input = read(fields)?;
    let draft = Draft::draw(context)?;
    let invitation =
        queries::create(context, token.digest, organization_id, &input, &draft).await?;
    Reply::json(201, &invitation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
            let errors = Fields::new(body.clone())
                .and_then(read)
                .err()
                .map(|p| p.errors)
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }

    #[test]
    fn methods() {
        let table = [
            ("/api/v1/organizations/org_1/invitations", "GET, POST"),
            ("/api/v1/organizations/org_1/invitations/ivt_1", "DELETE"),
        ];
        for (path, expected) in table {
            assert_eq!(allow(path), expected, "{path}");
        }
    }
}
