//! JSON in which one member is given twice, at each place where there is one.

use serde_json::{Value, json};

/// Stands for the object that is written by hand. No body has such a text.
const HERE: &str = "the object with a member twice";

/// A text of JSON, and the place of the member that it gives twice.
pub(super) struct Twice {
    pub(super) text: String,
    pub(super) place: String,
}

/// `sample` once for each of its members at every depth, with this member given twice.
pub(super) fn members_twice(sample: &Value) -> Vec<Twice> {
    let mut found = Vec::new();
    collect(sample, sample, "", "", &mut found);
    found
}

/// Bodies that nest deeper than any real one does, whatever the operation reads.
pub(super) fn deep() -> Vec<Twice> {
    let sample = json!({"a": [[{"b": {"c": [{"d": 1}, {"e": {"f": "2"}}]}}]], "g": null});
    members_twice(&sample)
}

fn collect(whole: &Value, here: &Value, pointer: &str, place: &str, found: &mut Vec<Twice>) {
    match here {
        Value::Object(members) => {
            for (name, value) in members {
                let inner = match place {
                    "" => name.clone(),
                    place => format!("{place}.{name}"),
                };
                let mut marked = whole.clone();
                *marked
                    .pointer_mut(pointer)
                    .expect("the place was just walked to") = json!(HERE);
                let object = here.to_string();
                let twice = format!("{},{}:{value}}}", &object[..object.len() - 1], json!(name));
                found.push(Twice {
                    text: marked.to_string().replace(&json!(HERE).to_string(), &twice),
                    place: inner.clone(),
                });
                let step = name.replace('~', "~0").replace('/', "~1");
                collect(whole, value, &format!("{pointer}/{step}"), &inner, found);
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                let (pointer, place) = (format!("{pointer}/{index}"), format!("{place}[{index}]"));
                collect(whole, element, &pointer, &place, found);
            }
        }
        _ => {}
    }
}

#[test]
fn each_member_is_given_twice_where_it_is() {
    let found = members_twice(&json!({"a": [1, {"b": "x"}], "c": {}}));
    let shown: Vec<(&str, &str)> = found.iter().map(|t| (&*t.place, &*t.text)).collect();
    assert_eq!(
        shown,
        [
            ("a", r#"{"a":[1,{"b":"x"}],"c":{},"a":[1,{"b":"x"}]}"#),
            ("a[1].b", r#"{"a":[1,{"b":"x","b":"x"}],"c":{}}"#),
            ("c", r#"{"a":[1,{"b":"x"}],"c":{},"c":{}}"#),
        ]
    );
}
