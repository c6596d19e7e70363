//! A plan is the platform's, and the same for everybody. Its code, currency and
//! billing period are fixed when it is made; its prices are in its versions.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::http::context::Context;
use shared::http::fields::{self, Fields, Invalid};
use shared::http::pagination::Cursor;
use shared::http::problem::Problem;
use shared::http::{Method, Reply, Request};
use shared::ids::PlanId;
use shared::money::Currency;
use shared::rating::MAX_NAME_CHARS;
use shared::rating::plan_terms::{self, MAX_PLAN_CODE_CHARS};

use crate::queries::{self, Created};

const COLLECTION: &str = "/api/v1/plans";

/// A plan as it is shown.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    id: PlanId,
    code: String,
    name: String,
    currency: String,
    billing_period: BillingPeriod,
    newest_version: Option<i32>,
    archived: bool,
    created_at: String,
    updated_at: String,
    /// Its place in the list.
    #[serde(skip_serializing)]
    sequence: i64,
}

/// How long what a plan charges is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillingPeriod {
    Month,
    Year,
}

impl BillingPeriod {
    /// The name in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    fn read(value: &Value) -> Result<Self, Invalid> {
        match value.as_str() {
            Some("month") => Ok(Self::Month),
            Some("year") => Ok(Self::Year),
            Some(_) => Err(Invalid::new("invalid", "must be month or year")),
            None => Err(Invalid::new("wrong_type", "must be a string")),
        }
    }
}

/// A plan, as asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Input {
    pub code: String,
    pub name: String,
    pub currency: Currency,
    pub billing_period: BillingPeriod,
}

/// What becomes of a plan; what is absent stays as it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    pub name: Option<String>,
    pub archived: Option<bool>,
}

#[derive(Serialize)]
struct Listed {
    plans: Vec<Plan>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Output {
    plan: Plan,
}

pub fn plan_exists() -> Problem {
    Problem::new(
        409,
        "plan_exists",
        "There is another plan with this code",
        "A code is used once, by an archived plan too. Choose another one.",
    )
}

fn code(value: &Value) -> Result<String, Invalid> {
    let text = fields::text(value, 1..=MAX_PLAN_CODE_CHARS)?;
    if plan_terms::is_plan_code(&text) {
        return Ok(text);
    }
    Err(Invalid::new(
        "invalid",
        "must begin with a lower-case letter or a digit and have only those, '-' and '_'",
    ))
}

fn name(value: &Value) -> Result<String, Invalid> {
    let text = fields::text(value, 1..=MAX_NAME_CHARS)?;
    if text.chars().any(char::is_control) {
        return Err(Invalid::new(
            "invalid_character",
            "must not contain control characters",
        ));
    }
    Ok(text)
}

fn read(mut fields: Fields) -> Result<Input, Problem> {
    let code = fields.required("code", code);
    let name = fields.required("name", name);
    let currency = fields.required("currency", fields::parsed::<Currency>);
    let billing_period = fields.required("billing_period", BillingPeriod::read);
    fields.finish(|| {
        Some(Input {
            code: code?,
            name: name?,
            currency: currency?,
            billing_period: billing_period?,
        })
    })
}

fn read_change(mut fields: Fields) -> Result<Change, Problem> {
    let name = fields.optional("name", name);
    let archived = fields.optional("archived", fields::boolean);
    fields.finish(|| {
        Some(Change {
            name: name?,
            archived: archived?,
        })
    })
}

/// The code that the path ends with, if it names a plan.
fn named(path: &str) -> Option<&str> {
    path.strip_prefix(COLLECTION)?.strip_prefix('/')
}

/// The methods of a path.
pub fn allow(path: &str) -> &'static str {
    match named(path) {
        None => "GET, POST",
        Some(_) => "GET, PATCH",
    }
}

