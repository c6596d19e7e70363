//! No name of the API has control characters, or characters that change the direction of
//! others: every text of every body is tried.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde_json::{Map, Value, json};
use turnpike_tests::description::Description;
use turnpike_tests::environment::project_root;
use turnpike_tests::personas::fresh_key;
use turnpike_tests::{Response, TestHost, api_tests};

/// What no name has. A NUL is refused everywhere.
const REFUSED: [&str; 7] = [
    "a\nb",
    "a\tb",
    "a\u{1b}b",
    "a\u{7f}b",
    "a\u{85}b",
    "a\u{202e}b",
    "a\u{2066}b",
];

/// Texts that are no names: passwords, which are compared and never shown, and what somebody
/// says in their own words.
const NO_NAMES: [(&str, &str); 10] = [
    ("/api/v1/accounts", "invoice_settings.footer"),
    ("/api/v1/accounts/{id}", "invoice_settings.footer"),
    ("/api/v1/auth/login", "password"),
    ("/api/v1/auth/password", "current_password"),
    ("/api/v1/auth/reauthenticate", "password"),
    ("/api/v1/credits/consume", "description"),
    ("/api/v1/credits/grants", "description"),
    ("/api/v1/credits/holds", "description"),
    (
        "/api/v1/org-billing/organizations/{id}/credit-pool/consume",
        "description",
    ),
    (
        "/api/v1/org-billing/organizations/{id}/credit-pool/grants",
        "description",
    ),
];

api_tests![no_name_has_characters_that_nobody_sees,];

/// Some value of `schema`.
fn sample(description: &Description, schema: &Value) -> Value {
    let schema = description
        .resolve(schema)
        .expect("every $ref leads somewhere");
    let given = [&schema["const"], &schema["examples"][0], &schema["enum"][0]];
    if let Some(given) = given.into_iter().find(|value| !value.is_null()) {
        return given.clone();
    }
    for key in ["anyOf", "oneOf"] {
        if !schema[key].is_null() {
            return sample(description, &schema[key][0]);
        }
    }
    match schema["type"].as_str() {
        Some("object") => completed(description, schema, &Value::Null),
        Some("array") => json!([sample(description, &schema["items"])]),
        Some("string") => json!("1"),
        Some("boolean") => json!(false),
        _ => json!(1),
    }
}

/// An object of `schema` with what fits of the example, and with all that it must have. Of an example
/// in another of several forms nothing else is kept.
fn completed(description: &Description, schema: &Value, example: &Value) -> Value {
    let fits = |name: &str, value: &Value| match schema["properties"].get(name) {
        Some(member) => member.get("const").is_none_or(|only| only == value),
        None => false,
    };
    let mut object: Map<String, Value> = example.as_object().cloned().unwrap_or_default();
    object.retain(|name, value| fits(name, value));
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("a name");
        let entry = object.entry(name);
        entry.or_insert_with(|| sample(description, &schema["properties"][name]));
    }
    Value::Object(object)
}

/// Where a body of `schema` has texts: each place as the API names it, with a body that has
/// `text` there and is `example` elsewhere.
fn bodies(
    description: &Description,
    schema: &Value,
    example: &Value,
    text: &str,
) -> Vec<(String, Value)> {
    let schema = description
        .resolve(schema)
        .expect("every $ref leads somewhere");
    let either = ["anyOf", "oneOf"]
        .iter()
        .filter_map(|key| schema[*key].as_array());
    let mut found: Vec<_> = either
        .flatten()
        .flat_map(|one| bodies(description, one, example, text))
        .collect();
    let types = &schema["type"];
    let is = |name: &str| {
        types == name
            || types
                .as_array()
                .is_some_and(|all| all.contains(&json!(name)))
    };
    if is("string") {
        found.push((String::new(), json!(text)));
    }
    if is("object") {
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            let inner = example.get(name).unwrap_or(&Value::Null);
            for (place, value) in bodies(description, member, inner, text) {
                let mut body = completed(description, schema, example);
                body[name] = value;
                let dot = if place.is_empty() || place.starts_with('[') {
                    ""
                } else {
                    "."
                };
                found.push((format!("{name}{dot}{place}"), body));
            }
        }
    }
    if is("array") {
        let examples = example.as_array().filter(|all| !all.is_empty());
        for example in examples.unwrap_or(&vec![Value::Null]) {
            for (place, value) in bodies(description, &schema["items"], example, text) {
                let dot = if place.is_empty() { "" } else { "." };
                found.push((format!("[0]{dot}{place}"), json!([value])));
            }
        }
    }
    found
}

