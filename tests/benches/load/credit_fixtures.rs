//! The data that is measured on, and the proof that measuring did not corrupt it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use rust_decimal::Decimal;
use serde_json::Value;
use shared::token;
use tokio_postgres::Client;
use turnpike_host::postgres_cluster::Cluster;

use super::fixtures;
use super::generator::Connection;
use super::server_process::ServerProcess;
use super::workload::{Template, Workload};

/// Accounts that the spread consumptions go to: far more than connections, so that two in flight
/// never meet, and few enough to stay in memory.
const SPREAD_ACCOUNTS: usize = 1_000;

/// What every consumption takes.
const CONSUMED_AMOUNT: &str = "0.01";

/// What every account holds at first. At 0.01 a time and 10,000 times a second it lasts for four
/// months.
const GRANTED_AMOUNT: &str = "1000000000.00";

/// Transactions of the user who lists them, so that the list has something to leave out.
const HISTORY_TRANSFERS: i64 = 200;

/// Users beside them: the administrator who grants, the reader, and the one with the hot account.
const OTHER_USERS: usize = 3;

/// A database of its own for one server, and the tokens of its users.
pub struct Fixtures {
    /// The address of the database.
    pub db_url: String,
    /// The token of a user who reads and never spends.
    pub reader: String,
    /// The token of the user whose one account all connections spend from.
    hot: String,
    /// The tokens of users with an account each.
    spread: Vec<String>,
    client: Client,
    /// Consumptions that the ledger must hold.
    acknowledged: i64,
}

/// Whose credits are spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spenders {
    /// One user, for whose account all connections queue.
    Hot,
    /// Many users, each with an account of their own.
    Spread,
}

impl Spenders {
    /// What a report calls the row; also what a baseline is matched by.
    pub const fn row_name(self) -> &'static str {
        match self {
            Self::Hot => "POST credits/consume, one account",
            Self::Spread => "POST credits/consume, 1,000 accounts",
        }
    }
}

impl Fixtures {
    /// Creates the database anew and fills it.
    ///
    /// # Errors
    /// Postgres refuses something.
    pub async fn create(cluster: &Cluster, database: &str, root: &Path) -> Result<Self> {
        let (db_url, client) = fixtures::create(cluster, database, root).await?;
        let tokens = register_with_credits(&client, OTHER_USERS + SPREAD_ACCOUNTS).await?;
        let [_, reader, hot, spread @ ..] = tokens.as_slice() else {
            anyhow::bail!("fewer users than the fixtures need");
        };
        let acknowledged = give_history(&client, reader).await?;
        client.batch_execute("VACUUM (ANALYZE)").await?;
        Ok(Self {
            db_url,
            reader: reader.clone(),
            hot: hot.clone(),
            spread: spread.to_vec(),
            client,
            acknowledged,
        })
    }

    /// Consumptions of [`CONSUMED_AMOUNT`], with Idempotency-Keys that begin with `run`. `members`
    /// are what the body has besides.
    pub fn consumptions(&self, spenders: Spenders, members: &str, run: u64) -> Workload {
        let body = format!(
            r#"{{"amount":"{CONSUMED_AMOUNT}","currency":"USD","description":"one call of the model"{members}}}"#
        );
        let requests = self.tokens(spenders).iter();
        Workload {
            requests: requests
                .map(|token| {
                    Template::post_idempotent("/api/v1/credits/consume", token, run, &body)
                })
                .collect(),
        }
    }

    fn tokens(&self, spenders: Spenders) -> &[String] {
        match spenders {
            Spenders::Hot => std::slice::from_ref(&self.hot),
            Spenders::Spread => &self.spread,
        }
    }

    /// Checks by way of the server that the balances are what they were at first, less
    /// everything that was ever acknowledged to these spenders.
    ///
    /// # Errors
    /// They are not.
    pub async fn check_balances(
        &self,
        server: &ServerProcess,
        spenders: Spenders,
        acknowledged: u64,
    ) -> Result<()> {
        let mut connection = Connection::open(server.address()).await?;
        let mut available = Decimal::ZERO;
        let mut expected = Decimal::ZERO;
        for token in self.tokens(spenders) {
            let request = Template::get("/api/v1/credits/balance?currency=USD", Some(token));
            let head = connection.exchange(request.as_bytes()).await?;
            let body: Value = serde_json::from_slice(connection.body(head))?;
            let amount = body.pointer("/available/amount").and_then(Value::as_str);
            let amount = amount.with_context(|| format!("a balance was answered {body}"))?;
            available += amount.parse::<Decimal>()?;
            expected += GRANTED_AMOUNT.parse::<Decimal>()?;
        }
        expected -= CONSUMED_AMOUNT.parse::<Decimal>()? * Decimal::from(acknowledged);
        ensure!(
            available == expected,
            "{available} is available where {expected} should be: a spend was lost or came to \
             pass twice, or a balance is older than a spend that was acknowledged"
        );
        Ok(())
    }

    /// A connection to the database.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Checks that the ledger holds exactly the consumptions that were acknowledged, and that it
    /// is sound.
    ///
    /// # Errors
    /// It is not.
    pub async fn check_ledger(&mut self, newly_acknowledged: u64) -> Result<()> {
        self.acknowledged += i64::try_from(newly_acknowledged)?;
        let row = self
            .client
            .query_one(
                "SELECT count(*) FROM ledger_transfers WHERE kind = 'consume'",
                &[],
            )
            .await?;
        let found: i64 = row.try_get(0)?;
        ensure!(
            found == self.acknowledged,
            "the ledger holds {found} consumptions and {} were acknowledged: a 2xx must mean \
             committed, and nothing may happen twice",
            self.acknowledged
        );
        fixtures::check_ledger(&self.client).await
    }
}

/// Registers users and gives all of them credits; the first is the administrator who does. Returns
/// their tokens.
async fn register_with_credits(client: &Client, count: usize) -> Result<Vec<String>> {
    let registered = fixtures::register(client, count).await?;
    fixtures::grant_to_each(client, &registered, GRANTED_AMOUNT).await?;
    Ok(registered.into_iter().map(|user| user.token).collect())
}

/// Lets a user spend a number of times, which is returned.
async fn give_history(client: &Client, token: &str) -> Result<i64> {
    let digest = token::digest(token).0.to_vec();
    let consumed: i64 = client
        .query_one(
            "SELECT count(*) FILTER (WHERE credits_consume(
                        $1, 'history-' || n, token_hash($1), gen_random_uuid(), 'USD', 0.01,
                        'one call of the model') -> 'transaction' IS NOT NULL)
               FROM generate_series(1, $2::bigint) AS n",
            &[&digest, &HISTORY_TRANSFERS],
        )
        .await?
        .try_get(0)?;
    ensure!(
        consumed == HISTORY_TRANSFERS,
        "{consumed} of {HISTORY_TRANSFERS} consumptions succeeded"
    );
    Ok(consumed)
}
