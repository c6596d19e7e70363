//! Prepares the description for serving and for its test.
//!
//! - `openapi.json` without the spaces between its tokens: a third of it, which every
//!   instance would load and every client download.
//! - `declared.rs`: the operations of every function, for `tests/description.rs`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() {
    println!("cargo::rerun-if-changed=openapi.json");
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let document = fs::read_to_string("openapi.json").expect("openapi.json is beside Cargo.toml");
    fs::write(out_dir.join("openapi.json"), compact(&document)).expect("OUT_DIR can be written");
    // A component has no use for the list, and is not built again when a function changes.
    let is_component = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32");
    if is_component {
        return;
    }
    let declared = declared(Path::new("..")).expect("the folder of the functions can be read");
    fs::write(out_dir.join("declared.rs"), declared).expect("OUT_DIR can be written");
}

/// The same JSON without white space outside of its strings.
fn compact(json: &str) -> String {
    let mut is_in_string = false;
    let mut is_escaped = false;
    json.chars()
        .filter(|&c| {
            let is_kept = is_in_string || !c.is_ascii_whitespace();
            if c == '"' && !is_escaped {
                is_in_string = !is_in_string;
            }
            is_escaped = is_in_string && c == '\\' && !is_escaped;
            is_kept
        })
        .collect()
}

/// Rust that lists every function's operations: those that its `lib.rs` serves.
fn declared(functions: &Path) -> io::Result<String> {
    // New folders are seen too.
    println!("cargo::rerun-if-changed={}", functions.display());
    let mut folders: Vec<PathBuf> = fs::read_dir(functions)?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    folders.sort();
    let mut modules = String::new();
    let mut list = String::new();
    for folder in folders {
        let file = folder.join("src").join("operations.rs");
        let Ok(file) = file.canonicalize() else {
            continue;
        };
        let lib = folder.join("src").join("lib.rs");
        let id = folder.file_name().unwrap_or_default().to_string_lossy();
        let module = id.replace('-', "_");
        let _ = writeln!(modules, "#[path = {file:?}]\nmod {module};");
        let served: Vec<String> = fs::read_to_string(lib)?
            .lines()
            .filter_map(|line| {
                let line = line.trim();
                let served = line.strip_prefix("streamed ").unwrap_or(line);
                served.strip_prefix("operations::")?.split_once(" =>")
            })
            .map(|(name, _)| format!("{module}::{name}"))
            .collect();
        let _ = writeln!(list, "    ({id:?}, &[{}]),", served.join(", "));
    }
    Ok(format!(
        "{modules}\nconst DECLARED: &[(&str, &[shared::http::operation::Operation])] = &[\n{list}];\n"
    ))
}
