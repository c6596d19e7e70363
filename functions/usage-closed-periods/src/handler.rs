//! Usage is closed until a time, once it is to be invoiced. What comes in later for an
//! earlier time is kept and counted, and marked as an adjustment. A closing goes forward
//! only, so that what was marked stays so.

use chrono::{NaiveDateTime, Timelike as _};
use serde_json::Value;
use shared::credits;
use shared::http::context::Context;
use shared::http::fields::{Fields, Invalid};
use shared::http::problem::Problem;
use shared::http::{Method, Reply, Request};
use shared::ids::OrganizationId;

use crate::queries;

/// What the path begins with, before the organization's id.
const COLLECTION: &str = "/api/v1/usage/closed-periods/";

/// Minutes of the shortest time that sums are kept for: a time within would cut one.
const SLOT_MINUTES: u32 = 15;

pub fn not_found() -> Problem {
    Problem::not_found("There is no organization with this id.")
}

pub fn too_far_ahead() -> Problem {
    Problem::invalid_field("until", "too_far_ahead", "must not be in the future")
}

pub fn period_closed(until: &str) -> Problem {
    Problem::new(
        409,
        "period_closed",
        "The usage is closed until a later time",
        format!("It is closed until {until}, and what is closed stays so."),
    )
}

/// The organization that the path names.
fn named(path: &str) -> Result<OrganizationId, Problem> {
    let id = path.strip_prefix(COLLECTION).unwrap_or_default();
    id.parse().map_err(|_| not_found())
}

fn until(value: &Value) -> Result<NaiveDateTime, Invalid> {
    let time = credits::time(value)?;
    if time.minute() % SLOT_MINUTES != 0 || time.second() != 0 || time.nanosecond() != 0 {
        return Err(Invalid::new(
            "not_aligned",
            "must be a whole quarter of an hour",
        ));
    }
    Ok(time)
}

fn read(mut fields: Fields) -> Result<NaiveDateTime, Problem> {
    let until = fields.required("until", until);
    fields.finish(|| until)
}

pub async fn closed_period(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id = named(request.path())?;
    let period = if matches!(request.method(), Method::Get) {
        queries::read(context, token.digest, organization_id).await?
    } else {
        let (fields, _) = request.json_fields().await?;
        let until = read(fields)?;
        queries::close(context, token.digest, organization_id, until).await?
    };
    Reply::json(200, &period)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
            let errors = Fields::new(body.clone())
                .and_then(read)
                .err()
                .map(|p| p.errors)
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| (&*e.field, e.code)).collect();
            assert_eq!(named, expected, "{body}");
        }
    }

    #[test]
    fn paths() {
        let id = OrganizationId::new(1, &[1; 10]);
        assert_eq!(named(&format!("{COLLECTION}{id}")), Ok(id));
        for path in [COLLECTION, "/api/v1/usage/closed-periods/org_1", ""] {
            assert_eq!(named(path).map_err(|p| p.status), Err(404), "{path}");
        }
    }
}
