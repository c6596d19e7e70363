use serde::Serialize;
use shared::billing::org_billing::{self, Allocation};
use shared::http::context::Context;
use shared::http::pagination::{Cursor, Page};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::UserId;
use shared::money::Money;

use crate::queries::{self, Row};

/// A member, and what they have taken of the pool.
#[derive(Debug, Serialize)]
struct Member {
    user_id: UserId,
    email: String,
    role: String,
    /// What they may take in the currency that was asked for.
    allocation: Option<Allocation>,
    /// What they took in the allocation's current period.
    spent: Option<Money>,
}

#[derive(Debug, Serialize)]
struct Listed {
    members: Vec<Member>,
    next_cursor: Option<String>,
}

impl From<Row> for Member {
    fn from(row: Row) -> Self {
        let allocation = row.allocation.map(Allocation::from);
        Self {
            user_id: row.user_id,
            email: row.email,
            role: row.role,
            spent: allocation.as_ref().map(|allocation| allocation.used),
            allocation,
        }
    }
}

/// The page, from rows of which there is one more than asked for when more follow.
fn output(page: Page, mut rows: Vec<Row>) -> Listed {
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().map(|row| Cursor(row.sequence).encode());
    Listed {
        members: rows.into_iter().map(Member::from).collect(),
        next_cursor: last.filter(|_| has_more),
    }
}

pub async fn members(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id = org_billing::named(request.path())?;
    let currency = request.currency()?;
    let page = request.page()?;
    let rows = queries::list(context, token.digest, organization_id, currency, page).await?;
    Reply::json(200, &output(page, rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_was_spent_is_what_was_used_of_an_allocation() {
        let user = UserId::new(1, &[1; 10]);
        let row = |sequence: i64, allocation: Value| -> Row {
            let json = json!({"user_id": user, "email": "ada@example.com", "role": "member",
                              "allocation": allocation, "sequence": sequence});
            serde_json::from_value(json).expect("a row as organization_billing_members writes it")
        };
        let allocation = json!({
            "user_id": user, "currency": "USD", "limit": "10.000000000", "used": "2.500000000",
            "remaining": "7.500000000", "reset": "never",
            "period_started_at": "2026-01-01T00:00:00.000000Z", "period_ends_at": null, "sequence": 1});
        let page = Page {
            limit: 2,
            after: None,
        };
        let rows = vec![row(3, allocation), row(2, Value::Null), row(1, Value::Null)];
        let listed = serde_json::to_value(output(page, rows)).expect("plain data");
        let spent = json!({"amount": "2.50", "currency": "USD"});
        assert_eq!(listed["members"][0]["spent"], spent);
        assert_eq!(listed["members"][1]["allocation"], Value::Null);
        assert_eq!(listed["members"][1]["spent"], Value::Null);
        assert_eq!(listed["members"].as_array().map(Vec::len), Some(2));
        assert_eq!(listed["next_cursor"], json!(Cursor(2).encode()));
    }
}
