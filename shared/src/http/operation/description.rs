//! The description of operations in OpenAPI 3.1. Only the native build has it.

use std::collections::BTreeMap;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::http::operation::{Access, Answer, Operation, OtherBody, Verb, parameter};
use crate::http::problem::{self, Refusal};

/// Makes the schema of one type.
type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The schema of what a request holds, written where it stands.
pub(super) fn request_schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

fn named_schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Most parameters that a path has.
const MAX_PATH_PARAMETERS: usize = 4;

/// The statements of an operation that says nothing of them.
const ONE_STATEMENT: u32 = 1;

/// What is said of an operation beside how it is found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Docs {
    pub tag: &'static str,
    pub summary: &'static str,
    pub details: &'static str,
    pub path_parameters: [Option<(&'static str, SchemaOf)>; MAX_PATH_PARAMETERS],
    pub query: Option<SchemaOf>,
    pub body: Option<Body>,
    pub other_bodies: &'static [OtherBody],
    pub is_idempotent: bool,
    pub is_conditional: bool,
    pub max_statements: u32,
    pub answers: &'static [Answer],
    pub refusals: &'static [&'static Refusal],
}

impl Docs {
    pub(super) const EMPTY: Self = Self {
        tag: "",
        summary: "",
        details: "",
        path_parameters: [None; MAX_PATH_PARAMETERS],
        query: None,
        body: None,
        other_bodies: &[],
        is_idempotent: false,
        is_conditional: false,
        max_statements: ONE_STATEMENT,
        answers: &[],
        refusals: &[],
    };

    pub(super) const fn path_parameter<T: JsonSchema>(mut self, name: &'static str) -> Self {
        let mut index = 0;
        while self.path_parameters[index].is_some() {
            index += 1;
        }
        self.path_parameters[index] = Some((name, named_schema::<T>));
        self
    }
}

/// A form of a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Body {
    media_type: &'static str,
    schema: SchemaOf,
    example: &'static str,
}

impl Body {
    pub(super) const fn new<T: JsonSchema>(
        media_type: &'static str,
        example: &'static str,
    ) -> Self {
        Self {
            media_type,
            schema: request_schema::<T>,
            example,
        }
    }
}

/// What is said of a success.
#[derive(Debug, Clone, Copy)]
pub(super) struct AnswerDocs {
    media_type: &'static str,
    status: u16,
    when: &'static str,
    schema: SchemaOf,
    example: &'static str,
    pub(super) sets_cookies: bool,
    pub(super) cache_control: Option<&'static str>,
    pub(super) file: Option<&'static str>,
    pub(super) has_entity_tag: bool,
}

impl AnswerDocs {
    pub(super) const fn new<T: JsonSchema>(
        media_type: &'static str,
        status: u16,
        when: &'static str,
        example: &'static str,
    ) -> Self {
        Self {
            media_type,
            status,
            when,
            schema: named_schema::<T>,
            example,
            sets_cookies: false,
            cache_control: None,
            file: None,
            has_entity_tag: false,
        }
    }
}

/// The media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";

/// Headers that every response has.
const HEADERS: [&str; 9] = [
    "Content-Length",
    "Cache-Control",
    "X-Request-ID",
    "X-Response-Time",
    "X-DB-Queries",
    "X-Cache",
    "X-Cache-Hit-Rate",
    "X-Content-Type-Options",
    "Content-Security-Policy",
];

/// The paths and components of a document, as they are made.
#[derive(Debug)]
pub struct Description {
    paths: BTreeMap<String, Map<String, Value>>,
    responses: Map<String, Value>,
    codes: Vec<&'static str>,
    requests: SchemaGenerator,
    answers: SchemaGenerator,
}

impl Default for Description {
    fn default() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            paths: BTreeMap::new(),
            responses: Map::new(),
            codes: Vec::new(),
            requests: settings().into_generator(),
            answers: settings().for_serialize().into_generator(),
        }
    }
}

impl Description {
    /// Adds what a component answers.
    ///
    /// # Errors
    /// When a declaration contradicts itself: the message names the operation.
    pub fn add(&mut self, component: &str, operations: &[Operation]) -> Result<(), String> {
        for operation in operations {
            let described = self
                .operation(component, operation)
                .map_err(|error| format!("{}: {error}", operation.id))?;
            let verb = operation.verb.as_str().to_ascii_lowercase();
            let path = self.paths.entry(operation.path.to_owned()).or_default();
            if path.insert(verb, described).is_some() {
                return Err(format!(
                    "{}: another operation has this method and path",
                    operation.id
                ));
            }
        }
        Ok(())
    }

