//! What an entitlement allows, as a body says it.

use chrono::NaiveDateTime;
use rust_decimal::Decimal;
use serde_json::Value;
use shared::credits;
use shared::entitlements::{self, MAX_FEATURE_CHARS, MAX_SUBJECT_CHARS};
use shared::http::fields::{self, Fields, Invalid};
use shared::http::problem::Problem;
use shared::ids::OrganizationId;

/// Longest name of a meter.
const MAX_METER_CHARS: usize = 64;

/// How much of a meter may be used in each period.
#[derive(Debug, PartialEq, Eq)]
pub struct Metered {
    pub meter: String,
    pub limit: Decimal,
    pub period: &'static str,
    /// Whether use is allowed beyond the limit.
    pub is_soft: bool,
}

/// An entitlement, as asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Input {
    /// Another organization than the credential's.
    pub organization_id: Option<OrganizationId>,
    /// Absent for what the organization itself is given.
    pub subject: Option<String>,
    pub feature: String,
    /// Absent for a feature that may be used or not, and is not counted.
    pub metered: Option<Metered>,
    /// In UTC; absent for one that does not expire.
    pub expires_at: Option<NaiveDateTime>,
}

/// What becomes of an entitlement; what is absent stays as it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    pub limit: Option<Decimal>,
    pub is_soft: Option<bool>,
    /// `Some(None)` lets it expire no more.
    pub expires_at: Option<Option<NaiveDateTime>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Boolean,
    Metered,
}

fn one_of<T: Copy>(value: &Value, names: &[(&str, T)]) -> Result<T, Invalid> {
    let text = value
        .as_str()
        .ok_or_else(|| Invalid::new("wrong_type", "must be a string"))?;
    let named = names.iter().find(|(name, _)| *name == text);
    named.map(|(_, named)| *named).ok_or_else(|| {
        let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        Invalid::new("invalid", format!("must be one of {}", names.join(", ")))
    })
}

fn r#type(value: &Value) -> Result<Type, Invalid> {
    one_of(
        value,
        &[("boolean", Type::Boolean), ("metered", Type::Metered)],
    )
}

fn period(value: &Value) -> Result<&'static str, Invalid> {
    let named = |name: &'static str| (name, name);
    one_of(value, &["day", "month", "year", "never"].map(named))
}

fn slug(value: &Value, most: usize) -> Result<String, Invalid> {
    let text = fields::text(value, 1..=most)?;
    if entitlements::is_feature(&text) {
        return Ok(text);
    }
    Err(Invalid::new(
        "invalid",
        "must begin with a lower-case letter and have only those, digits, '-' and '_'",
    ))
}

/// Takes a field that only a metered entitlement has, and that must be there then.
fn of_metered<T>(
    fields: &mut Fields,
    type_: Option<Type>,
    name: &'static str,
    read: impl FnOnce(&Value) -> Result<T, Invalid>,
) -> Option<Option<T>> {
    match type_ {
        Some(Type::Metered) => fields.required(name, read).map(Some),
        Some(Type::Boolean) => fields.optional(name, refused),
        // What the type would make of it is not known.
        None => fields.optional(name, |_| Ok(())).map(|_| None),
    }
}

fn refused<T>(_: &Value) -> Result<T, Invalid> {
    Err(Invalid::new(
        "unknown",
        "is not a field of a boolean entitlement",
    ))
}

