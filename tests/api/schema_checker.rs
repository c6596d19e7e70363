//! The checker that all other tests rely on must itself refuse.

use serde_json::{Value, json};
use turnpike_tests::description::Description;
use turnpike_tests::environment::project_root;

#[test]
fn schemas_of_the_description_are_followed_and_hold() {
    let description = Description::read(&project_root()).expect("openapi.json can be read");
    let money = json!({"$ref": "#/components/schemas/Money"});
    let list = json!({"type": "array", "items": money});
    let good = json!({"amount": "98.75", "currency": "USD"});
    let table: [(&Value, Value, Option<&str>); 7] = [
        (&money, good.clone(), None),
        (&money, json!({"amount": "98.75"}), Some("currency")),
        (
            &money,
            json!({"amount": 98.75, "currency": "USD"}),
            Some("/amount"),
        ),
        (
            &money,
            json!({"amount": "98,75", "currency": "USD"}),
            Some("/amount"),
        ),
        (
            &money,
            json!({"amount": "98.75", "currency": "XXX"}),
            Some("/currency"),
        ),
        (
            &money,
            json!({"amount": "98.75", "currency": "USD", "minor": 1}),
            Some("minor"),
        ),
        (&list, json!([good, {}]), Some("/1")),
    ];
    for (schema, value, expected) in table {
        let outcome = description.check(schema, &value);
        let is_right = match (&outcome, expected) {
            (Ok(()), None) => true,
            (Err(reason), Some(part)) => reason.contains(part),
            _ => false,
        };
        assert!(
            is_right,
            "{value}: {outcome:?}, expected {expected:?}; mend tests/harness/schema.rs"
        );
    }
}
