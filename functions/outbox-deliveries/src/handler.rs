//! A job that a scheduler calls: it takes some of the messages that are due,
//! hands each to the mail service, and records what became of it. A message is
//! sent at least once; the service tells a repetition by its Idempotency-Key.

use futures::future::join_all;
use shared::auth::secrets;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

use crate::mailer::Mailer;
use crate::operations::{Deliveries, MAIL_NOT_CONFIGURED};
use crate::queries::{self, Outcome};

pub async fn deliver(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let Some(mailer) = Mailer::from_variables(context, request).await? else {
        queries::check_permission(context, token.digest).await?;
        return Err(MAIL_NOT_CONFIGURED.because(
            "Set the variables mail_url, mail_origin and mail_token. Nothing was taken from the outbox.",
        ));
    };
    let public_url = secrets::read(context, "public_url").await?;
    let messages = queries::claim(context, token.digest).await?;
    let deliveries = messages.iter().map(|message| async {
        Outcome {
            organization_id: message.organization_id.as_uuid().to_string(),
            id: message.id.as_uuid().to_string(),
            error: mailer.send(message, &public_url).await.err(),
        }
    });
    let outcomes = join_all(deliveries).await;
    let failed = outcomes.iter().filter(|o| o.error.is_some()).count();
    if failed > 0 {
        let reason = outcomes.iter().find_map(|o| o.error.as_deref());
        context.log(
            "warn",
            &format!(
                "{failed} of {} mails were not sent: {}",
                outcomes.len(),
                reason.unwrap_or_default()
            ),
        );
    }
    if !outcomes.is_empty() {
        queries::record(context, &outcomes).await?;
    }
    Reply::json(
        200,
        &Deliveries {
            claimed: outcomes.len(),
            sent: outcomes.len() - failed,
            failed,
        },
    )
}
