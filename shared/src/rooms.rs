//! The rooms of this crate, and the test that holds their order.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Every room, from lowest to highest. A room uses rooms before it in this list and
/// itself, and no other.
const ROOMS: [&str; 18] = [
    "checksum",
    "metrics",
    "text",
    "ids",
    "token",
    "money",
    "http",
    "store",
    "auth",
    "mail",
    "rating",
    "credits",
    "organizations",
    "billing",
    "metering",
    "entitlements",
    "warming",
    "component",
];

/// Files of `src` that are no room.
const NO_ROOMS: [&str; 2] = ["lib", "rooms"];

/// Crates that this one hands on, for the code that its macros write.
const RE_EXPORTS: [&str; 3] = ["schemars", "serde", "serde_json"];

/// What is wrong with the paths of a source file of `room`, one sentence each.
fn violations(room: &str, source: &str) -> Vec<String> {
    let place = |room: &str| ROOMS.iter().position(|candidate| *candidate == room);
    let mut violations = Vec::new();
    for (index, line) in source.lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        let number = index + 1;
        if line.contains("super::super::") {
            violations.push(format!(
                "line {number}: write `crate::` and the room instead of `super::super::`"
            ));
        }
        for (position, _) in line.match_indices("crate::") {
            let path = &line[position + "crate::".len()..];
            let name_length = path
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(path.len());
            let used = &path[..name_length];
            if used.is_empty() {
                violations.push(format!(
                    "line {number}: write one `use` for each room, such as `use crate::money::Money;`"
                ));
                continue;
            }
            // A macro of this crate stands at its root, whichever room it is from.
            let is_macro = path[name_length..].starts_with('!');
            if is_macro || RE_EXPORTS.contains(&used) {
                continue;
            }
            match (place(used), place(room)) {
                (Some(used_place), Some(own_place)) if used_place > own_place => {
                    violations.push(format!(
                        "line {number}: `{room}` uses `{used}`, a higher room. Move what both need \
                         into `{room}` or below it, or pass it as a parameter."
                    ));
                }
                (Some(_), Some(_)) => {}
                _ => violations.push(format!(
                    "line {number}: `{used}` or `{room}` is not in ROOMS in src/rooms.rs. Add it \
                     above every room that it uses."
                )),
            }
        }
    }
    violations
}

/// The Rust files of a room, each with its text.
fn sources(path: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    if path.is_file() {
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        return match is_rust {
            true => Ok(vec![(path.to_owned(), fs::read_to_string(path)?)]),
            false => Ok(Vec::new()),
        };
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        found.extend(sources(&entry?.path())?);
    }
    Ok(found)
}

#[test]
fn no_room_uses_a_higher_one() -> io::Result<()> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut rooms = BTreeSet::new();
    let mut failures = Vec::new();
    for entry in fs::read_dir(src)? {
        let path = entry?.path();
        let room = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if NO_ROOMS.contains(&room.as_str()) {
            continue;
        }
        for (file, source) in sources(&path)? {
            for violation in violations(&room, &source) {
                failures.push(format!("{}, {violation}", file.display()));
            }
        }
        rooms.insert(room);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(
        rooms,
        ROOMS.map(str::to_owned).into(),
        "ROOMS in src/rooms.rs must list each file and folder of src, from lowest to highest"
    );
    Ok(())
}

#[test]
fn violations_are_found() {
    let cases = [
        ("http", "use crate::money::Money;", None),
        ("http", "use crate::http::problem::Problem;", None),
        ("http", "// use crate::credits::Grant;", None),
        ("http", "$crate::component!($id, $allow)", None),
        (
            "http",
            "use crate::credits::Grant;",
            Some("`http` uses `credits`"),
        ),
        (
            "ids",
            "    fn of(x: crate::token::TokenDigest)",
            Some("`ids` uses `token`"),
        ),
        ("http", "$crate::auth::session", Some("`http` uses `auth`")),
        (
            "http",
            "use super::super::credits::Grant;",
            Some("instead of `super::super::`"),
        ),
        (
            "mail",
            "use crate::{auth, http};",
            Some("one `use` for each room"),
        ),
        (
            "mail",
            "use crate::post::Post;",
            Some("`post` or `mail` is not in ROOMS"),
        ),
        (
            "post",
            "use crate::mail::Kind;",
            Some("`mail` or `post` is not in ROOMS"),
        ),
    ];
    for (room, source, expected) in cases {
        let found = violations(room, source).join("\n");
        match expected {
            None => assert_eq!(found, "", "{room}: {source} is allowed"),
            Some(part) => assert!(
                found.starts_with("line 1: ") && found.contains(part),
                "{room}: {source} is refused with {part:?}, not with {found:?}"
            ),
        }
    }
}