    /// The paths, the components, and the codes of the refusals.
    ///
    /// # Errors
    /// When two types have one name.
    pub fn finish(mut self) -> Result<Finished, String> {
        let mut schemas = self.requests.take_definitions(true);
        for (name, schema) in self.answers.take_definitions(true) {
            match schemas.get(&name) {
                Some(other) if other != &schema => {
                    return Err(format!(
                        "{name} is described in two ways, as it is read and as it is answered: \
                         make it two types, or give its optional fields one meaning"
                    ));
                }
                _ => schemas.insert(name, schema),
            };
        }
        for name in schemas.keys() {
            let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
            if base.len() < name.len() && schemas.contains_key(base) {
                return Err(format!("two types are called {base}: rename one"));
            }
        }
        for schema in schemas.values_mut() {
            tidy(schema);
        }
        self.codes.sort_unstable();
        self.codes.dedup();
        Ok(Finished {
            paths: self.paths,
            schemas,
            responses: self.responses,
            codes: self.codes,
        })
    }

    fn operation(&mut self, component: &str, operation: &Operation) -> Result<Value, String> {
        let docs = &operation.docs;
        for (part, text) in [("tag", docs.tag), ("summary", docs.summary)] {
            if text.is_empty() {
                return Err(format!("it has no {part}"));
            }
        }
        let mut described = Map::new();
        described.insert("operationId".into(), operation.id.into());
        described.insert("tags".into(), json!([docs.tag]));
        described.insert("summary".into(), docs.summary.into());
        let details = details(operation);
        if !details.is_empty() {
            described.insert("description".into(), details.into());
        }
        described.insert("x-component".into(), component.into());
        if let Some(permission) = operation.permission() {
            described.insert("x-permission".into(), permission.into());
        }
        if docs.max_statements != ONE_STATEMENT {
            described.insert("x-max-db-queries".into(), docs.max_statements.into());
        }
        described.insert("security".into(), security(operation.access));
        let parameters = self.parameters(operation)?;
        if !parameters.is_empty() {
            described.insert("parameters".into(), parameters.into());
        }
        if let Some(body) = docs.body {
            let mut content = Map::new();
            let others = docs.other_bodies.iter().map(|other| other.body);
            for body in std::iter::once(body).chain(others) {
                let mut schema = (body.schema)(&mut self.requests).to_value();
                tidy(&mut schema);
                // The name of a type that is written in place says nothing.
                if let Some(schema) = schema.as_object_mut() {
                    schema.remove("title");
                }
                content.insert(
                    body.media_type.into(),
                    json!({"schema": schema, "example": example(body.media_type, body.example)?}),
                );
            }
            described.insert(
                "requestBody".into(),
                // A refresh token may come in its cookie instead.
                json!({"required": operation.access != Access::RefreshToken, "content": content}),
            );
        }
        described.insert("responses".into(), self.responses_of(operation)?.into());
        Ok(described.into())
    }

    fn parameters(&mut self, operation: &Operation) -> Result<Vec<Value>, String> {
        let docs = &operation.docs;
        let mut parameters = Vec::new();
        for name in operation.path.split('/').filter_map(parameter) {
            let mut declared = docs.path_parameters.iter().flatten();
            let (_, schema) = declared
                .find(|(declared, _)| *declared == name)
                .ok_or_else(|| format!("its path parameter {name} has no type"))?;
            let schema = schema(&mut self.requests);
            parameters
                .push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
        }
        if let Some(query) = docs.query {
            let query = query(&mut self.requests).to_value();
            let properties = query["properties"].as_object().cloned().unwrap_or_default();
            let required = query["required"].as_array().cloned().unwrap_or_default();
            for (name, mut schema) in properties {
                tidy(&mut schema);
                without_null(&mut schema);
                let mut parameter = json!({"name": name, "in": "query"});
                if let Some(description) =
                    schema.as_object_mut().and_then(|s| s.remove("description"))
                {
                    parameter["description"] = description;
                }
                if required.contains(&Value::from(name)) {
                    parameter["required"] = true.into();
                }
                parameter["schema"] = schema;
                parameters.push(parameter);
            }
        }
        if docs.body.is_some() {
            parameters.push(json!({"$ref": "#/components/parameters/ContentEncoding"}));
        }
        if docs.is_idempotent {
            parameters.push(json!({"$ref": "#/components/parameters/IdempotencyKey"}));
        }
        if docs.is_conditional {
            parameters.push(json!({"$ref": "#/components/parameters/IfMatch"}));
        }
        Ok(parameters)
    }

