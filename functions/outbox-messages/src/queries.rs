use serde::Deserialize;
use serde_json::Value;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::OutboxMessageId;
use shared::store::db;

/// Messages that are shown.
const MAX_SHOWN: i32 = 50;

/// A message as it is kept.
#[derive(Deserialize)]
pub struct Message {
    pub id: OutboxMessageId,
    pub kind: String,
    pub to: String,
    pub token: Option<String>,
    pub detail: Value,
    pub created_at: String,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Found { messages: Vec<Message> },
}

/// The newest messages to anybody.
pub async fn newest(context: &Context) -> Result<Vec<Message>, Problem> {
    let sql = "SELECT outbox_messages_newest($1)::text";
    let Answer::Found { messages } = db::call(context, sql, &[MAX_SHOWN.into()]).await?;
    Ok(messages)
}
