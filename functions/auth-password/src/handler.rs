//! Asks for the current password, whatever the token: whoever found an open
//! browser must not be able to lock its owner out.

use serde::Serialize;
use shared::auth::hash_lease::HashLease;
use shared::auth::lockout;
use shared::auth::password::{self, Password};
use shared::auth::secrets;
use shared::http::context::Context;
use shared::http::fields::{self, Fields};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::queries;

#[derive(Serialize)]
struct Output {
    status: &'static str,
}

struct Input {
    current: String,
    new: String,
}

pub fn wrong_password() -> Problem {
    Problem::invalid_field("current_password", "wrong", "is not your current password")
}

fn read(mut fields: Fields) -> Result<Input, Problem> {
    let current = fields.required("current_password", |v| {
        fields::text(v, 1..=password::MAX_PRESENTED_CHARS)
    });
    // What can be told without knowing whose password it is costs no attempt.
    let new = fields.required("new_password", |v| {
        let text = fields::text(v, 0..=usize::MAX)?;
        password::check(&text)?;
        Ok(text)
    });
    fields.finish(|| {
        Some(Input {
            current: current?,
            new: new?,
        })
    })
}

pub async fn change(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (fields, _) = request.json_fields().await?;
    let input = read(fields)?;
    let address = request.client_address();
    let lease = HashLease::draw(context).await?;
    let user = queries::find_user(context, token.digest, address, &lease).await?;
    let new = match Password::new_for(&input.new, &user.email) {
        Ok(new) => new,
        Err(error) => {
            lease.release(context).await?;
            let message = error.to_string();
            return Err(Problem::invalid_field(
                "new_password",
                error.code(),
                message,
            ));
        }
    };
    let pepper = secrets::password_pepper(context).await?;
    if !password::verify(
        &Password::presented(&input.current),
        &user.password_hash,
        &pepper,
    ) {
        lockout::record_failure(context, &user.email, address, Some(&lease)).await?;
        return Err(wrong_password());
    }
    let hash = password::hash(&new, &context.random()?, &pepper).map_err(|error| {
        context.log("error", &error.to_string());
        Problem::internal()
    })?;
    let scopes = Scope::all_of_user(token.owner);
    let write = queries::change(context, token.digest, &user.password_hash, &hash, &lease);
    cache::during_write(context, &scopes, write).await?;
    Reply::json(200, &Output { status: "changed" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        let table = [
            (
                json!({"current_password": "a", "new_password": "correct horse"}),
                vec![],
            ),
            (json!({}), vec!["current_password", "new_password"]),
            (
                json!({"current_password": "", "new_password": 1}),
                vec!["current_password", "new_password"],
            ),
            (
                json!({"current_password": "a", "new_password": "correct horse", "x": 1}),
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
