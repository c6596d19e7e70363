use std::collections::BTreeMap;

use rust_decimal::Decimal;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use super::*;
use crate::money::Currency;
use crate::text::email::EmailAddress;

/// A shape, in each form that an enum can have.
#[shared::body]
#[allow(dead_code, reason = "only whether it can be read matters")]
enum Shape {
    /// A circle.
    Round {
        /// How far it reaches.
        radius: Whole<0, 255>,
    },
    /// Any polygon.
    Any(Points),
    /// Nothing.
    None {},
}

/// Points with a label.
#[shared::body]
#[allow(dead_code, reason = "only whether it can be read matters")]
struct Points {
    /// The points.
    points: List<Point, 0, 3>,
    /// What they are called.
    label: Option<Text<1, 5>>,
}

/// A point.
#[shared::body]
#[allow(dead_code, reason = "only whether it can be read matters")]
struct Point {
    /// Where it is.
    at: Whole<-5, 5>,
    /// Whether it can be seen.
    is_visible: Change<bool>,
}

/// A range, whose ends are checked together.
#[shared::body(check)]
struct Range {
    least: Whole<0, 9>,
    most: Whole<0, 9>,
}

impl Range {
    fn check(&self, reader: &mut Reader) {
        if self.least > self.most {
            reader.refuse_member(
                "most",
                Invalid::new("out_of_range", "must not be below least"),
            );
        }
    }
}

/// A filter.
#[shared::body(query)]
#[derive(PartialEq)]
struct Filter {
    limit: Option<Whole<1, 100>>,
    is_open: Option<bool>,
    currency: Option<Currency>,
}

/// A colour.
#[shared::body]
#[derive(PartialEq)]
enum Colour {
    /// As leaves.
    DarkGreen,
    /// As the sky.
    Blue,
}

type Mistakes<'a> = Vec<(&'a str, &'a str)>;

#[track_caller]
fn assert_mistakes<T: Input>(body: &Value, expected: &Mistakes<'_>) {
    let errors = value_at::<T>(body, "").err().unwrap_or_default();
    let got: Mistakes<'_> = errors.iter().map(|e| (&*e.field, e.code)).collect();
    assert_eq!(&got, expected, "{body}");
}

#[test]
fn mistakes_have_places_and_are_all_named() {
    let table = [
        (json!({"type": "none"}), vec![]),
        (json!({"type": "round", "radius": 1}), vec![]),
        (json!({"radius": 2.0, "type": "round"}), vec![]),
        (
            json!({"type": "any", "points": [{"at": 3}], "label": null}),
            vec![],
        ),
        (json!(null), vec![("", "wrong_type")]),
        (json!("none"), vec![("", "wrong_type")]),
        (json!({}), vec![("type", "required")]),
        (json!({"type": 0}), vec![("type", "wrong_type")]),
        (json!({"type": "square"}), vec![("type", "invalid")]),
        (json!({"type": "none", "x": 1}), vec![("x", "unknown")]),
        (json!({"type": "round"}), vec![("radius", "required")]),
        (
            json!({"type": "round", "radius": 256}),
            vec![("radius", "out_of_range")],
        ),
        (
            json!({"type": "round", "radius": 1.5}),
            vec![("radius", "out_of_range")],
        ),
        (
            json!({"type": "round", "radius": "1"}),
            vec![("radius", "wrong_type")],
        ),
        (
            json!({"type": "any", "points": {}}),
            vec![("points", "wrong_type")],
        ),
        (
            json!({"type": "any", "points": [1, 2, 3, 4]}),
            vec![("points", "wrong_length")],
        ),
        (
            json!({"type": "any", "points": [{"at": 6, "is_visible": 1}, 7], "label": "", "x": 1}),
            vec![
                ("points[0].at", "out_of_range"),
                ("points[0].is_visible", "wrong_type"),
                ("points[1]", "wrong_type"),
                ("label", "wrong_length"),
                ("x", "unknown"),
            ],
        ),
    ];
    for (body, expected) in table {
        assert_mistakes::<Shape>(&body, &expected);
    }
}

#[test]
fn rules_between_fields_hold_once_the_fields_are_right() {
    let table = [
        (json!({"least": 1, "most": 1}), vec![]),
        (
            json!({"least": 2, "most": 1}),
            vec![("most", "out_of_range")],
        ),
        (json!({"least": 2}), vec![("most", "required")]),
    ];
    for (body, expected) in table {
        assert_mistakes::<Range>(&body, &expected);
    }
}

