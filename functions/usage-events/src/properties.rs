//! What an event's properties may hold, beyond being a JSON object: whatever
//! passes here Postgres can store, so that one event cannot fail its batch.

use shared::http::input::Invalid;

/// Most bytes of an event's properties: forty properties of a hundred bytes.
pub const MAX_PROPERTIES_BYTES: usize = 4 * 1024;

/// How deep properties nest. A meter's path has four names.
const MAX_DEPTH: usize = 16;

/// Longest number as it is written: a Decimal has 29 digits, a sign and a point.
const MAX_NUMBER_BYTES: usize = 32;

/// Largest exponent of a number, either way. Twenty million of the largest, 32
/// digits and 20 more, have 60; a NUMERIC has room for 131,072.
const MAX_EXPONENT: u32 = 20;

/// Whether the properties can be stored. `text` is valid JSON already.
///
/// # Errors
/// `wrong_type`, `too_large`, `too_deep`, `out_of_range` or `invalid_character`.
pub fn check(text: &str) -> Result<(), Invalid> {
    if !text.starts_with('{') {
        return Err(Invalid::new("wrong_type", "must be a JSON object"));
    }
    if text.len() > MAX_PROPERTIES_BYTES {
        return Err(Invalid::new(
            "too_large",
            format!("must have at most {MAX_PROPERTIES_BYTES} bytes"),
        ));
    }
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = skip_string(bytes, at)?,
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(Invalid::new(
                        "too_deep",
                        format!("must nest at most {MAX_DEPTH} deep"),
                    ));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'-' | b'0'..=b'9' => {
                let rest = &bytes[at - 1..];
                let is_number =
                    |b: &u8| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let length = rest.iter().take_while(|b| is_number(b)).count();
                check_number(&rest[..length])?;
                at += length - 1;
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_number(number: &[u8]) -> Result<(), Invalid> {
    let exponent = number
        .iter()
        .position(|b| matches!(b, b'e' | b'E'))
        .map(|e| &number[e + 1..])
        .map_or(Some(0), |digits| {
            let digits = digits
                .strip_prefix(b"+")
                .or_else(|| digits.strip_prefix(b"-"))
                .unwrap_or(digits);
            std::str::from_utf8(digits).ok()?.parse::<u32>().ok()
        });
    if number.len() <= MAX_NUMBER_BYTES && exponent.is_some_and(|e| e <= MAX_EXPONENT) {
        return Ok(());
    }
    Err(Invalid::new(
        "out_of_range",
        format!(
            "a number must have at most {MAX_NUMBER_BYTES} characters and an exponent of at most {MAX_EXPONENT}"
        ),
    ))
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
            assert_eq!(
                check(text).map_err(|invalid| invalid.code),
                expected,
                "{text}"
            );
        }
    }
}
