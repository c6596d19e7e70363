//! Finds the statements in the Rust sources of components: the second argument of `db::call` and
//! of its like. It is a literal, or a variable of the same function that a literal, or one of
//! several, is given to.

/// The statements in a source, or why one cannot be found.
pub fn of(source: &str) -> Result<Vec<String>, String> {
    let Source { code, literals } = Source::read(source)?;
    if code.lines().any(|line| {
        line.trim_start().starts_with("use ") && line.contains("db::") && line.contains("call")
    }) {
        return Err(
            "a function of `db` is imported: call it as db::call, so that its statement is found"
                .to_owned(),
        );
    }
    let mut statements = Vec::new();
    for (position, _) in code.match_indices("db::call") {
        let rest = &code[position + "db::call".len()..];
        let rest = ["_row", "_together", "_aside"]
            .iter()
            .find_map(|end| rest.strip_prefix(end))
            .unwrap_or(rest);
        let rest = match rest.strip_prefix("::<") {
            Some(generic) => generic.split_once(">(").map(|(_, rest)| rest),
            None => rest.strip_prefix('('),
        };
        let Some(rest) = rest else {
            continue;
        };
        let argument = argument(rest, 1)
            .ok_or_else(|| "a call of `db` has no second argument".to_owned())?
            .trim();
        let value = if argument.starts_with('"') {
            argument
        } else {
            assigned(&code[..position], argument).ok_or_else(|| {
                format!("the statement `{argument}` of a call of `db` is no literal, nor a variable of the same function")
            })?
        };
        let found: Vec<_> = literal_numbers(value)
            .map(|number| literals[number].clone())
            .collect();
        if found.is_empty() {
            return Err(format!("no literal is given to the statement `{argument}`"));
        }
        statements.extend(found);
    }
    Ok(statements)
}

/// An argument of a call, whose text begins after the parenthesis.
fn argument(text: &str, wanted: usize) -> Option<&str> {
    let (mut depth, mut number, mut begin) = (0_i32, 0, 0);
    for (position, character) in text.char_indices() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth > 0 => depth -= 1,
            ',' | ')' if depth == 0 => {
                if number == wanted {
                    return Some(&text[begin..position]);
                }
                if character == ')' {
                    return None;
                }
                number += 1;
                begin = position + 1;
            }
            _ => {}
        }
    }
    None
}

/// What the variable was last given before the end of the code, in the same function.
fn assigned<'a>(code: &'a str, variable: &str) -> Option<&'a str> {
    let function = code.rfind("fn ")?;
    let begin = code[function..].rfind(&format!("let {variable} ="))? + function;
    let rest = &code[begin..];
    let mut depth = 0_i32;
    for (position, character) in rest.char_indices() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ';' if depth == 0 => return Some(&rest[..position]),
            _ => {}
        }
    }
    None
}

fn literal_numbers(code: &str) -> impl Iterator<Item = usize> {
    code.split('"')
        .skip(1)
        .step_by(2)
        .filter_map(|number| number.parse().ok())
}

/// A source without comments, in which each text is its number in quotes.
struct Source {
    code: String,
    literals: Vec<String>,
}

impl Source {
    fn read(source: &str) -> Result<Self, String> {
        let mut code = String::new();
        let mut literals = Vec::new();
        let mut rest = source;
        while let Some(character) = rest.chars().next() {
            let previous = code.chars().next_back().unwrap_or(' ');
            let hashes = rest
                .bytes()
                .skip(1)
                .take_while(|byte| *byte == b'#')
                .count();
            let is_raw = character == 'r'
                && !previous.is_alphanumeric()
                && rest.as_bytes().get(1 + hashes) == Some(&b'"');
            if rest.starts_with("//") {
                rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
            } else if is_raw {
                let end = format!("\"{}", "#".repeat(hashes));
                let text = &rest[2 + hashes..];
                let length = text.find(&end).ok_or_else(|| no_end(source))?;
                literals.push(text[..length].to_owned());
                code.push_str(&format!("\"{}\"", literals.len() - 1));
                rest = &text[length + end.len()..];
            } else if character == '"' {
                let (text, after) = unquote(&rest[1..]).ok_or_else(|| no_end(source))?;
                literals.push(text);
                code.push_str(&format!("\"{}\"", literals.len() - 1));
                rest = after;
            } else if let Some(length) = character_literal(rest) {
                code.push(' ');
                rest = &rest[length..];
            } else {
                code.push(character);
                rest = &rest[character.len_utf8()..];
            }
        }
        Ok(Self { code, literals })
    }
}

