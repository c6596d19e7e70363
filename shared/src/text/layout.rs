//! Characters that steer how a line of text is laid out, and are not seen themselves.

/// Whether `c` ends a line, is a control character, or changes the direction of what
/// stands after it. With one of them a name can look like another, or go on in a place
/// that is not its own: a mail's header, a row of a list, a line of a log.
///
/// The marks that belong to single letters of some scripts, such as U+200D, stay.
pub fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls() {
        let table = [
            ('\0', true),
            ('\t', true),
            ('\n', true),
            ('\u{1b}', true),
            ('\u{7f}', true),
            ('\u{85}', true),
            ('\u{9f}', true),
            ('\u{2028}', true),
            ('\u{2029}', true),
            ('\u{202a}', true),
            ('\u{202e}', true),
            ('\u{2066}', true),
            ('\u{2069}', true),
            (' ', false),
            ('a', false),
            ('\u{a0}', false),
            ('\u{fc}', false),
            ('\u{200d}', false),
            ('\u{2027}', false),
            ('\u{202f}', false),
            ('\u{2065}', false),
            ('\u{206a}', false),
            ('\u{1f600}', false),
        ];
        for (c, expected) in table {
            assert_eq!(is_control(c), expected, "U+{:04X}", c as u32);
        }
    }
}
