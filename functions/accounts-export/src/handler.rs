//! The file is written page by page, so that memory holds one however many accounts there are.
//!
//! The caller's right to read is decided with the first page. A token that is revoked while the
//! file is under way does not cut it off.

use shared::billing::account::{Account, AccountReader};
use shared::billing::account_table;
use shared::http::context::Context;
use shared::http::pieces::{NextPiece, Pieces};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::BillingAccountId;

use crate::queries;

/// Rows that are read by one statement and held at once: with all that they can hold they are 30
/// MB, and most are half a kilobyte each.
const PAGE_ROWS: i32 = 1_000;

/// The rows that are still to be written: those before an account.
#[derive(Debug)]
struct Remaining {
    reader: AccountReader,
    before: Option<BillingAccountId>,
}

impl Pieces for Remaining {
    fn next<'a>(&'a mut self, context: &'a Context) -> NextPiece<'a> {
        Box::pin(async {
            let Some(before) = self.before.take() else {
                return Ok(None);
            };
            let accounts = queries::next(context, self.reader, before, PAGE_ROWS + 1).await?;
            let (text, before) = page(accounts, String::new());
            self.before = before;
            Ok(Some(text.into_bytes()))
        })
    }
}

/// Writes the rows of a page, of which there is one more than its size when more follow: then
/// those before the last that is written.
fn page(mut accounts: Vec<Account>, mut text: String) -> (String, Option<BillingAccountId>) {
    let size = usize::try_from(PAGE_ROWS).unwrap_or(usize::MAX);
    let has_more = accounts.len() > size;
    accounts.truncate(size);
    for account in &accounts {
        account_table::write_row(&mut text, account);
    }
    let last = accounts.last().filter(|_| has_more);
    (text, last.map(|account| account.id))
}

pub async fn export(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let beginning = queries::begin(context, token.digest, PAGE_ROWS + 1).await?;
    let (text, before) = page(beginning.accounts, account_table::header());
    let reply = Reply::csv("accounts.csv", text.into_bytes());
    if before.is_none() {
        return Ok(reply);
    }
    Ok(reply.followed_by(Remaining {
        reader: beginning.reader,
        before,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(number: u64) -> Account {
        let json = serde_json::json!({
            "id": format!("acc_{number:032x}"), "organization_id": format!("org_{number:032x}"),
            "user_id": null, "kind": "person", "name": "Ada", "external_id": null, "email": null,
            "phone": null, "billing_address": null, "shipping_address": null, "tax_ids": [],
            "currency": null, "time_zone": "UTC", "locale": null, "payment_terms_days": 0,
            "invoice_settings": {"grace_days": 0, "consolidation": "account", "footer": null},
            "metadata": {}, "parent_id": null, "status": "active", "is_test": false,
            "test_clock_at": null, "version": 1, "created_at": "2026-01-01T00:00:00.000000Z",
            "updated_at": "2026-01-01T00:00:00.000000Z", "closed_at": null,
        });
        serde_json::from_value(json).expect("an account as the database shows it")
    }

    #[test]
    fn a_page_leaves_what_is_before_its_rows() {
        let size = u64::try_from(PAGE_ROWS).expect("it is positive");
        for (count, is_last) in [(0, true), (1, true), (size, true), (size + 1, false)] {
            let accounts: Vec<Account> = (0..count).map(|n| account(count - n)).collect();
            let (text, before) = page(accounts, String::new());
            assert_eq!(text.lines().count() as u64, count.min(size));
            let expected = (!is_last).then(|| account(count + 1 - size).id);
            assert_eq!(before, expected, "{count}");
        }
    }
}
