//! The file is written page by page, so that memory holds one however long the
//! ledger is. Pages follow the sequence of each account downward, so what is booked
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
use crate::queries::{self, Part, Position, Row};

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
            let (text, has_more) = page(rows, &mut position.parts, String::new());
            self.0 = has_more.then_some(position);
            Ok(Some(text.into_bytes()))
        })
    }
}

/// Writes the rows of a page, of which there is one more than its size when more follow, and
/// takes them from what is left to read of each account. Says whether more follow.
fn page(mut rows: Vec<Row>, parts: &mut [Part], mut text: String) -> (String, bool) {
    let size = usize::try_from(PAGE_ROWS).unwrap_or(usize::MAX);
    let has_more = rows.len() > size;
    rows.truncate(size);
    for row in rows {
        csv::write_row(&mut text, &row.transaction);
        let currency = row.transaction.amount.currency();
        if let Some(part) = parts.iter_mut().find(|part| part.currency == currency) {
            part.before = row.sequence;
        }
    }
    (text, has_more)
}

pub async fn export(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let query: TransactionsExportQuery = request.query()?;
    let filter = query.filter();
    let beginning = queries::begin(
        context,
        token.digest,
        query.currency,
        &filter,
        PAGE_ROWS + 1,
    )
    .await?;
    let mut parts = beginning.parts;
    let (text, has_more) = page(beginning.rows, &mut parts, csv::HEADER.to_owned());
    let reply = Reply::csv(&file_name(query.currency), text.into_bytes());
    if !has_more {
        return Ok(reply);
    }
    Ok(reply.followed_by(Remaining(Some(Position {
        organization: beginning.organization_id,
        user: beginning.user_id,
        kind: filter.kind,
        parts,
    }))))
}

fn file_name(currency: Option<Currency>) -> String {
    currency.map_or_else(
        || "transactions.csv".to_owned(),
        |currency| format!("transactions-{}.csv", currency.code()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sequence: i64, currency: Currency) -> Row {
        let money = serde_json::json!({"amount": "1.000000000", "currency": currency});
        let json = serde_json::json!({"sequence": sequence, "transaction": {
            "id": format!("ctx_{sequence:032x}"), "kind": "grant", "amount": money,
            "available_after": money, "debited": "issued", "credited": "available",
            "description": "", "service": null, "model": null,
            "occurred_at": "2026-01-01T00:00:00.000000Z",
            "created_at": "2026-01-01T00:00:00.000000Z"}});
        serde_json::from_value(json).expect("a row as transfers_page returns it")
    }

    #[test]
    fn a_page_leaves_what_is_below_its_rows() {
        let size = i64::from(PAGE_ROWS);
        // How many dollars and then euros there are, and what of them is left to read.
        let table = [
            ((0, 0), (false, [9_000, 9_000])),
            ((1, 0), (false, [1, 9_000])),
            ((size - 1, 1), (false, [1, 1])),
            ((size - 1, 2), (true, [1, 2])),
            ((size, 1), (true, [1, 9_000])),
            ((size + 1, 0), (true, [2, 9_000])),
        ];
        for ((dollars, euros), expected) in table {
            let mut parts = [Currency::USD, Currency::EUR].map(|currency| Part {
                currency,
                first: 0,
                before: 9_000,
            });
            let dollars = (1..=dollars).rev().map(|n| row(n, Currency::USD));
            let euros = (1..=euros).rev().map(|n| row(n, Currency::EUR));
            let rows: Vec<Row> = dollars.chain(euros).collect();
            let shown = rows.len().min(1_000);
            let (text, has_more) = page(rows, &mut parts, String::new());
            assert_eq!(text.lines().count(), shown, "{expected:?}");
            assert_eq!((has_more, parts.map(|part| part.before)), expected);
        }
    }

    #[test]
    fn the_name_of_a_file_has_the_currency_that_was_asked_for() {
        assert_eq!(file_name(Some(Currency::EUR)), "transactions-EUR.csv");
        assert_eq!(file_name(None), "transactions.csv");
    }
}
