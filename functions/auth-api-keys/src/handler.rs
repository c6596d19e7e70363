//! A key is shown once, when it is made or rotated. It acts as its user, within
//! its scopes: what the user loses, the key loses.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::http::context::Context;
use shared::http::fields::{self, Fields, Invalid};
use shared::http::problem::Problem;
use shared::http::{Method, Reply, Request};
use shared::ids::{ApiKeyId, UserId};
use shared::store::cache;
use shared::store::cache_key::Scope;
use shared::token::{self, PresentedToken, TokenDigest, TokenKind};

use crate::queries;

/// Most keys that are listed. Who has more sees the newest of them.
const MAX_LISTED: i32 = 100;
/// Longest name in characters.
const MAX_NAME_CHARS: usize = 100;
/// Most scopes on a key: there are fewer permissions than that.
const MAX_SCOPES: usize = 32;
/// Longest life of a key in seconds: two years.
const MAX_TTL_SECS: i32 = 2 * 365 * 24 * 60 * 60;
/// How long a rotated key's old secret works on when the caller does not say:
/// a day, for a deployment to pick up the new one.
const DEFAULT_OVERLAP_SECS: i32 = 24 * 60 * 60;
/// Longest overlap: a week.
const MAX_OVERLAP_SECS: i32 = 7 * 24 * 60 * 60;
/// Characters of a key that are kept in the clear, by which a person recognises
/// it: the last six. They are the checksum's, and 32 bits about a secret of 256
/// leave it 224.
const HINT_CHARS: usize = 6;

const COLLECTION: &str = "/api/v1/auth/api-keys";

/// A key as it is listed, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiKey {
    id: ApiKeyId,
    name: String,
    hint: String,
    scopes: Vec<String>,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    created_at: String,
}

#[derive(Serialize)]
struct Listed {
    api_keys: Vec<ApiKey>,
}

#[derive(Serialize)]
struct Issued {
    /// The key itself, this once.
    key: String,
    api_key: ApiKey,
}

#[derive(Serialize)]
struct Revoked {
    status: &'static str,
}

/// A key, as asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Input {
    pub name: String,
    pub scopes: Vec<String>,
    pub ttl_secs: Option<i32>,
}

/// A secret that was just drawn.
pub struct Secret {
    key: String,
    pub digest: TokenDigest,
    pub hint: String,
}

impl Secret {
    fn draw(context: &Context, owner: UserId) -> Result<Self, Problem> {
        let key = token::mint(TokenKind::ApiKey, owner, &context.random()?);
        Ok(Self {
            digest: token::digest(&key),
            hint: key[key.len() - HINT_CHARS..].to_owned(),
            key,
        })
    }
}

pub fn not_found() -> Problem {
    Problem::not_found("You have no API key with this id.")
}

pub fn scope_exceeded() -> Problem {
    Problem::invalid_field(
        "scopes",
        "exceeds_own",
        "must be permissions that you hold yourself",
    )
}

fn scopes(value: &Value) -> Result<Vec<String>, Invalid> {
    let items = value
        .as_array()
        .ok_or_else(|| Invalid::new("wrong_type", "must be a list of permissions"))?;
    if items.is_empty() || items.len() > MAX_SCOPES {
        return Err(Invalid::new(
            "wrong_length",
            format!("must have 1 to {MAX_SCOPES} items"),
        ));
    }
    let mut scopes: Vec<String> = items
        .iter()
        .map(|item| fields::text(item, 1..=100))
        .collect::<Result<_, _>>()?;
    scopes.sort();
    scopes.dedup();
    Ok(scopes)
}

/// A number of seconds from 1 to `max`.
fn secs(value: &Value, max: i32) -> Result<i32, Invalid> {
    let secs = fields::whole_number(value, 1..=i64::from(max))?;
    // It is no more than max, so it fits.
    Ok(i32::try_from(secs).unwrap_or(max))
}

fn read_create(mut fields: Fields) -> Result<Input, Problem> {
    let name = fields.required("name", |value| fields::text(value, 1..=MAX_NAME_CHARS));
    let scopes = fields.required("scopes", scopes);
    let ttl_secs = fields.optional("ttl_secs", |value| secs(value, MAX_TTL_SECS));
    fields.finish(|| {
        Some(Input {
            name: name?,
            scopes: scopes?,
            ttl_secs: ttl_secs?,
        })
    })
}

fn read_rotate(mut fields: Fields) -> Result<i32, Problem> {
    let overlap = fields.optional("overlap_secs", |value| secs(value, MAX_OVERLAP_SECS));
    fields.finish(|| Some(overlap?.unwrap_or(DEFAULT_OVERLAP_SECS)))
}

