//! Anybody may read it, tokens and all, so it exists on a developer's machine
//! only. Elsewhere it answers as a path that nobody serves.

use serde::Serialize;
use shared::auth::secrets;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Method, Reply, Request};
use shared::ids::OutboxMessageId;
use shared::mail::outbox;
use shared::mail::{self, Kind};

use crate::queries;

#[derive(Serialize)]
struct Shown {
    id: OutboxMessageId,
    kind: String,
    to: String,
    subject: String,
    text: String,
    /// Null for a message without one, and when it was wiped.
    token: Option<String>,
    created_at: String,
}

#[derive(Serialize)]
struct Output {
    messages: Vec<Shown>,
}

fn show(message: queries::Message, public_url: &str) -> Option<Shown> {
    let kind = Kind::parse(&message.kind)?;
    let rendered = mail::render(kind, public_url, message.token.as_deref(), &message.detail);
    Some(Shown {
        id: message.id,
        kind: message.kind,
        to: message.to,
        subject: rendered.subject,
        text: rendered.text,
        token: message.token,
        created_at: message.created_at,
    })
}

pub async fn outbox(context: &Context, request: &Request) -> Result<Reply, Problem> {
    if !matches!(request.method(), Method::Get) || !outbox::is_development(context).await? {
        return Err(Problem::no_such_path());
    }
    let public_url = secrets::read(context, "public_url").await?;
    let messages = queries::newest(context).await?;
    let messages = messages
        .into_iter()
        .filter_map(|message| show(message, &public_url))
        .collect();
    Reply::json(200, &Output { messages })
}
