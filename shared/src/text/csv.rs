//! Tables as RFC 4180 has them, with what a spreadsheet would run made harmless, in a way that a
//! reader can undo.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

/// What a spreadsheet takes for the beginning of a formula, in the forms for wide columns
/// and in the small ones too, which some read as the plain ones.
pub const FORMULA_STARTS: [char; 12] = [
    '=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}', '\u{fe66}', '\u{fe62}',
    '\u{fe63}', '\u{fe6b}',
];

/// What goes before a text that a spreadsheet would not show as it is.
const GUARD: char = '\'';

/// Adds a text that a client chose: behind a guard if it needs one, and in quotes if it has a
/// comma, a quote or the end of a line in it.
pub fn write_text(out: &mut String, text: &str) {
    let is_quoted = text.contains([',', '"', '\r', '\n']);
    if is_quoted {
        out.push('"');
    }
    if needs_guard(text) {
        out.push(GUARD);
    }
    for c in text.chars() {
        if c == '"' {
            out.push('"');
        }
        out.push(c);
    }
    if is_quoted {
        out.push('"');
    }
}

/// Whether a text is written behind a guard: one that begins as a formula does, or with what
/// a spreadsheet may drop before it looks for a formula. A text that begins with a guard of
/// its own gets another one, so that a reader who drops one guard has the text in each case.
fn needs_guard(text: &str) -> bool {
    text.starts_with(|c: char| {
        c == GUARD || FORMULA_STARTS.contains(&c) || c.is_whitespace() || is_invisible(c)
    })
}

/// Whether a character has no width: a control character, a mark of direction, a joiner, or
/// the mark of byte order.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// The text that a field stands for: without its guard.
pub fn unguarded(field: &str) -> &str {
    field.strip_prefix(GUARD).unwrap_or(field)
}

/// One row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The line that it begins on, from 1.
    pub line: usize,
    /// Its fields, without their quotes and with their guards.
    pub fields: Vec<String>,
}

/// The text is no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidTable {
    /// The line of the mistake, from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

impl fmt::Display for InvalidTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for InvalidTable {}

