//! What an event's properties may hold, beyond being a JSON object: whatever
//! passes here Postgres can store, so that one event cannot fail its batch.

use std::borrow::Cow;

use shared::http::input::Invalid;
use shared::metering::exact_number;

/// Most bytes of an event's properties: forty properties of a hundred bytes.
pub const MAX_PROPERTIES_BYTES: usize = 4 * 1024;

/// How deep properties nest. A meter's path has four names.
const MAX_DEPTH: usize = 16;

/// What is wrong with properties.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where in them: empty for the whole, or a path such as `.usage.tokens[1]`.
    pub place: String,
    pub invalid: Invalid,
}

/// The properties as they are stored. `text` is valid JSON already.
///
/// Each number is written in one way, so that equal ones are equal texts to whoever groups
/// by them. Most are: then nothing is copied.
///
/// # Errors
/// `wrong_type`, `too_large`, `too_deep`, `out_of_range`, `invalid_character` or `repeated`.
pub fn check(text: &str) -> Result<Cow<'_, str>, Mistake> {
    let whole = |code, message: String| Mistake {
        place: String::new(),
        invalid: Invalid::new(code, message),
    };
    if !text.starts_with('{') {
        return Err(whole("wrong_type", "must be a JSON object".to_owned()));
    }
    if text.len() > MAX_PROPERTIES_BYTES {
        let message = format!("must have at most {MAX_PROPERTIES_BYTES} bytes");
        return Err(whole("too_large", message));
    }
    let mut walk = Walk::of(text, MAX_DEPTH);
    walk.run().map_err(|invalid| Mistake {
        place: match invalid.code {
            "repeated" => walk.place(),
            _ => String::new(),
        },
        invalid,
    })?;
    Ok(walk.rewritten())
}

/// The member of an event that is given twice, if one is. `text` is valid JSON already.
pub fn repeated_member(text: &str) -> Option<String> {
    // Properties are in an object.
    let mut walk = Walk::of(text, MAX_DEPTH + 1);
    let invalid = walk.run().err()?;
    let place = walk.place();
    (invalid.code == "repeated").then(|| place.trim_start_matches('.').to_owned())
}

/// The member of the outermost object that is given twice, if one is, whatever is in the members.
/// `text` is a valid JSON object already.
pub fn repeated_outer_member(text: &str) -> Option<String> {
    let mut walk = Walk {
        is_of_outer_names: true,
        ..Walk::of(text, usize::MAX)
    };
    let invalid = walk.run().err()?;
    (invalid.code == "repeated").then(|| walk.place().trim_start_matches('.').to_owned())
}

/// An object or a list that was not closed yet.
struct Open {
    is_object: bool,
    /// Where the names of its members begin among those of all open objects.
    names_from: usize,
    /// Elements of a list before the current one.
    index: usize,
}

/// A walk through a JSON text.
struct Walk<'a> {
    text: &'a str,
    max_depth: usize,
    /// Whether it looks at the names of the outermost object alone, and passes over all else.
    is_of_outer_names: bool,
    at: usize,
    open: Vec<Open>,
    /// Names of the members of all open objects, as they are meant and not as they are escaped.
    names: Vec<Cow<'a, str>>,
    /// Whether the next string is a name.
    is_name_next: bool,
    /// The text with other numbers, up to `copied`.
    changed: String,
    copied: usize,
}

impl<'a> Walk<'a> {
    const fn of(text: &'a str, max_depth: usize) -> Self {
        Self {
            text,
            max_depth,
            is_of_outer_names: false,
            at: 0,
            open: Vec::new(),
            names: Vec::new(),
            is_name_next: false,
            changed: String::new(),
            copied: 0,
        }
    }

