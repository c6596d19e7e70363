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
    let (new, body) = request.json::<NewMeter>().await?;
    let new = new.with_exact_numbers(&body)?;
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
    #[test]
    fn numbers_of_filters_are_exact() {
        let table = [
            ("18446744073709551617", Ok("18446744073709551617")),
            ("0.12345678901234567891", Ok("0.12345678901234567891")),
            ("1.0", Ok("1")),
            ("-0", Ok("0")),
            (r#""1.0""#, Ok(r#""1.0""#)),
            ("true", Ok("true")),
            ("1e300", Err("filters[1].value")),
        ];
        for (value, expected) in table {
            for is_listed in [false, true] {
                let (op, written) = if is_listed {
                    ("in", format!(r#"["x", {value}]"#))
                } else {
                    ("eq", value.to_owned())
                };
                let body = format!(
                    r#"{{"slug": "a", "event_type": "b", "aggregation": "count", "filters": [
                        {{"property": "p", "op": "eq", "value": "x"}},
                        {{"property": "p", "op": "{op}", "value": {written}}}]}}"#
                );
                let got = input::json::<NewMeter>(body.as_bytes())
                    .and_then(|new| new.with_exact_numbers(body.as_bytes()))
                    .map(|new| {
                        let filters = new.filters.map(|filters| filters.0);
                        serde_json::to_string(&filters).unwrap_or_default()
                    })
                    .map_err(|problem| problem.errors[0].field.to_string());
                let expected = expected.map_err(|place| match is_listed {
                    true => format!("{place}[1]"),
                    false => place.to_owned(),
                });
                let expected = expected.map(|kept| {
                    let kept = match is_listed {
                        true => format!(r#"["x",{kept}]"#),
                        false => kept.to_owned(),
                    };
                    format!(
                        r#"[{{"property":"p","op":"eq","value":"x"}},{{"property":"p","op":"{op}","value":{kept}}}]"#
                    )
                });
                assert_eq!(got, expected, "{body}");
            }
        }
        let none = br#"{"slug": "a", "event_type": "b", "aggregation": "count"}"#;
        let none = input::json::<NewMeter>(none).and_then(|new| new.with_exact_numbers(none));
        assert_eq!(none.map(|new| new.filters.map_or(0, |f| f.0.len())), Ok(0));
    }
}
