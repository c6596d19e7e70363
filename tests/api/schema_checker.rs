//! The checker that all other tests rely on must itself refuse.

use serde_json::{Value, json};
use turnpike_tests::description::Description;
use turnpike_tests::environment::project_root;
use turnpike_tests::schema;

fn check(schema: Value, value: Value, expected: bool) {
    let description = Description::read(&project_root()).expect("openapi.json can be read");
    let outcome = schema::check(&description, &schema, &value);
    assert_eq!(
        outcome.is_ok(),
        expected,
        "{value} against {schema}: {outcome:?}; mend tests/harness/schema.rs"
    );
}

#[test]
fn keywords() {
    let object = json!({
        "type": "object", "required": ["a"], "additionalProperties": false,
        "properties": {"a": {"type": "string"}, "b": {"type": ["integer", "null"]}},
    });
    for (value, expected) in [
        (json!({"a": "x"}), true),
        (json!({"a": "x", "b": 1}), true),
        (json!({"a": "x", "b": null}), true),
        (json!({"a": "x", "b": "1"}), false),
        (json!({"a": 1}), false),
        (json!({"b": 1}), false),
        (json!({"a": "x", "c": 1}), false),
        (json!([]), false),
    ] {
        check(object.clone(), value, expected);
    }
    for (schema, value, expected) in [
        (json!(true), json!(1), true),
        (json!(false), json!(1), false),
        (json!({"enum": ["a", 1]}), json!(1), true),
        (json!({"enum": ["a", 1]}), json!("b"), false),
        (json!({"const": 401}), json!(401), true),
        (json!({"const": 401}), json!(402), false),
        (json!({"type": "integer"}), json!(1.5), false),
        (json!({"type": "number"}), json!(1.5), true),
        (json!({"pattern": "^[0-9]+$"}), json!("12"), true),
        (json!({"pattern": "^[0-9]+$"}), json!("1x"), false),
        (json!({"pattern": "^[0-9]+$"}), json!(7), true),
        (
            json!({"items": {"type": "string"}}),
            json!(["a", "b"]),
            true,
        ),
        (json!({"items": {"type": "string"}}), json!(["a", 1]), false),
        (json!({"maxItems": 1}), json!([1, 2]), false),
        (json!({"minItems": 1}), json!([]), false),
        (json!({"minLength": 2}), json!("é"), false),
        (json!({"maxLength": 1}), json!("é"), true),
        (json!({"minimum": 1, "maximum": 3}), json!(3), true),
        (json!({"minimum": 1, "maximum": 3}), json!(4), false),
        (
            json!({"oneOf": [{"type": "string"}, {"minLength": 1}]}),
            json!("a"),
            false,
        ),
        (
            json!({"oneOf": [{"type": "string"}, {"type": "null"}]}),
            json!(null),
            true,
        ),
        (
            json!({"anyOf": [{"type": "string"}, {"minLength": 1}]}),
            json!("a"),
            true,
        ),
        (json!({"anyOf": [{"type": "string"}]}), json!(1), false),
        (
            json!({"allOf": [{"type": "string"}, {"minLength": 2}]}),
            json!("a"),
            false,
        ),
        (json!({"not": {"type": "string"}}), json!("a"), false),
        (
            json!({"additionalProperties": {"type": "string"}}),
            json!({"x": 1}),
            false,
        ),
        (json!({"$ref": "#/nowhere"}), json!(1), false),
        (json!({"unheardOf": 1}), json!(1), false),
        (
            json!({"description": "only words", "x-own": 1}),
            json!(1),
            true,
        ),
    ] {
        check(schema, value, expected);
    }
}