    fn run(&mut self) -> Result<(), Invalid> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            let begin = self.at;
            self.at += 1;
            match byte {
                b'"' => {
                    self.at = skip_string(bytes, self.at)?;
                    let is_passed_over = self.is_of_outer_names && self.open.len() > 1;
                    if std::mem::take(&mut self.is_name_next) && !is_passed_over {
                        self.names.push(unescaped(&self.text[begin..self.at]));
                    }
                }
                b'{' | b'[' => self.enter(byte == b'{')?,
                b'}' | b']' => self.leave()?,
                b',' => {
                    if let Some(open) = self.open.last_mut() {
                        open.index += 1;
                        self.is_name_next = open.is_object;
                    }
                }
                b'-' | b'0'..=b'9' if !self.is_of_outer_names => self.number(begin)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn enter(&mut self, is_object: bool) -> Result<(), Invalid> {
        if self.open.len() == self.max_depth {
            let message = format!("must nest at most {} deep", self.max_depth);
            return Err(Invalid::new("too_deep", message));
        }
        self.open.push(Open {
            is_object,
            names_from: self.names.len(),
            index: 0,
        });
        self.is_name_next = is_object;
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Invalid> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        // In order, so that an object of a thousand members is not compared a million times.
        let own = &mut self.names[open.names_from..];
        own.sort_unstable();
        let twice = own.windows(2).find(|pair| pair[0] == pair[1]);
        let twice = twice.map(|pair| pair[0].clone());
        self.names.truncate(open.names_from);
        self.is_name_next = false;
        let Some(twice) = twice else {
            return Ok(());
        };
        self.names.push(twice);
        self.open.push(open);
        Err(Invalid::new("repeated", "must be given once"))
    }

    fn number(&mut self, begin: usize) -> Result<(), Invalid> {
        let rest = &self.text.as_bytes()[begin..];
        let is_number = |b: &&u8| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        self.at = begin + rest.iter().take_while(is_number).count();
        let written = &self.text[begin..self.at];
        if let Cow::Owned(kept) = exact_number(written)? {
            self.changed.push_str(&self.text[self.copied..begin]);
            self.changed.push_str(&kept);
            self.copied = self.at;
        }
        Ok(())
    }

    /// Where the walk is: the last name of each open object, and the place in each open list.
    fn place(&self) -> String {
        let ends = self.open.iter().skip(1).map(|open| open.names_from);
        let ends = ends.chain([self.names.len()]);
        let steps = self.open.iter().zip(ends).map(|(open, end)| {
            let last = end.checked_sub(1).and_then(|last| self.names.get(last));
            match last {
                Some(name) if open.is_object => format!(".{name}"),
                _ => format!("[{}]", open.index),
            }
        });
        steps.collect()
    }

    fn rewritten(mut self) -> Cow<'a, str> {
        if self.copied == 0 {
            return Cow::Borrowed(self.text);
        }
        self.changed.push_str(&self.text[self.copied..]);
        Cow::Owned(self.changed)
    }
}

/// The name that a JSON string is, quotes included.
fn unescaped(text: &str) -> Cow<'_, str> {
    if text.contains('\\')
        && let Ok(name) = serde_json::from_str(text)
    {
        return Cow::Owned(name);
    }
    Cow::Borrowed(&text[1..text.len() - 1])
}

/// Where the string ends whose content begins at `at`.
fn skip_string(bytes: &[u8], mut at: usize) -> Result<usize, Invalid> {
    let unstorable = || {
        Invalid::new(
            "invalid_character",
            "must not contain NUL or half of a surrogate pair",
        )
    };
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => break,
            b'\\' => {
                let is_unicode = bytes.get(at) == Some(&b'u');
                at += 1;
                if !is_unicode {
                    continue;
                }
                let unit = code_unit(bytes, at);
                at += 4;
                match unit {
                    Some(0xd800..=0xdbff) => {
                        // Its other half must follow.
                        let follows = bytes.get(at..at + 2) == Some(br"\u");
                        let low = code_unit(bytes, at + 2);
                        if !follows || !low.is_some_and(|low| (0xdc00..=0xdfff).contains(&low)) {
                            return Err(unstorable());
                        }
                        at += 6;
                    }
                    None | Some(0 | 0xdc00..=0xdfff) => return Err(unstorable()),
                    Some(_) => {}
                }
            }
            _ => {}
        }
    }
    Ok(at)
}

