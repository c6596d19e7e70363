//! A key is shown once, when it is made or rotated. It acts as its user, within its
//! scopes. A permission that the user loses is lost to the key too.

use futures::future::join_all;
use shared::auth::api_key_use;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::time::Time;
use shared::http::{Reply, Request};
use shared::ids::ApiKeyId;
use shared::organizations::Permission;
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::operations::{ApiKeyIssued, ApiKeyList, ApiKeyRotation, NewApiKey};
use crate::queries;
use crate::secret::Secret;

/// Most keys that are listed. Whoever has more sees the newest of them.
const MAX_LISTED: i32 = 100;

/// How long a rotated key's old secret still works when the caller does not say: a day,
/// for a deployment to pick up the new one.
const DEFAULT_OVERLAP_SECS: i64 = 24 * 60 * 60;

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let listed = queries::list(context, token.digest, MAX_LISTED).await?;
    let api_keys = listed.into_iter().map(async |mut listed| {
        let newest = api_key_use::newest(context, &listed.hashes).await;
        listed.api_key.last_used_at = newest.and_then(Time::from_millis);
        listed.api_key
    });
    let api_keys = join_all(api_keys).await;
    Reply::json(200, &ApiKeyList { api_keys })
}

pub async fn create(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (wanted, _) = request.json::<NewApiKey>().await?;
    let wanted = queries::Wanted {
        id: ApiKeyId::owned(token.organization, context.now_millis(), &context.random()?),
        name: wanted.name.0,
        scopes: sorted(wanted.scopes.0),
        ttl_secs: wanted.ttl_secs.map(|secs| secs.0),
    };
    let secret = Secret::draw(context, &token)?;
    let api_key = queries::create(context, token.digest, wanted, &secret).await?;
    let key = secret.key;
    Reply::json(201, &ApiKeyIssued { key, api_key })
}

pub async fn revoke(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id: ApiKeyId = request.named("id", queries::not_found)?;
    let scopes = Scope::all_of_user(token.owner);
    let write = queries::revoke(context, token.digest, id);
    let revoked = cache::during_write(context, &scopes, write).await?;
    Reply::json(200, &revoked)
}

pub async fn rotate(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id: ApiKeyId = request.named("id", queries::not_found)?;
    let (rotation, _) = request.json::<ApiKeyRotation>().await?;
    let overlap_secs = rotation
        .overlap_secs
        .map_or(DEFAULT_OVERLAP_SECS, |secs| secs.0);
    let secret = Secret::draw(context, &token)?;
    let scopes = Scope::all_of_user(token.owner);
    let write = queries::rotate(context, token.digest, id, &secret, overlap_secs);
    let api_key = cache::during_write(context, &scopes, write).await?;
    let key = secret.key;
    Reply::json(200, &ApiKeyIssued { key, api_key })
}

/// Each scope once, in order.
fn sorted(mut scopes: Vec<Permission>) -> Vec<Permission> {
    scopes.sort();
    scopes.dedup();
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use shared::http::input;

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
            (json!({"name": "ci", "scopes": [1]}), vec!["scopes[0]"]),
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
            let errors = input::value_at::<NewApiKey>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }

    #[test]
    fn scopes_are_kept_once_and_in_order() {
        let body = json!({"name": "ci", "scopes": ["b:b", "a:a", "b:b"]});
        let wanted: NewApiKey = input::value(&body).expect("the body is right");
        let kept = sorted(wanted.scopes.0);
        let kept: Vec<&str> = kept.iter().map(|scope| &**scope).collect();
        assert_eq!(kept, ["a:a", "b:b"]);
    }
}
