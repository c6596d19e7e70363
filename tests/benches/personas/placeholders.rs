//! `{{name}}` in the paths and bodies of a scenario.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// What stands for what.
pub type Values = BTreeMap<String, String>;

/// The names in a text, in their order.
pub fn names_in(text: &str) -> impl Iterator<Item = &str> {
    parts(text).filter_map(|part| match part {
        Part::Name(name) => Some(name),
        Part::Text(_) => None,
    })
}

/// The text with the values in their places. `unique` gives a text for `{{unique}}` each time.
///
/// # Errors
/// There is no value of a name.
pub fn fill(text: &str, values: &Values, mut unique: impl FnMut() -> String) -> Result<String> {
    let mut filled = String::with_capacity(text.len());
    for part in parts(text) {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Name("unique") => filled.push_str(&unique()),
            Part::Name(name) => {
                let value = values.get(name);
                filled.push_str(value.with_context(|| format!("nothing gives {name}"))?);
            }
        }
    }
    Ok(filled)
}

enum Part<'a> {
    Text(&'a str),
    Name(&'a str),
}

/// Braces that enclose no name are text: JSON has them too.
fn parts(mut rest: &str) -> impl Iterator<Item = Part<'_>> {
    let mut pending = None;
    std::iter::from_fn(move || {
        if let Some(name) = pending.take() {
            return Some(Part::Name(name));
        }
        if rest.is_empty() {
            return None;
        }
        let mut search_from = 0;
        while let Some(at) = rest[search_from..].find("{{").map(|at| at + search_from) {
            let after = &rest[at + 2..];
            if let Some(end) = after.find("}}").filter(|end| is_name(&after[..*end])) {
                let (text, name) = (&rest[..at], &after[..end]);
                rest = &after[end + 2..];
                if text.is_empty() {
                    return Some(Part::Name(name));
                }
                pending = Some(name);
                return Some(Part::Text(text));
            }
            search_from = at + 1;
        }
        Some(Part::Text(std::mem::take(&mut rest)))
    })
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_filled() {
        let values = Values::from([
            ("token".to_owned(), "tpa_1".to_owned()),
            ("email".to_owned(), "a@b.example".to_owned()),
        ]);
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("{{token}}", "tpa_1"),
            ("{{token}}{{email}}", "tpa_1a@b.example"),
            ("a={{token}}&b={{email}}.", "a=tpa_1&b=a@b.example."),
            (r#"{"a": {"b": "{{token}}"}}"#, r#"{"a": {"b": "tpa_1"}}"#),
            (r#"{{"a": 1}}"#, r#"{{"a": 1}}"#),
            ("{{{token}}}", "{tpa_1}"),
            ("{{unique}}-{{unique}}", "u1-u2"),
            ("{{", "{{"),
        ] {
            let mut count = 0;
            let filled = fill(text, &values, || {
                count += 1;
                format!("u{count}")
            });
            assert_eq!(filled.expect("all are known"), expected, "{text}");
        }
        let error = fill("{{plan}}", &values, String::new).expect_err("nobody gives it");
        assert!(error.to_string().contains("plan"), "{error}");
        let names: Vec<&str> = names_in("{{a}} {{b}}{{a}}").collect();
        assert_eq!(names, ["a", "b", "a"]);
    }
}
