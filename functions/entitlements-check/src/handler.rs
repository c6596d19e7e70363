//! A check is one statement, which reads the sums that were kept when the events were
//! stored. So it counts the last event that was acknowledged, and is not cached: a
//! cached answer would let through what the events since have used up.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

use crate::operations::EntitlementsCheckQuery;
use crate::queries;

pub async fn check(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let query: EntitlementsCheckQuery = request.query()?;
    let verdict = queries::check(context, token.digest, query).await?;
    Reply::json(200, &verdict)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use shared::http::input;

    use super::*;
    use crate::operations::EntitlementVerdict;

    /// Parameters with their values, or with the codes that they are refused with.
    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn read(parameters: Pairs<'_>) -> Result<EntitlementsCheckQuery, Vec<(String, String)>> {
        let parameters = parameters
            .iter()
            .map(|(name, value)| (Cow::Borrowed(*name), Cow::Borrowed(*value)));
        input::query(parameters).map_err(|problem| {
            let named = problem.errors.into_iter();
            named
                .map(|error| (error.field.into_owned(), error.code.to_owned()))
                .collect()
        })
    }

    #[test]
    fn quantities() {
        let table = [
            ("0", Ok("0")),
            ("5", Ok("5")),
            ("0.000000001", Ok("0.000000001")),
            ("999999999999.999999999", Ok("999999999999.999999999")),
            ("-0", Err("amount_not_plain_decimal")),
            ("", Err("amount_empty")),
            ("-1", Err("negative")),
            ("1e3", Err("amount_not_plain_decimal")),
            ("01", Err("amount_leading_zero")),
            ("1000000000000", Err("amount_too_many_integer_digits")),
            ("0.0000000001", Err("amount_too_many_fraction_digits")),
        ];
        for (text, expected) in table {
            let got = read(&[("feature", "sso"), ("quantity", text)])
                .map(|query| query.quantity.map(|quantity| quantity.0.to_string()));
            let expected = expected
                .map(|quantity| Some(quantity.to_owned()))
                .map_err(|code| vec![("quantity".to_owned(), code.to_owned())]);
            assert_eq!(got, expected, "{text:?}");
        }
    }

    #[test]
    fn names() {
        let long = "s".repeat(129);
        let table: [(Pairs<'_>, Pairs<'_>); 6] = [
            (&[("feature", "sso")], &[]),
            (&[("feature", "")], &[("feature", "wrong_length")]),
            (&[("feature", "SSO")], &[("feature", "invalid")]),
            (
                &[("subject", "cus_42"), ("other", "1")],
                &[("feature", "required")],
            ),
            (
                &[("feature", "sso"), ("subject", "")],
                &[("subject", "wrong_length")],
            ),
            (
                &[("subject", &long), ("feature", "a"), ("feature", "a")],
                &[("feature", "repeated"), ("subject", "wrong_length")],
            ),
        ];
        for (parameters, expected) in table {
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, code)| ((*name).to_owned(), (*code).to_owned()))
                .collect();
            let got = read(parameters).err().unwrap_or_default();
            assert_eq!(got, expected, "{parameters:?}");
        }
    }

    #[test]
    fn a_verdict_without_an_entitlement_has_every_member() {
        let verdict: EntitlementVerdict = serde_json::from_str(
            r#"{"feature": "sso", "subject": null, "has_access": false, "reason": "not_entitled"}"#,
        )
        .expect("the statement answers so");
        let expected = serde_json::json!({
            "feature": "sso", "subject": null, "has_access": false, "reason": "not_entitled", "type": null,
            "limit": null, "used": null, "remaining": null, "overage": null, "period_started_at": null,
            "resets_at": null,
        });
        assert_eq!(serde_json::to_value(verdict).ok(), Some(expected));
    }
}
