//! What the routes under an organization share: their paths, the names of organizations
//! and roles, and common refusals.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::fields::{self, Invalid};
use crate::http::problem::Problem;
use crate::ids::OrganizationId;

/// The path of all organizations.
pub const COLLECTION: &str = "/api/v1/organizations";

/// Longest name of an organization in characters.
pub const MAX_NAME_CHARS: usize = 200;

/// Longest name of a time zone in characters. The longest that exists has 32.
pub const MAX_TIME_ZONE_CHARS: usize = 64;

/// Longest name of a role in characters: one letter and 31 more characters.
pub const MAX_ROLE_CHARS: usize = 32;

/// An organization as one of its members sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Organization {
    id: OrganizationId,
    name: String,
    role: String,
    time_zone: String,
    created_at: String,
}

/// The segments of a path after [`COLLECTION`]: none for the collection itself,
/// otherwise the organization's id and the segments below it.
pub fn segments(path: &str) -> Vec<&str> {
    let rest = path.strip_prefix(COLLECTION).unwrap_or_default();
    match rest.strip_prefix('/') {
        None => Vec::new(),
        Some(rest) => rest.split('/').collect(),
    }
}

/// The organization that the path names.
///
/// # Errors
/// [`not_found`] when it names none.
pub fn named(path: &str) -> Result<OrganizationId, Problem> {
    let id = segments(path).first().and_then(|id| id.parse().ok());
    id.ok_or_else(not_found)
}

/// Reads a name that a person gives. It must be visible text, because mails repeat it.
///
/// # Errors
/// Those of [`fields::text`]; `invalid_character` for control characters;
/// `wrong_length` for nothing but white space.
pub fn name(value: &Value) -> Result<String, Invalid> {
    let text = fields::text(value, 1..=MAX_NAME_CHARS)?;
    if text.chars().any(char::is_control) {
        return Err(Invalid::new(
            "invalid_character",
            "must not contain control characters",
        ));
    }
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(Invalid::new("wrong_length", "must not be blank"));
    }
    Ok(trimmed.to_owned())
}

/// Reads the name of a time zone from a body. The database knows whether it exists.
///
/// # Errors
/// Those of [`fields::text`].
pub fn time_zone(value: &Value) -> Result<String, Invalid> {
    fields::text(value, 1..=MAX_TIME_ZONE_CHARS)
}

/// Reads the name of a role from a body. The database knows whether it exists.
///
/// # Errors
/// Those of [`fields::text`].
pub fn role(value: &Value) -> Result<String, Invalid> {
    fields::text(value, 1..=MAX_ROLE_CHARS)
}

/// 404: the credential's organization has nothing with this id.
pub fn not_found() -> Problem {
    Problem::not_found("Your credential's organization has nothing with this id.")
}

/// 422: there is no such role in the organization.
pub fn role_unknown() -> Problem {
    Problem::invalid_field("role", "unknown", "must be a role of the organization")
}

/// 422: there is no such time zone.
pub fn time_zone_unknown() -> Problem {
    Problem::invalid_field(
        "time_zone",
        "unknown",
        "must be the name of a zone, such as Europe/Berlin",
    )
}

/// 403: the caller lacks a permission of the role, or of the role that the other person
/// has.
pub fn role_exceeds_own() -> Problem {
    Problem::new(
        403,
        "role_exceeds_own",
        "The role holds permissions that you lack",
        "Nobody gives, changes or takes a role that holds more than their own credential.",
    )
}

/// 409: the role is built in and cannot be changed.
pub fn role_is_built_in() -> Problem {
    Problem::new(
        409,
        "role_is_built_in",
        "Built-in roles cannot be changed",
        "Use another name for a role of your own.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths() {
        let table = [
            ("", vec![]),
            ("/", vec![""]),
            ("/org_1", vec!["org_1"]),
            ("/org_1/members/usr_1", vec!["org_1", "members", "usr_1"]),
        ];
        for (rest, expected) in table {
            assert_eq!(
                segments(&format!("{COLLECTION}{rest}")),
                expected,
                "{rest:?}"
            );
        }
        let id = OrganizationId::new(1, &[1; 10]);
        let path = format!("{COLLECTION}/{id}/members");
        assert_eq!(named(&path), Ok(id));
        for path in [COLLECTION, "/api/v1/organizations/org_1/members"] {
            assert_eq!(
                named(path).map_err(|problem| problem.status),
                Err(404),
                "{path}"
            );
        }
    }

    #[test]
    fn names() {
        let long = "x".repeat(MAX_NAME_CHARS + 1);
        let table = [
            (json!("Analytical Engines"), Ok("Analytical Engines")),
            (json!(" Zoë & Co "), Ok("Zoë & Co")),
            (json!(""), Err("wrong_length")),
            (json!("   "), Err("wrong_length")),
            (json!(long), Err("wrong_length")),
            (json!("a\r\nbcc: eve"), Err("invalid_character")),
            (json!(1), Err("wrong_type")),
        ];
        for (value, expected) in table {
            let got = name(&value).map_err(|invalid| invalid.code);
            assert_eq!(got, expected.map(str::to_owned), "{value}");
        }
    }
}
