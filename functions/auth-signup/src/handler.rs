//! The answer is the same, and takes as long, whether the email was free or not:
//! sign-up tells nobody who has an account. Whoever has the email learns it by
//! mail.

use shared::auth::hash_lease::HashLease;
use shared::auth::password::{self, Password};
use shared::auth::secrets;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::{OrganizationId, UserId};
use shared::mail::MailStatus;
use shared::mail::outbox::{self, Draft};
use shared::text::email::EmailAddress;

use crate::operations::{Signup, SignupAccepted};
use crate::queries::{self, Registration};

/// The email, and the password if it may be its owner's.
fn checked(signup: Signup) -> Result<(EmailAddress, Password), Problem> {
    let password = signup.password.of(&signup.email);
    let password = password.map_err(|error| error.problem("password"))?;
    Ok((signup.email, password))
}

pub async fn signup(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let (signup, _) = request.json::<Signup>().await?;
    let (email, password) = checked(signup)?;
    let pepper = secrets::password_pepper(context).await?;
    let address = request.client_address(context).await?;
    let lease = HashLease::draw(context, &address).await?;
    queries::begin(context, &lease).await?;
    let hash = password::hash(&password, &context.random()?, &pepper).map_err(|error| {
        context.log("error", &error.to_string());
        Problem::internal()
    })?;
    let user_id = UserId::new(context.now_millis(), &context.random()?);
    let organization_id = OrganizationId::new(context.now_millis(), &context.random()?);
    let registration = Registration {
        user_id,
        organization_id,
        email: &email,
        password_hash: &hash,
    };
    let draft = Draft::draw(context)?;
    let mail = queries::signup(context, &registration, &lease, &draft).await?;
    outbox::announce(context, mail.as_ref(), Some(draft.token())).await?;
    Reply::json(
        202,
        &SignupAccepted {
            status: MailStatus::Accepted,
            email: email.to_string(),
        },
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::http::input;

    use super::*;

    fn check(body: Value, expected: Result<&str, &[(&str, &str)]>) {
        let got = input::value::<Signup>(&body).and_then(checked);
        match (got, expected) {
            (Ok((read, _)), Ok(email)) => assert_eq!(read.as_str(), email, "{body}"),
            (Err(problem), Err(errors)) => {
                let named: Vec<_> = problem.errors.iter().map(|e| (&*e.field, e.code)).collect();
                assert_eq!(named, errors, "{body}");
            }
            (got, expected) => panic!("{body}: expected {expected:?}, got {got:?}"),
        }
    }

    #[test]
    fn bodies() {
        let long = "p".repeat(129);
        check(
            json!({"email": "Ada@Example.com", "password": "correct horse"}),
            Ok("ada@example.com"),
        );
        check(
            json!({"email": "a@b.example", "password": "pässwörd"}),
            Ok("a@b.example"),
        );
        check(
            json!({}),
            Err(&[("email", "required"), ("password", "required")]),
        );
        check(
            json!({"email": "ada", "password": "short"}),
            Err(&[("email", "invalid_email"), ("password", "wrong_length")]),
        );
        check(
            json!({"email": "a@b.example", "password": long}),
            Err(&[("password", "wrong_length")]),
        );
        check(
            json!({"email": "a@b.example", "password": "A@B.example"}),
            Err(&[("password", "equals_email")]),
        );
        check(
            json!({"email": "ada.lovelace@b.example", "password": "Ada.Lovelace"}),
            Err(&[("password", "equals_email")]),
        );
        check(
            json!({"email": "a@b.example", "password": "Password123"}),
            Err(&[("password", "too_common")]),
        );
        check(
            json!({"email": "a@b.example", "password": "longenough", "admin": true}),
            Err(&[("admin", "unknown")]),
        );
        check(
            json!({"email": 1, "password": null}),
            Err(&[("email", "wrong_type"), ("password", "wrong_type")]),
        );
    }
}
