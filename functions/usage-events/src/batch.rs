//! Taking a body apart into the texts of its events, so that an event that is no
//! JSON is refused by itself.

use shared::http::problem::Problem;

use crate::operations::MAX_EVENTS_PER_BATCH;

fn malformed() -> Problem {
    Problem::malformed_body("The body is not a JSON array of events.")
}

fn wrong_length() -> Problem {
    Problem::invalid_field(
        "events",
        "wrong_length",
        format!("must be 1 to {MAX_EVENTS_PER_BATCH} events"),
    )
}

fn bounded(elements: Vec<&str>) -> Result<Vec<&str>, Problem> {
    if elements.is_empty() || elements.len() > MAX_EVENTS_PER_BATCH {
        return Err(wrong_length());
    }
    Ok(elements)
}

/// The events of a JSON body: one object, an array, or `{"events": [...]}`.
///
/// # Errors
/// 400 when brackets do not match, 422 when there are too many events or none.
pub fn json(body: &str) -> Result<Vec<&str>, Problem> {
    let body = body.trim_matches(is_space);
    if body.starts_with('[') {
        return array(body);
    }
    if let Some(rest) = member_events(body) {
        // What is behind the array must be the end of the object.
        let array_text = rest.strip_suffix('}').ok_or_else(malformed)?;
        return array(array_text.trim_end_matches(is_space));
    }
    if body.is_empty() {
        return Err(Problem::malformed_body("The body is empty."));
    }
    Ok(vec![body])
}

/// What follows `{"events":` when an object begins so.
fn member_events(body: &str) -> Option<&str> {
    let rest = body.strip_prefix('{')?.trim_start_matches(is_space);
    let rest = rest
        .strip_prefix("\"events\"")?
        .trim_start_matches(is_space);
    let rest = rest.strip_prefix(':')?.trim_start_matches(is_space);
    rest.starts_with('[').then_some(rest)
}

/// The elements of a JSON array.
///
/// # Errors
/// As [`json`].
pub fn array(text: &str) -> Result<Vec<&str>, Problem> {
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .ok_or_else(malformed)?;
    let mut elements = Vec::new();
    if inner.trim_matches(is_space).is_empty() {
        return bounded(elements);
    }
    let (mut depth, mut begin, mut is_in_string, mut is_escaped) = (0_usize, 0, false, false);
    for (at, byte) in inner.bytes().enumerate() {
        if is_in_string {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => is_in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => is_in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1).ok_or_else(malformed)?,
            b',' if depth == 0 => {
                // All the bytes at which this cuts are ASCII.
                elements.push(inner[begin..at].trim_matches(is_space));
                begin = at + 1;
                if elements.len() > MAX_EVENTS_PER_BATCH {
                    return Err(wrong_length());
                }
            }
            _ => {}
        }
    }
    if depth != 0 || is_in_string {
        return Err(malformed());
    }
    elements.push(inner[begin..].trim_matches(is_space));
    bounded(elements)
}

/// The events of a body with one on each line. Empty lines are skipped.
///
/// # Errors
/// 422 when there are too many events or none.
pub fn lines(body: &str) -> Result<Vec<&str>, Problem> {
    let lines = body.lines().map(|line| line.trim_matches(is_space));
    // One more than may be is enough to know.
    bounded(
        lines
            .filter(|line| !line.is_empty())
            .take(MAX_EVENTS_PER_BATCH + 1)
            .collect(),
    )
}

/// White space as JSON has it (RFC 8259, section 2).
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_bodies() {
        let table: [(&str, Result<Vec<&str>, u16>); 16] = [
            (r#" {"id": "a"} "#, Ok(vec![r#"{"id": "a"}"#])),
            (
                r#"[{"id": "a"}, {"b": [1, 2]}]"#,
                Ok(vec![r#"{"id": "a"}"#, r#"{"b": [1, 2]}"#]),
            ),
            (r#"{ "events" : [ {} , {} ] }"#, Ok(vec!["{}", "{}"])),
            // An event that is no JSON stands for itself.
            (r#"[{"x": NaN}, {}]"#, Ok(vec![r#"{"x": NaN}"#, "{}"])),
            (r#"[{}, , {}]"#, Ok(vec!["{}", "", "{}"])),
            (r#"[{}, {},]"#, Ok(vec!["{}", "{}", ""])),
            (r#"["a,]\"\\", {}]"#, Ok(vec![r#""a,]\"\\""#, "{}"])),
            ("[]", Err(422)),
            ("[ ]", Err(422)),
            (r#"{"events": []}"#, Err(422)),
            ("", Err(400)),
            ("[{}", Err(400)),
            ("[{}}]", Err(400)),
            ("[{]", Err(400)),
            (r#"["a]"#, Err(400)),
            (r#"{"events": [{}]"#, Err(400)),
        ];
        for (body, expected) in table {
            let got = json(body).map_err(|problem| problem.status);
            assert_eq!(got, expected, "{body}");
        }
        let full = format!("[{}]", vec!["{}"; MAX_EVENTS_PER_BATCH].join(","));
        assert_eq!(json(&full).map(|e| e.len()), Ok(MAX_EVENTS_PER_BATCH));
        let over = format!("[{}]", vec!["{}"; MAX_EVENTS_PER_BATCH + 1].join(","));
        assert_eq!(json(&over).map_err(|problem| problem.status), Err(422));
    }

    #[test]
    fn bodies_of_lines() {
        assert_eq!(lines("{}\r\n\n {} \n"), Ok(vec!["{}", "{}"]));
        assert_eq!(lines("{}"), Ok(vec!["{}"]));
        assert_eq!(lines("\n\n").map_err(|problem| problem.status), Err(422));
        let over = "{}\n".repeat(MAX_EVENTS_PER_BATCH + 1);
        assert_eq!(lines(&over).map_err(|problem| problem.status), Err(422));
    }
}
