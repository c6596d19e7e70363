//! The passwords that are tried first. `first_guesses.txt` has one per line: in lower
//! case, with at least eight characters, sorted by their bytes.

const LINES: &str = include_str!("first_guesses.txt");

/// Whether `password`, in lower case, is one of them.
pub(super) fn contains(password: &str) -> bool {
    contains_line(LINES, password)
}

/// Searches the text by halving it. Splitting it into lines first would build the whole
/// list in each component instance for its first sign-up.
fn contains_line(sorted: &str, wanted: &str) -> bool {
    let mut rest = sorted.as_bytes();
    while !rest.is_empty() {
        let middle = rest.len() / 2;
        let start = rest[..middle]
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(0, |newline| newline + 1);
        let end = rest[middle..]
            .iter()
            .position(|&b| b == b'\n')
            .map_or(rest.len(), |newline| middle + newline);
        match wanted.as_bytes().cmp(&rest[start..end]) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => rest = &rest[..start],
            std::cmp::Ordering::Greater => rest = rest.get(end + 1..).unwrap_or_default(),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::password::{MIN_CHARS, normalize};

    /// Every component that sets a password contains the list.
    const MAX_LIST_BYTES: usize = 12_000;

    #[test]
    fn the_list_is_what_the_search_relies_on() {
        assert!(LINES.ends_with('\n') && LINES.len() <= MAX_LIST_BYTES);
        let lines: Vec<&str> = LINES.lines().collect();
        assert!(lines.len() >= 1000, "only {} passwords", lines.len());
        for pair in lines.windows(2) {
            assert!(
                pair[0] < pair[1],
                "sort first_guesses.txt by bytes: {pair:?}"
            );
        }
        for line in lines {
            assert!(line.chars().count() >= MIN_CHARS, "{line:?} is too short");
            assert_eq!(
                normalize(line).to_lowercase(),
                line,
                "write it in NFKC and lower case, or it is never found"
            );
            assert!(contains(line), "{line:?} is listed and not found");
        }
    }

    #[test]
    fn only_whole_lines_are_found() {
        let table = [
            ("", "a", false),
            ("a\n", "a", true),
            ("a\n", "", false),
            ("a\nb\n", "a\nb", false),
            ("a\nbb\nc\n", "a", true),
            ("a\nbb\nc\n", "bb", true),
            ("a\nbb\nc\n", "b", false),
            ("a\nbb\nc\n", "bbb", false),
            ("a\nbb\nc\n", "c", true),
            ("a\nbb\nc\n", "d", false),
            ("a\nbb\nc", "c", true),
            ("a\nbb\nc\n", "0", false),
        ];
        for (lines, wanted, found) in table {
            assert_eq!(
                contains_line(lines, wanted),
                found,
                "{wanted:?} in {lines:?}"
            );
        }
    }
}