    fn responses_of(&mut self, operation: &Operation) -> Result<Map<String, Value>, String> {
        let docs = &operation.docs;
        let mut responses = BTreeMap::new();
        for Answer { docs: answer } in docs.answers {
            let mut headers = headers();
            if docs.is_idempotent {
                let name = "Idempotent-Replayed";
                headers.insert(name.into(), header(name));
            }
            if answer.has_entity_tag {
                headers.insert("ETag".into(), header("ETag"));
            }
            if answer.sets_cookies {
                headers.insert("Set-Cookie".into(), header("Set-Cookie"));
            }
            if let Some(content_disposition) = answer.file {
                headers.remove("Content-Length");
                headers.insert(
                    "Content-Disposition".into(),
                    json!({
                        "required": true,
                        "description": "That it is to be saved, and under which name.",
                        "schema": {"type": "string"},
                        "example": content_disposition,
                    }),
                );
            }
            if let Some(cache_control) = answer.cache_control {
                let schema = json!({"type": "string", "enum": [cache_control]});
                headers.insert("Cache-Control".into(), json!({"required": true, "description": "Anybody may keep it for as long.", "schema": schema}));
            }
            let schema = (answer.schema)(&mut self.answers);
            let content = json!({
                answer.media_type: {
                    "schema": schema,
                    "example": example(answer.media_type, answer.example)?,
                }
            });
            let response =
                json!({"description": answer.when, "headers": headers, "content": content});
            if responses
                .insert(answer.status.to_string(), response)
                .is_some()
            {
                return Err(format!("it has two answers of status {}", answer.status));
            }
        }
        if responses.is_empty() {
            return Err("it has no answer".into());
        }
        let mut by_status: BTreeMap<u16, Vec<Refusal>> = BTreeMap::new();
        for refusal in refusals(operation) {
            let of_status = by_status.entry(refusal.status).or_default();
            if !of_status.iter().any(|other| other.code == refusal.code) {
                of_status.push(refusal);
                self.codes.push(refusal.code);
            }
        }
        for (status, refusals) in by_status {
            let (name, response) = refused(status, &refusals);
            responses.insert(
                status.to_string(),
                json!({"$ref": format!("#/components/responses/{name}")}),
            );
            self.responses.insert(name, response);
        }
        Ok(responses.into_iter().collect())
    }
}

/// What the declarations give.
#[derive(Debug)]
pub struct Finished {
    /// Path items, by path.
    pub paths: BTreeMap<String, Map<String, Value>>,
    /// `components/schemas`.
    pub schemas: Map<String, Value>,
    /// `components/responses`.
    pub responses: Map<String, Value>,
    /// The codes of all refusals, sorted.
    pub codes: Vec<&'static str>,
}

fn details(operation: &Operation) -> String {
    let needs = match operation.access {
        Access::Permission(permission) => format!("Needs the permission {permission}."),
        Access::SessionWith(permission) => {
            format!("Needs a session with the permission {permission}.")
        }
        Access::Session => "Needs a session.".to_owned(),
        Access::Public | Access::User | Access::RefreshToken => String::new(),
    };
    match (needs.is_empty(), operation.docs.details) {
        (_, "") => needs,
        (true, details) => details.to_owned(),
        (false, details) => format!("{needs} {details}"),
    }
}

fn security(access: Access) -> Value {
    match access {
        Access::Public => json!([]),
        Access::RefreshToken => json!([{}, {"refresh_cookie": []}]),
        Access::User | Access::Session | Access::Permission(_) | Access::SessionWith(_) => {
            json!([{"bearer": []}, {"cookie": []}])
        }
    }
}

