//! A plan is the platform's, and the same for everybody. Its code, currency and
//! billing period are fixed when it is made; its prices are in its versions.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::PlanId;
use shared::rating::plan_terms;

use crate::operations::{NewPlan, PlanChange, PlanPage, PlansListQuery};
use crate::queries;

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let query: PlansListQuery = request.query()?;
    let page = request.page::<PlansListQuery>(&token, query.limit, query.cursor.as_ref())?;
    let plans = queries::list(context, token.digest, &page).await?;
    let (plans, next_cursor) = page.cut(plans, |plan| plan.sequence)?;
    Reply::json(200, &PlanPage { plans, next_cursor })
}

pub async fn create(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (plan, _) = request.json::<NewPlan>().await?;
    let id = PlanId::new(context.now_millis(), &context.random()?);
    let made = queries::create(context, token.digest, id, plan).await?;
    Reply::json(if made.is_new { 201 } else { 200 }, &made.shown)
}

pub async fn read(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let code = request.named("code", plan_terms::plan_not_found)?;
    let shown = queries::read(context, token.digest, code).await?;
    Reply::json(200, &shown)
}

pub async fn change(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let code = request.named("code", plan_terms::plan_not_found)?;
    let (change, _) = request.json::<PlanChange>().await?;
    let shown = queries::change(context, token.digest, code, change).await?;
    Reply::json(200, &shown)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::http::input::{self, Input};

    use super::*;

    fn assert_refused<T: Input>(body: &Value, expected: &[(&str, &str)]) {
        let errors = input::value_at::<T>(body, "").err().unwrap_or_default();
        let named: Vec<_> = errors.iter().map(|e| (&*e.field, e.code)).collect();
        assert_eq!(named, expected, "{body}");
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
            assert_refused::<NewPlan>(&body, rows);
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
            assert_refused::<PlanChange>(&body, rows);
        }
    }
}
