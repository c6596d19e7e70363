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

use serde_json::{Map, Value};

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

/// Every object of a body with `schema`: where it is, and its members.
fn objects<'a>(
    document: &'a Value,
    schema: &'a Value,
    place: &str,
    found: &mut Vec<(String, &'a Map<String, Value>)>,
) {
    let schema = resolved(document, schema);
    for key in ["anyOf", "oneOf"] {
        for one in schema[key].as_array().into_iter().flatten() {
            objects(document, one, place, found);
        }
    }
    if let Some(items) = schema.get("items") {
        objects(document, items, &format!("{place}[]"), found);
    }
    if let Some(members) = schema["properties"].as_object() {
        found.push((place.to_owned(), members));
        for (name, member) in members {
            objects(document, member, &format!("{place}.{name}"), found);
        }
    }
}

/// The schema, or the one that it refers to.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema["$ref"].as_str();
    match reference.and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => document
            .pointer(pointer)
            .expect("every $ref leads somewhere"),
        None => schema,
    }
}

/// Whether a member is of the schema with this name, or may be null instead.
fn is_of(member: &Value, names: &[&str]) -> bool {
    let either = member["anyOf"].as_array().into_iter().flatten();
    either.chain([member]).any(|one| {
        let reference = one["$ref"].as_str().unwrap_or_default();
        names.contains(&reference.trim_start_matches("#/components/schemas/"))
    })
}

/// Money has one shape in every request: an object with `amount` and `currency`, both or neither. The
/// terms of a plan are prices, which are numbers, and name the currency of them all once.
#[test]
fn money_has_one_shape_in_every_request() {
    const AMOUNTS: [&str; 2] = ["PositiveAmount", "UnsignedAmount"];
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let text = fs::read_to_string(path).expect("openapi.json can be read");
    let document: Value = serde_json::from_str(&text).expect("openapi.json is JSON");
    let items = document["paths"].as_object().expect("paths");
    let mut moneys = 0;
    for (path, operation) in items.iter().flat_map(|(path, item)| {
        let operations = item.as_object().into_iter().flatten();
        operations.map(move |(method, operation)| (format!("{method} {path}"), operation))
    }) {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let mut found = Vec::new();
        objects(&document, schema, "", &mut found);
        for (place, members) in found {
            let amounts: Vec<_> = members
                .iter()
                .filter(|(_, member)| is_of(member, &AMOUNTS))
                .map(|(name, _)| name.as_str())
                .collect();
            if amounts.is_empty() {
                continue;
            }
            moneys += 1;
            assert_eq!(
                amounts,
                ["amount"],
                "{path}{place}: one amount, which is called so"
            );
            let currency = members.get("currency");
            assert!(
                currency.is_some_and(|member| is_of(member, &["Currency"])),
                "{path}{place}: an amount has its currency beside it"
            );
        }
    }
    assert!(moneys >= 9, "only {moneys} requests have money");
}