/// What an estimate brings in place of the plan that its example names. A version of a plan has
/// the same, and is tried.
const OF_PLAN_VERSIONS: (&str, [&str; 3]) = (
    "/api/v1/pricing/estimate",
    ["charges[0]", "included_units[0]", "trial."],
);

/// Answers each account by itself, and reads it as the routes of one account do, which are tried.
const OF_ACCOUNTS: &str = "/api/v1/accounts/bulk";

/// The path with an example of each parameter.
fn target(description: &Description, path: &str, operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters.fold(path.to_owned(), |path, parameter| {
        let parameter = description.resolve(parameter).expect("it is described");
        let schema = description.resolve(&parameter["schema"]);
        let example = schema.map_or(&Value::Null, |schema| &schema["examples"][0]);
        let name = parameter["name"].as_str().unwrap_or_default();
        path.replace(&format!("{{{name}}}"), example.as_str().unwrap_or("1"))
    })
}

/// Every place that an answer names, of the request or of one of its events, with the code.
fn named(answer: &Value) -> Vec<(&str, &str)> {
    match answer {
        Value::Object(members) => match (members.get("field"), members.get("code")) {
            (Some(Value::String(field)), Some(Value::String(code))) => vec![(field, code)],
            _ => members.values().flat_map(named).collect(),
        },
        Value::Array(elements) => elements.iter().flat_map(named).collect(),
        _ => Vec::new(),
    }
}

/// What a text can be refused for where it stands.
const OF_TEXTS: [&str; 6] = [
    "amount_not_plain_decimal",
    "invalid",
    "invalid_character",
    "invalid_email",
    "unknown",
    "wrong_length",
];

/// Whether the text at the place was refused. A verdict on one of several events names the place
/// within the event.
fn is_refused(answer: &Value, place: &str) -> bool {
    let within = place
        .trim_start_matches("events")
        .trim_start_matches("[0].");
    named(answer)
        .into_iter()
        .any(|(field, code)| (field == place || field == within) && OF_TEXTS.contains(&code))
}

/// The body with what an event must have before anything else of it is looked at.
fn with_identity(path: &str, mut body: Value) -> Value {
    if path != "/api/v1/usage/events" {
        return body;
    }
    let events = match &mut body {
        Value::Array(events) => events.iter_mut().collect(),
        Value::Object(members) if members.contains_key("events") => {
            let events = members["events"].as_array_mut();
            events.expect("a list of events").iter_mut().collect()
        }
        single => vec![single],
    };
    for event in events {
        for (name, value) in [("id", "a"), ("type", "call")] {
            if event.get(name).is_none() {
                event[name] = json!(value);
            }
        }
    }
    body
}

async fn no_name_has_characters_that_nobody_sees(host: &TestHost) {
    let description = Description::read(&project_root()).expect("openapi.json can be read");
    let user = host.new_user("ada").await;
    // One of the examples is enough: what a place may hold can depend on another one.
    let mut answers: BTreeMap<(String, String, &str), Vec<Response>> = BTreeMap::new();
    let mut tried = 0;
    for (path, name, operation) in description.operations() {
        let content = &operation["requestBody"]["content"]["application/json"];
        if content.is_null() {
            continue;
        }
        let method: Method = name.parse().expect("a method");
        let target = target(&description, path, operation);
        for text in REFUSED {
            let all = bodies(&description, &content["schema"], &content["example"], text);
            for (place, body) in all {
                if path == OF_ACCOUNTS {
                    continue;
                }
                let (estimate, of_versions) = OF_PLAN_VERSIONS;
                if path == estimate && of_versions.iter().any(|one| place.starts_with(one)) {
                    continue;
                }
                tried += 1;
                let call = host.call(method.clone(), &*target).bearer(&user.token);
                let call = call
                    .idempotency_key(&fresh_key())
                    .json(&with_identity(path, body));
                let response = call.send().await;
                let tries = answers.entry((path.to_owned(), place, text));
                tries.or_default().push(response);
            }
        }
    }
    let mut kept = BTreeSet::new();
    for ((path, place, text), tries) in answers {
        let refused = |one: &Response| is_refused(&one.json(), &place);
        let taken = |one: &Response| one.status < 300 && !refused(one);
        if !tries.iter().any(refused) || tries.iter().any(taken) {
            println!("{path} {place} {text:?}: {}", tries[0]);
            kept.insert((path, place));
        }
    }
    let expected: BTreeSet<(String, String)> = NO_NAMES
        .iter()
        .map(|(path, place)| ((*path).to_owned(), (*place).to_owned()))
        .collect();
    assert_eq!(
        kept, expected,
        "left are texts that were taken, right those that may be"
    );
    assert!(tried > 500, "only {tried} bodies were tried");
}
