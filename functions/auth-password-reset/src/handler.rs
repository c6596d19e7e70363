//! Whoever reads the user's mail may replace the password, and nothing else. The second
//! factor stays as it was, every session ends, and no device is known any more.
//!
//! An account whose email nobody had proved becomes new: whoever signed up with the email
//! may have been somebody else, and nothing that they left behind stays.

use shared::auth::hash_lease::HashLease;
use shared::auth::password::{self, NewPassword, PasswordChanged};
use shared::auth::secrets;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::mail::outbox;
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::operations::PasswordReset;
use crate::queries::{self, Holder};

pub async fn reset(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let (reset, _) = request.json::<PasswordReset>().await?;
    let token = reset.token.presented()?;
    let address = request.client_address(context).await?;
    let lease = HashLease::draw(context, &address).await?;
    let holder = queries::begin(context, token.digest, &lease).await?;
    let hash = match hash(context, reset.new_password, &holder).await {
        Ok(hash) => hash,
        Err(problem) => {
            lease.release(context).await?;
            return Err(problem);
        }
    };
    let message_id = outbox::message_to_person(context)?;
    let write = queries::reset(context, token.digest, message_id, &hash, &lease);
    let scopes = Scope::all_of_user(holder.user_id);
    let mail = cache::during_write(context, &scopes, write).await?;
    outbox::announce(context, mail.as_ref(), None).await?;
    Reply::json(200, &PasswordChanged::ANSWER)
}

async fn hash(context: &Context, new: NewPassword, holder: &Holder) -> Result<String, Problem> {
    let new = new
        .of(&holder.email)
        .map_err(|error| error.problem("new_password"))?;
    let pepper = secrets::password_pepper(context).await?;
    password::hash(&new, &context.random()?, &pepper).map_err(|error| {
        context.log("error", &error.to_string());
        Problem::internal()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input;

    use super::*;

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
            let errors = input::value_at::<PasswordReset>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
