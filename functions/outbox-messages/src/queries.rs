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

/// The newest messages to anybody.
pub async fn newest(context: &Context) -> Result<Vec<Message>, Problem> {
    let sql = "SELECT outbox_messages_newest($1)::text";
    let parameters = [MAX_SHOWN.into()];
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}
