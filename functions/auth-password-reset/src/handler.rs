//! Whoever reads the user's mail may replace the password, and nothing else: a
//! second factor stays what it was, and every session ends.

use serde::Serialize;
use shared::auth::hash_lease::HashLease;
use shared::auth::password::{self, Password};
use shared::auth::secrets;
use shared::http::context::Context;
use shared::http::fields::{self, Fields};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::OutboxMessageId;
use shared::mail;
use shared::mail::outbox;
use shared::store::cache;
use shared::store::cache_key::Scope;
use shared::token::{self, TokenDigest, TokenKind};

use crate::queries;

/// Longest token that is looked at, in characters. Ours have 74.
const MAX_TOKEN_CHARS: usize = 200;

#[derive(Serialize)]
struct Output {
    status: &'static str,
}

struct Input {
    token: String,
    new_password: String,
}

fn read(mut fields: Fields) -> Result<Input, Problem> {
    let token = fields.required("token", |v| fields::text(v, 1..=MAX_TOKEN_CHARS));
    // What can be told without knowing whose password it is costs no look-up.
    let new_password = fields.required("new_password", |v| {
        let text = fields::text(v, 0..=usize::MAX)?;
        password::check(&text)?;
        Ok(text)
    });
    fields.finish(|| {
        Some(Input {
            token: token?,
            new_password: new_password?,
        })
    })
}

pub async fn reset(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let (fields, _) = request.json_fields().await?;
    let input = read(fields)?;
    let token = token::parse(TokenKind::Email, &input.token).ok_or_else(mail::invalid_token)?;
    let lease = HashLease::draw(context).await?;
    let holder = queries::begin(context, token.digest, &lease).await?;
    let hash = match hash(context, &input, &holder).await {
        Ok(hash) => hash,
        Err(problem) => {
            lease.release(context).await?;
            return Err(problem);
        }
    };
    change(context, token.digest, &holder, &hash, &lease).await?;
    Reply::json(200, &Output { status: "changed" })
}

async fn hash(
    context: &Context,
    input: &Input,
    holder: &queries::Holder,
) -> Result<String, Problem> {
    let new = Password::new_for(&input.new_password, &holder.email)
        .map_err(|error| Problem::invalid_field("new_password", error.code(), error.to_string()))?;
    let pepper = secrets::password_pepper(context).await?;
    password::hash(&new, &context.random()?, &pepper).map_err(|error| {
        context.log("error", &error.to_string());
        Problem::internal()
    })
}

async fn change(
    context: &Context,
    digest: TokenDigest,
    holder: &queries::Holder,
    new_hash: &str,
    lease: &HashLease,
) -> Result<(), Problem> {
    let scopes = Scope::all_of_user(holder.user_id);
    let message_id = OutboxMessageId::new(context.now_millis(), &context.random()?);
    let write = queries::reset(context, digest, message_id, new_hash, lease);
    let mail = cache::during_write(context, &scopes, write).await?;
    outbox::announce(context, mail.as_ref(), None).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        let long = "t".repeat(201);
        let table = [
            (
                json!({"token": "tpe_x", "new_password": "correct horse"}),
                vec![],
            ),
            (json!({}), vec!["token", "new_password"]),
            (
                json!({"token": "", "new_password": "short"}),
                vec!["token", "new_password"],
            ),
            (
                json!({"token": long, "new_password": "correct horse"}),
                vec!["token"],
            ),
            (
                json!({"token": 1, "new_password": 2}),
                vec!["token", "new_password"],
            ),
            (
                json!({"token": "tpe_x", "new_password": "correct horse", "x": 1}),
                vec!["x"],
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
}
