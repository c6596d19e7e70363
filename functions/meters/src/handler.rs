//! A meter counts the events that are sent after it was made. What it has counted
//! is never counted anew, so a meter does not change: it is archived, and another
//! one made.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::MeterId;

use crate::operations::NewMeter;
use crate::queries;

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let meters = queries::list(context, token.digest).await?;
    Reply::json(200, &meters)
}

pub async fn create(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (new, _) = request.json::<NewMeter>().await?;
    let id = MeterId::owned(token.organization, context.now_millis(), &context.random()?);
    let meter = queries::create(context, token.digest, id, new).await?;
    Reply::json(201, &meter)
}

pub async fn read(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let slug = request.named("slug", queries::not_found)?;
    let meter = queries::read(context, token.digest, slug).await?;
    Reply::json(200, &meter)
}

pub async fn archive(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let slug = request.named("slug", queries::not_found)?;
    let meter = queries::archive(context, token.digest, slug).await?;
    Reply::json(200, &meter)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::http::input;

    use super::*;

    #[test]
    fn bodies() {
        let with = |name: &str, value: Value| {
            let mut body = json!({
                "slug": "tokens", "event_type": "completion", "aggregation": "sum", "value_property": "tokens",
            });
            body[name] = value;
            body
        };
        let eq = json!({"property": "model", "op": "eq", "value": "large"});
        let table = [
            (with("slug", json!("tokens_2-x")), vec![]),
            (
                with("value_property", json!("usage.tokens.input.total")),
                vec![],
            ),
            (with("group_by", json!(["model", "region.name"])), vec![]),
            (with("filters", json!([eq])), vec![]),
            (
                with(
                    "filters",
                    json!([{"property": "tier", "op": "in", "value": ["a", 1, true]}]),
                ),
                vec![],
            ),
            (
                json!({"slug": "calls", "event_type": "call", "aggregation": "count"}),
                vec![],
            ),
            // Whether it needs a value is not known yet.
            (json!({}), vec!["slug", "event_type", "aggregation"]),
            (with("slug", json!("Tokens")), vec!["slug"]),
            (with("slug", json!("1st")), vec!["slug"]),
            (with("slug", json!("t".repeat(65))), vec!["slug"]),
            (
                with("event_type", json!("t".repeat(65))),
                vec!["event_type"],
            ),
            (with("aggregation", json!("median")), vec!["aggregation"]),
            (with("aggregation", json!("count")), vec!["value_property"]),
            (with("value_property", json!(null)), vec!["value_property"]),
            (
                with("value_property", json!("a..b")),
                vec!["value_property"],
            ),
            (
                with("value_property", json!("a.b.c.d.e")),
                vec!["value_property"],
            ),
            (
                with("value_property", json!("to kens")),
                vec!["value_property"],
            ),
            (
                with("group_by", json!(["a", "b", "c", "d", "e"])),
                vec!["group_by"],
            ),
            (with("group_by", json!(["a", "a"])), vec!["group_by"]),
            (with("group_by", json!("model")), vec!["group_by"]),
            (
                with(
                    "filters",
                    json!([{"property": "a", "op": "gt", "value": 1}]),
                ),
                vec!["filters[0].op"],
            ),
            (
                with(
                    "filters",
                    json!([{"property": "a", "op": "eq", "value": [1]}]),
                ),
                vec!["filters[0].value"],
            ),
            (
                with(
                    "filters",
                    json!([{"property": "a", "op": "in", "value": "x"}]),
                ),
                vec!["filters[0].value"],
            ),
            (
                with(
                    "filters",
                    json!([{"property": "a", "op": "in", "value": ["x", null, "y".repeat(129)]}]),
                ),
                vec!["filters[0].value[1]", "filters[0].value[2]"],
            ),
            (
                with("filters", json!([{"property": "a", "op": "eq"}])),
                vec!["filters[0].value"],
            ),
            (
                with("filters", json!(vec![eq.clone(); 11])),
                vec!["filters"],
            ),
            (with("unit", json!("token")), vec!["unit"]),
        ];
        for (body, expected) in table {
            let errors = input::value_at::<NewMeter>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|error| &*error.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