/// Reads a table. Lines may end with a line feed alone, the mark of byte order may come before
/// the first, and empty lines are left out.
///
/// # Errors
/// A quote that is not closed, one within a field that has none around it, or something between
/// a closing quote and the next comma.
pub fn read(text: &str) -> Result<Vec<Row>, InvalidTable> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        rest: text.chars().peekable(),
        line: 1,
    };
    let mut rows = Vec::new();
    while reader.rest.peek().is_some() {
        let row = reader.row()?;
        if row.fields != [""] {
            rows.push(row);
        }
    }
    Ok(rows)
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Reader<'_> {
    const fn invalid(&self, reason: &'static str) -> InvalidTable {
        InvalidTable {
            line: self.line,
            reason,
        }
    }

    /// A row with the end of its line.
    fn row(&mut self) -> Result<Row, InvalidTable> {
        let line = self.line;
        let mut fields = Vec::new();
        loop {
            let field = match self.rest.next_if_eq(&'"') {
                Some(_) => self.quoted()?,
                None => self.plain()?,
            };
            fields.push(field);
            match self.rest.next() {
                Some(',') => {}
                Some('\r') if self.rest.next_if_eq(&'\n').is_some() => break,
                Some('\n') | None => break,
                Some(_) => return Err(self.invalid("a comma must follow the closing quote")),
            }
        }
        self.line += 1;
        Ok(Row { line, fields })
    }

    /// The rest of a field whose quote was read.
    fn quoted(&mut self) -> Result<String, InvalidTable> {
        let opening = self.line;
        let mut field = String::new();
        loop {
            match self.rest.next() {
                Some('"') if self.rest.next_if_eq(&'"').is_some() => field.push('"'),
                Some('"') => return Ok(field),
                Some(c) => {
                    self.line += usize::from(c == '\n');
                    field.push(c);
                }
                None => {
                    return Err(InvalidTable {
                        line: opening,
                        reason: "a quote is not closed",
                    });
                }
            }
        }
    }

    /// A field without quotes.
    fn plain(&mut self) -> Result<String, InvalidTable> {
        let mut field = String::new();
        while let Some(c) = self.rest.next_if(|c| !matches!(c, ',' | '\r' | '\n')) {
            if c == '"' {
                return Err(self.invalid("a field with a quote in it must stand in quotes"));
            }
            field.push(c);
        }
        Ok(field)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts that begin with what the rule is about, as often as not.
    fn texts_of_clients() -> impl Strategy<Value = String> {
        let starts = prop::sample::select(vec![
            "", "'", "''", "=", "'=", "+", "-", "@", "\t", "\r", "\n", " ", "\u{a0}", "\u{feff}",
            "\u{200b}", "\u{ff1d}", "\u{ff0b}", "\u{ff0d}", "\u{ff20}", "\u{fe66}", "\"", ",",
            "\u{1}",
        ]);
        (starts.clone(), starts, any::<String>())
            .prop_map(|(first, second, rest)| format!("{first}{second}{rest}"))
    }

    proptest! {
        #[test]
        fn every_text_is_harmless_and_comes_back(texts in prop::collection::vec(texts_of_clients(), 2..4)) {
            let mut written = String::new();
            for (index, text) in texts.iter().enumerate() {
                if index > 0 {
                    written.push(',');
                }
                write_text(&mut written, text);
            }
            written.push_str("\r\n");
            let rows = read(&written);
            let fields = rows.map(|rows| rows.into_iter().flat_map(|row| row.fields).collect::<Vec<_>>());
            let read_back = fields.clone().map(|fields| {
                fields.iter().map(|field| unguarded(field).to_owned()).collect::<Vec<_>>()
            });
            // The mark of byte order at the beginning of a file is none of its first field.
            prop_assert_eq!(read_back, Ok(texts));
            for field in fields.unwrap_or_default() {
                let visible = field.trim_start_matches(|c: char| c.is_whitespace() || is_invisible(c));
                prop_assert!(!visible.starts_with(FORMULA_STARTS), "{:?} is a formula", field);
            }
        }
    }

    #[test]
    fn texts() {
        let table = [
            ("", ""),
            ("1,250 tokens", "\"1,250 tokens\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("\"", "\"\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("two\r\nlines", "\"two\r\nlines\""),
            ("a 'quoted' word", "a 'quoted' word"),
            ("=1+1", "'=1+1"),
            ("=HYPERLINK(\"x\",1)", "\"'=HYPERLINK(\"\"x\"\",1)\""),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@sum", "'@sum"),
            ("\tx", "'\tx"),
            ("\rx", "\"'\rx\""),
            ("\nx", "\"'\nx\""),
            ("'=1+1", "''=1+1"),
            ("'", "''"),
            ("'tis", "''tis"),
            (" =1", "' =1"),
            ("\u{feff}=1", "'\u{feff}=1"),
            ("\u{200b}=1", "'\u{200b}=1"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("\u{ff0b}1", "'\u{ff0b}1"),
            ("\u{ff0d}1", "'\u{ff0d}1"),
            ("\u{ff20}x", "'\u{ff20}x"),
            ("\u{fe66}1", "'\u{fe66}1"),
            ("1=1", "1=1"),
            ("日本", "日本"),
        ];
        for (text, expected) in table {
            let mut out = String::new();
            write_text(&mut out, text);
            assert_eq!(out, expected, "{text:?}");
        }
    }

    #[test]
    fn tables() {
        let row = |line: usize, fields: &[&str]| Row {
            line,
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        };
        let invalid = |line, reason| Err(InvalidTable { line, reason });
        let unclosed = "a quote is not closed";
        let table = [
            ("", Ok(vec![])),
            ("\u{feff}a", Ok(vec![row(1, &["a"])])),
            (
                "a,b\r\nc,d\r\n",
                Ok(vec![row(1, &["a", "b"]), row(2, &["c", "d"])]),
            ),
            ("a,b\nc,", Ok(vec![row(1, &["a", "b"]), row(2, &["c", ""])])),
            ("a\n\r\n\nb", Ok(vec![row(1, &["a"]), row(4, &["b"])])),
            (",\n", Ok(vec![row(1, &["", ""])])),
            (
                "\"a\nb\",\"\"\n\"c\"\"\"",
                Ok(vec![row(1, &["a\nb", ""]), row(3, &["c\""])]),
            ),
            ("a\n\"b\nc", invalid(2, unclosed)),
            ("\"", invalid(1, unclosed)),
            (
                "a\n\"b\"c",
                invalid(2, "a comma must follow the closing quote"),
            ),
            (
                "a,b\"c\"",
                invalid(1, "a field with a quote in it must stand in quotes"),
            ),
            ("a\rb", invalid(1, "a comma must follow the closing quote")),
        ];
        for (text, expected) in table {
            assert_eq!(read(text), expected, "{text:?}");
        }
    }
}
