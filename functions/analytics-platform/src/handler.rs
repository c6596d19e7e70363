use shared::billing::analytics::MAX_PERIOD_DAYS;
use shared::billing::revenue_cursor::RevenueCursor;
use shared::http::context::Context;
use shared::http::pagination::Page;
use shared::http::period::Period;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

use crate::operations::{
    OrganizationFigures, OrganizationFiguresPage, OrganizationFiguresQuery, PlatformFiguresQuery,
};
use crate::queries;

/// Most plans that are shown, those that bring most: as many as a page has items.
const MAX_PLANS: i32 = 100;

pub async fn figures(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let query: PlatformFiguresQuery = request.query()?;
    let currency = query.currency.unwrap_or_default();
    let now_millis = context.now_millis();
    let period = Period::new(query.since, query.until, now_millis, MAX_PERIOD_DAYS)?;
    let figures = queries::figures(context, token.digest, currency, period, MAX_PLANS).await?;
    Reply::json(200, &figures)
}

pub async fn organizations(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let query: OrganizationFiguresQuery = request.query()?;
    let currency = query.currency.unwrap_or_default();
    let Page { limit, .. } = Page::new(query.limit, None);
    let rows = queries::organizations(context, token.digest, currency, limit, query.cursor).await?;
    Reply::json(200, &page(limit, rows))
}

/// The page, from rows of which there is one more than asked for when more follow.
fn page(limit: u32, mut rows: Vec<OrganizationFigures>) -> OrganizationFiguresPage {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().map(|row| RevenueCursor {
        mrr: row.mrr.amount(),
        organization_id: row.organization_id,
    });
    OrganizationFiguresPage {
        organizations: rows,
        next_cursor: last.filter(|_| has_more),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::operations::PlatformFigures;

    fn row(number: u64) -> OrganizationFigures {
        let money = |amount: &str| json!({"amount": amount, "currency": "USD"});
        let json = json!({
            "organization_id": format!("org_{number:032x}"), "name": "Analytical Engines",
            "plan": "team", "status": "active", "seats": 3, "mrr": money("30.000000000"),
            "pool": {"available": money("0"), "consumed": money("1.5")}});
        serde_json::from_value(json).expect("a row as analytics_organizations returns it")
    }

    #[test]
    fn a_cursor_is_given_only_when_more_follow() {
        let table = [
            (vec![], 0, None),
            (vec![3], 1, None),
            (vec![3, 2], 2, None),
            (vec![3, 2, 1], 2, Some(2)),
        ];
        for (numbers, shown, next) in table {
            let rows = numbers.iter().copied().map(row).collect();
            let got = page(2, rows);
            assert_eq!(got.organizations.len(), shown, "{numbers:?}");
            let next = next.map(|number| {
                let last = row(number);
                RevenueCursor {
                    mrr: last.mrr.amount(),
                    organization_id: last.organization_id,
                }
            });
            assert_eq!(got.next_cursor, next, "{numbers:?}");
            if let Some(cursor) = got.next_cursor {
                assert_eq!(
                    cursor.mrr.to_string(),
                    "30.000000000",
                    "every digit is kept"
                );
            }
        }
    }

    #[test]
    fn figures_are_shown_in_their_currency() {
        let written = |amount: &str| json!({"amount": amount, "currency": "USD"});
        let figures: PlatformFigures = serde_json::from_value(json!({
            "currency": "USD", "since": "2026-11-01", "until": "2026-11-22",
            "as_of": "2026-11-21T09:30:00.123456Z",
            "credits": {
                "sold": written("100"), "promotional": written("5.500000000"),
                "consumed": written("20"), "refunded": written("1"),
                "expired": written("2"), "voided": written("3"), "spends": 4},
            "outstanding": {"liability": written("79.5")},
            "subscriptions": {
                "mrr": written("120.000000000"), "active": 3, "new_mrr": written("90"),
                "expansion_mrr": written("40"), "contraction_mrr": written("5"),
                "churned_mrr": written("10"), "reactivation_mrr": written("5"),
                "net_new_mrr": written("120")},
            "plans": [{"plan": "team", "subscriptions": 3, "seats": 12, "mrr": written("120")}]}))
        .expect("an answer as analytics_platform gives it");
        let shown = serde_json::to_value(figures).expect("plain data");
        let money = |amount: &str| json!({"amount": amount, "currency": "USD"});
        assert_eq!(shown["since"], "2026-11-01");
        assert_eq!(shown["credits"]["promotional"], money("5.50"));
        assert_eq!(shown["outstanding"]["liability"], money("79.50"));
        assert_eq!(shown["subscriptions"]["net_new_mrr"], money("120.00"));
        assert_eq!(shown["plans"][0]["mrr"], money("120.00"));
    }
}
