//! Each row is read by itself, and all that can be read are written by one statement.

use shared::billing::account_batch::{self, MAX_BATCH_BYTES, MAX_ITEMS, Outcome};
use shared::billing::account_table;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

use crate::operations::{AccountsImport, ImportedRow};

const MEDIA_TYPE: &str = "text/csv";

pub async fn import(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    if !request.media_type()?.eq_ignore_ascii_case(MEDIA_TYPE) {
        return Err(Problem::unsupported_media_type(MEDIA_TYPE));
    }
    let body = request.body_within(MAX_BATCH_BYTES).await?;
    let text = std::str::from_utf8(&body)
        .map_err(|_| Problem::malformed_body("The file is not UTF-8."))?;
    let rows = account_table::read(text, MAX_ITEMS)?;
    let (lines, items): (Vec<usize>, _) = rows.into_iter().map(|row| (row.line, row.item)).unzip();
    let outcomes = account_batch::write(context, token.digest, items).await?;
    let rows = lines.into_iter().zip(outcomes).map(answer).collect();
    Reply::json(200, &AccountsImport { rows })
}

fn answer((line, outcome): (usize, Outcome)) -> ImportedRow {
    let (status, account, problem) = outcome.into_parts();
    ImportedRow {
        line,
        status,
        account_id: account.map(|account| account.id),
        problem,
    }
}