pub async fn plans(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let Some(code) = named(request.path()) else {
        if matches!(request.method(), Method::Get) {
            let page = request.page()?;
            let mut plans = queries::list(context, token.digest, page).await?;
            let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
            let has_more = plans.len() > limit;
            plans.truncate(limit);
            let last = plans.last().map(|plan| Cursor(plan.sequence).encode());
            let next_cursor = last.filter(|_| has_more);
            return Reply::json(200, &Listed { plans, next_cursor });
        }
        let (fields, _) = request.json_fields().await?;
        let input = read(fields)?;
        let id = PlanId::new(context.now_millis(), &context.random()?);
        let (status, plan) = match queries::create(context, token.digest, id, &input).await? {
            Created::New(plan) => (201, plan),
            Created::Before(plan) => (200, plan),
        };
        return Reply::json(status, &Output { plan });
    };
    // What cannot be a code is not worth a question, and names no plan.
    let code = if plan_terms::is_plan_code(code) {
        code
    } else {
        ""
    };
    let plan = match request.method() {
        Method::Get => queries::read(context, token.digest, code).await?,
        _ => {
            let (fields, _) = request.json_fields().await?;
            let change = read_change(fields)?;
            queries::change(context, token.digest, code, &change).await?
        }
    };
    Reply::json(200, &Output { plan })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn codes<T>(read: Result<T, Problem>) -> Vec<(String, &'static str)> {
        let errors = read.err().map(|problem| problem.errors).unwrap_or_default();
        errors
            .into_iter()
            .map(|error| (error.field.into_owned(), error.code))
            .collect()
    }

    fn expected(rows: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
        rows.iter()
            .map(|(field, code)| ((*field).to_owned(), *code))
            .collect()
    }

    #[test]
    fn plans_to_make() {
        let with = |name: &str, value: Value| {
            let mut body = json!({
                "code": "team", "name": "Team", "currency": "USD", "billing_period": "month",
            });
            body[name] = value;
            body
        };
        let table: [(Value, &[(&str, &str)]); 14] = [
            (with("code", json!("9-a_b")), &[]),
            (with("name", json!("n".repeat(200))), &[]),
            (with("currency", json!("JPY")), &[]),
            (with("billing_period", json!("year")), &[]),
            (
                json!({}),
                &[
                    ("code", "required"),
                    ("name", "required"),
                    ("currency", "required"),
                    ("billing_period", "required"),
                ],
            ),
            (with("code", json!("Team")), &[("code", "invalid")]),
            (with("code", json!("-a")), &[("code", "invalid")]),
            (
                with("code", json!("a".repeat(65))),
                &[("code", "wrong_length")],
            ),
            (with("name", json!("")), &[("name", "wrong_length")]),
            (
                with("name", json!("a\nb")),
                &[("name", "invalid_character")],
            ),
            (with("currency", json!("usd")), &[("currency", "invalid")]),
            (
                with("billing_period", json!("week")),
                &[("billing_period", "invalid")],
            ),
            (
                with("billing_period", json!(1)),
                &[("billing_period", "wrong_type")],
            ),
            (with("charges", json!([])), &[("charges", "unknown")]),
        ];
        for (body, rows) in table {
            let got = codes(Fields::new(body.clone()).and_then(read));
            assert_eq!(got, expected(rows), "{body}");
        }
    }

    #[test]
    fn changes() {
        let table: [(Value, &[(&str, &str)]); 7] = [
            (json!({}), &[]),
            (json!({"name": null, "archived": null}), &[]),
            (json!({"name": "Team", "archived": true}), &[]),
            (json!({"name": 1}), &[("name", "wrong_type")]),
            (json!({"archived": "yes"}), &[("archived", "wrong_type")]),
            (json!({"code": "b"}), &[("code", "unknown")]),
            (json!({"currency": "EUR"}), &[("currency", "unknown")]),
        ];
        for (body, rows) in table {
            let got = codes(Fields::new(body.clone()).and_then(read_change));
            assert_eq!(got, expected(rows), "{body}");
        }
    }

    #[test]
    fn periods_are_called_the_same_everywhere() {
        for period in [BillingPeriod::Month, BillingPeriod::Year] {
            assert_eq!(
                serde_json::to_value(period).ok(),
                Some(json!(period.name()))
            );
            assert_eq!(BillingPeriod::read(&json!(period.name())), Ok(period));
        }
    }
}
