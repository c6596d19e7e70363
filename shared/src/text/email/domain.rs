//! Domains as DNS has them (IDNA: RFC 5890 and Unicode Technical Standard 46).
//!
//! A domain in letters and its form in ASCII are one. What is accepted is a part of what
//! UTS 46 accepts, with the same result; the tests compare each character with the crate
//! `idna`. Its tables are not used, because they are twice as large.

use super::letters;

/// Longest label in bytes (RFC 1035, section 2.3.4).
const MAX_LABEL_BYTES: usize = 63;
/// Longest domain in bytes, without a dot at its end (RFC 1035, section 2.3.4).
const MAX_DOMAIN_BYTES: usize = 253;
/// What a label in ASCII begins with when it stands for letters beyond it.
const ACE_PREFIX: &str = "xn--";

/// A label in the letters that people read, and as DNS has it.
struct Label {
    letters: String,
    ascii: String,
}

/// The domain in lower case and ASCII, if it has two labels or more.
pub(super) fn to_ascii(text: &str) -> Option<String> {
    let labels: Vec<Label> = text.split('.').map(Label::read).collect::<Option<_>>()?;
    let is_right_to_left = labels
        .iter()
        .any(|label| label.letters.contains(is_right_to_left));
    let direction_is_clear = !is_right_to_left || labels.iter().all(Label::has_one_direction);
    let ascii: Vec<&str> = labels.iter().map(|label| &*label.ascii).collect();
    let domain = ascii.join(".");
    (labels.len() > 1 && direction_is_clear && domain.len() <= MAX_DOMAIN_BYTES).then_some(domain)
}

impl Label {
    fn read(text: &str) -> Option<Self> {
        let label = letters::plain(text, |c| c.is_ascii_alphanumeric() || c == '-')?;
        let read = match label.strip_prefix(ACE_PREFIX) {
            // Letters that become the prefix are a trick.
            Some(_) if !text.is_ascii() => return None,
            Some(encoded) => {
                let letters = idna::punycode::decode_to_string(encoded)?;
                let read = Self::of_letters(letters)?;
                // Otherwise one label would have several forms in ASCII.
                (read.ascii == label).then_some(read)?
            }
            None if label.is_ascii() => Self {
                ascii: label.clone(),
                letters: label,
            },
            None => Self::of_letters(label)?,
        };
        let fits = (1..=MAX_LABEL_BYTES).contains(&read.ascii.len());
        let has_bare_ends = !read.letters.starts_with('-') && !read.letters.ends_with('-');
        (fits && has_bare_ends).then_some(read)
    }

    /// The label of letters that are in their one form and not all of ASCII.
    fn of_letters(letters: String) -> Option<Self> {
        let form = letters::plain(&letters, |c| c.is_ascii_alphanumeric() || c == '-')?;
        // IDNA keeps two hyphens at this place for itself.
        let is_reserved = letters.chars().skip(2).take(2).eq(['-', '-']);
        let begins_with_mark = letters.starts_with(letters::is_mark);
        if form != letters || letters.is_ascii() || is_reserved || begins_with_mark {
            return None;
        }
        let ascii = format!("{ACE_PREFIX}{}", idna::punycode::encode_str(&letters)?);
        Some(Self { letters, ascii })
    }

    /// Whether the label reads the same beside labels that are written from right to left:
    /// it has no other letters, and neither digits nor hyphens, or it is of ASCII and
    /// begins with a letter. The rule of RFC 5893 allows a little more.
    fn has_one_direction(&self) -> bool {
        let is_of_script = |c: char| is_right_to_left(c) && !c.is_numeric();
        match self.letters.is_ascii() {
            true => self.letters.starts_with(|c: char| c.is_ascii_alphabetic()),
            false => self.letters.chars().all(is_of_script),
        }
    }
}

/// Whether `c` lies in a block of Unicode that is kept for scripts written from right to
/// left.
const fn is_right_to_left(c: char) -> bool {
    matches!(
        c,
        '\u{590}'..='\u{8ff}'
            | '\u{fb1d}'..='\u{fdff}'
            | '\u{fe70}'..='\u{feff}'
            | '\u{10800}'..='\u{10fff}'
            | '\u{1e800}'..='\u{1efff}'
    )
}
