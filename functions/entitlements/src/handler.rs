//! An entitlement says that a feature may be used: by a subject of an organization,
//! or by the organization itself. An organization gives its own subjects what it
//! likes; what it was given itself only the platform changes.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::EntitlementId;

use crate::operations::{
    EntitlementChange, EntitlementOwnerQuery, EntitlementPage, EntitlementsListQuery,
    NewEntitlement,
};
use crate::queries::{self, Filter, Place};

/// The entitlement that the request names.
fn place(request: &Request) -> Result<Place, Problem> {
    let EntitlementOwnerQuery { organization_id } = request.query()?;
    Ok(Place {
        organization_id,
        id: request.named("id", queries::not_found)?,
    })
}

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let query: EntitlementsListQuery = request.query()?;
    let page = request.page::<EntitlementsListQuery>(&token, query.limit, query.cursor.as_ref())?;
    let filter = Filter {
        organization_id: query.organization_id,
        subject: query.subject,
        feature: query.feature,
    };
    let rows = queries::list(context, token.digest, filter, &page).await?;
    let (rows, next_cursor) = page.cut(rows, |row| row.sequence)?;
    let listed = EntitlementPage {
        entitlements: rows.into_iter().map(|row| row.entitlement).collect(),
        next_cursor,
    };
    Reply::json(200, &listed)
}

pub async fn create(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (new, _) = request.json::<NewEntitlement>().await?;
    let owner = new.organization_id.unwrap_or(token.organization);
    let id = EntitlementId::owned(owner, context.now_millis(), &context.random()?);
    let entitlement = queries::create(context, token.digest, id, new).await?;
    Reply::json(201, &entitlement)
}

pub async fn read(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let digest = request.access_token()?.digest;
    let entitlement = queries::read(context, digest, place(request)?).await?;
    Reply::json(200, &entitlement)
}

pub async fn change(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let digest = request.access_token()?.digest;
    let place = place(request)?;
    let (change, _) = request.json::<EntitlementChange>().await?;
    let entitlement = queries::change(context, digest, place, change).await?;
    Reply::json(200, &entitlement)
}

pub async fn revoke(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let digest = request.access_token()?.digest;
    let entitlement = queries::revoke(context, digest, place(request)?).await?;
    Reply::json(200, &entitlement)
}

pub async fn reset(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let digest = request.access_token()?.digest;
    let place = place(request)?;
    let idempotency = request.idempotency(&[])?;
    let reset = queries::reset(context, digest, place, idempotency.key).await?;
    Reply::json(200, &reset)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde_json::{Value, json};
    use shared::http::input::{self, Change, Input};
    use shared::http::time::Moment;

    use super::*;

    type Codes = Vec<(String, &'static str)>;

    fn codes<T: Input>(body: &Value) -> Codes {
        let errors = input::value_at::<T>(body, "").err().unwrap_or_default();
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
    fn filters() {
        let table = [
            ("subject", "cus_42", true),
            ("subject", "", false),
            ("feature", "sso", true),
            ("feature", "", false),
            ("feature", "SSO", false),
            ("organization_id", "acme", false),
        ];
        for (name, text, is_right) in table {
            let parameters = [(Cow::Borrowed(name), Cow::Borrowed(text))];
            let read = input::query::<EntitlementsListQuery>(parameters.into_iter());
            assert_eq!(read.is_ok(), is_right, "{name}={text}");
        }
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
            (boolean("limit", json!("5")), &[("limit", "not_allowed")]),
            (boolean("quantity", json!("5")), &[("quantity", "unknown")]),
        ];
        for (body, rows) in table {
            let got = codes::<NewEntitlement>(&body);
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
            let got = codes::<NewEntitlement>(&body);
            assert_eq!(got, expected(&[(name, "not_allowed")]), "{body}");
        }
    }

    #[test]
    fn changes() {
        let at = Moment("2026-12-31T23:00:00".parse().expect("this is a time"));
        let table = [
            (json!({}), Ok(Change::Keep)),
            (json!({"limit": null, "is_soft": null}), Ok(Change::Keep)),
            (json!({"expires_at": null}), Ok(Change::Clear)),
            (
                json!({"limit": "1.5", "is_soft": true, "expires_at": "2026-12-31T23:00:00Z"}),
                Ok(Change::Set(at)),
            ),
            (json!({"limit": "-1"}), Err(("limit", "not_positive"))),
            (json!({"is_soft": 1}), Err(("is_soft", "wrong_type"))),
            (json!({"expires_at": 1}), Err(("expires_at", "wrong_type"))),
            (json!({"period": "day"}), Err(("period", "unknown"))),
            (json!({"feature": "sso"}), Err(("feature", "unknown"))),
        ];
        for (body, wanted) in table {
            match wanted {
                Ok(expires_at) => {
                    let got = input::value::<EntitlementChange>(&body);
                    let got = got.map(|change| change.expires_at);
                    assert_eq!(got, Ok(expires_at), "{body}");
                }
                Err(refused) => assert_eq!(
                    codes::<EntitlementChange>(&body),
                    expected(&[refused]),
                    "{body}"
                ),
            }
        }
    }
}
