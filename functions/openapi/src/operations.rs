use shared::http::operation::{Access, Answer, Operation, Verb};

/// A document of OpenAPI.
pub enum Document {}

shared::describe!(Document as "Document", {
    "type": "object",
    "description": "A document of OpenAPI.",
    "required": ["openapi", "info", "paths"],
    "properties": {
        "openapi": {"const": "3.1.0"},
        "info": {"type": "object"},
        "paths": {"type": "object"},
    },
});

pub const READ: Operation = Operation::new("openapi", Verb::Get, "/openapi.json", Access::Public)
    .tag("operations")
    .summary("This document")
    .without_database()
    .answers(&[Answer::json::<Document>(
        200,
        "The description of the API.",
        r#"{"openapi": "3.1.0", "info": {}, "paths": {}}"#,
    )]);
