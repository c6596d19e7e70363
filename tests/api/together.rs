//! Requests that wait for each other, and are sent as one statement.

use std::time::Duration;

use futures::future::join_all;
use tokio_postgres::Client;
use turnpike_tests::database::connect_without_timeouts;
use turnpike_tests::personas::{sql_digest, sql_hash};
use turnpike_tests::{Call, Response, TestHost, User};

/// Requests that come while what they need is held. The host spreads them over a few instances.
pub const WAITING: usize = 40;

/// How often a test may try until requests have waited together.
pub const ATTEMPTS: usize = 20;

/// A connection that holds what requests need.
pub struct Holder(Client);

impl Holder {
    /// Takes what a statement locks.
    pub async fn hold(host: &TestHost, sql: &str) -> Self {
        let client = connect_without_timeouts(host.database_url()).await;
        let client = client.expect("the database can be reached");
        let sql = format!("BEGIN; {sql}");
        client.batch_execute(&sql).await.expect("nobody holds it");
        Self(client)
    }

    /// Gives it back.
    pub async fn release(self) {
        self.0.batch_execute("COMMIT").await.expect("it held it");
    }
}

/// Sends a request while what it needs is held, and the others while it waits. They are answered
/// once it is free, in their order.
pub async fn send_while_held(host: &TestHost, hold: &str, calls: Vec<Call>) -> Vec<Response> {
    let holder = Holder::hold(host, hold).await;
    let mut calls = calls.into_iter();
    let first = calls.next().expect("there is a first");
    let first = tokio::spawn(async move { first.settle().await });
    host.until_blocked().await;
    let others = join_all(calls.map(|call| async move { call.settle().await }));
    let release = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        holder.release().await;
    };
    let (others, ()) = tokio::join!(others, release);
    let mut responses = vec![first.await.expect("it is answered")];
    responses.extend(others);
    responses
}

/// How many transactions have written some rows: a table, and which of them.
pub async fn statements(host: &TestHost, rows: &str) -> usize {
    let sql = format!("SELECT count(DISTINCT xmin::text) FROM {rows}");
    usize::try_from(host.query(&sql).await[0].get::<_, i64>(0)).expect("it is a count")
}

/// Whether at most every second request had a statement of its own. An instance sends the first
/// that it gets alone, and there can be several instances.
pub fn are_fewer(statements: usize, requests: usize) -> bool {
    println!("{statements} statements for {requests} requests");
    2 * statements <= requests
}

/// How many of the answers have a status.
pub fn count(responses: &[Response], status: u16) -> usize {
    responses.iter().filter(|r| r.status == status).count()
}

/// The user's own organization, as SQL has it.
pub async fn organization_of(host: &TestHost, user: &User) -> String {
    let organization = host.organization_of(user).await;
    format!("'{}'::uuid", organization.as_uuid())
}

/// Ends the session of an access token.
pub async fn revoke(host: &TestHost, token: &str) {
    let digest = sql_digest(token);
    let hash = sql_hash(token);
    host.execute(&format!(
        "UPDATE sessions SET revoked_at = now() WHERE (organization_id, id) = (
             SELECT organization_id, session_id FROM access_tokens
              WHERE organization_id = token_organization({digest}) AND digest = {hash})"
    ))
    .await;
}
