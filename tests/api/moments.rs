//! That no time is taken which no answer could repeat: tried with every time of every request, as
//! the description lists them.

use serde_json::{Value, json};
use turnpike_tests::description::Description;
use turnpike_tests::environment::project_root;
use turnpike_tests::personas::fresh_key;
use turnpike_tests::{Call, Response, TestHost, User, api_tests};

api_tests![no_time_lies_outside_of_the_years_that_rfc_3339_writes];

/// Times that are no moment of the years 1 to 9999 of UTC, though some are written with such a year.
const OUTSIDE: [&str; 5] = [
    "9999-12-31T23:59:59-05:00",
    "9999-12-31T23:59:60Z",
    "0001-01-01T00:00:00+00:01",
    "0000-12-31T23:59:59Z",
    "0000-01-01T00:00:00Z",
];

/// The first and the last that are taken, unless a narrower bound holds.
const WITHIN: [&str; 3] = [
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:45:00Z",
];

/// Where a request has a time.
#[derive(Debug, Clone)]
struct Place {
    method: String,
    path: String,
    /// The media type of the body, if it is there.
    media_type: Option<String>,
    /// The names down to it: one for a parameter.
    names: Vec<String>,
}

/// Whether a schema is that of a time, as one of its forms.
fn is_time(schema: &Value) -> bool {
    let forms = ["anyOf", "oneOf"].into_iter();
    let mut forms = forms.filter_map(|name| schema[name].as_array()).flatten();
    schema["format"] == "date-time" || forms.any(is_time)
}

/// The names down to every time that a schema has.
fn times(
    description: &Description,
    schema: &Value,
    names: &[String],
    found: &mut Vec<Vec<String>>,
) {
    let schema = description.resolve(schema).unwrap_or(schema);
    if is_time(schema) {
        found.push(names.to_vec());
        return;
    }
    assert!(names.len() < 16, "{names:?} has no end");
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        times(
            description,
            property,
            &[names, std::slice::from_ref(name)].concat(),
            found,
        );
    }
    let elements = [&schema["items"], &schema["additionalProperties"]];
    for element in elements.into_iter().filter(|element| element.is_object()) {
        times(
            description,
            element,
            &[names, &["0".to_owned()]].concat(),
            found,
        );
    }
    for name in ["anyOf", "oneOf", "allOf"] {
        for form in schema[name].as_array().into_iter().flatten() {
            times(description, form, names, found);
        }
    }
}

/// Takes the body of several requests, each with a name for it: the two that have times are sent.
const OF_PREVIEWS: &str = "/api/v1/subscriptions/{id}/preview";

/// Every place of every operation.
fn places(description: &Description) -> Vec<Place> {
    let mut places = Vec::new();
    for (path, method, operation) in description.operations() {
        let place = |media_type: Option<&str>, names| Place {
            method: method.clone(),
            path: path.to_owned(),
            media_type: media_type.map(str::to_owned),
            names,
        };
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = description.resolve(parameter).unwrap_or(parameter);
            let mut found = Vec::new();
            times(description, &parameter["schema"], &[], &mut found);
            if !found.is_empty() {
                let name = parameter["name"].as_str().unwrap_or_default();
                places.push(place(None, vec![name.to_owned()]));
            }
        }
        let content = operation["requestBody"]["content"].as_object();
        for (media_type, media) in content.into_iter().flatten() {
            let mut found = Vec::new();
            times(description, &media["schema"], &[], &mut found);
            found.sort();
            found.dedup();
            places.extend(
                found
                    .into_iter()
                    .map(|names| place(Some(media_type), names)),
            );
        }
    }
    places
}

/// An example of a body with a time at a place. Lists and objects on the way are made.
fn with_time(mut body: Value, names: &[String], time: &str) -> Value {
    let mut at = &mut body;
    for name in names {
        at = match at {
            Value::Array(elements) => {
                let index: usize = name.parse().expect("an element of a list");
                &mut elements[index]
            }
            object => &mut object[name.as_str()],
        };
    }
    *at = json!(time);
    body
}

