//! The answer is the same, and costs as much, whether anybody has the email or
//! not. Whoever has it finds out by mail.

use serde::Serialize;
use shared::http::context::Context;
use shared::http::fields::{self, Fields};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::mail::outbox::{self, Draft};
use shared::text::email::EmailAddress;

use crate::queries;

#[derive(Serialize)]
struct Output {
    status: &'static str,
}

fn read(mut fields: Fields) -> Result<EmailAddress, Problem> {
    let email = fields.required("email", fields::email);
    fields.finish(|| email)
}

pub async fn forgot(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let (fields, _) = request.json_fields().await?;
    let email = read(fields)?;
    let draft = Draft::draw(context)?;
    let mail = queries::forgot(context, &email, request.client_address(), &draft).await?;
    outbox::announce(context, mail.as_ref(), Some(draft.token())).await?;
    Reply::json(202, &Output { status: "accepted" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        let table = [
            (json!({"email": "Ada@Example.com"}), vec![]),
            (json!({}), vec!["email"]),
            (json!({"email": "ada"}), vec!["email"]),
            (json!({"email": null}), vec!["email"]),
            (json!({"email": "ada@example.com", "x": 1}), vec!["x"]),
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