#[test]
fn changes_tell_absent_from_null() {
    let table = [
        (json!({"at": 1}), Change::Keep),
        (json!({"at": 1, "is_visible": null}), Change::Clear),
        (json!({"at": 1, "is_visible": true}), Change::Set(true)),
    ];
    for (body, expected) in table {
        let point = value::<Point>(&body).expect("the table holds points");
        assert_eq!(point.is_visible, expected, "{body}");
    }
}

#[test]
fn enums_are_read_from_their_names() {
    let table = [
        (json!("dark_green"), Ok(Colour::DarkGreen)),
        (json!("blue"), Ok(Colour::Blue)),
        (json!("DarkGreen"), Err("invalid")),
        (json!(0), Err("wrong_type")),
    ];
    for (body, expected) in table {
        let got = value_at::<Colour>(&body, "").map_err(|errors| errors[0].code);
        assert_eq!(got, expected, "{body}");
    }
}

#[test]
fn queries() {
    let usd = Currency::parse("USD").ok();
    let nothing = Filter {
        limit: None,
        is_open: None,
        currency: None,
    };
    type Row<'a> = (&'a [(&'a str, &'a str)], Result<Filter, Mistakes<'a>>);
    let table: [Row<'_>; 7] = [
        (&[], Ok(nothing)),
        (
            &[
                ("limit", "1"),
                ("is_open", "true"),
                ("currency", "USD"),
                ("other", "x"),
            ],
            Ok(Filter {
                limit: Some(Whole(1)),
                is_open: Some(true),
                currency: usd,
            }),
        ),
        (&[("limit", "+1")], Err(vec![("limit", "out_of_range")])),
        (&[("limit", "")], Err(vec![("limit", "out_of_range")])),
        (
            &[("limit", "1"), ("limit", "2"), ("is_open", "yes")],
            Err(vec![("limit", "repeated"), ("is_open", "invalid")]),
        ),
        (
            &[("currency", "U\0")],
            Err(vec![("currency", "invalid_character")]),
        ),
        (&[("currency", "usd")], Err(vec![("currency", "invalid")])),
    ];
    for (parameters, expected) in table {
        let pairs = parameters
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        let got = query::<Filter>(pairs).map_err(|problem| {
            assert_eq!(problem.status, 400, "{parameters:?}");
            problem.errors
        });
        let got = match &got {
            Ok(filter) => Ok(filter.clone()),
            Err(errors) => Err(errors.iter().map(|e| (&*e.field, e.code)).collect()),
        };
        assert_eq!(got, expected, "{parameters:?}");
    }
}