/// What the path names. An id is read only after the caller's token.
#[derive(Debug, PartialEq, Eq)]
enum Target<'a> {
    Collection,
    Key(&'a str),
    Rotation(&'a str),
}

fn target(path: &str) -> Target<'_> {
    let rest = path.strip_prefix(COLLECTION).unwrap_or_default();
    match rest.strip_prefix('/') {
        None => Target::Collection,
        Some(rest) => match rest.strip_suffix("/rotate") {
            Some(id) => Target::Rotation(id),
            None => Target::Key(rest),
        },
    }
}

/// The methods of a path.
pub fn allow(path: &str) -> &'static str {
    match target(path) {
        Target::Collection => "GET, POST",
        Target::Key(_) => "DELETE",
        Target::Rotation(_) => "POST",
    }
}

pub async fn api_keys(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = |text: &str| text.parse().map_err(|_| not_found());
    match target(request.path()) {
        Target::Collection if matches!(request.method(), Method::Get) => list(context, token).await,
        Target::Collection => create(context, request, token).await,
        Target::Key(text) => revoke(context, token, id(text)?).await,
        Target::Rotation(text) => rotate(context, request, token, id(text)?).await,
    }
}

async fn list(context: &Context, token: PresentedToken) -> Result<Reply, Problem> {
    let api_keys = queries::list(context, token.digest, MAX_LISTED).await?;
    Reply::json(200, &Listed { api_keys })
}

async fn create(
    context: &Context,
    request: &Request,
    token: PresentedToken,
) -> Result<Reply, Problem> {
    let (fields, _) = request.json_fields().await?;
    let input = read_create(fields)?;
    let secret = Secret::draw(context, token.owner)?;
    let id = ApiKeyId::new(context.now_millis(), &context.random()?);
    let api_key = queries::create(context, token.digest, id, &input, &secret).await?;
    Reply::json(
        201,
        &Issued {
            key: secret.key,
            api_key,
        },
    )
}

async fn revoke(context: &Context, token: PresentedToken, id: ApiKeyId) -> Result<Reply, Problem> {
    let scopes = Scope::all_of_user(token.owner);
    cache::during_write(context, &scopes, queries::revoke(context, token.digest, id)).await?;
    Reply::json(200, &Revoked { status: "revoked" })
}

async fn rotate(
    context: &Context,
    request: &Request,
    token: PresentedToken,
    id: ApiKeyId,
) -> Result<Reply, Problem> {
    let (fields, _) = request.json_fields().await?;
    let overlap_secs = read_rotate(fields)?;
    let secret = Secret::draw(context, token.owner)?;
    let scopes = Scope::all_of_user(token.owner);
    let write = queries::rotate(context, token.digest, id, &secret, overlap_secs);
    let api_key = cache::during_write(context, &scopes, write).await?;
    Reply::json(
        200,
        &Issued {
            key: secret.key,
            api_key,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        let table = [
            (json!({"name": "ci", "scopes": ["credits:read"]}), vec![]),
            (
                json!({"name": "ci", "scopes": ["a", "b"], "ttl_secs": 60}),
                vec![],
            ),
            (json!({}), vec!["name", "scopes"]),
            (json!({"name": "", "scopes": []}), vec!["name", "scopes"]),
            (
                json!({"name": "ci", "scopes": "credits:read"}),
                vec!["scopes"],
            ),
            (json!({"name": "ci", "scopes": [1]}), vec!["scopes"]),
            (
                json!({"name": "ci", "scopes": vec!["x"; 33]}),
                vec!["scopes"],
            ),
            (
                json!({"name": "ci", "scopes": ["x"], "ttl_secs": 0}),
                vec!["ttl_secs"],
            ),
            (
                json!({"name": "ci", "scopes": ["x"], "ttl_secs": 1.5}),
                vec!["ttl_secs"],
            ),
            (
                json!({"name": "ci", "scopes": ["x"], "ttl_secs": 63_072_001}),
                vec!["ttl_secs"],
            ),
            (
                json!({"name": "ci", "scopes": ["x"], "admin": true}),
                vec!["admin"],
            ),
        ];
        for (body, expected) in table {
            let errors = Fields::new(body.clone())
                .and_then(read_create)
                .err()
                .map(|p| p.errors)
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }

    #[test]
    fn paths() {
        let table = [
            ("", Target::Collection, "GET, POST"),
            ("/key_1", Target::Key("key_1"), "DELETE"),
            ("/key_1/rotate", Target::Rotation("key_1"), "POST"),
            ("/key_1/revoke", Target::Key("key_1/revoke"), "DELETE"),
            ("/", Target::Key(""), "DELETE"),
        ];
        for (rest, expected, methods) in table {
            let path = format!("{COLLECTION}{rest}");
            assert_eq!(target(&path), expected, "{path}");
            assert_eq!(allow(&path), methods, "{path}");
        }
    }
}
