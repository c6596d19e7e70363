//! An entitlement says that a feature may be used: by a subject of an organization,
//! or by the organization itself. An organization gives its own subjects what it
//! likes; what it was given itself only the platform changes.

use serde::{Deserialize, Serialize};
use shared::entitlements;
use shared::http::context::Context;
use shared::http::pagination::Cursor;
use shared::http::problem::Problem;
use shared::http::{Method, Reply, Request};
use shared::ids::{EntitlementId, OrganizationId};
use shared::token::TokenDigest;

use crate::queries::{self, Place};
use crate::terms;

const COLLECTION: &str = "/api/v1/entitlements";

/// An entitlement as it is shown.
#[derive(Debug, Serialize, Deserialize)]
pub struct Entitlement {
    id: EntitlementId,
    organization_id: OrganizationId,
    subject: Option<String>,
    feature: String,
    r#type: String,
    meter: Option<String>,
    limit: Option<String>,
    period: Option<String>,
    is_soft: Option<bool>,
    expires_at: Option<String>,
    reset_at: Option<String>,
    created_at: String,
    updated_at: String,
    revoked_at: Option<String>,
    /// Its place in the list.
    #[serde(skip_serializing)]
    sequence: i64,
}

#[derive(Serialize)]
struct Listed {
    entitlements: Vec<Entitlement>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Output {
    entitlement: Entitlement,
}

#[derive(Serialize)]
struct Reset {
    entitlement: Entitlement,
    /// What had been used until the reset.
    used_before: String,
}

pub fn not_found() -> Problem {
    Problem::not_found("The organization has no entitlement with this id.")
}

pub fn entitlement_exists() -> Problem {
    Problem::new(
        409,
        "entitlement_exists",
        "There is an entitlement to this feature",
        "A subject has one entitlement to a feature. Change it, or revoke it first.",
    )
}

pub fn entitlement_limit(max_current: i32) -> Problem {
    Problem::new(
        409,
        "entitlement_limit",
        "The organization has as many entitlements as it can have",
        format!("At most {max_current} are current. Revoke one that is not needed."),
    )
}

pub fn ended() -> Problem {
    Problem::new(
        409,
        "entitlement_ended",
        "The entitlement has ended",
        "It was revoked, or another one was given after it expired. Nothing was changed.",
    )
}

pub fn not_metered() -> Problem {
    Problem::new(
        409,
        "entitlement_not_metered",
        "Nothing is counted of the entitlement",
        "A boolean entitlement has no limit, and nothing to reset.",
    )
}

/// What the path names. An id is read only after the caller's token.
#[derive(Debug, PartialEq, Eq)]
enum Target<'a> {
    Collection,
    Entitlement(&'a str),
    Reset(&'a str),
}

fn target(path: &str) -> Target<'_> {
    let rest = path.strip_prefix(COLLECTION).unwrap_or_default();
    let Some(rest) = rest.strip_prefix('/') else {
        return Target::Collection;
    };
    match rest.strip_suffix("/reset") {
        Some(id) => Target::Reset(id),
        None => Target::Entitlement(rest),
    }
}

/// The methods of a path.
pub fn allow(path: &str) -> &'static str {
    match target(path) {
        Target::Collection => "GET, POST",
        Target::Entitlement(_) => "GET, PATCH, DELETE",
        Target::Reset(_) => "POST",
    }
}

/// The organization that is named beside the path: another than the credential's.
fn organization(request: &Request) -> Result<Option<OrganizationId>, Problem> {
    const NAME: &str = "organization_id";
    let read = |text: &str| {
        text.parse().map_err(|error: shared::ids::InvalidId| {
            Problem::invalid_parameter(NAME, "invalid", error.to_string())
        })
    };
    request
        .query_parameter(NAME)?
        .as_deref()
        .map(read)
        .transpose()
}

fn subject(text: &str) -> Result<String, Problem> {
    if entitlements::is_subject(text) {
        return Ok(text.to_owned());
    }
    Err(Problem::invalid_parameter(
        "subject",
        "wrong_length",
        format!(
            "must have 1 to {} characters",
            entitlements::MAX_SUBJECT_CHARS
        ),
    ))
}

fn feature(text: &str) -> Result<String, Problem> {
    if entitlements::is_feature(text) {
        return Ok(text.to_owned());
    }
    Err(Problem::invalid_parameter(
        "feature",
        "invalid",
        "must be the name of a feature",
    ))
}

pub async fn entitlements(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let digest = request.access_token()?.digest;
    let (text, resets) = match target(request.path()) {
        Target::Collection if matches!(request.method(), Method::Get) => {
            return list(context, request, digest).await;
        }
        Target::Collection => return create(context, request, digest).await,
        Target::Entitlement(text) => (text, false),
        Target::Reset(text) => (text, true),
    };
    let place = Place {
        organization_id: organization(request)?,
        id: text.parse().map_err(|_| not_found())?,
    };
    if resets {
        let idempotency = request.idempotency(&[])?;
        let (entitlement, used_before) =
            queries::reset(context, digest, place, &idempotency.key).await?;
        return Reply::json(
            200,
            &Reset {
                entitlement,
                used_before,
            },
        );
    }
    let entitlement = match request.method() {
        Method::Get => queries::read(context, digest, place).await?,
        Method::Delete => queries::revoke(context, digest, place).await?,
        _ => {
            let (fields, _) = request.json_fields().await?;
            let change = terms::read_change(fields)?;
            queries::change(context, digest, place, &change).await?
        }
    };
    Reply::json(200, &Output { entitlement })
}

async fn list(context: &Context, request: &Request, digest: TokenDigest) -> Result<Reply, Problem> {
    let filter = queries::Filter {
        organization_id: organization(request)?,
        subject: request
            .query_parameter("subject")?
            .map(|text| subject(&text))
            .transpose()?,
        feature: request
            .query_parameter("feature")?
            .map(|text| feature(&text))
            .transpose()?,
    };
    let page = request.page()?;
    let mut entitlements = queries::list(context, digest, &filter, page).await?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = entitlements.len() > limit;
    entitlements.truncate(limit);
    let last = entitlements.last();
    let next_cursor = last.filter(|_| has_more);
    let next_cursor = next_cursor.map(|last| Cursor(last.sequence).encode());
    Reply::json(
        200,
        &Listed {
            entitlements,
            next_cursor,
        },
    )
}

async fn create(
    context: &Context,
    request: &Request,
    digest: TokenDigest,
) -> Result<Reply, Problem> {
    let (fields, _) = request.json_fields().await?;
    let input = terms::read(fields)?;
    let id = EntitlementId::new(context.now_millis(), &context.random()?);
    let entitlement = queries::create(context, digest, id, &input).await?;
    Reply::json(201, &Output { entitlement })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let table = [
            ("", Target::Collection, "GET, POST"),
            ("/ent_1", Target::Entitlement("ent_1"), "GET, PATCH, DELETE"),
            ("/ent_1/reset", Target::Reset("ent_1"), "POST"),
            ("/", Target::Entitlement(""), "GET, PATCH, DELETE"),
        ];
        for (rest, expected, methods) in table {
            let path = format!("{COLLECTION}{rest}");
            assert_eq!(target(&path), expected, "{path}");
            assert_eq!(allow(&path), methods, "{path}");
        }
    }

    #[test]
    fn filters() {
        for (text, is_right) in [("cus_42", true), ("", false)] {
            assert_eq!(subject(text).is_ok(), is_right, "{text:?}");
        }
        for (text, is_right) in [("sso", true), ("", false), ("SSO", false)] {
            assert_eq!(feature(text).is_ok(), is_right, "{text:?}");
        }
    }
}
