use shared::http::context::Context;
use shared::http::pagination::{Listed, Page};
use shared::http::problem::Problem;
use shared::store::db;
use shared::token::TokenDigest;

use crate::operations::{AuditEvent, AuditQuery};

/// Whose events are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain {
    /// Those of the credential's organization.
    Organization,
    /// Those that belong to none.
    Platform,
}

/// The events of the page, and one more if there is one.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    chain: Chain,
    query: AuditQuery,
    page: &Page,
) -> Result<Listed<Vec<AuditEvent>>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        query.event_type.map(String::from).into(),
        query.since.map(|since| since.0).into(),
        query.until.map(|until| until.0).into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.unwrap_or(i64::MAX).into(),
        (chain == Chain::Platform).into(),
    ];
    let sql = "SELECT audit_log($1, $2, $3::timestamp AT TIME ZONE 'UTC',
                                $4::timestamp AT TIME ZONE 'UTC', $5, $6, $7)::text, cursor_key()";
    db::list(context, sql, &parameters, db::no_refusal_of_its_own).await
}
