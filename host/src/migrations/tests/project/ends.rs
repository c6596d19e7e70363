//! Sessions end in one place, and whatever they could leave pending is made by whoever holds their
//! person's row: docs/auth.md says why.

use super::*;

/// What a session can leave pending.
const PENDING: [&str; 3] = ["api_keys", "invitations", "totp_enrolments"];

/// The SQL on one line, without comments.
fn flat(source: &str) -> String {
    let code = source
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default());
    let words: Vec<&str> = code.flat_map(str::split_whitespace).collect();
    words.join(" ")
}

/// Whether a statement of the SQL sets `revoked_at` of sessions.
fn ends_sessions(sql: &str) -> bool {
    sql.split(';').any(|statement| {
        statement
            .split_once("UPDATE sessions ")
            .is_some_and(|(_, rest)| {
                let set = rest.split(" WHERE ").next().unwrap_or_default();
                set.contains("revoked_at =")
            })
    })
}

/// What the SQL makes of what can be pending.
fn makes(sql: &str) -> Vec<&'static str> {
    let is_made = |table: &&str| sql.contains(&format!("INSERT INTO {table} "));
    PENDING.into_iter().filter(is_made).collect()
}

#[test]
fn sessions_end_in_one_place() {
    let mut enders = Vec::new();
    let mut makers = Vec::new();
    for (file, source) in sources(&["functions", "shared/sql"]) {
        if !file.ends_with(".sql") {
            continue;
        }
        let sql = flat(&source);
        if ends_sessions(&sql) {
            enders.push(file.clone());
        }
        if !makes(&sql).is_empty() {
            assert!(
                sql.contains("principal_hold("),
                "{file} makes {:?}: take principal_hold() in place of authenticate()",
                makes(&sql)
            );
            makers.push(file);
        }
    }
    assert_eq!(enders, ["shared/sql/auth/sessions_end.sql"]);
    assert!(makers.len() >= PENDING.len(), "too few: {makers:?}");
}

#[test]
fn ends_and_makings_are_found() {
    let table = [
        ("UPDATE sessions SET revoked_at = now() WHERE id = 1", true),
        ("UPDATE sessions\n   SET a = 1, revoked_at = now()", true),
        ("UPDATE sessions SET a = 1 WHERE revoked_at = b", false),
        ("-- UPDATE sessions SET revoked_at = now()\nSELECT 1", false),
        ("UPDATE api_keys SET revoked_at = now()", false),
    ];
    for (source, expected) in table {
        assert_eq!(ends_sessions(&flat(source)), expected, "{source}");
    }
    let made = "INSERT INTO api_keys (a) SELECT 1; SELECT * FROM invitations";
    assert_eq!(makes(made), ["api_keys"]);
}
