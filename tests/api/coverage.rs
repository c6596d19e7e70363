//! Nothing is served without a test and a description, and nothing is described without being
//! served.

use std::collections::BTreeSet;

use serde_json::Value;
use turnpike_host::manifest::Manifest;
use turnpike_tests::description::{Description, UNDESCRIBED, template};
use turnpike_tests::environment::project_root;

/// The success of these is no JSON.
const OTHER_MEDIA_TYPES: [(&str, &str); 3] = [
    ("/api/v1/accounts/export", "text/csv"),
    ("/api/v1/credits/transactions/export", "text/csv"),
    ("/metrics", "application/openmetrics-text"),
];

fn description() -> Description {
    Description::read(&project_root()).expect("openapi.json and spin.toml can be read")
}

#[test]
fn every_component_has_a_test_module() {
    let root = project_root();
    let manifest = Manifest::read(&root.join("spin.toml")).expect("spin.toml can be read");
    let folder = root.join("tests").join("api");
    let main = std::fs::read_to_string(folder.join("main.rs")).expect("main.rs can be read");
    for id in manifest.components.keys() {
        let module = id.replace('-', "_");
        assert!(
            folder.join(format!("{module}.rs")).is_file(),
            "the component {id} has no tests: write tests/api/{module}.rs"
        );
        assert!(
            main.lines().any(|line| line == format!("mod {module};")),
            "the tests of {id} are not run: add `mod {module};` to tests/api/main.rs"
        );
    }
}

#[test]
fn every_module_of_the_folder_is_run() {
    let folder = project_root().join("tests").join("api");
    let main = std::fs::read_to_string(folder.join("main.rs")).expect("main.rs can be read");
    for entry in std::fs::read_dir(&folder)
        .expect("tests/api can be read")
        .flatten()
    {
        let path = entry.path();
        let module = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        assert!(
            module == "main" || main.lines().any(|line| line == format!("mod {module};")),
            "{} is never run: add `mod {module};` to tests/api/main.rs",
            path.display()
        );
    }
}

/// `spin.toml` routes each path to the component that declares it, and no other path.
#[test]
fn every_route_leads_to_the_component_that_declares_it() {
    let description = description();
    let manifest =
        Manifest::read(&project_root().join("spin.toml")).expect("spin.toml can be read");
    let routed: BTreeSet<(String, String)> = manifest
        .triggers
        .into_iter()
        .filter_map(|trigger| Some((template(&trigger.route?), trigger.component)))
        .filter(|(route, _)| !UNDESCRIBED.contains(&route.as_str()))
        .collect();
    let mut declared = BTreeSet::new();
    for (path, _, operation) in description.operations() {
        let component = operation["x-component"].as_str();
        declared.insert((path.to_owned(), component.unwrap_or_default().to_owned()));
    }
    assert_eq!(
        routed, declared,
        "left is what spin.toml routes, right what functions/*/src/operations.rs declare: mend \
         the [[trigger.http]] or the path"
    );
}

/// The use of an API key is noted in the store, by whichever component answers it.
#[test]
fn whoever_takes_credentials_reaches_the_store() {
    let description = description();
    let manifest =
        Manifest::read(&project_root().join("spin.toml")).expect("spin.toml can be read");
    let mut takers = BTreeSet::new();
    for (_, _, operation) in description.operations() {
        let schemes = operation["security"].as_array().into_iter().flatten();
        let mut schemes = schemes.filter_map(Value::as_object);
        if schemes.any(|scheme| scheme.contains_key("bearer")) {
            takers.insert(operation["x-component"].as_str().unwrap_or_default());
        }
    }
    assert!(!takers.is_empty(), "no operation takes credentials");
    for id in takers {
        let component = manifest.components.get(id);
        assert!(
            component.is_some_and(|component| !component.key_value_stores.is_empty()),
            "add `key_value_stores = [\"default\"]` to [component.{id}] of spin.toml: it answers API keys"
        );
    }
}

/// The rules of the description that a validator of OpenAPI does not know.
#[test]
fn every_operation_is_described_whole() {
    let description = description();
    let mut ids = BTreeSet::new();
    for (path, method, operation) in description.operations() {
        let id = operation["operationId"].as_str().unwrap_or_default();
        assert!(!id.is_empty(), "{method} {path} needs an operationId");
        assert!(
            ids.insert(id.to_owned()),
            "the operationId {id} is given twice"
        );
        let statuses = operation["responses"]
            .as_object()
            .expect("an operation has responses");
        for (status, response) in statuses {
            let response = description
                .resolve(response)
                .expect("every $ref leads somewhere");
            let content = response["content"]
                .as_object()
                .expect("every response has a body");
            let is_error = status.starts_with('4') || status.starts_with('5');
            let expected = if is_error {
                "application/problem+json"
            } else {
                let other = OTHER_MEDIA_TYPES.iter().find(|(route, _)| *route == path);
                other.map_or("application/json", |(_, media_type)| media_type)
            };
            let types: Vec<&str> = content.keys().map(String::as_str).collect();
            assert_eq!(types, [expected], "{method} {path} {status}");
        }
        let takes_body = operation.get("requestBody").is_some();
        assert!(
            !takes_body || ["POST", "PUT", "PATCH"].contains(&method.as_str()),
            "{method} {path} must not take a body"
        );
        let needs_token = operation["security"]
            .as_array()
            .or(description.document()["security"].as_array());
        let needs_token = needs_token.is_some_and(|schemes| {
            schemes
                .iter()
                .any(|s| s != &Value::Object(Default::default()))
        });
        assert!(
            !needs_token || statuses.contains_key("401"),
            "{method} {path} needs a token, so it can answer 401"
        );
    }
}

/// Spin's router (routefinder 0.5.4) orders a segment that begins with a dot before any other,
/// from whichever side it is compared. Routes that are declared after such a one are filed
/// behind the wildcard, and answered 404; the host of this repository has no such quirk.
#[test]
fn routes_that_begin_with_a_dot_come_last() {
    let root = project_root();
    let manifest = Manifest::read(&root.join("spin.toml")).expect("spin.toml can be read");
    let routes: Vec<String> = manifest
        .triggers
        .into_iter()
        .filter_map(|trigger| trigger.route)
        .collect();
    let dotted = |route: &String| route.starts_with("/.");
    let first = routes.iter().position(dotted).unwrap_or(routes.len());
    for route in &routes[first..] {
        assert!(
            dotted(route),
            "declare {route} before {} in spin.toml, or Spin does not find it",
            routes[first]
        );
    }
}