#[test]
fn bodies() {
    let point = br#"{"at": 1}"#;
    type Row<'a> = (&'a [u8], Result<(), (u16, &'a str)>);
    let table: [Row<'_>; 9] = [
        (point, Ok(())),
        (br#"{"at": 1, "at": 2}"#, Err((422, "at"))),
        (
            br#"{"at": 1, "is_visible": {"a": [{"b": 1, "b": 1}]}}"#,
            Err((422, "is_visible.a[0].b")),
        ),
        (b"[1, 2]", Err((422, ""))),
        (b"1.5", Err((422, ""))),
        (br#""text""#, Err((422, ""))),
        (b"", Err((400, "-"))),
        (br#"{"at": "#, Err((400, "-"))),
        (br#"{"at": 1} x"#, Err((400, "-"))),
    ];
    for (body, expected) in table {
        let got = json::<Point>(body).map(|_| ()).map_err(|problem| {
            let field = problem
                .errors
                .first()
                .map_or("-".into(), |error| error.field.clone());
            (problem.status, field)
        });
        let expected = expected.map_err(|(status, field)| (status, field.into()));
        assert_eq!(got, expected, "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn amounts_and_names() {
    let table = [
        (
            value_at::<PositiveAmount>(&json!("1.50"), "").map(|a| a.0),
            Ok(Decimal::new(150, 2)),
        ),
        (
            value_at::<PositiveAmount>(&json!("0"), "").map(|a| a.0),
            Err("not_positive"),
        ),
        (
            value_at::<PositiveAmount>(&json!(1.5), "").map(|a| a.0),
            Err("wrong_type"),
        ),
        (
            value_at::<UnsignedAmount>(&json!("-0.01"), "").map(|a| a.0),
            Err("negative"),
        ),
        (
            value_at::<UnsignedAmount>(&json!("-0"), "").map(|a| a.0),
            Err("amount_not_plain_decimal"),
        ),
        (
            value_at::<PositiveAmount>(&json!("-0.00"), "").map(|a| a.0),
            Err("amount_not_plain_decimal"),
        ),
        (
            value_at::<UnsignedAmount>(&json!("0"), "").map(|a| a.0),
            Ok(Decimal::ZERO),
        ),
    ];
    for (got, expected) in table {
        assert_eq!(got.map_err(|errors| errors[0].code), expected);
    }
    let email = value_at::<EmailAddress>(&json!("x"), "").map_err(|errors| errors[0].code);
    assert_eq!(email.err(), Some("invalid_email"));
    let money = value::<UnsignedMoney>(&json!({"amount": "0", "currency": "USD", "x": 1}));
    assert_eq!(
        money.err().map(|problem| problem.errors[0].field.clone()),
        Some("x".into())
    );
}

/// What has defaults.
#[shared::body]
#[derive(PartialEq, serde::Serialize)]
struct Look {
    /// How thick its line is.
    #[serde(default)]
    width: u8,
    /// What is written on it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    label: String,
}

#[test]
fn what_is_absent_has_its_default() {
    let table = [
        (json!({}), Ok((0, ""))),
        (json!({"width": 255, "label": "a"}), Ok((255, "a"))),
        (json!({"width": 2.0}), Ok((2, ""))),
        (json!({"width": 256}), Err(("width", "out_of_range"))),
        (json!({"width": -1}), Err(("width", "out_of_range"))),
        (json!({"width": 1.5}), Err(("width", "out_of_range"))),
        (json!({"width": null}), Err(("width", "wrong_type"))),
        (json!({"width": "1"}), Err(("width", "wrong_type"))),
        (json!({"label": null}), Err(("label", "wrong_type"))),
        (json!({"label": "\0"}), Err(("label", "invalid_character"))),
        (json!({"height": 1}), Err(("height", "unknown"))),
    ];
    for (body, expected) in table {
        let got = value_at::<Look>(&body, "");
        let got = match &got {
            Ok(look) => Ok((look.width, look.label.as_str())),
            Err(errors) => Err((&*errors[0].field, errors[0].code)),
        };
        assert_eq!(got, expected, "{body}");
    }
}

#[test]
fn what_has_a_default_is_described_as_what_may_be_absent() {
    let answers = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    for mut generator in [answers.into_generator(), SchemaGenerator::default()] {
        let schema = Look::json_schema(&mut generator).to_value();
        assert_eq!(schema["required"], json!(null), "{schema}");
        assert_eq!(schema["properties"]["width"]["default"], json!(0));
        assert_eq!(schema["properties"]["label"]["default"], json!(null));
    }
}

#[test]
fn members_that_are_alike_have_places() {
    let table = [
        (json!({}), vec![]),
        (json!({"a": 0, "b": 255}), vec![]),
        (
            json!({"a": "b", "b": 1, "c": 256}),
            vec![("a", "wrong_type"), ("c", "out_of_range")],
        ),
        (json!([]), vec![("", "wrong_type")]),
    ];
    for (body, expected) in table {
        assert_mistakes::<BTreeMap<String, u8>>(&body, &expected);
    }
}

#[test]
fn mistakes_are_counted_and_the_first_are_named() {
    let mut reader = Reader::default();
    let read = Vec::<u8>::read(&json!(vec![-1; 1_000]), &mut reader);
    assert_eq!((read, reader.mistakes()), (None, 1_000));
    assert!(!reader.is_right_since(999));
    let errors = reader.finish(Some(())).err().unwrap_or_default();
    assert_eq!(errors.len(), MAX_MISTAKES);
    assert_eq!(errors[99].field, "[99]");
}

#[test]
fn mistakes_that_something_else_found_are_below_the_place() {
    let found = |field: &'static str| FieldError {
        field: field.into(),
        code: "wrong",
        message: "is wrong".into(),
    };
    let mut reader = Reader::default();
    reader.refuse_all(vec![found("a[0]")]);
    reader.within("terms", |reader| reader.refuse_all(vec![found("b.c")]));
    let errors = reader.finish(Some(())).err().unwrap_or_default();
    let places: Vec<_> = errors.iter().map(|error| &*error.field).collect();
    assert_eq!(places, ["a[0]", "terms.b.c"]);
}
