use serde::Serialize;
use shared::credits::{Transaction, TransactionFilter};
use shared::http::context::Context;
use shared::http::pagination::{Cursor, Page};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

use crate::queries::{self, Row};

#[derive(Debug, Serialize)]
struct Output {
    transactions: Vec<Transaction>,
    next_cursor: Option<String>,
}

/// The page, from rows of which there is one more than asked for when more follow.
fn output(page: Page, mut rows: Vec<Row>) -> Output {
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().map(|row| Cursor(row.sequence).encode());
    Output {
        transactions: rows.into_iter().map(|row| row.transaction.into()).collect(),
        next_cursor: last.filter(|_| has_more),
    }
}

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let currency = request.currency()?;
    let page = request.page()?;
    let filter = TransactionFilter::from_parameters(
        request.query_parameter("kind")?.as_deref(),
        request.query_parameter("since")?.as_deref(),
        request.query_parameter("until")?.as_deref(),
    )?;
    let rows = queries::list(context, token.digest, currency, &filter, page).await?;
    Reply::json(200, &output(page, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sequence: i64) -> Row {
        let json = serde_json::json!({"sequence": sequence, "transaction": {
            "id": format!("ctx_{sequence:032x}"), "kind": "grant", "amount": "1.000000000",
            "available_after": "1.000000000", "debited": "issued", "credited": "available",
            "currency": "USD", "description": "",
            "occurred_at": "2026-01-01T00:00:00.000000Z",
            "created_at": "2026-01-01T00:00:00.000000Z"}});
        serde_json::from_value(json).expect("a row as credits_transactions returns it")
    }

    #[test]
    fn a_cursor_is_given_only_when_more_follow() {
        let page = Page {
            limit: 2,
            after: None,
        };
        let table = [
            (vec![], 0, None),
            (vec![3], 1, None),
            (vec![3, 2], 2, None),
            (vec![3, 2, 1], 2, Some(2)),
        ];
        for (sequences, shown, next) in table {
            let rows = sequences.iter().copied().map(row).collect();
            let got = output(page, rows);
            assert_eq!(got.transactions.len(), shown, "{sequences:?}");
            assert_eq!(
                got.next_cursor,
                next.map(|n| Cursor(n).encode()),
                "{sequences:?}"
            );
        }
    }
}
