//! A disabled user is out with the next request, whatever was cached of them.

use serde::{Deserialize, Serialize};
use shared::http::context::Context;
use shared::http::fields::{self, Fields};
use shared::http::problem::Problem;
use shared::http::{Method, Reply, Request};
use shared::ids::UserId;
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::queries;

/// The path before a user's id.
const COLLECTION: &str = "/api/v1/users/";

/// A user as the platform sees them.
#[derive(Debug, Serialize, Deserialize)]
pub struct User {
    id: UserId,
    email: String,
    platform_role: Option<String>,
    created_at: String,
    disabled_at: Option<String>,
}

pub fn not_found() -> Problem {
    Problem::not_found("There is no user with this id.")
}

pub fn own_user() -> Problem {
    Problem::new(
        409,
        "own_user",
        "Nobody disables themselves",
        "Ask another holder of users:manage.",
    )
}

fn named(path: &str) -> Result<UserId, Problem> {
    let id = path.strip_prefix(COLLECTION).unwrap_or_default();
    id.parse().map_err(|_| not_found())
}

fn read(mut fields: Fields) -> Result<bool, Problem> {
    let disabled = fields.required("disabled", fields::boolean);
    fields.finish(|| disabled)
}

pub async fn users(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = named(request.path())?;
    if matches!(request.method(), Method::Get) {
        return Reply::json(200, &queries::read(context, token.digest, id).await?);
    }
    let (fields, _) = request.json_fields().await?;
    let disabled = read(fields)?;
    let write = queries::change(context, token.digest, id, disabled);
    let user = cache::during_write(context, &Scope::all_of_user(id), write).await?;
    Reply::json(200, &user)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        let table = [
            (json!({"disabled": true}), vec![]),
            (json!({}), vec![("disabled", "required")]),
            (
                json!({"disabled": "true"}),
                vec![("disabled", "wrong_type")],
            ),
            (json!({"disabled": null}), vec![("disabled", "wrong_type")]),
            (
                json!({"disabled": true, "email": "x"}),
                vec![("email", "unknown")],
            ),
        ];
        for (body, expected) in table {
            let errors = Fields::new(body.clone())
                .and_then(read)
                .err()
                .map(|p| p.errors)
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| (&*e.field, e.code)).collect();
            assert_eq!(named, expected, "{body}");
        }
    }

    #[test]
    fn paths() {
        let id = UserId::new(1, &[1; 10]);
        let table = [
            (format!("/api/v1/users/{id}"), Ok(id)),
            ("/api/v1/users/usr_1".to_owned(), Err(404)),
            ("/api/v1/users/".to_owned(), Err(404)),
        ];
        for (path, expected) in table {
            let got = named(&path).map_err(|problem| problem.status);
            assert_eq!(got, expected, "{path}");
        }
    }
}
