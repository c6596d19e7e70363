use shared::http::context::Context;
use shared::http::pagination::{Listed, Page};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::organizations;

use crate::operations::{BillingMember, BillingMemberPage, BillingMemberQuery};
use crate::queries;

/// The page, from rows of which there is one more than asked for when more follow.
fn cut(page: &Page, rows: Listed<Vec<BillingMember>>) -> Result<BillingMemberPage, Problem> {
    let (members, next_cursor) = page.cut(rows, |member| member.sequence)?;
    Ok(BillingMemberPage {
        members,
        next_cursor,
    })
}

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id = request.named("id", organizations::not_found)?;
    let query = request.query::<BillingMemberQuery>()?;
    let page = request.page::<BillingMemberQuery>(&token, query.limit, query.cursor.as_ref())?;
    let rows = queries::list(
        context,
        token.digest,
        organization_id,
        query.currency,
        &page,
    )
    .await?;
    Reply::json(200, &cut(&page, rows)?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::http::input::Whole;
    use shared::http::pagination::{Cursor, CursorKey, ListScope};
    use shared::ids::UserId;

    use super::*;

    #[test]
    fn a_page_shows_what_was_allocated_and_spent_and_no_place_in_the_list() {
        let user = UserId::new(1, &[1; 10]);
        let row = |sequence: i64, allocations: Value| -> BillingMember {
            let json = json!({"user_id": user, "email": "ada@example.com", "role": "member",
                              "allocations": allocations, "sequence": sequence});
            serde_json::from_value(json).expect("a row as organization_billing_members writes it")
        };
        let money = |amount: &str| json!({"amount": amount, "currency": "USD"});
        let allocation = json!({
            "user_id": user, "limit": money("10.000000000"), "used": money("2.500000000"),
            "remaining": money("7.500000000"), "reset": "never",
            "period_started_at": "2026-01-01T00:00:00.000000Z", "period_ends_at": null});
        let page = Page::new(ListScope::default(), Some(Whole(2)), None).expect("no cursor");
        let rows = vec![
            row(3, json!([allocation])),
            row(2, json!([])),
            row(1, json!([])),
        ];
        let rows = Listed::new(rows, CursorKey::new([0; 32]));
        let listed = cut(&page, rows).expect("there is no cursor to refuse");
        let next = listed.next_cursor.as_ref().map(Cursor::place);
        assert_eq!(next, Some(Some(2)));
        let listed = serde_json::to_value(listed).expect("plain data");
        let first = &listed["members"][0];
        assert_eq!(first["allocations"][0]["used"], money("2.50"));
        assert_eq!(first["allocations"][0]["period_ends_at"], Value::Null);
        assert_eq!(first.get("sequence"), None);
        assert_eq!(listed["members"][1]["allocations"], json!([]));
        assert_eq!(listed["members"].as_array().map(Vec::len), Some(2));
        assert!(listed["next_cursor"].is_string());
    }
}
