//! A meter counts the events that are sent after it was made. What it has counted
//! is never counted anew, so a meter does not change: it is archived, and another
//! one made.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Method, Reply, Request};
use shared::ids::MeterId;

use crate::definition::{self, Aggregation};
use crate::queries;

const COLLECTION: &str = "/api/v1/meters";

/// A meter as it is shown.
#[derive(Debug, Serialize, Deserialize)]
pub struct Meter {
    id: MeterId,
    slug: String,
    event_type: String,
    aggregation: Aggregation,
    value_property: Option<String>,
    group_by: Vec<String>,
    filters: Value,
    created_at: String,
    archived_at: Option<String>,
}

#[derive(Serialize)]
struct Listed {
    meters: Vec<Meter>,
}

#[derive(Serialize)]
struct Output {
    meter: Meter,
}

pub fn not_found() -> Problem {
    Problem::not_found("The organization has no meter with this name.")
}

pub fn meter_exists() -> Problem {
    Problem::new(
        409,
        "meter_exists",
        "There is a meter with this name",
        "A name is used once, by an archived meter too. Choose another one.",
    )
}

pub fn meter_limit(max_active: i32, max_ever: i32) -> Problem {
    Problem::new(
        409,
        "meter_limit",
        "The organization has as many meters as it can have",
        format!(
            "At most {max_active} meters count, and {max_ever} can be made. Archive one that is not needed."
        ),
    )
}

/// The name that the path ends with, if it names a meter.
fn slug(path: &str) -> Option<&str> {
    path.strip_prefix(COLLECTION)?.strip_prefix('/')
}

/// The methods of a path.
pub fn allow(path: &str) -> &'static str {
    match slug(path) {
        None => "GET, POST",
        Some(_) => "GET, DELETE",
    }
}

pub async fn meters(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let Some(slug) = slug(request.path()) else {
        if matches!(request.method(), Method::Get) {
            let meters = queries::list(context, token.digest).await?;
            return Reply::json(200, &Listed { meters });
        }
        let (fields, _) = request.json_fields().await?;
        let input = definition::read(fields)?;
        let id = MeterId::new(context.now_millis(), &context.random()?);
        let meter = queries::create(context, token.digest, id, &input).await?;
        return Reply::json(201, &Output { meter });
    };
    // What cannot be a name is not worth a question, and names no meter.
    let slug = if definition::is_slug(slug) { slug } else { "" };
    let meter = match request.method() {
        Method::Get => queries::read(context, token.digest, slug).await?,
        _ => queries::archive(context, token.digest, slug).await?,
    };
    Reply::json(200, &Output { meter })
}
