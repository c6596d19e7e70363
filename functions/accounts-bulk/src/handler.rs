//! Each account is read by itself, and all that can be read are written by one statement.

use shared::billing::account_batch::{self, AccountItem, MAX_BATCH_BYTES, Outcome};
use shared::http::context::Context;
use shared::http::input;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::serde_json::Value;

use crate::operations::{AccountBatch, AccountBatchAnswer, AccountItemAnswer};

pub async fn write(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (batch, _) = request.json_within::<AccountBatch>(MAX_BATCH_BYTES).await?;
    let items = read(&batch.items);
    let outcomes = account_batch::write(context, token.digest, items).await?;
    let answer = AccountBatchAnswer {
        items: outcomes.into_iter().map(answer).collect(),
    };
    Reply::json(200, &answer)
}

/// Reads each item. Its mistakes are named by their places in the request.
fn read(items: &[Value]) -> Vec<Result<AccountItem, Problem>> {
    let read = |(index, item)| {
        let place = format!("items[{index}]");
        input::value_at(item, &place).map_err(Problem::invalid_fields)
    };
    items.iter().enumerate().map(read).collect()
}

fn answer(outcome: Outcome) -> AccountItemAnswer {
    let (status, account, problem) = outcome.into_parts();
    AccountItemAnswer {
        status,
        account,
        problem,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn mistakes_are_named_by_their_places() {
        let items = [
            json!({"create": {"name": "Ada"}}),
            json!({"create": {"name": ""}}),
            json!(1),
        ];
        let named: Vec<_> = read(&items)
            .into_iter()
            .map(|item| {
                let errors = item.err().map(|problem| problem.errors).unwrap_or_default();
                errors
                    .into_iter()
                    .map(|e| e.field.into_owned())
                    .collect::<Vec<_>>()
            })
            .collect();
        let expected: [&[&str]; 3] = [&[], &["items[1].create.name"], &["items[2]"]];
        assert_eq!(named, expected);
    }
}
