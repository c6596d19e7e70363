//! A version is never changed: other prices are another version. So whoever has
//! one named pays the same for good, and an old invoice can be rated again.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::http::context::Context;
use shared::http::pagination::Cursor;
use shared::http::problem::Problem;
use shared::http::{Method, Reply, Request};
use shared::ids::{PlanVersionId, UserId};
use shared::rating::plan_terms::{self, MAX_PLAN_VERSIONS, MAX_TERMS_BYTES, PlanTerms};

use crate::queries::{self, Created};

const PLANS: &str = "/api/v1/plans/";

/// A version as it is listed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Summary {
    version: i32,
    charge_count: u32,
    created_at: String,
    /// Only those who manage plans are told.
    created_by: Option<UserId>,
}

/// A version with its terms.
#[derive(Debug, Serialize)]
pub struct Version {
    #[serde(flatten)]
    pub summary: Summary,
    /// As they are stored.
    pub terms: Value,
}

#[derive(Serialize)]
struct Listed {
    versions: Vec<Summary>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Output<'a> {
    plan: &'a str,
    #[serde(flatten)]
    version: Version,
}

pub fn other_currency(currency: &str) -> Problem {
    Problem::invalid_field(
        "currency",
        "other_currency",
        format!("must be {currency}, the currency of the plan"),
    )
}

pub fn plan_archived() -> Problem {
    Problem::new(
        409,
        "plan_archived",
        "The plan is archived",
        "An archived plan gets no new version. Take it from the archive first.",
    )
}

pub fn version_limit() -> Problem {
    Problem::new(
        409,
        "version_limit",
        "The plan has as many versions as it can",
        format!("A plan has at most {MAX_PLAN_VERSIONS} versions. Make another plan."),
    )
}

/// The code in the path, and what names a version, if anything does.
fn segments(path: &str) -> (&str, Option<&str>) {
    let rest = path.strip_prefix(PLANS).unwrap_or_default();
    let mut segments = rest.splitn(3, '/');
    let code = segments.next().unwrap_or_default();
    // What cannot be a code names no plan.
    let code = if plan_terms::is_plan_code(code) {
        code
    } else {
        ""
    };
    (code, segments.nth(1))
}

/// The number of a version; none for a text that cannot be one.
fn number(text: &str) -> Option<i32> {
    let is_plain = !text.starts_with(['0', '+']);
    let number = text.parse().ok().filter(|_| is_plain)?;
    (1..=MAX_PLAN_VERSIONS).contains(&number).then_some(number)
}

/// The methods of a path.
pub fn allow(path: &str) -> &'static str {
    match segments(path) {
        (_, None) => "GET, POST",
        (_, Some(_)) => "GET",
    }
}

pub async fn versions(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (plan, named) = segments(request.path());
    if let Some(named) = named {
        // No version has the number 0, so the answer is who asks or that there is none.
        let number = number(named).unwrap_or_default();
        let version = queries::read(context, token.digest, plan, number).await?;
        return Reply::json(200, &Output { plan, version });
    }
    if matches!(request.method(), Method::Get) {
        let page = request.page()?;
        let mut versions = queries::list(context, token.digest, plan, page).await?;
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let has_more = versions.len() > limit;
        versions.truncate(limit);
        let last = versions
            .last()
            .map(|version| Cursor(version.version.into()).encode());
        let next_cursor = last.filter(|_| has_more);
        return Reply::json(
            200,
            &Listed {
                versions,
                next_cursor,
            },
        );
    }
    let (fields, _) = request.json_fields_within(MAX_TERMS_BYTES).await?;
    let terms = if fields.has("currency") {
        PlanTerms::read(fields)?
    } else {
        let currency = queries::currency(context, token.digest, plan).await?;
        PlanTerms::read_in(fields, currency)?
    };
    let id = PlanVersionId::new(context.now_millis(), &context.random()?);
    let (status, version) = match queries::create(context, token.digest, id, plan, &terms).await? {
        Created::New(version) => (201, version),
        Created::Before(version) => (200, version),
    };
    Reply::json(status, &Output { plan, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let table = [
            ("/api/v1/plans/team/versions", ("team", None)),
            ("/api/v1/plans/team/versions/3", ("team", Some("3"))),
            ("/api/v1/plans/Team/versions", ("", None)),
            ("/api/v1/plans/%00/versions/1", ("", Some("1"))),
            ("/api/v1/plans/team/versions/", ("team", Some(""))),
            ("/api/v1/plans", ("", None)),
        ];
        for (path, expected) in table {
            assert_eq!(segments(path), expected, "{path}");
        }
    }

    #[test]
    fn numbers() {
        let table = [
            ("1", Some(1)),
            ("1000", Some(1000)),
            ("1001", None),
            ("0", None),
            ("01", None),
            ("+1", None),
            ("-1", None),
            ("", None),
            ("newest", None),
            ("99999999999", None),
        ];
        for (text, expected) in table {
            assert_eq!(number(text), expected, "{text:?}");
        }
    }
}
