//! An account says who is billed. Every organization has one, which its own people may change
//! as far as it says who they are; the platform has all of them.
//!
//! Two values are cached: whose accounts a token may read, under the sign-in of its user, and
//! the account, under itself. A request is served only by both.

use serde::Deserialize;
use serde_json::Value;
use shared::billing::account::{self, AccountChange, AccountReader, NewAccount};
use shared::http::context::Context;
use shared::http::pagination::Page;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::{BillingAccountId, OrganizationId};
use shared::store::cache::{self, Lookup};
use shared::store::cache_entry::Entry;
use shared::store::cache_key::{CacheKey, Namespace, Scope};

use crate::operations::{AccountOwnerChange, AccountPage, AccountsListQuery};
use crate::queries;

/// What of a cached account is looked at.
#[derive(Deserialize)]
struct Head {
    organization_id: OrganizationId,
    version: u64,
}

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let query: AccountsListQuery = request.query()?;
    let scope = request.list_scope::<AccountsListQuery>(&token);
    let page = Page::new(scope, query.limit, query.cursor.as_ref())?;
    let rows = queries::list(context, token.digest, query, &page).await?;
    let (rows, next_cursor) = page.cut(rows, queries::Row::place)?;
    let listed = AccountPage {
        accounts: rows.into_iter().map(|row| row.account).collect(),
        next_cursor,
    };
    Reply::json(200, &listed)
}

pub async fn create(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (new, _) = request.json::<NewAccount>().await?;
    let id = new.draw_id(context.now_millis(), &context.random()?);
    let made = queries::create(context, token.digest, &new.into_item(id)).await?;
    shown(201, &made)
}

pub async fn read(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id: BillingAccountId = request.named("id", account::not_found)?;
    let right_key = CacheKey::<AccountReader>::for_own_reader(token.digest, Namespace::Account);
    let right = cache::look_up(context, right_key, Scope::Auth(token.owner)).await;
    let key = CacheKey::<Value>::for_account(Namespace::Account, id);
    let cached = cache::look_up(context, key, Scope::Account(id)).await;
    if let (Lookup::Hit(right), Lookup::Hit(entry)) = (&right, &cached)
        && let Some(reply) = cached_reply(right, entry)
    {
        return reply;
    }
    let found = queries::find(context, token.digest, id).await?;
    if let Lookup::Miss(fill) = right {
        fill.store(context, &found.reader, found.token_expires_millis)
            .await;
    }
    if let Lookup::Miss(fill) = cached {
        fill.store(context, &found.account, u64::MAX).await;
    }
    shown(200, &found.account)
}

/// What is answered of a cached account to a token with a cached right, if both can be read.
fn cached_reply(right: &Entry, entry: &Entry) -> Option<Result<Reply, Problem>> {
    let right: AccountReader = serde_json::from_slice(&right.payload).ok()?;
    let head: Head = serde_json::from_slice(&entry.payload).ok()?;
    if !right.may_read(head.organization_id) {
        return Some(Err(account::not_found()));
    }
    let reply = Reply::from_json_bytes(200, entry.payload.clone());
    Some(Ok(reply.with_entity_tag(head.version)))
}

pub async fn change(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id: BillingAccountId = request.named("id", account::not_found)?;
    let change = request.merge_patch::<AccountChange>().await?;
    let version = request.if_match()?;
    let item = account::change_item(id, version, change);
    let write = queries::change(context, token.digest, &item);
    let account = cache::during_write(context, &[Scope::Account(id)], write).await?;
    shown(200, &account)
}

pub async fn close(context: &Context, request: &Request) -> Result<Reply, Problem> {
    set_closed(context, request, true).await
}

pub async fn reopen(context: &Context, request: &Request) -> Result<Reply, Problem> {
    set_closed(context, request, false).await
}

async fn set_closed(
    context: &Context,
    request: &Request,
    is_closed: bool,
) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id: BillingAccountId = request.named("id", account::not_found)?;
    let write = queries::close(context, token.digest, id, is_closed);
    let account = cache::during_write(context, &[Scope::Account(id)], write).await?;
    shown(200, &account)
}

pub async fn set_owner(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", account::not_found)?;
    let (AccountOwnerChange { user_id }, _) = request.json().await?;
    let write = queries::set_owner(context, token.digest, id, user_id);
    let owner = cache::during_write(context, &Scope::all_of_user(user_id), write).await?;
    Reply::json(200, &owner)
}

/// An account, as the database shows it, with its version as its entity tag.
fn shown(status: u16, account: &Value) -> Result<Reply, Problem> {
    let version = account["version"].as_u64();
    let version = version.ok_or_else(Problem::internal)?;
    Ok(Reply::json(status, account)?.with_entity_tag(version))
}

#[cfg(test)]
mod tests {
    use shared::store::cache_entry::Generation;

    use super::*;

    fn entry(payload: &serde_json::Value) -> Entry {
        Entry {
            expires_at_millis: 0,
            generation: Generation([0; 16]),
            payload: payload.to_string().into_bytes(),
        }
    }

    #[test]
    fn a_cached_account_is_for_those_who_may_read_it() {
        let [own, other] = [1, 2].map(|n| OrganizationId::new(1, &[n; 10]));
        let cached = entry(&serde_json::json!({"organization_id": own, "version": 3, "name": "x"}));
        let table = [
            (Some(own), Some(200)),
            (None, Some(200)),
            (Some(other), Some(404)),
        ];
        for (organization_id, expected) in table {
            let right = entry(&serde_json::json!({"organization_id": organization_id}));
            let got = cached_reply(&right, &cached).map(|reply| match reply {
                Ok(reply) => reply.status,
                Err(problem) => problem.status,
            });
            assert_eq!(got, expected, "{organization_id:?}");
        }
        let unreadable = entry(&serde_json::json!([]));
        assert!(cached_reply(&unreadable, &cached).is_none());
        assert!(cached_reply(&unreadable, &unreadable).is_none());
    }
}
