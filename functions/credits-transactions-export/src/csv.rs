//! Rows of the file: RFC 4180, with what a spreadsheet would run made harmless, in a way
//! that a reader can undo.

use shared::credits::Transaction;

/// The names of the columns, which is the first row.
pub const HEADER: &str = "id,kind,amount,currency,available_after,debited,credited,service,model,description,occurred_at,created_at\r\n";

/// What a spreadsheet takes for the beginning of a formula, in the forms for wide columns
/// and in the small ones too, which some read as the plain ones.
const FORMULA_STARTS: [char; 12] = [
    '=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}', '\u{fe66}', '\u{fe62}',
    '\u{fe63}', '\u{fe6b}',
];

/// What goes before a text that a spreadsheet would not show as it is.
const GUARD: char = '\'';

/// Adds a transaction as a row.
pub fn write_row(out: &mut String, transaction: &Transaction) {
    let amount = transaction.amount.format_amount();
    let available_after = transaction.available_after.format_amount();
    // Ours, and without anything that needs quotes. An amount below zero begins
    // with a minus, and is a number to a spreadsheet too.
    let ours = [
        &*transaction.id.to_string(),
        transaction.kind.as_str(),
        &amount,
        transaction.amount.currency().code(),
        &available_after,
        transaction.debited.as_str(),
        transaction.credited.as_str(),
    ];
    for field in ours {
        out.push_str(field);
        out.push(',');
    }
    let theirs = [
        transaction.service.as_deref().unwrap_or_default(),
        transaction.model.as_deref().unwrap_or_default(),
        &transaction.description,
    ];
    for field in theirs {
        write_text(out, field);
        out.push(',');
    }
    out.push_str(&transaction.occurred_at);
    out.push(',');
    out.push_str(&transaction.created_at);
    out.push_str("\r\n");
}

/// Adds a text that a client chose: behind a guard if it needs one, and in quotes if it has a
/// comma, a quote or the end of a line in it.
fn write_text(out: &mut String, text: &str) {
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
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A field as a reader of RFC 4180 has it.
    fn read(written: &str) -> String {
        match written
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
        {
            Some(inner) => inner.replace("\"\"", "\""),
            None => written.to_owned(),
        }
    }

    /// The text that a field stands for: the rule of docs/api.md.
    fn undo(field: &str) -> &str {
        field.strip_prefix('\'').unwrap_or(field)
    }

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
        fn every_text_is_harmless_and_comes_back(text in texts_of_clients()) {
            let mut written = String::new();
            write_text(&mut written, &text);
            let is_quoted = written.starts_with('"');
            prop_assert_eq!(is_quoted, text.contains([',', '"', '\r', '\n']));
            let field = read(&written);
            prop_assert_eq!(undo(&field), &text);
            let visible = field.trim_start_matches(|c: char| c.is_whitespace() || is_invisible(c));
            prop_assert!(!visible.starts_with(FORMULA_STARTS), "{:?} is a formula", field);
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
    fn rows_have_the_columns_of_the_header() {
        let json = serde_json::json!({
            "id": format!("ctx_{:032x}", 1), "kind": "consume",
            "amount": {"amount": "-1.250000000", "currency": "USD"},
            "available_after": {"amount": "98.750000000", "currency": "USD"},
            "debited": "available", "credited": "consumed", "description": "d", "service": "chat", "model": null,
            "occurred_at": "2026-01-01T00:00:00.000000Z",
            "created_at": "2026-01-01T00:00:00.000001Z"});
        let transaction = serde_json::from_value(json).expect("one as the database returns it");
        let mut out = String::new();
        write_row(&mut out, &transaction);
        assert_eq!(
            out,
            "ctx_00000000000000000000000000000001,consume,-1.25,USD,98.75,available,consumed,chat,,d,\
             2026-01-01T00:00:00.000000Z,2026-01-01T00:00:00.000001Z\r\n"
        );
        assert_eq!(out.matches(',').count(), HEADER.matches(',').count());
    }
}
