//! The statements inside the body of a SQL function, each for itself, with parameters in place of
//! the function's arguments and variables.

/// A statement that can be prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    pub text: String,
    /// The types of its parameters.
    pub types: Vec<String>,
}

/// What begins a statement that can be planned.
const BEGINNINGS: [&str; 7] = [
    "select", "with", "insert", "update", "delete", "merge", "perform",
];

/// The statements of a body. `arguments` are the names and types of the function's.
pub fn statements(source: &str, is_plpgsql: bool, arguments: &[(String, String)]) -> Vec<Planned> {
    let tokens = tokens(source);
    let mut variables = arguments.to_vec();
    let mut begin = 0;
    if is_plpgsql {
        begin = position(&tokens, "begin").unwrap_or(0);
        variables.extend(declared(&tokens[..begin]));
    }
    let mut found = Vec::new();
    let mut at = begin;
    while at < tokens.len() {
        if !BEGINNINGS.contains(&lower(tokens[at]).as_str()) {
            at += 1;
            continue;
        }
        let length = length(&tokens[at..]);
        let statement = without_targets(&tokens[at..at + length]);
        // A call for its effect alone is planned with the function that it calls.
        let reads = statement.iter().any(|token| lower(token) == "from");
        if reads || !["select", "perform"].contains(&lower(statement[0]).as_str()) {
            found.push(parametrised(&statement, &variables));
        }
        at += length.max(1);
    }
    found
}

/// The names before a parenthesis: functions that are called, among others.
pub fn names_called(text: &str) -> Vec<String> {
    let tokens: Vec<_> = meaningful(&tokens(text));
    let mut names: Vec<_> = tokens
        .windows(2)
        .filter(|pair| pair[1] == "(" && is_word(pair[0]))
        .map(|pair| lower(pair[0]))
        .collect();
    names.dedup();
    names
}

fn lower(token: &str) -> String {
    token.to_lowercase()
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn position(tokens: &[&str], word: &str) -> Option<usize> {
    tokens.iter().position(|token| lower(token) == word)
}

/// Without space between words.
fn meaningful<'a>(tokens: &[&'a str]) -> Vec<&'a str> {
    let is_meaningful = |token: &&&str| !token.trim().is_empty();
    tokens.iter().filter(is_meaningful).copied().collect()
}

/// Words, texts, spaces and single signs; no comments.
fn tokens(source: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let until = |end: &str| {
            rest[1..]
                .find(end)
                .map_or(rest.len(), |at| 1 + at + end.len())
        };
        let is_of_word = |next: char| next.is_alphanumeric() || next == '_' || next == '$';
        let run =
            |is_of: &dyn Fn(char) -> bool| rest.find(|next| !is_of(next)).unwrap_or(rest.len());
        let length = match first {
            '\'' => until("'"),
            '"' => until("\""),
            '-' if rest.starts_with("--") => {
                rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
                continue;
            }
            '/' if rest.starts_with("/*") => {
                rest = &rest[rest.find("*/").map_or(rest.len(), |at| at + 2)..];
                continue;
            }
            first if is_of_word(first) => run(&is_of_word),
            first if first.is_whitespace() => run(&char::is_whitespace),
            _ if rest.starts_with("=>") || rest.starts_with(":=") || rest.starts_with("::") => 2,
            other => other.len_utf8(),
        };
        tokens.push(&rest[..length]);
        rest = &rest[length..];
    }
    tokens
}

/// How many tokens a statement has that begins here: up to its semicolon, the parenthesis that it
/// is in, or the loop over its rows.
fn length(tokens: &[&str]) -> usize {
    let mut depth = 0_i32;
    for (number, token) in tokens.iter().enumerate() {
        match *token {
            "(" => depth += 1,
            ")" if depth == 0 => return number,
            ")" => depth -= 1,
            ";" if depth == 0 => return number,
            word if depth == 0 && lower(word) == "loop" => return number,
            _ => {}
        }
    }
    tokens.len()
}

/// The statement without the variables that it gives its values to.
fn without_targets<'a>(tokens: &[&'a str]) -> Vec<&'a str> {
    let mut kept = Vec::new();
    let mut depth = 0_i32;
    let mut at = 0;
    while at < tokens.len() {
        let token = tokens[at];
        match token {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        let before = kept
            .iter()
            .rev()
            .find(|token: &&&str| !token.trim().is_empty());
        let is_of_insert =
            before.is_some_and(|word| ["insert", "merge"].contains(&lower(word).as_str()));
        if depth == 0 && lower(token) == "into" && !is_of_insert {
            at = end_of_targets(tokens, at + 1);
            continue;
        }
        kept.push(token);
        at += 1;
    }
    kept
}

/// Where the list of targets ends that begins here: `[STRICT] a, b.c, d`.
fn end_of_targets(tokens: &[&str], begin: usize) -> usize {
    let mut wants_name = true;
    for (at, token) in tokens.iter().enumerate().skip(begin) {
        match *token {
            space if space.trim().is_empty() => {}
            "," | "." => wants_name = true,
            word if lower(word) == "strict" => {}
            _ if wants_name => wants_name = false,
            _ => return at,
        }
    }
    tokens.len()
}

