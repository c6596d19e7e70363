//! Makes the document of its frame and the functions' declarations.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use shared::http::operation::Operation;
use shared::http::operation::description::Description;

/// Where the parts of a document that others refer to are.
const COMPONENTS: [&str; 4] = ["schemas", "responses", "parameters", "headers"];

/// The frame, with a path item for every declared path and the components that they
/// refer to. Components that nothing refers to are left out.
pub fn make(mut frame: Value, declared: &[(&str, &[Operation])]) -> Result<Value, String> {
    let mut description = Description::default();
    for (component, operations) in declared {
        if operations.is_empty() {
            return Err(format!(
                "{component} has an operations.rs and serves none of it"
            ));
        }
        description.add(component, operations)?;
    }
    let made = description.finish()?;
    for (path, operations) in made.paths {
        let item = member(member(&mut frame, "paths")?, &path)?;
        for (verb, operation) in operations {
            if item.insert(verb.clone(), operation).is_some() {
                return Err(format!(
                    "frame.json has {verb} {path}, which a function declares"
                ));
            }
        }
    }
    for (kind, made) in [("schemas", made.schemas), ("responses", made.responses)] {
        member(member(&mut frame, "components")?, kind)?.extend(made);
    }
    let codes = &mut frame["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
    let kept = codes.as_array().cloned().unwrap_or_default();
    let all: BTreeSet<String> = kept
        .iter()
        .filter_map(Value::as_str)
        .chain(made.codes)
        .map(str::to_owned)
        .collect();
    *codes = all.into_iter().collect();
    prune(&mut frame);
    Ok(frame)
}

/// The object that a member of an object is, made if there is none.
fn member<'a>(
    object: &'a mut impl Members,
    name: &str,
) -> Result<&'a mut Map<String, Value>, String> {
    let members = object.members().ok_or("frame.json is not an object")?;
    let value = members
        .entry(name)
        .or_insert_with(|| Value::Object(Map::new()));
    value
        .as_object_mut()
        .ok_or_else(|| format!("{name} is not an object in frame.json"))
}

trait Members {
    fn members(&mut self) -> Option<&mut Map<String, Value>>;
}

impl Members for Value {
    fn members(&mut self) -> Option<&mut Map<String, Value>> {
        self.as_object_mut()
    }
}

impl Members for Map<String, Value> {
    fn members(&mut self) -> Option<&mut Map<String, Value>> {
        Some(self)
    }
}

/// Takes out the components that no path leads to.
fn prune(document: &mut Value) {
    let mut used = BTreeSet::new();
    let mut unread: Vec<&Value> = vec![&document["paths"]];
    while let Some(value) = unread.pop() {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref")
                    && used.insert(reference.clone())
                    && let Some(target) = document.pointer(reference.trim_start_matches('#'))
                {
                    unread.push(target);
                }
                unread.extend(members.values());
            }
            Value::Array(elements) => unread.extend(elements),
            _ => {}
        }
    }
    for kind in COMPONENTS {
        if let Some(parts) = document["components"][kind].as_object_mut() {
            parts.retain(|name, _| used.contains(&format!("#/components/{kind}/{name}")));
        }
    }
}
