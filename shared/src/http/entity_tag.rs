//! Versions as entity tags (RFC 9110, section 8.8.3): version 3 of a resource has the strong
//! tag `"v3"`.

use crate::http::problem::Problem;

/// The header that says which version a change is for.
pub const IF_MATCH: &str = "if-match";

/// What an entity tag has before its number.
const OPENING: &str = "\"v";

/// The entity tag of a version.
pub fn entity_tag(version: u64) -> String {
    format!("{OPENING}{version}\"")
}

/// The version that an `If-Match` wants; `None` for `*`, which is any.
///
/// # Errors
/// 400 for what is no single tag of ours. A weak one never matches, and is none.
pub fn wanted_version(header: &str) -> Result<Option<i64>, Problem> {
    if header == "*" {
        return Ok(None);
    }
    let number = header
        .strip_prefix(OPENING)
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|digits| !digits.starts_with(['0', '+', '-']))
        .and_then(|digits| digits.parse().ok());
    number.map(Some).ok_or_else(|| {
        let message = "must be one ETag of the resource, such as \"v3\", or *";
        Problem::invalid_parameter(IF_MATCH, "invalid", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_round_trip() {
        for version in [1, 3, 9_007_199_254_740_991] {
            let read = wanted_version(&entity_tag(version)).ok().flatten();
            assert_eq!(read, i64::try_from(version).ok(), "{version}");
        }
        assert_eq!(wanted_version("*"), Ok(None));
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        let table = [
            "",
            "v3",
            "3",
            "\"3\"",
            "\"v\"",
            "\"v0\"",
            "\"v03\"",
            "\"v+3\"",
            "\"v-3\"",
            "\"v3",
            "W/\"v3\"",
            "\"v3\", \"v4\"",
            "\"V3\"",
            "\"v99999999999999999999\"",
            "**",
        ];
        for header in table {
            let refused = wanted_version(header).map_err(|problem| problem.status);
            assert_eq!(refused, Err(400), "{header:?}");
        }
    }
}
