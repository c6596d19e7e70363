//! The file is written page by page, so that memory holds one however long the
//! ledger is. Pages follow the account's sequence downward, so what is booked
//! while the file is written is in none of them: the file shows one moment.
//!
//! The caller's right to read is decided with the first page. A token that is
//! revoked while the file is under way does not cut it off.

use shared::http::context::Context;
use shared::http::pieces::{NextPiece, Pieces};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::money::Currency;

use crate::csv;
use crate::operations::TransactionsExportQuery;
use crate::queries::{self, Position, Row};

/// Rows that are read by one statement and held at once: with descriptions of 500
/// characters of 4 bytes they are 2.4 MB, as the database writes them and as the
/// file has them, and most have a tenth of that.
const PAGE_ROWS: i32 = 1_000;

/// The rows that are still to be written.
#[derive(Debug)]
struct Remaining(Option<Position>);

impl Pieces for Remaining {
    fn next<'a>(&'a mut self, context: &'a Context) -> NextPiece<'a> {
        Box::pin(async {
            let Some(mut position) = self.0.take() else {
                return Ok(None);
            };
            let rows = queries::next(context, &position, PAGE_ROWS + 1).await?;
            let (text, last) = page(rows, String::new());
            self.0 = last.map(|sequence| {
                position.before = sequence;
                position
            });
            Ok(Some(text.into_bytes()))
        })
    }
}

/// Writes the rows of a page, of which there is one more than its size when more
/// follow; then also tells the position of the last row.
fn page(mut rows: Vec<Row>, mut text: String) -> (String, Option<i64>) {
    let size = usize::try_from(PAGE_ROWS).unwrap_or(usize::MAX);
    let has_more = rows.len() > size;
    rows.truncate(size);
    let last = rows.last().map(|row| row.sequence);
    for row in rows {
        csv::write_row(&mut text, &row.transaction);
    }
    (text, last.filter(|_| has_more))
}

pub async fn export(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let query: TransactionsExportQuery = request.query()?;
    let currency = query.currency.unwrap_or_default();
    let filter = query.filter();
    let beginning = queries::begin(context, token.digest, currency, &filter, PAGE_ROWS + 1).await?;
    let (text, last) = page(beginning.rows, csv::HEADER.to_owned());
    let reply = Reply::csv(&file_name(currency), text.into_bytes());
    Ok(
        match (beginning.organization_id, beginning.account_id, last) {
            (Some(organization), Some(account), Some(before)) => {
                reply.followed_by(Remaining(Some(Position {
                    organization,
                    account,
                    currency,
                    kind: filter.kind,
                    from: beginning.from,
                    before,
                })))
            }
            _ => reply,
        },
    )
}

fn file_name(currency: Currency) -> String {
    format!("transactions-{}.csv", currency.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sequence: i32) -> Row {
        let money = serde_json::json!({"amount": "1.000000000", "currency": "USD"});
        let json = serde_json::json!({"sequence": sequence, "transaction": {
            "id": format!("ctx_{sequence:032x}"), "kind": "grant", "amount": money,
            "available_after": money, "debited": "issued", "credited": "available",
            "description": "", "service": null, "model": null,
            "occurred_at": "2026-01-01T00:00:00.000000Z",
            "created_at": "2026-01-01T00:00:00.000000Z"}});
        serde_json::from_value(json).expect("a row as transfers_page returns it")
    }

    #[test]
    fn a_page_tells_its_last_row_only_when_more_follow() {
        let table = [
            (0, 0, None),
            (1, 1, None),
            (PAGE_ROWS, 1_000, None),
            (PAGE_ROWS + 1, 1_000, Some(2)),
        ];
        for (count, shown, expected) in table {
            let rows = (1..=count).rev().map(row).collect();
            let (text, last) = page(rows, String::new());
            assert_eq!(text.lines().count(), shown, "{count}");
            assert_eq!(last, expected, "{count}");
        }
    }
}