fn code_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = std::str::from_utf8(bytes.get(at..at + 4)?).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_stored() {
        let deep = |depth: usize| {
            format!(
                "{{\"a\":{}{}}}",
                "[".repeat(depth - 1),
                "]".repeat(depth - 1)
            )
        };
        let large = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
        let table: [(&str, Result<(), &str>); 21] = [
            ("{}", Ok(())),
            (
                r#"{"tokens": 12, "model": "m\"1", "nested": {"a": [1, -2.5e3, null, true]}}"#,
                Ok(()),
            ),
            (
                r#"{"a": "\\u0000 is no escape, \u00e9 is, and \ud83d\ude00"}"#,
                Ok(()),
            ),
            (r#"{"a": "é😀"}"#, Ok(())),
            ("[]", Err("wrong_type")),
            ("null", Err("wrong_type")),
            (r#"{"a": "\u0000"}"#, Err("invalid_character")),
            (r#"{"\u0000": 1}"#, Err("invalid_character")),
            (r#"{"a": "\ud800"}"#, Err("invalid_character")),
            (r#"{"a": "\ud800\u0041"}"#, Err("invalid_character")),
            (r#"{"a": "\udc00"}"#, Err("invalid_character")),
            (r#"{"a": 1e20}"#, Ok(())),
            (r#"{"a": 1e21}"#, Err("out_of_range")),
            (r#"{"a": [1E-21]}"#, Err("out_of_range")),
            (r#"{"a": 1e99999999999}"#, Err("out_of_range")),
            (
                r#"{"a": 123456789012345678901234567890123}"#,
                Err("out_of_range"),
            ),
            (r#"{"a": "1e99 is a text"}"#, Ok(())),
            (&deep(16), Ok(())),
            (&deep(17), Err("too_deep")),
            (&large(4_096), Ok(())),
            (&large(4_097), Err("too_large")),
        ];
        for (text, expected) in table {
            assert!(serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok());
            let got = check(text).map(drop);
            assert_eq!(
                got.map_err(|mistake| (mistake.place, mistake.invalid.code)),
                expected.map_err(|code| (String::new(), code)),
                "{text}"
            );
        }
    }
    #[test]
    fn a_number_is_stored_in_one_way() {
        let table = [
            (r#"{"a": 1, "b": -0.5}"#, r#"{"a": 1, "b": -0.5}"#),
            (
                r#"{"a": 1.0, "b": [10e-1, "1.0", -0]}"#,
                r#"{"a": 1, "b": [1, "1.0", 0]}"#,
            ),
            (
                r#"{"a": {"b": 18446744073709551617.10}}"#,
                r#"{"a": {"b": 18446744073709551617.1}}"#,
            ),
        ];
        for (text, expected) in table {
            assert_eq!(check(text), Ok(Cow::Borrowed(expected)), "{text}");
        }
        assert!(matches!(check(r#"{"a": 12.5}"#), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn a_member_is_given_once() {
        let wide = |last: &str| {
            let members: Vec<String> = (0..400).map(|n| format!(r#""m{n}":1"#)).collect();
            format!("{{{},{last}}}", members.join(","))
        };
        let table = [
            (
                r#"{"a": 1, "b": {"a": 1}, "c": [{"a": 1}, {"a": 1}]}"#.to_owned(),
                None,
            ),
            (r#"{"a": "a", "b": "a"}"#.to_owned(), None),
            (r#"{"": 1, " ": 2}"#.to_owned(), None),
            (r#"{"a": 1, "a": 1}"#.to_owned(), Some(".a")),
            (r#"{"a": 1, "\u0061": 2}"#.to_owned(), Some(".a")),
            (r#"{"": 1, "": 2}"#.to_owned(), Some(".")),
            (
                r#"{"b": {"c": [1, {}, {"x": {}, "a": 1, "d": 2, "a": 3}]}}"#.to_owned(),
                Some(".b.c[2].a"),
            ),
            (
                r#"{"q\"": [[1, {"z": 1, "z": 1}]]}"#.to_owned(),
                Some(".q\"[0][1].z"),
            ),
            (wide(r#""x":1"#), None),
            (wide(r#""m7":1"#), Some(".m7")),
        ];
        for (text, expected) in table {
            let got = check(&text).err();
            let got = got.map(|mistake| (mistake.place, mistake.invalid.code));
            let expected = expected.map(|place| (place.to_owned(), "repeated"));
            assert_eq!(got, expected, "{text}");
            let place = expected.map(|(place, _)| place.trim_start_matches('.').to_owned());
            assert_eq!(repeated_member(&text), place, "{text}");
            let is_outer = |place: &String| !place.contains('.');
            let outer = place.filter(is_outer);
            assert_eq!(repeated_outer_member(&text), outer, "{text}");
        }
    }
}
