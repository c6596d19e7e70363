//! `openapi.json`, as the tests use it: which operations there are, and what each may answer.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;
use turnpike_host::manifest::Manifest;

use crate::schema::Schemas;

/// The methods that OpenAPI gives operations for.
const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// Routes that are not described: everything that no other route serves, which OpenAPI has no way
/// to say, and what exists on a developer's machine only.
pub const UNDESCRIBED: [&str; 2] = ["/api/...", "/api/v1/dev/outbox"];

/// The API's own description, and the routes that it must describe.
#[derive(Debug)]
pub struct Description {
    document: Value,
    routes: Vec<String>,
    schemas: Schemas,
}

impl Description {
    /// Reads the description that the `openapi` component serves, and `spin.toml`.
    ///
    /// # Errors
    /// When either is missing or malformed.
    pub fn read(root: &Path) -> Result<Self> {
        let path = root.join("functions").join("openapi").join("openapi.json");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let document = serde_json::from_str(&text)
            .with_context(|| format!("{} is not JSON", path.display()))?;
        let manifest = Manifest::read(&root.join("spin.toml"))?;
        let routes = manifest
            .triggers
            .into_iter()
            .filter_map(|trigger| trigger.route)
            .collect();
        let schemas = Schemas::of(&document)?;
        Ok(Self {
            document,
            routes,
            schemas,
        })
    }

    /// The whole document.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// The routes of `spin.toml`, wildcards included.
    pub fn routes(&self) -> &[String] {
        &self.routes
    }

    /// Every operation that is described: its path as the document writes it, its upper-case
    /// method, and what the document says of it.
    pub fn operations(&self) -> impl Iterator<Item = (&str, String, &Value)> {
        let paths = self.document["paths"].as_object().into_iter().flatten();
        paths.flat_map(|(path, item)| {
            let methods = Self::methods(item).into_iter();
            methods.map(move |method| {
                let operation = &item[method.to_ascii_lowercase()];
                (path.as_str(), method, operation)
            })
        })
    }

    /// The path item that describes `path`, a request's path without its query.
    pub fn path_item(&self, path: &str) -> Option<&Value> {
        let paths = self.document["paths"].as_object()?;
        paths.get(path).or_else(|| {
            let matching = paths
                .iter()
                .find(|(template, _)| matches_template(template, path));
            matching.map(|(_, item)| item)
        })
    }

    /// The upper-case methods that a path item describes.
    pub fn methods(path_item: &Value) -> Vec<String> {
        METHODS
            .iter()
            .filter(|method| path_item.get(**method).is_some())
            .map(|method| method.to_ascii_uppercase())
            .collect()
    }

    /// Whether `spin.toml` has exactly this route, and it must be described.
    pub fn is_route(&self, path: &str) -> bool {
        !UNDESCRIBED.contains(&path) && self.routes.iter().any(|route| route == path)
    }

    /// Whether `value` is what `schema` says, which is a part of the document.
    ///
    /// # Errors
    /// Where it is not, and why.
    pub fn check(&self, schema: &Value, value: &Value) -> Result<(), String> {
        self.schemas.check(schema, value)
    }

    /// Follows `$ref`s within the document.
    pub fn resolve<'a>(&'a self, mut value: &'a Value) -> Option<&'a Value> {
        while let Some(reference) = value.get("$ref") {
            value = self
                .document
                .pointer(reference.as_str()?.strip_prefix('#')?)?;
        }
        Some(value)
    }
}

/// A route of `spin.toml` as OpenAPI writes it: `/users/{id}` for `/users/:id`.
pub fn template(route: &str) -> String {
    let segments = route
        .split('/')
        .map(|segment| match segment.strip_prefix(':') {
            Some(name) => format!("{{{name}}}"),
            None => segment.to_owned(),
        });
    segments.collect::<Vec<_>>().join("/")
}

/// Whether a path matches a template such as `/users/{id}`.
fn matches_template(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given))
                if wanted == given
                    || wanted.starts_with('{') && wanted.ends_with('}') && !given.is_empty() => {}
            _ => return false,
        }
    }
}
