//! Asks for the current password, whatever the token. Otherwise whoever finds an open
//! browser could lock its owner out.

use shared::auth::device::{DEVICE_COOKIE, DEVICE_TTL_SECS, Device};
use shared::auth::hash_lease::HashLease;
use shared::auth::lockout::Wrong;
use shared::auth::password::{self, PasswordChanged};
use shared::auth::secrets;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::DeviceId;
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::operations::PasswordChange;
use crate::queries;

pub async fn change(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (change, _) = request.json::<PasswordChange>().await?;
    let address = request.client_address(context).await?;
    let lease = HashLease::draw(context, &address).await?;
    let (guess, user) = queries::find_user(context, token.digest, lease).await?;
    let new = match change.new_password.of(&user.email) {
        Ok(new) => new,
        Err(error) => {
            guess.withdraw(context).await?;
            return Err(error.problem("new_password"));
        }
    };
    let pepper = secrets::password_pepper(context).await?;
    if !password::verify(&change.current_password, &user.password_hash, &pepper) {
        guess.fail(context, Wrong::Password).await?;
        return Err(queries::wrong_password());
    }
    let hash = password::hash(&new, &context.random()?, &pepper).map_err(|error| {
        context.log("error", &error.to_string());
        Problem::internal()
    })?;
    // Read beforehand, because what is committed is answered.
    let master = secrets::master_secret(context).await?;
    let device_id = DeviceId::new(context.now_millis(), &context.random()?);
    let scopes = Scope::all_of_user(token.owner);
    let write = queries::change(context, token.digest, &user.password_hash, &hash, &guess);
    let changed = cache::during_write(context, &scopes, write).await?;
    let device = Device {
        user: token.owner,
        id: device_id,
        issued_micros: changed.device_issued_micros,
    };
    let reply = Reply::json(200, &PasswordChanged::ANSWER)?;
    Ok(reply.with_cookie(DEVICE_COOKIE, &device.sealed(&master), DEVICE_TTL_SECS))
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
            let errors = input::value_at::<PasswordChange>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
