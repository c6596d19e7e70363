//! Email addresses, as far as signing in needs them.

use std::fmt;

/// Longest address in bytes (RFC 5321, section 4.5.3.1.3, less the brackets).
pub const MAX_BYTES: usize = 254;
/// Longest part before the `@` in bytes (RFC 5321, section 4.5.3.1.1).
pub const MAX_LOCAL_BYTES: usize = 64;

/// An address in lower case and without surrounding white space, as it is stored and
/// compared. Only a mail can show whether it receives mail.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

/// The text is not an email address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidEmail;

impl EmailAddress {
    /// Reads an address: one `@` with something before it and a dotted domain
    /// after it, no white space and no control characters.
    ///
    /// # Errors
    /// [`InvalidEmail`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let text = text.trim();
        let (local, domain) = text.split_once('@').ok_or(InvalidEmail)?;
        let forbidden = |c: char| c.is_whitespace() || c.is_control() || c == '@';
        let label_ok =
            |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
        let lower = text.to_lowercase();
        let valid = !local.is_empty()
            && local.len() <= MAX_LOCAL_BYTES
            && lower.len() <= MAX_BYTES
            && !local.contains(forbidden)
            && !domain.contains(forbidden)
            && domain.contains('.')
            && domain.split('.').all(label_ok);
        valid.then_some(Self(lower)).ok_or(InvalidEmail)
    }

    /// The normalized address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for EmailAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Reads what the database has stored.
impl<'de> serde::Deserialize<'de> for EmailAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(|_| serde::de::Error::custom("not an email address"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let long_local = "a".repeat(65);
        let long = format!("a@{}.example", "b".repeat(250));
        let table = [
            ("ada@example.com", Some("ada@example.com")),
            (
                "  Ada.Lovelace+x@Example.COM ",
                Some("ada.lovelace+x@example.com"),
            ),
            ("zoë@exämple.org", Some("zoë@exämple.org")),
            ("", None),
            ("ada", None),
            ("@example.com", None),
            ("ada@", None),
            ("ada@example", None),
            ("ada@.com", None),
            ("ada@example..com", None),
            ("ada@-example.com", None),
            ("ada@exa mple.com", None),
            ("a@b@example.com", None),
            ("ada\0@example.com", None),
            ("ada@example.com\r\nbcc:eve@example.com", None),
            (&format!("{long_local}@example.com"), None),
            (&long, None),
        ];
        for (text, expected) in table {
            let got = EmailAddress::parse(text);
            assert_eq!(
                got.as_ref().ok().map(EmailAddress::as_str),
                expected,
                "{text:?}"
            );
        }
    }
}