/// Reads an entitlement.
///
/// # Errors
/// A 422 that names every wrong, missing and unknown field.
pub fn read(mut fields: Fields) -> Result<Input, Problem> {
    let organization_id = fields.optional("organization_id", fields::parsed::<OrganizationId>);
    let subject = fields.optional("subject", |value| {
        fields::text(value, 1..=MAX_SUBJECT_CHARS)
    });
    let feature = fields.required("feature", |value| slug(value, MAX_FEATURE_CHARS));
    let type_ = fields.required("type", r#type);
    let meter = of_metered(&mut fields, type_, "meter", |value| {
        slug(value, MAX_METER_CHARS)
    });
    let limit = of_metered(&mut fields, type_, "limit", fields::positive_amount);
    let period = of_metered(&mut fields, type_, "period", period);
    let is_soft = match type_ {
        Some(Type::Boolean) => fields.optional("is_soft", refused),
        _ => fields.optional("is_soft", fields::boolean),
    };
    let expires_at = fields.optional("expires_at", credits::time);
    fields.finish(|| {
        let metered = match type_? {
            Type::Boolean => None,
            Type::Metered => Some(Metered {
                meter: meter??,
                limit: limit??,
                period: period??,
                is_soft: is_soft?.unwrap_or_default(),
            }),
        };
        Some(Input {
            organization_id: organization_id?,
            subject: subject?,
            feature: feature?,
            metered,
            expires_at: expires_at?,
        })
    })
}

/// Reads what is to be changed.
///
/// # Errors
/// As [`read`].
pub fn read_change(mut fields: Fields) -> Result<Change, Problem> {
    let limit = fields.optional("limit", fields::positive_amount);
    let is_soft = fields.optional("is_soft", fields::boolean);
    let expires_at = fields.nullable("expires_at", credits::time);
    fields.finish(|| {
        Some(Change {
            limit: limit?,
            is_soft: is_soft?,
            expires_at: expires_at?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    type Codes = Vec<(String, &'static str)>;

    fn codes<T>(read: Result<T, Problem>) -> Codes {
        let errors = read.err().map(|problem| problem.errors).unwrap_or_default();
        errors
            .into_iter()
            .map(|error| (error.field.into_owned(), error.code))
            .collect()
    }

    fn expected(rows: &[(&str, &'static str)]) -> Codes {
        rows.iter()
            .map(|(field, code)| ((*field).to_owned(), *code))
            .collect()
    }

    #[test]
    fn entitlements_to_give() {
        let metered = |name: &str, value: Value| {
            let mut body = json!({"feature": "tokens", "subject": "cus_42", "type": "metered",
                                  "meter": "tokens", "limit": "1000", "period": "month"});
            body[name] = value;
            body
        };
        let boolean = |name: &str, value: Value| {
            let mut body = json!({"feature": "sso", "subject": "cus_42", "type": "boolean"});
            body[name] = value;
            body
        };
        let organization = "org_0199a2c4e2447b3c8d5e6f708192a3b4";
        let table: [(Value, &[(&str, &str)]); 27] = [
            (metered("is_soft", json!(true)), &[]),
            (metered("subject", json!(null)), &[]),
            (metered("limit", json!("0.000000001")), &[]),
            (metered("limit", json!("999999999999.999999999")), &[]),
            (metered("period", json!("never")), &[]),
            (metered("expires_at", json!("2026-12-31T23:00:00Z")), &[]),
            (boolean("organization_id", json!(organization)), &[]),
            (boolean("limit", json!(null)), &[]),
            (json!({}), &[("feature", "required"), ("type", "required")]),
            (
                json!({"feature": "tokens", "type": "metered"}),
                &[
                    ("meter", "required"),
                    ("limit", "required"),
                    ("period", "required"),
                ],
            ),
            (metered("type", json!("static")), &[("type", "invalid")]),
            (metered("type", json!(1)), &[("type", "wrong_type")]),
            (metered("feature", json!("Sso")), &[("feature", "invalid")]),
            (
                metered("feature", json!("s".repeat(65))),
                &[("feature", "wrong_length")],
            ),
            (
                metered("subject", json!("")),
                &[("subject", "wrong_length")],
            ),
            (
                metered("subject", json!("s".repeat(129))),
                &[("subject", "wrong_length")],
            ),
            (
                metered("subject", json!("a\0")),
                &[("subject", "invalid_character")],
            ),
            (metered("meter", json!("1st")), &[("meter", "invalid")]),
            (metered("limit", json!("0")), &[("limit", "not_positive")]),
            (metered("limit", json!(5)), &[("limit", "wrong_type")]),
            (
                metered("limit", json!("1000000000000")),
                &[("limit", "amount_too_many_integer_digits")],
            ),
            (metered("period", json!("week")), &[("period", "invalid")]),
            (
                metered("is_soft", json!("no")),
                &[("is_soft", "wrong_type")],
            ),
            (
                metered("expires_at", json!("soon")),
                &[("expires_at", "invalid")],
            ),
            (
                boolean("organization_id", json!("acme")),
                &[("organization_id", "invalid")],
            ),
            (boolean("limit", json!("5")), &[("limit", "unknown")]),
            (boolean("quantity", json!("5")), &[("quantity", "unknown")]),
        ];
        for (body, rows) in table {
            let got = codes(Fields::new(body.clone()).and_then(read));
            assert_eq!(got, expected(rows), "{body}");
        }
    }

    #[test]
    fn a_boolean_one_has_nothing_that_is_metered() {
        for (name, value) in [
            ("meter", json!("tokens")),
            ("limit", json!("1")),
            ("period", json!("day")),
            ("is_soft", json!(false)),
        ] {
            let body = json!({"feature": "sso", "type": "boolean", name: value});
            let got = codes(Fields::new(body.clone()).and_then(read));
            assert_eq!(got, expected(&[(name, "unknown")]), "{body}");
        }
    }

    #[test]
    fn changes() {
        let at: NaiveDateTime = "2026-12-31T23:00:00".parse().expect("this is a time");
        let table = [
            (json!({}), Ok(None)),
            (json!({"limit": null, "is_soft": null}), Ok(None)),
            (json!({"expires_at": null}), Ok(Some(None))),
            (
                json!({"limit": "1.5", "is_soft": true, "expires_at": "2026-12-31T23:00:00Z"}),
                Ok(Some(Some(at))),
            ),
            (json!({"limit": "-1"}), Err(("limit", "not_positive"))),
            (json!({"is_soft": 1}), Err(("is_soft", "wrong_type"))),
            (json!({"expires_at": 1}), Err(("expires_at", "wrong_type"))),
            (json!({"period": "day"}), Err(("period", "unknown"))),
            (json!({"feature": "sso"}), Err(("feature", "unknown"))),
        ];
        for (body, wanted) in table {
            let got = Fields::new(body.clone()).and_then(read_change);
            match wanted {
                Ok(expires_at) => {
                    assert_eq!(
                        got.map(|change| change.expires_at),
                        Ok(expires_at),
                        "{body}"
                    );
                }
                Err(refused) => assert_eq!(codes(got), expected(&[refused]), "{body}"),
            }
        }
    }
}
