use shared::credits::TransactionsQuery;
use shared::credits::place::CreditPlace;
use shared::http::context::Context;
use shared::http::pagination::{Listed, Page};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

use crate::operations::TransactionPage;
use crate::queries::{self, Row};

fn shown(page: &Page<CreditPlace>, rows: Listed<Vec<Row>>) -> Result<TransactionPage, Problem> {
    let (rows, next_cursor) = page.cut(rows, Row::place)?;
    Ok(TransactionPage {
        transactions: rows.into_iter().map(|row| row.transaction).collect(),
        next_cursor,
    })
}

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let query: TransactionsQuery = request.query()?;
    let filter = query.filter();
    let scope = request.list_scope::<TransactionsQuery>(&token);
    let page = Page::new(scope, query.limit, query.cursor.as_ref())?;
    let rows = queries::list(context, token.digest, query.currency, &filter, &page).await?;
    Reply::json(200, &shown(&page, rows)?)
}

#[cfg(test)]
mod tests {
    use shared::http::input::{self, Whole};
    use shared::http::pagination::{Cursor, CursorKey, ListScope};

    use super::*;

    #[test]
    fn filters() {
        let table = [
            ("", None),
            (
                "kind=expire&since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00.5%2B02:00",
                None,
            ),
            ("kind=", Some("kind")),
            ("kind=Grant", Some("kind")),
            ("since=yesterday", Some("since")),
            ("since=2026-01-01", Some("since")),
            ("until=2026-13-01T00:00:00Z", Some("until")),
            (
                "since=2026-01-01T00:00:00Z&since=2026-01-01T00:00:00Z",
                Some("since"),
            ),
        ];
        for (query, expected) in table {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let pairs = pairs.map(|(name, value)| (name.into(), value.replace("%2B", "+").into()));
            let refused = input::query::<TransactionsQuery>(pairs)
                .err()
                .map(|problem| problem.errors[0].field.to_string());
            assert_eq!(refused.as_deref(), expected, "{query:?}");
        }
    }

    fn row(number: i64) -> Row {
        let money = serde_json::json!({"amount": "1.000000000", "currency": "USD"});
        let json = serde_json::json!({"at_micros": number, "transaction": {
            "id": format!("ctx_{number:032x}"), "kind": "grant", "amount": money,
            "available_after": money, "debited": "issued", "credited": "available",
            "description": "", "service": null, "model": null,
            "occurred_at": "2026-01-01T00:00:00.000000Z",
            "created_at": "2026-01-01T00:00:00.000000Z"}});
        serde_json::from_value(json).expect("a row as credits_transactions returns it")
    }

    #[test]
    fn a_cursor_is_given_only_when_more_follow() {
        let page = Page::new(ListScope::default(), Some(Whole(2)), None).expect("no cursor");
        let table = [
            (vec![], 0, None),
            (vec![3], 1, None),
            (vec![3, 2], 2, None),
            (vec![3, 2, 1], 2, Some(row(2).place())),
        ];
        for (sequences, count, next) in table {
            let rows = sequences.iter().copied().map(row).collect();
            let rows = Listed::new(rows, CursorKey::new([0; 32]));
            let got = shown(&page, rows).expect("there is no cursor to refuse");
            assert_eq!(got.transactions.len(), count, "{sequences:?}");
            let place = got.next_cursor.as_ref().map(Cursor::place);
            assert_eq!(place, next.map(Some), "{sequences:?}");
        }
    }
}
