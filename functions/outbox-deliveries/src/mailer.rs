//! The mail service: an HTTP endpoint that takes one message as JSON.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use serde::Serialize;
use shared::auth::secrets;
use shared::http::Request;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::OutboxMessageId;
use shared::mail::{self, Kind};

use crate::queries::Message;

/// How long the service may take for one message. They are sent side by side, so
/// this bounds the whole request, and is far below the lease of a message.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where messages are handed over.
pub struct Mailer {
    url: String,
    token: String,
    /// What the requests to it are part of, as the request that asks for them has it.
    traceparent: Option<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    id: OutboxMessageId,
    to: &'a str,
    subject: &'a str,
    text: &'a str,
}

impl Mailer {
    /// The service that the variables name; `None` when they name none.
    pub async fn from_variables(
        context: &Context,
        request: &Request,
    ) -> Result<Option<Self>, Problem> {
        let url = secrets::read(context, "mail_url").await?;
        let token = secrets::read(context, "mail_token").await?;
        // One that came several times is of no trace.
        let traceparent = request.header("traceparent").ok().flatten();
        Ok((!url.is_empty()).then(|| Self {
            url,
            token,
            traceparent: traceparent.map(str::to_owned),
        }))
    }

    /// Hands a message over; the error is for the operator.
    pub async fn send(&self, message: &Message, public_url: &str) -> Result<(), String> {
        let kind = Kind::parse(&message.kind)
            .ok_or_else(|| format!("there is no text for the kind {:?}", message.kind))?;
        let rendered = mail::render(kind, public_url, message.token.as_deref(), &message.detail);
        let body = serde_json::to_string(&Body {
            id: message.id,
            to: &message.to,
            subject: &rendered.subject,
            text: &rendered.text,
        })
        .map_err(|error| error.to_string())?;
        let mut request = http::Request::post(&self.url)
            .header("content-type", "application/json")
            .header("content-length", body.len())
            .header("authorization", format!("Bearer {}", self.token))
            .header("idempotency-key", message.id.to_string());
        if let Some(traceparent) = &self.traceparent {
            request = request.header("traceparent", traceparent);
        }
        let request = request.body(body).map_err(|error| {
            format!("the variable mail_url or mail_token is malformed: {error}")
        })?;
        let exchange = pin!(spin_sdk::http::send(request));
        let timeout = pin!(spin_sdk::time::sleep(PATIENCE));
        match select(exchange, timeout).await {
            Either::Left((Ok(response), _)) if response.status().is_success() => Ok(()),
            Either::Left((Ok(response), _)) => {
                Err(format!("the mail service answered {}", response.status()))
            }
            Either::Left((Err(error), _)) => {
                Err(format!("the mail service was not reached: {error:?}"))
            }
            Either::Right(_) => Err(format!(
                "the mail service did not answer within {} seconds",
                PATIENCE.as_secs()
            )),
        }
    }
}