/// The variables of a `DECLARE` with their types.
fn declared(tokens: &[&str]) -> Vec<(String, String)> {
    let begin = position(tokens, "declare").map_or(tokens.len(), |at| at + 1);
    let declarations = tokens[begin..].split(|token| *token == ";");
    declarations
        .filter_map(|declaration| {
            let words = meaningful(declaration);
            let (name, rest) = words.split_first()?;
            let kind: Vec<_> = rest
                .iter()
                .filter(|word| lower(word) != "constant")
                .take_while(|word| ![":=", "=", "default", "not"].contains(&lower(word).as_str()))
                .copied()
                .collect();
            // The type of a column, or that of whatever is put into it, is not known here.
            let is_known = !kind.is_empty()
                && !kind.iter().any(|word| {
                    *word == "%" || ["record", "cursor"].contains(&lower(word).as_str())
                });
            is_known.then(|| ((*name).to_owned(), kind.join(" ")))
        })
        .collect()
}

/// Puts `$1` and so on in place of variables.
fn parametrised(tokens: &[&str], variables: &[(String, String)]) -> Planned {
    let mut text = String::new();
    let mut used: Vec<&(String, String)> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let following = meaningful(&tokens[at + 1..]);
        let is_name_of_argument = following.first() == Some(&"=>");
        let is_column = at > 0 && tokens[at - 1] == ".";
        let variable = variables
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(token));
        match variable {
            Some(variable) if !is_column && !is_name_of_argument => {
                let number = used
                    .iter()
                    .position(|one| *one == variable)
                    .unwrap_or_else(|| {
                        used.push(variable);
                        used.len() - 1
                    });
                text += &format!("${}", number + 1);
            }
            _ if at == 0 && lower(token) == "perform" => text += "SELECT",
            _ => text += token,
        }
    }
    Planned {
        text: text.trim().to_owned(),
        types: used.into_iter().map(|(_, kind)| kind.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_of_bodies() {
        let arguments = [
            ("p_id".to_owned(), "uuid".to_owned()),
            ("p_starts".to_owned(), "integer[]".to_owned()),
        ];
        for (source, is_plpgsql, expected) in [
            (
                "SELECT a FROM t WHERE id = p_id",
                false,
                vec![("SELECT a FROM t WHERE id = $1", "uuid")],
            ),
            // What begins with a comment, and a text that looks like one.
            (
                "-- SELECT 1\nSELECT '--' FROM t;",
                false,
                vec![("SELECT '--' FROM t", "")],
            ),
            ("SELECT f(p_id)", false, vec![]),
            (
                "DECLARE v_row t; v_sum bigint NOT NULL := 0; v_any record;\nBEGIN\n\
                 SELECT * INTO STRICT v_row FROM t WHERE t.id = p_id FOR UPDATE;\n\
                 UPDATE t SET n = v_row.n + v_sum WHERE id = p_id RETURNING n INTO v_sum;\nEND;",
                true,
                vec![
                    ("SELECT * FROM t WHERE t.id = $1 FOR UPDATE", "uuid"),
                    (
                        "UPDATE t SET n = $1.n + $2 WHERE id = $3 RETURNING n",
                        "t, bigint, uuid",
                    ),
                ],
            ),
            (
                "BEGIN IF EXISTS (SELECT 1 FROM t WHERE n = p_starts[1]) THEN RETURN NULL; END IF;\n\
                 INSERT INTO t (id) VALUES (p_id); PERFORM g(p_id); PERFORM 1 FROM t; END",
                true,
                vec![
                    ("SELECT 1 FROM t WHERE n = $1[1]", "integer[]"),
                    ("INSERT INTO t (id) VALUES ($1)", "uuid"),
                    ("SELECT 1 FROM t", ""),
                ],
            ),
            (
                "BEGIN FOR v IN SELECT a FROM t WHERE f(p_id => p_id) LOOP NULL; END LOOP; END",
                true,
                vec![("SELECT a FROM t WHERE f(p_id => $1)", "uuid")],
            ),
            ("BEGIN RETURN 1; END", true, vec![]),
            ("", false, vec![]),
        ] {
            let found = statements(source, is_plpgsql, &arguments);
            let found: Vec<_> = found
                .iter()
                .map(|one| (one.text.as_str(), one.types.join(", ")))
                .collect();
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(text, types)| (text, types.to_owned()))
                .collect();
            assert_eq!(found, expected, "the statements of {source:?}");
        }
    }

    #[test]
    fn names_before_a_parenthesis() {
        for (text, expected) in [
            (
                "SELECT credits_balance($1, $2)::text",
                &["credits_balance"][..],
            ),
            ("SELECT a (b($1))", &["a", "b"]),
            ("SELECT 1", &[]),
        ] {
            assert_eq!(names_called(text), expected, "called in {text:?}");
        }
    }
}
