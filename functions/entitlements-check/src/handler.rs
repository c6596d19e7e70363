//! A check is one statement, which reads the sums that were kept when the events were
//! stored. So it counts the last event that was acknowledged, and is not cached: a
//! cached answer would let through what the events since have used up.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use shared::entitlements::{self, MAX_SUBJECT_CHARS};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::money;

use crate::queries;

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
pub struct Query {
    pub feature: String,
    /// Absent for what the organization itself was given.
    pub subject: Option<String>,
    /// How much is about to be used; absent to ask whether anything is left.
    pub quantity: Option<Decimal>,
}

/// What the statement found; what there is nothing of is absent.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Verdict {
    pub has_access: bool,
    pub reason: Option<String>,
    pub r#type: Option<String>,
    pub limit: Option<String>,
    pub used: Option<String>,
    pub remaining: Option<String>,
    pub overage: Option<String>,
    pub period_started_at: Option<String>,
    pub resets_at: Option<String>,
}

#[derive(Serialize)]
struct Output {
    feature: String,
    subject: Option<String>,
    #[serde(flatten)]
    verdict: Verdict,
}

fn feature(text: Option<&str>) -> Result<String, Problem> {
    let refused = |code, message| Problem::invalid_parameter("feature", code, message);
    match text {
        None => Err(refused("required", "is required: the name of a feature")),
        Some(text) if entitlements::is_feature(text) => Ok(text.to_owned()),
        Some(_) => Err(refused("invalid", "must be the name of a feature")),
    }
}

fn subject(text: &str) -> Result<String, Problem> {
    if entitlements::is_subject(text) {
        return Ok(text.to_owned());
    }
    Err(Problem::invalid_parameter(
        "subject",
        "wrong_length",
        format!("must have 1 to {MAX_SUBJECT_CHARS} characters"),
    ))
}

fn quantity(text: &str) -> Result<Decimal, Problem> {
    let refused = |code, message| Problem::invalid_parameter("quantity", code, message);
    let quantity =
        money::parse_amount(text).map_err(|error| refused(error.code(), error.to_string()))?;
    if quantity < Decimal::ZERO {
        return Err(refused("negative", "must not be below zero".to_owned()));
    }
    Ok(quantity)
}

fn read(request: &Request) -> Result<Query, Problem> {
    let parameter = |name| request.query_parameter(name);
    Ok(Query {
        feature: feature(parameter("feature")?.as_deref())?,
        subject: parameter("subject")?
            .map(|text| subject(&text))
            .transpose()?,
        quantity: parameter("quantity")?
            .map(|text| quantity(&text))
            .transpose()?,
    })
}

pub async fn check(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let query = read(request)?;
    let verdict = queries::check(context, token.digest, &query).await?;
    Reply::json(
        200,
        &Output {
            feature: query.feature,
            subject: query.subject,
            verdict,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        let table = [
            ("0", Ok("0")),
            ("5", Ok("5")),
            ("0.000000001", Ok("0.000000001")),
            ("999999999999.999999999", Ok("999999999999.999999999")),
            ("-0", Ok("0")),
            ("", Err("amount_empty")),
            ("-1", Err("negative")),
            ("1e3", Err("amount_not_plain_decimal")),
            ("01", Err("amount_leading_zero")),
            ("1000000000000", Err("amount_too_many_integer_digits")),
            ("0.0000000001", Err("amount_too_many_fraction_digits")),
        ];
        for (text, expected) in table {
            let got = quantity(text).map(|quantity| quantity.abs().to_string());
            let expected = expected.map(str::to_owned);
            assert_eq!(got.map_err(|p| p.errors[0].code), expected, "{text:?}");
        }
    }

    #[test]
    fn names() {
        let table = [
            (Some("sso"), Ok("sso")),
            (Some(""), Err("invalid")),
            (Some("SSO"), Err("invalid")),
            (None, Err("required")),
        ];
        for (text, expected) in table {
            let got = feature(text).map_err(|p| p.errors[0].code);
            assert_eq!(got, expected.map(str::to_owned), "{text:?}");
        }
        assert!(subject("cus_42").is_ok());
        for text in [String::new(), "s".repeat(MAX_SUBJECT_CHARS + 1)] {
            assert!(subject(&text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_verdict_without_an_entitlement_has_every_member() {
        let verdict: Verdict =
            serde_json::from_str(r#"{"has_access": false, "reason": "not_entitled"}"#)
                .expect("the statement answers so");
        let output = Output {
            feature: "sso".to_owned(),
            subject: None,
            verdict,
        };
        let expected = serde_json::json!({
            "feature": "sso", "subject": null, "has_access": false, "reason": "not_entitled", "type": null,
            "limit": null, "used": null, "remaining": null, "overage": null, "period_started_at": null,
            "resets_at": null,
        });
        assert_eq!(serde_json::to_value(output).ok(), Some(expected));
    }
}
