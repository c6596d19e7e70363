//! How features and subjects are named in entitlements.

use crate::http::input;
use crate::metering;

/// Longest subject: the same as in a usage event.
pub const MAX_SUBJECT_CHARS: usize = 128;

crate::text_type! {
    /// The name of a feature. It has the form of a meter's name.
    FeatureName, |text| metering::read_name(text), {
        "type": "string", "pattern": "^[a-z][a-z0-9_-]{0,63}$", "minLength": 1, "maxLength": 64,
        "description": "The name of a feature.",
        "examples": ["tokens"],
    }
}

crate::text_type! {
    /// A subject of an organization, such as one of its customers.
    EntitlementSubject, |text| input::line(text, 1..=MAX_SUBJECT_CHARS).map(str::to_owned), {
        "type": "string", "pattern": input::LINE_PATTERN, "minLength": 1, "maxLength": 128,
        "description": "Whose entitlement it is, as usage events name them.",
        "examples": ["cus_42"],
    }
}

/// Whether anything is counted of an entitlement.
#[shared::body]
#[derive(Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names of the API")]
pub enum EntitlementType {
    Boolean,
    Metered,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects() {
        let long = "é".repeat(MAX_SUBJECT_CHARS + 1);
        let table = [
            ("cus_42", true),
            (" ", true),
            ("a\nb", false),
            ("a\u{202e}b", false),
            ("", false),
            (&long, false),
            (&long[2..], true),
        ];
        for (text, expected) in table {
            let is_subject = input::text::<EntitlementSubject>(text).is_ok();
            assert_eq!(is_subject, expected, "{text:?}");
        }
    }
}
