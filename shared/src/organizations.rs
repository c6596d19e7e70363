//! What the routes under an organization share: the names of organizations and roles,
//! and common refusals.

use crate::http::input::{self, Invalid};
use crate::http::problem::Problem;
use crate::http::time::Time;
use crate::ids::OrganizationId;

/// Longest name of an organization in characters.
const MAX_NAME_CHARS: usize = 200;

/// Longest name of a time zone in characters. The longest that exists has 32.
const MAX_TIME_ZONE_CHARS: usize = 64;

/// Longest name of a permission in characters. Those that exist have half of it.
const MAX_PERMISSION_CHARS: usize = 100;

/// Longest name of a role in characters: one letter and 31 more characters.
const MAX_ROLE_CHARS: usize = 32;

crate::text_type! {
    /// The name of an organization: visible text, because mails repeat it.
    OrganizationName, |text| input::name(text, 1..=MAX_NAME_CHARS), {
        "type": "string", "pattern": input::NAME_PATTERN, "minLength": 1, "maxLength": 200,
        "description": "1 to 200 characters, without control characters and without those that change the direction of others. White space around it is dropped.",
        "examples": ["Analytical Engines"],
    }
}

crate::text_type! {
    /// The name of a time zone. The database knows whether it exists.
    TimeZone, |text| input::line(text, 1..=MAX_TIME_ZONE_CHARS).map(str::to_owned), {
        "type": "string", "minLength": 1, "maxLength": 64,
        "description": "The name of a zone of the IANA time zone database: the days and months of the organization's usage are those of this zone. UTC at first. CET, EET, EST, HST, MET, MST and WET are shown as the zones that they are links to.",
        "examples": ["Europe/Berlin"],
    }
}

crate::text_type! {
    /// The name of a role, built in or of an organization's own.
    RoleName, |text| read_role_name(text), {
        "type": "string", "pattern": "^[a-z][a-z0-9_]{0,31}$", "minLength": 1, "maxLength": 32,
        "description": "A built-in role (owner, admin, member) or one of the organization's own.",
        "examples": ["member"],
    }
}

crate::text_type! {
    /// What a credential may do: `credits:read`. The database knows which there are.
    Permission, |text| input::line(text, 1..=MAX_PERMISSION_CHARS).map(str::to_owned), {
        "type": "string", "pattern": "^[a-z_]+:[a-z_]+$", "maxLength": 100,
        "description": "What a credential may do.", "examples": ["credits:read"],
    }
}

crate::refusals! {
    /// The caller lacks a permission of the role, or of the role that the other person has.
    ROLE_EXCEEDS_OWN = 403 "role_exceeds_own", "The role holds permissions that you lack",
        "the role holds permissions that the credential lacks.";
    /// The role is built in and cannot be changed.
    ROLE_IS_BUILT_IN = 409 "role_is_built_in", "Built-in roles cannot be changed",
        "built-in roles cannot be changed.";
}

fn read_role_name(text: &str) -> Result<String, Invalid> {
    let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let is_name = text.len() <= MAX_ROLE_CHARS
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(rest);
    if is_name {
        return Ok(text.to_owned());
    }
    Err(Invalid::new(
        "invalid",
        format!(
            "must be 1 to {MAX_ROLE_CHARS} lower-case letters, digits and underscores, beginning with a letter"
        ),
    ))
}

/// An organization as one of its members sees it.
#[shared::answer(read)]
pub struct Organization {
    id: OrganizationId,
    name: String,
    /// The caller's role in it.
    role: RoleName,
    time_zone: TimeZone,
    created_at: Time,
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
    ROLE_EXCEEDS_OWN
        .because("Nobody gives, changes or takes a role that holds more than their own credential.")
}

/// 409: the role is built in and cannot be changed.
pub fn role_is_built_in() -> Problem {
    ROLE_IS_BUILT_IN.because("Use another name for a role of your own.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_organizations() {
        let long = "x".repeat(MAX_NAME_CHARS + 1);
        let table = [
            (json!("Analytical Engines"), Ok("Analytical Engines")),
            (json!(" Zoë & Co "), Ok("Zoë & Co")),
            (json!(""), Err("wrong_length")),
            (json!("   "), Err("wrong_length")),
            (json!(long), Err("wrong_length")),
            (json!("a\r\nbcc: eve"), Err("invalid_character")),
            (json!("\n"), Err("invalid_character")),
            (json!("a\u{202e}b"), Err("invalid_character")),
            (json!("\u{2007}"), Err("wrong_length")),
            (json!(1), Err("wrong_type")),
        ];
        for (value, expected) in table {
            let got = input::value_at::<OrganizationName>(&value, "");
            let got = got.map(String::from).map_err(|errors| errors[0].code);
            assert_eq!(got, expected.map(str::to_owned), "{value}");
        }
    }

    #[test]
    fn names_of_roles() {
        let (longest, long) = ("r".repeat(MAX_ROLE_CHARS), "r".repeat(MAX_ROLE_CHARS + 1));
        let table = [
            ("owner", true),
            ("a", true),
            ("night_shift_2", true),
            (&longest, true),
            (&long, false),
            ("", false),
            ("Owner", false),
            ("2nd", false),
            ("_x", false),
            ("a-b", false),
            ("chéf", false),
        ];
        for (text, is_name) in table {
            let got = input::text::<RoleName>(text).is_ok();
            assert_eq!(got, is_name, "{text:?}");
        }
    }
}
