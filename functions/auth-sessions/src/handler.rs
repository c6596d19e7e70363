use serde::{Deserialize, Serialize};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Method, Reply, Request};
use shared::ids::{OrganizationId, SessionId};
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::queries;

/// Most sessions that are listed. Who has more sees the newest of them.
pub const MAX_LISTED: i32 = 100;

/// The path without a session's id.
const COLLECTION: &str = "/api/v1/auth/sessions";

#[derive(Debug, Serialize, Deserialize)]
pub struct Session {
    id: SessionId,
    organization_id: OrganizationId,
    created_at: String,
    last_used_at: String,
    address: String,
    user_agent: String,
    is_current: bool,
}

#[derive(Serialize)]
struct Listed {
    sessions: Vec<Session>,
}

#[derive(Serialize)]
struct Revoked {
    revoked: u64,
}

/// The methods of a path.
pub fn allow(path: &str) -> &'static str {
    if path == COLLECTION {
        "GET, DELETE"
    } else {
        "DELETE"
    }
}

/// The session that the path names, or none for the whole collection.
fn named(path: &str) -> Result<Option<SessionId>, Problem> {
    let rest = path.strip_prefix(COLLECTION).unwrap_or_default();
    match rest.strip_prefix('/') {
        None => Ok(None),
        Some(id) => id.parse().map(Some).map_err(|_| not_found()),
    }
}

pub fn not_found() -> Problem {
    Problem::not_found("You have no live session with this id.")
}

pub async fn sessions(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    match (request.method(), named(request.path())?) {
        (Method::Get, _) => {
            let sessions = queries::list(context, token.digest, MAX_LISTED).await?;
            Reply::json(200, &Listed { sessions })
        }
        (_, named) => {
            let scopes = Scope::all_of_user(token.owner);
            let write = queries::revoke(context, token.digest, named);
            let revoked = cache::during_write(context, &scopes, write).await?;
            Reply::json(200, &Revoked { revoked })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let id = SessionId::new(1, &[1; 10]);
        let table = [
            ("/api/v1/auth/sessions".to_owned(), Ok(None)),
            (format!("/api/v1/auth/sessions/{id}"), Ok(Some(id))),
            ("/api/v1/auth/sessions/".to_owned(), Err(404)),
            ("/api/v1/auth/sessions/ses_1".to_owned(), Err(404)),
            (format!("/api/v1/auth/sessions/{id}/x"), Err(404)),
        ];
        for (path, expected) in table {
            assert_eq!(
                named(&path).map_err(|problem| problem.status),
                expected,
                "{path}"
            );
        }
    }
}