impl Place {
    fn operation<'a>(&self, description: &'a Description) -> &'a Value {
        let item = description
            .path_item(&self.path)
            .expect("the place was found there");
        &item[self.method.to_ascii_lowercase()]
    }

    /// A request that is right but for the time.
    fn call(&self, host: &TestHost, description: &Description, user: &User, time: &str) -> Call {
        let operation = self.operation(description);
        let mut path = self.path.clone();
        let mut query = Vec::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = description.resolve(parameter).unwrap_or(parameter);
            let schema = description.resolve(&parameter["schema"]);
            let example = schema.map_or("", |schema| schema["examples"][0].as_str().unwrap_or("a"));
            let name = parameter["name"].as_str().unwrap_or_default();
            match parameter["in"].as_str() {
                Some("path") => path = path.replace(&format!("{{{name}}}"), example),
                Some("query") if parameter["required"] == true => {
                    query.push(format!("{name}={example}"));
                }
                _ => {}
            }
        }
        if self.media_type.is_none() {
            let time = time.replace('+', "%2B");
            query.push(format!("{}={time}", self.names[0]));
        }
        let method = http::Method::from_bytes(self.method.as_bytes()).expect("it is a method");
        let call = host
            .call(method, format!("{path}?{}", query.join("&")))
            .bearer(&user.token)
            .idempotency_key(&fresh_key());
        let Some(media_type) = &self.media_type else {
            return call;
        };
        let example = &operation["requestBody"]["content"][media_type]["example"];
        // Of lines of JSON the first is enough.
        let first_line = example.as_str().and_then(|lines| lines.lines().next());
        let example: Value = match first_line {
            Some(line) => serde_json::from_str(line).expect("a line is JSON"),
            None => example.clone(),
        };
        // The example shows one of several forms: a list of what is also taken alone, or such a one.
        let (example, names) = match (example, self.names.as_slice()) {
            (Value::Array(elements), names @ [first, second, ..]) if second == "0" => {
                (json!({first: elements}), names)
            }
            (Value::Array(elements), names) if names[0] != "0" => (elements[0].clone(), names),
            (Value::Object(members), [first, rest @ ..]) if first == "0" => {
                (Value::Object(members), rest)
            }
            (example, names) => (example, names),
        };
        let example = match (&*self.path, names) {
            (OF_PREVIEWS, [name]) if name == "at" => json!({"type": "cancel", "when": "date"}),
            (OF_PREVIEWS, _) => json!({"type": "pause"}),
            _ => example,
        };
        let body = with_time(example, names, time).to_string();
        let content_type: &'static str = media_type.clone().leak();
        call.header("content-type", content_type).body(body)
    }

    /// Whether a response refuses the time, by the name of the place.
    fn is_refused(&self, response: &Response, code: &str) -> bool {
        let wanted = self.names.last().map(String::as_str).unwrap_or_default();
        let names_it = |error: &Value| {
            let field = error["field"].as_str().unwrap_or_default();
            let last = field.rsplit('.').next().unwrap_or_default();
            last == wanted && error["code"] == code
        };
        let has_it = |errors: &Value| {
            errors
                .as_array()
                .is_some_and(|all| all.iter().any(names_it))
        };
        let document = response.json();
        match response.status {
            400 => document["code"] == "invalid_parameter" && has_it(&document["errors"]),
            422 => document["code"] == "invalid_fields" && has_it(&document["errors"]),
            // Events are refused one by one.
            200 => has_it(&document["results"][0]["errors"]),
            _ => false,
        }
    }
}

async fn no_time_lies_outside_of_the_years_that_rfc_3339_writes(host: &TestHost) {
    let description = Description::read(&project_root()).expect("openapi.json can be read");
    let places = places(&description);
    let found: Vec<String> = places
        .iter()
        .map(|place| format!("{} {} {}", place.method, place.path, place.names.join(".")))
        .collect();
    for expected in [
        "GET /api/v1/audit-log since",
        "GET /api/v1/usage/summary until",
        "POST /api/v1/credits/grants expires_at",
        "PUT /api/v1/usage/closed-periods/{id} until",
    ] {
        assert!(
            found.iter().any(|place| place.starts_with(expected)),
            "{expected} must be among {found:#?}"
        );
    }
    let admin = host.platform_admin().await;
    for place in &places {
        for time in OUTSIDE {
            let response = place.call(host, &description, &admin, time).settle().await;
            if !place.is_refused(&response, "out_of_range") {
                response.fail(&format!("{time} must be refused at {place:?}"));
            }
        }
        for time in WITHIN {
            // What comes of it is held against the description, times too.
            let response = place.call(host, &description, &admin, time).settle().await;
            assert!(response.status < 500, "{time} at {place:?}\n{response}");
        }
    }
}
