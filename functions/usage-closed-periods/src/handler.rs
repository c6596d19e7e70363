//! Usage is closed until a time, once it is to be invoiced. What comes in later for an
//! earlier time is kept and counted, and marked as an adjustment. A closing goes forward
//! only, so that what was marked stays so.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

use crate::operations::Closing;
use crate::queries;

pub async fn read(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id = request.named("id", queries::not_found)?;
    let period = queries::read(context, token.digest, organization_id).await?;
    Reply::json(200, &period)
}

pub async fn close(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id = request.named("id", queries::not_found)?;
    let (closing, _) = request.json::<Closing>().await?;
    let until = closing.until.0;
    let period = queries::close(context, token.digest, organization_id, until).await?;
    Reply::json(200, &period)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input;

    use super::*;

    #[test]
    fn bodies() {
        let table = [
            (json!({"until": "2026-11-01T00:00:00Z"}), vec![]),
            (json!({"until": "2026-11-01T00:00:00+05:45"}), vec![]),
            (json!({}), vec![("until", "required")]),
            (json!({"until": null}), vec![("until", "wrong_type")]),
            (json!({"until": "2026-11-01"}), vec![("until", "invalid")]),
            (
                json!({"until": "2026-11-01T00:01:00Z"}),
                vec![("until", "not_aligned")],
            ),
            (
                json!({"until": "2026-11-01T00:00:00.000001Z"}),
                vec![("until", "not_aligned")],
            ),
            (
                json!({"until": "2026-11-01T00:00:00Z", "since": 1}),
                vec![("since", "unknown")],
            ),
        ];
        for (body, expected) in table {
            let errors = input::value_at::<Closing>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| (&*e.field, e.code)).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
