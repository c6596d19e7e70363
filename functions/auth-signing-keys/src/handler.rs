//! Keys of the whole deployment, for the platform's own people. What leaves here are
//! ids and times: a private key is derived where it signs, and shown to nobody.

use serde::{Deserialize, Serialize};
use shared::auth::jwt;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Method, Reply, Request};
use shared::token::PresentedToken;

use crate::queries;

/// Most keys that are listed: at four rotations a year, 25 years of them.
const MAX_LISTED: i32 = 100;

const COLLECTION: &str = "/api/v1/auth/signing-keys";

/// A key as it is listed.
#[derive(Debug, Serialize, Deserialize)]
pub struct SigningKey {
    kid: String,
    state: String,
    created_at: String,
    signs_from: String,
    retired_at: Option<String>,
}

#[derive(Serialize)]
struct Listed {
    signing_keys: Vec<SigningKey>,
}

#[derive(Serialize)]
struct Rotated {
    signing_key: SigningKey,
}

#[derive(Serialize)]
struct Withdrawn {
    status: &'static str,
}

pub fn not_found() -> Problem {
    Problem::not_found("There is no signing key with this id.")
}

pub fn rotation_pending(retry_after_secs: u32) -> Problem {
    Problem {
        retry_after_secs: Some(retry_after_secs),
        ..Problem::new(
            409,
            "rotation_pending",
            "A rotation is under way",
            "A new key is published and waits to sign. Rotate again after that, or withdraw it.",
        )
    }
}

/// The key that the path names; none for the collection.
fn named(path: &str) -> Option<&str> {
    path.strip_prefix(COLLECTION)?.strip_prefix('/')
}

/// The methods of a path.
pub fn allow(path: &str) -> &'static str {
    match named(path) {
        None => "GET, POST",
        Some(_) => "DELETE",
    }
}

pub async fn signing_keys(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    match named(request.path()) {
        Some(kid) => withdraw(context, token, kid).await,
        None if matches!(request.method(), Method::Get) => list(context, token).await,
        None => rotate(context, token).await,
    }
}

async fn list(context: &Context, token: PresentedToken) -> Result<Reply, Problem> {
    let signing_keys = queries::list(context, token.digest, MAX_LISTED).await?;
    Reply::json(200, &Listed { signing_keys })
}

async fn rotate(context: &Context, token: PresentedToken) -> Result<Reply, Problem> {
    let new_kid = jwt::key_id(&context.random()?);
    let signing_key = queries::rotate(context, token.digest, new_kid).await?;
    Reply::json(201, &Rotated { signing_key })
}

async fn withdraw(context: &Context, token: PresentedToken, kid: &str) -> Result<Reply, Problem> {
    // A text that is no id is looked up like any other: only the database says
    // whether the caller may know that there is no such key.
    queries::withdraw(context, token.digest, kid.to_owned()).await?;
    Reply::json(
        200,
        &Withdrawn {
            status: "withdrawn",
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let table = [
            ("", None, "GET, POST"),
            ("/abc", Some("abc"), "DELETE"),
            ("/", Some(""), "DELETE"),
            ("/a/b", Some("a/b"), "DELETE"),
        ];
        for (rest, expected, methods) in table {
            let path = format!("{COLLECTION}{rest}");
            assert_eq!(named(&path), expected, "{path}");
            assert_eq!(allow(&path), methods, "{path}");
        }
    }

    #[test]
    fn a_pending_rotation_says_when_to_come_back() {
        let problem = rotation_pending(42);
        assert_eq!((problem.status, problem.retry_after_secs), (409, Some(42)));
    }
}
