//! The rooms of `host/src` depend on each other in one direction.

#![allow(clippy::disallowed_methods, reason = "the test reads the sources")]

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from the lowest to the highest. A room uses only itself and the rooms before it.
const ROOMS: &[&str] = &[
    "log_sink",
    "metrics",
    "postgres_tls",
    "http_post",
    "traces",
    "postgres_cluster",
    "manifest",
    "component_statements",
    "migrations",
    "function_build",
    "imports",
    "runtime",
    "cli",
];

/// What a lower room uses of a higher one, with the reason. Nothing else may.
const EXCEPTIONS: &[(&str, &str)] = &[
    // The context of an instance knows the components that the instance may call.
    ("imports/instance.rs", "crate::runtime::chaining"),
    // An instance holds a guard that counts it in its lifecycle.
    ("imports/instance.rs", "crate::runtime::lifecycle"),
    // A request to another component of the application does not leave the host.
    ("imports/outbound_http.rs", "crate::runtime::chaining"),
];

#[test]
fn rooms_use_only_lower_rooms() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&source, &mut files);
    let mut faults = Vec::new();
    let mut exceptions_used = Vec::new();
    for file in files {
        let name = file.strip_prefix(&source).unwrap().to_str().unwrap();
        let room = name.split('/').next().unwrap().trim_end_matches(".rs");
        if room == "lib" || room == "main" {
            continue;
        }
        let Some(place) = place(room) else {
            faults.push(format!(
                "src/{name}: add the room `{room}` to ROOMS, above all it uses"
            ));
            continue;
        };
        for line in fs::read_to_string(&file).unwrap().lines() {
            let Some(path) = used_path(line) else {
                continue;
            };
            let used = path.split("::").nth(1).unwrap_or_default();
            let exception = EXCEPTIONS
                .iter()
                .position(|(from, to)| *from == name && path.starts_with(to));
            match place_of_used(used) {
                Some(other) if other <= place => {}
                Some(_) if exception.is_some() => exceptions_used.extend(exception),
                Some(_) => faults.push(format!(
                    "src/{name}: `{path}` is in a higher room than `{room}`; move the code down, \
                     or pass what it needs as an argument"
                )),
                None => faults.push(format!(
                    "src/{name}: name the room in `{path}` (one `use crate::room::…` a line)"
                )),
            }
        }
    }
    for (index, (from, to)) in EXCEPTIONS.iter().enumerate() {
        if !exceptions_used.contains(&index) {
            faults.push(format!(
                "src/{from} no longer uses {to}: remove it from EXCEPTIONS"
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn place(room: &str) -> Option<usize> {
    ROOMS.iter().position(|known| *known == room)
}

fn place_of_used(room: &str) -> Option<usize> {
    place(room.trim_end_matches(';'))
}

/// The path of a `use crate::…` line, without comments.
fn used_path(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let start = line.find("use crate::")?;
    (!line.starts_with("//")).then(|| line[start + "use ".len()..].trim_end())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
