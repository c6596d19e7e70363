use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

use crate::operations::{AuditPage, AuditQuery};
use crate::queries::{self, Chain};

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    page(context, request, Chain::Organization).await
}

pub async fn list_platform(context: &Context, request: &Request) -> Result<Reply, Problem> {
    page(context, request, Chain::Platform).await
}

async fn page(context: &Context, request: &Request, chain: Chain) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let query = request.query::<AuditQuery>()?;
    let page = request.page::<AuditQuery>(&token, query.limit, query.cursor.as_ref())?;
    let events = queries::list(context, token.digest, chain, query, &page).await?;
    let (events, next_cursor) = page.cut(events, |event| event.sequence)?;
    Reply::json(
        200,
        &AuditPage {
            events,
            next_cursor,
        },
    )
}

#[cfg(test)]
mod tests {
    use shared::http::input;

    use super::*;

    #[test]
    fn filters() {
        let long = "x".repeat(101);
        let table: [(&[(&str, &str)], _); 7] = [
            (&[], None),
            (
                &[
                    ("event_type", "session.opened"),
                    ("since", "2026-01-01T00:00:00Z"),
                    ("until", "2026-01-02T00:00:00.5+02:00"),
                ],
                None,
            ),
            (&[("event_type", "")], Some("event_type")),
            (&[("event_type", &long)], Some("event_type")),
            (&[("since", "yesterday")], Some("since")),
            (&[("since", "2026-01-01")], Some("since")),
            (&[("until", "2026-13-01T00:00:00Z")], Some("until")),
        ];
        for (parameters, expected) in table {
            let pairs = parameters
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()));
            let refused = input::query::<AuditQuery>(pairs).err();
            let field = refused.as_ref().map(|problem| &*problem.errors[0].field);
            assert_eq!(field, expected, "{parameters:?}");
        }
    }
}
