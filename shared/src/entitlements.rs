//! How features and subjects are named in entitlements.

/// Longest name of a feature.
pub const MAX_FEATURE_CHARS: usize = 64;

/// Longest subject: the same as in a usage event.
pub const MAX_SUBJECT_CHARS: usize = 128;

/// Whether a text can name a feature. The rules are those of a meter's name, so that
/// both can have the same name.
pub fn is_feature(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    text.len() <= MAX_FEATURE_CHARS
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(allowed)
}

/// Whether a text can be a subject.
pub fn is_subject(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= MAX_SUBJECT_CHARS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features() {
        let long = "a".repeat(MAX_FEATURE_CHARS + 1);
        let table = [
            ("sso", true),
            ("a1_b-c", true),
            (&long[1..], true),
            (&long, false),
            ("", false),
            ("Sso", false),
            ("1st", false),
            ("-a", false),
            ("a b", false),
            ("a.b", false),
            ("é", false),
        ];
        for (text, expected) in table {
            assert_eq!(is_feature(text), expected, "{text:?}");
        }
    }

    #[test]
    fn subjects() {
        let long = "é".repeat(MAX_SUBJECT_CHARS + 1);
        let table = [("cus_42", true), (" ", true), ("", false), (&long, false)];
        for (text, expected) in table {
            assert_eq!(is_subject(text), expected, "{text:?}");
        }
        assert!(is_subject(&"é".repeat(MAX_SUBJECT_CHARS)));
    }
}
