//! Whether a response is what `openapi.json` says: JSON Schema, draft 2020-12, which OpenAPI 3.1
//! uses.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use jsonschema::{Draft, Registry, Validator};
use serde_json::Value;

/// The name under which the document is known to the schemas that refer to it.
const DOCUMENT: &str = "urn:turnpike:openapi";

/// The schemas of one document. Each is compiled once.
#[derive(Debug)]
pub(crate) struct Schemas {
    registry: Registry<'static>,
    compiled: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Schemas {
    /// The schemas of `document`.
    ///
    /// # Errors
    /// When a reference in it leads nowhere.
    pub(crate) fn of(document: &Value) -> Result<Self> {
        let registry = Registry::new()
            .draft(Draft::Draft202012)
            .add(DOCUMENT, document.clone())?
            .prepare()
            .context("a schema of openapi.json cannot be read")?;
        Ok(Self {
            registry,
            compiled: Mutex::default(),
        })
    }

    /// Whether `value` is what `schema` says, which is a part of the document.
    ///
    /// # Errors
    /// Where it is not, and why.
    pub(crate) fn check(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let validator = self.compile(schema).map_err(|error| format!("{error:#}"))?;
        let mut errors = validator.iter_errors(value).peekable();
        if errors.peek().is_none() {
            return Ok(());
        }
        let reasons = errors.map(|error| format!("{:?}: {error}", error.instance_path().as_str()));
        Err(reasons.collect::<Vec<_>>().join("; "))
    }

    fn compile(&self, schema: &Value) -> Result<Arc<Validator>> {
        // A part that stands alone refers to the document by its name.
        let text = schema.to_string();
        let text = text.replace("\"$ref\":\"#/", &format!("\"$ref\":\"{DOCUMENT}#/"));
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = compiled.get(&text) {
            return Ok(Arc::clone(validator));
        }
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_registry(&self.registry)
            .build(&serde_json::from_str(&text)?)
            .with_context(|| format!("a schema of openapi.json is none: {text}"))?;
        let validator = Arc::new(validator);
        compiled.insert(text, Arc::clone(&validator));
        Ok(validator)
    }
}