/// All refusals of an operation: its own, and those that follow from its declaration.
fn refusals(operation: &Operation) -> Vec<Refusal> {
    let docs = &operation.docs;
    let is_change = operation.verb != Verb::Get;
    let needs_token = operation.access != Access::Public;
    let has_parameters = docs.query.is_some() || docs.path_parameters[0].is_some();
    let needs_permission = operation.permission().is_some();
    let needs_session = matches!(operation.access, Access::Session | Access::SessionWith(_));
    let has_body = docs.body.is_some();
    // The fields of a form are parameters, and refused as such.
    let has_fields = docs.body.is_some_and(|body| body.media_type != FORM);
    let has_database = docs.max_statements > 0;
    let follow = [
        (
            needs_token || has_parameters || has_body,
            problem::INVALID_PARAMETER,
        ),
        (has_body, problem::MALFORMED_BODY),
        (
            needs_token && operation.access != Access::RefreshToken,
            problem::UNAUTHENTICATED,
        ),
        (needs_permission, problem::FORBIDDEN),
        (needs_session, problem::SESSION_REQUIRED),
        (needs_token && is_change, problem::CROSS_SITE_REQUEST),
        (docs.path_parameters[0].is_some(), problem::NOT_FOUND),
        (true, problem::METHOD_NOT_ALLOWED),
        (has_body, problem::BODY_TIMEOUT),
        (has_database, problem::REQUEST_IN_FLIGHT),
        (docs.is_conditional, problem::VERSION_CONFLICT),
        (has_body, problem::BODY_TOO_LARGE),
        (has_body, problem::UNSUPPORTED_MEDIA_TYPE),
        (has_body, problem::UNSUPPORTED_CONTENT_ENCODING),
        (has_fields, problem::INVALID_FIELDS),
        (docs.is_idempotent, problem::IDEMPOTENCY_KEY_REUSED),
        (true, problem::INTERNAL),
        (has_database, problem::DEPENDENCY_UNAVAILABLE),
    ];
    let follow = follow
        .into_iter()
        .filter_map(|(holds, refusal)| holds.then_some(refusal));
    docs.refusals
        .iter()
        .map(|refusal| **refusal)
        .chain(follow)
        .collect()
}

/// The response of a status that these refusals have, and its name in the components.
fn refused(status: u16, refusals: &[Refusal]) -> (String, Value) {
    let names: Vec<String> = refusals
        .iter()
        .map(|refusal| camel_case(refusal.code))
        .collect();
    let said: Vec<String> = refusals
        .iter()
        .map(|refusal| format!("{}: {}", refusal.code, refusal.when))
        .collect();
    let mut headers = headers();
    if status == 401 {
        headers.insert("WWW-Authenticate".into(), header("WWW-Authenticate"));
    }
    if status == 405 {
        headers.insert("Allow".into(), header("Allow"));
    }
    // The one refusal that is kept with its key.
    if status == 402 {
        let name = "Idempotent-Replayed";
        headers.insert(name.into(), header(name));
    }
    if status == 415 {
        headers.insert("Accept-Encoding".into(), header("Accept-Encoding"));
    }
    if matches!(status, 409 | 429 | 503) {
        let schema = json!({"type": "integer", "minimum": 1});
        headers.insert(
            "Retry-After".into(),
            json!({"description": "Seconds until a retry makes sense, if it ever does.", "schema": schema}),
        );
    }
    let example = refusals.first().map(|refusal| {
        let mut detail = refusal.when.to_owned();
        if let Some(first) = detail.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        json!({
            "type": format!("urn:turnpike:problem:{}", refusal.code),
            "title": refusal.title,
            "status": status,
            "detail": detail,
            "code": refusal.code,
            "request_id": "req_9f3c2a7be4d10586000001",
        })
    });
    let content = json!({
        problem::CONTENT_TYPE: {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "example": example,
        }
    });
    let response = json!({"description": said.join(" "), "headers": headers, "content": content});
    (names.join("Or"), response)
}

fn camel_case(code: &str) -> String {
    let words = code.split('_').map(|word| {
        let mut word = word.to_owned();
        if let Some(first) = word.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        word
    });
    words.collect()
}

fn header(name: &str) -> Value {
    json!({"$ref": format!("#/components/headers/{name}")})
}

fn headers() -> Map<String, Value> {
    HEADERS
        .iter()
        .map(|name| ((*name).to_owned(), header(name)))
        .collect()
}

/// The example of a JSON body as JSON, that of a form as the object of its fields, of any
/// other as a text.
fn example(media_type: &str, text: &str) -> Result<Value, String> {
    if media_type.ends_with("json") || media_type == FORM {
        serde_json::from_str(text)
            .map_err(|error| format!("the example {text} is not JSON: {error}"))
    } else {
        Ok(text.into())
    }
}

/// Takes out what schemars adds and OpenAPI has no use for, and joins the lines of docs.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(text)) = members.get_mut("description") {
                *text = text
                    .replace("\n\n", "\u{0}")
                    .replace('\n', " ")
                    .replace('\u{0}', "\n\n");
            }
            members.values_mut().for_each(tidy);
        }
        Value::Array(elements) => elements.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// A query has no null.
fn without_null(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            members.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(forms)) = members.get_mut("anyOf") {
        forms.retain(|form| form["type"] != "null");
        if let [Value::Object(only)] = forms.as_slice() {
            let only = only.clone();
            members.remove("anyOf");
            members.extend(only);
        }
    }
}
