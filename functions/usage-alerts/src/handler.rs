//! An alert fires in the transaction of the batch of events that reaches one of its
//! thresholds, so there is nothing here that fires but the making of one whose
//! threshold has been reached already. An alert does not change: it is archived, and
//! another one made.

use shared::http::context::Context;
use shared::http::pagination::Page;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::UsageAlertId;
use shared::token::PresentedToken;

use crate::operations::{NewUsageAlert, UsageAlertFiringPage, UsageAlertPage, UsageAlertPageQuery};
use crate::queries;

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let page = page(request, &token)?;
    let rows = queries::list(context, token.digest, &page).await?;
    let (rows, next_cursor) = page.cut(rows, |row| row.sequence)?;
    let listed = UsageAlertPage {
        alerts: rows.into_iter().map(|row| row.alert).collect(),
        next_cursor,
    };
    Reply::json(200, &listed)
}

pub async fn create(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (new, _) = request.json::<NewUsageAlert>().await?;
    let random = context.random()?;
    let id = UsageAlertId::owned(token.organization, context.now_millis(), &random);
    let alert = queries::create(context, token.digest, id, new).await?;
    Reply::json(201, &alert)
}

pub async fn read(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let digest = request.access_token()?.digest;
    let id = request.named("id", queries::not_found)?;
    let alert = queries::read(context, digest, id).await?;
    Reply::json(200, &alert)
}

pub async fn archive(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let digest = request.access_token()?.digest;
    let id = request.named("id", queries::not_found)?;
    let alert = queries::archive(context, digest, id).await?;
    Reply::json(200, &alert)
}

pub async fn firings(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", queries::not_found)?;
    list_firings(context, request, &token, Some(id)).await
}

pub async fn all_firings(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    list_firings(context, request, &token, None).await
}

async fn list_firings(
    context: &Context,
    request: &Request,
    token: &PresentedToken,
    of: Option<UsageAlertId>,
) -> Result<Reply, Problem> {
    let page = page(request, token)?;
    let rows = queries::firings(context, token.digest, of, &page).await?;
    let (rows, next_cursor) = page.cut(rows, |row| row.sequence)?;
    let listed = UsageAlertFiringPage {
        firings: rows.into_iter().map(|row| row.firing).collect(),
        next_cursor,
    };
    Reply::json(200, &listed)
}

fn page(request: &Request, token: &PresentedToken) -> Result<Page, Problem> {
    let query: UsageAlertPageQuery = request.query()?;
    request.page::<UsageAlertPageQuery>(token, query.limit, query.cursor.as_ref())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::http::input;

    use super::*;
    use crate::operations::UsageAlertPeriod;

    #[test]
    fn bodies() {
        let with = |name: &str, value: Value| {
            let mut body = json!({
                "name": "Budget", "meter": "tokens", "period": "month", "thresholds": ["1", "2.5"],
            });
            body[name] = value;
            body
        };
        let ten: Vec<String> = (1..=10).map(|n| n.to_string()).collect();
        let eleven: Vec<String> = (1..=11).map(|n| n.to_string()).collect();
        let table = [
            (with("subject", json!("cus_42")), vec![]),
            (with("subject", json!(null)), vec![]),
            (with("period", json!("day")), vec![]),
            (with("thresholds", json!(ten)), vec![]),
            (
                with("thresholds", json!(["999999999999.999999999"])),
                vec![],
            ),
            (with("email", json!("Ops@Example.com")), vec![]),
            (json!({}), vec!["name", "meter", "period", "thresholds"]),
            (with("name", json!("")), vec!["name"]),
            (with("name", json!("n".repeat(101))), vec!["name"]),
            (with("meter", json!(1)), vec!["meter"]),
            (with("subject", json!("")), vec!["subject"]),
            (with("subject", json!("s".repeat(129))), vec!["subject"]),
            (with("period", json!("week")), vec!["period"]),
            (with("period", json!(1)), vec!["period"]),
            (with("thresholds", json!("1")), vec!["thresholds"]),
            (with("thresholds", json!([])), vec!["thresholds"]),
            (with("thresholds", json!(eleven)), vec!["thresholds"]),
            (with("thresholds", json!([1])), vec!["thresholds[0]"]),
            (with("thresholds", json!(["0"])), vec!["thresholds[0]"]),
            (with("thresholds", json!(["-1"])), vec!["thresholds[0]"]),
            (with("thresholds", json!(["1e3"])), vec!["thresholds[0]"]),
            (with("thresholds", json!(["2", "1"])), vec!["thresholds"]),
            (with("thresholds", json!(["1", "1.0"])), vec!["thresholds"]),
            (with("email", json!("ops")), vec!["email"]),
            (with("currency", json!("USD")), vec!["currency"]),
        ];
        for (body, expected) in table {
            let errors = input::value_at::<NewUsageAlert>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|error| &*error.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }

    #[test]
    fn periods_are_called_the_same_everywhere() {
        for period in [UsageAlertPeriod::Day, UsageAlertPeriod::Month] {
            let name = json!(period.name());
            assert_eq!(serde_json::to_value(period).ok(), Some(name.clone()));
            assert_eq!(input::value(&name), Ok(period));
        }
    }
}
