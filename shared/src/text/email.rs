//! Email addresses, as far as signing in needs them.
//!
//! Two spellings of one mailbox are one account, so an address has one form. What has no
//! plain form is refused: a look that nobody can tell from another, or a character that
//! nobody sees, would be an account that looks like somebody else's.

mod domain;
mod letters;

use std::fmt;

/// Longest address in bytes (RFC 5321, section 4.5.3.1.3, less the brackets).
pub const MAX_BYTES: usize = 254;
/// Longest part before the `@` in bytes (RFC 5321, section 4.5.3.1.1).
pub const MAX_LOCAL_BYTES: usize = 64;
/// Longest text in bytes that is read at all, so that the work for it is bounded. A
/// character of [`MAX_BYTES`] can be typed as at most this many bytes of others.
const MAX_TYPED_BYTES: usize = 8 * MAX_BYTES;

/// An address in the one form in which it is stored and compared: lower case, letters
/// beyond ASCII in Unicode's form NFKC, the domain as DNS has it (`xn--…`). Only a mail
/// can show whether it receives mail.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

/// The text is not an email address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidEmail;

impl EmailAddress {
    /// Reads an address. White space around it is dropped.
    ///
    /// The part before the `@` is what a mail needs no quotes for (RFC 5321, section
    /// 4.1.2, `Dot-string`), with letters, digits and accents of any script (RFC 6531).
    /// The domain has two labels or more.
    ///
    /// # Errors
    /// [`InvalidEmail`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let text = text.trim();
        if text.len() > MAX_TYPED_BYTES {
            return Err(InvalidEmail);
        }
        let (local, domain) = text.split_once('@').ok_or(InvalidEmail)?;
        let local = local_part(local).ok_or(InvalidEmail)?;
        let domain = domain::to_ascii(domain).ok_or(InvalidEmail)?;
        let address = format!("{local}@{domain}");
        let fits = local.len() <= MAX_LOCAL_BYTES && address.len() <= MAX_BYTES;
        fits.then_some(Self(address)).ok_or(InvalidEmail)
    }

    /// The address in its one form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The part before the `@` in its one form.
fn local_part(text: &str) -> Option<String> {
    let local = letters::plain(text, |c| c == '.' || is_atom_character(c))?;
    let is_atom = |atom: &str| atom.chars().next().is_some_and(|c| !letters::is_mark(c));
    local.split('.').all(is_atom).then_some(local)
}

/// What an atom of an address is made of (RFC 5322, section 3.2.3, `atext`).
const fn is_atom_character(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(
            c,
            '!' | '#'
                | '$'
                | '%'
                | '&'
                | '\''
                | '*'
                | '+'
                | '-'
                | '/'
                | '='
                | '?'
                | '^'
                | '_'
                | '`'
                | '{'
                | '|'
                | '}'
                | '~'
        )
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

/// Takes what the database has stored, which was an address when it was written. To read
/// it again would put the tables of Unicode into every component that mentions one.
impl<'de> serde::Deserialize<'de> for EmailAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests;
