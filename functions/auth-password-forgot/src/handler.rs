//! The answer is the same, and costs as much, whether anybody has the email or not.
//! Whoever has it learns it by mail.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::mail::MailAccepted;
use shared::mail::outbox::{self, Draft};

use crate::operations::ForgottenPassword;
use crate::queries;

pub async fn forgot(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let (forgotten, _) = request.json::<ForgottenPassword>().await?;
    let draft = Draft::draw(context)?;
    let address = request.client_address(context).await?;
    let mail = queries::forgot(context, &forgotten.email, &address, &draft).await?;
    outbox::announce(context, mail.as_ref(), Some(draft.token())).await?;
    Reply::json(202, &MailAccepted::ANSWER)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input;

    use super::*;

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
            let errors = input::value_at::<ForgottenPassword>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