fn no_end(source: &str) -> String {
    format!("a text has no end: {source:.40}")
}

/// The text of a literal that begins here, and what follows it, if it has an end.
fn unquote(source: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut characters = source.char_indices();
    while let Some((position, character)) = characters.next() {
        match character {
            '"' => return Some((text, &source[position + 1..])),
            '\\' => match characters.next() {
                // A line that goes on in the next one, without its indentation.
                Some((_, '\n')) => {
                    let after = characters.as_str().trim_start();
                    let skipped = characters.as_str().len() - after.len();
                    for _ in 0..source[source.len() - characters.as_str().len()..][..skipped]
                        .chars()
                        .count()
                    {
                        characters.next();
                    }
                }
                Some((_, 'n')) => text.push('\n'),
                Some((_, other)) => text.push(other),
                None => break,
            },
            other => text.push(other),
        }
    }
    None
}

/// How long the literal of one character is that begins here, if one does and not a lifetime.
fn character_literal(source: &str) -> Option<usize> {
    let rest = source.strip_prefix('\'')?;
    if let Some(escaped) = rest.strip_prefix('\\') {
        let first = escaped.chars().next()?.len_utf8();
        return Some(2 + first + escaped[first..].find('\'')? + 1);
    }
    let length = rest.chars().next()?.len_utf8();
    rest[length..].starts_with('\'').then_some(length + 2)
}

#[test]
fn statements_are_found() {
    for (source, expected) in [
        (
            r#"db::call(context, "SELECT a($1)::text", &[])"#,
            Ok(vec!["SELECT a($1)::text"]),
        ),
        (
            "db::call_row(\n    context,\n    \"SELECT a(\\\n        $1)\",\n    &[])",
            Ok(vec!["SELECT a($1)"]),
        ),
        (
            r##"fn f() { let sql = if c { r#"SELECT "a""# } else { "CALL b('\"')" }; db::call::<Answer>(f(a, b), sql, &p) }"##,
            Ok(vec![r#"SELECT "a""#, "CALL b('\"')"]),
        ),
        // In comments there are none, and quotes of characters are no texts.
        (
            "// db::call(context, \"no\")\nlet q = '\"'; let l: &'static str = x; db::call(context, \"yes\")",
            Ok(vec!["yes"]),
        ),
        ("/* é */ db::call(c, \"yes\")", Ok(vec!["yes"])),
        ("// See [`db::call`].", Ok(vec![])),
        (
            "fn f(sql: &str) { db::call(context, sql, &[]) }",
            Err("is no literal"),
        ),
        (
            "fn f() { let sql = \"SELECT 1\"; }\nfn g(sql: &str) { db::call(context, sql, &[]) }",
            Err("is no literal"),
        ),
        (
            "fn f() { let sql = other(); db::call(context, sql, &[]) }",
            Err("no literal is given"),
        ),
        (
            "use shared::store::db::{call, Parameter};",
            Err("is imported"),
        ),
        ("db::call(context)", Err("no second argument")),
        (
            "fn f() {\n let sql =\n  \"SELECT 1\";\n db::call(context, sql, &[]) }",
            Ok(vec!["SELECT 1"]),
        ),
    ] {
        match (of(source), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "found in {source}"),
            (Err(fault), Err(part)) => assert!(fault.contains(part), "{source}: {fault}"),
            (found, expected) => panic!("{source} gave {found:?}, not {expected:?}"),
        }
    }
}
