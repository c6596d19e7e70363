use shared::billing::analytics::MAX_PERIOD_DAYS;
use shared::billing::revenue_place::RevenuePlace;
use shared::http::context::Context;
use shared::http::pagination::{Listed, Page};
use shared::http::period::Period;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::money::Currency;

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
    let scope = request.list_scope::<OrganizationFiguresQuery>(&token);
    let page = Page::new(scope, query.limit, query.cursor.as_ref())?;
    let rows = queries::organizations(context, token.digest, currency, &page).await?;
    Reply::json(200, &shown(&page, currency, rows)?)
}

fn shown(
    page: &Page<RevenuePlace>,
    currency: Currency,
    rows: Listed<Vec<OrganizationFigures>>,
) -> Result<OrganizationFiguresPage, Problem> {
    let (organizations, next_cursor) = page.cut(rows, |row| RevenuePlace {
        mrr: row.mrr.amount(),
        organization_id: row.organization_id,
    })?;
    Ok(OrganizationFiguresPage {
        currency,
        organizations,
        next_cursor,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input::Whole;
    use shared::http::pagination::{Cursor, CursorKey, ListScope};

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
        for (numbers, count, next) in table {
            let rows = numbers.iter().copied().map(row).collect();
            let page = Page::new(ListScope::default(), Some(Whole(2)), None).expect("no cursor");
            let rows = Listed::new(rows, CursorKey::new([0; 32]));
            let got = shown(&page, Currency::USD, rows).expect("there is no cursor to refuse");
            assert_eq!(got.organizations.len(), count, "{numbers:?}");
            let place = got.next_cursor.as_ref().and_then(Cursor::place);
            let next = next.map(|number| {
                let last = row(number);
                RevenuePlace {
                    mrr: last.mrr.amount(),
                    organization_id: last.organization_id,
                }
            });
            assert_eq!(place, next, "{numbers:?}");
            if let Some(place) = place {
                assert_eq!(place.mrr.to_string(), "30.000000000", "every digit is kept");
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
