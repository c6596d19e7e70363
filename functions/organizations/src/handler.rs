//! A token acts in one organization, and reads and changes that one only. The
//! list and a new organization belong to the person, and so to a session.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::OrganizationId;
use shared::organizations;
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::operations::{NewOrganization, OrganizationChange};
use crate::queries;

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    Reply::json(200, &queries::list(context, token.digest).await?)
}

pub async fn create(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (body, _) = request.json::<NewOrganization>().await?;
    let id = OrganizationId::new(context.now_millis(), &context.random()?);
    let made = queries::create(context, token.digest, id, body.name).await?;
    Reply::json(201, &made)
}

pub async fn read(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", organizations::not_found)?;
    Reply::json(200, &queries::read(context, token.digest, id).await?)
}

pub async fn change(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id: OrganizationId = request.named("id", organizations::not_found)?;
    let (change, _) = request.json::<OrganizationChange>().await?;
    let changes_time_zone = change.time_zone.is_some();
    let changed = queries::change(context, token.digest, id, change).await?;
    // Each member may have the old name cached, and how many there are has no
    // bound that could be marked beforehand: their scopes change after the
    // commit, and before the answer. So does that of the summaries, whose days are
    // the zone's: a mark beforehand could be set by whoever names the organization.
    let mut scopes: Vec<Scope> = changed.member_ids.into_iter().map(Scope::Auth).collect();
    scopes.extend(changes_time_zone.then_some(Scope::Usage(id)));
    cache::invalidate(context, &scopes).await;
    Reply::json(200, &changed.organization)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::http::input::{self, Input};

    use super::*;

    /// The mistakes of a body, by their fields and codes.
    fn mistakes<T: Input>(body: &Value) -> Vec<(String, &'static str)> {
        let errors = input::value_at::<T>(body, "").err().unwrap_or_default();
        let named = errors.into_iter().map(|e| (e.field.into_owned(), e.code));
        named.collect()
    }

    fn owned(expected: Vec<(&str, &'static str)>) -> Vec<(String, &'static str)> {
        let owned = expected.into_iter().map(|(f, c)| (f.to_owned(), c));
        owned.collect()
    }

    #[test]
    fn bodies() {
        let table = [
            (json!({"name": "Engines"}), vec![]),
            (json!({}), vec![("name", "required")]),
            (json!({"name": " "}), vec![("name", "wrong_length")]),
            (json!({"name": null}), vec![("name", "wrong_type")]),
            (
                json!({"name": "x", "owner": "y"}),
                vec![("owner", "unknown")],
            ),
        ];
        for (body, expected) in table {
            assert_eq!(
                mistakes::<NewOrganization>(&body),
                owned(expected),
                "{body}"
            );
        }
    }

    #[test]
    fn changes() {
        let table = [
            (json!({"name": "Engines"}), vec![]),
            (json!({"time_zone": "Europe/Berlin"}), vec![]),
            (json!({"name": "Engines", "time_zone": "UTC"}), vec![]),
            (json!({}), vec![("name", "required")]),
            (json!({"name": null}), vec![("name", "required")]),
            (json!({"time_zone": null}), vec![("name", "required")]),
            (
                json!({"name": " ", "time_zone": ""}),
                vec![("name", "wrong_length"), ("time_zone", "wrong_length")],
            ),
            (
                json!({"time_zone": "x".repeat(65)}),
                vec![("time_zone", "wrong_length")],
            ),
            (
                json!({"time_zone": 1, "role": "owner"}),
                vec![("time_zone", "wrong_type"), ("role", "unknown")],
            ),
        ];
        for (body, expected) in table {
            assert_eq!(
                mistakes::<OrganizationChange>(&body),
                owned(expected),
                "{body}"
            );
        }
    }
}
