//! `openapi.json` is what the functions declare in their `operations.rs`, within the
//! frame of `frame.json`: what is said of the API as a whole.

mod document;

/// Every function's `operations.rs`, and the list of what they declare.
#[allow(
    dead_code,
    unused_imports,
    reason = "only the declarations are used here"
)]
mod declared {
    include!(concat!(env!("OUT_DIR"), "/declared.rs"));

    pub const ALL: &[(&str, &[shared::http::operation::Operation])] = DECLARED;
}

use std::path::Path;
use std::{env, fs};

#[test]
fn the_description_is_what_the_functions_declare() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let frame = fs::read_to_string(folder.join("frame.json")).expect("frame.json can be read");
    let frame = serde_json::from_str(&frame).expect("frame.json is JSON");
    let made = match document::make(frame, declared::ALL) {
        Ok(made) => made,
        Err(error) => panic!("{error}"),
    };
    let made = serde_json::to_string_pretty(&made).expect("a document is JSON") + "\n";
    let path = folder.join("openapi.json");
    if env::var_os("TURNPIKE_WRITE").is_some() {
        fs::write(&path, &made).expect("openapi.json can be written");
    }
    let kept = fs::read_to_string(&path).expect("openapi.json can be read");
    let mut pairs = kept.lines().zip(made.lines()).enumerate();
    let difference = pairs.find(|(_, (kept, made))| kept != made);
    let place = match difference {
        Some((index, (kept, made))) => {
            format!("line {} is\n  {kept}\nand should be\n  {made}", index + 1)
        }
        None => "the lengths differ".to_owned(),
    };
    assert!(
        kept == made,
        "openapi.json is not what the functions declare: {place}\n\
         Write it with `TURNPIKE_WRITE=1 cargo test -p openapi`, and commit it."
    );
}
