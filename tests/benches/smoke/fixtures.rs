//! The data that is measured on, and the proof that measuring did not corrupt it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use shared::ids::UserId;
use shared::token::{self, TokenKind};
use tokio_postgres::Client;
use turnpike_host::migrations;
use turnpike_host::postgres_cluster::{self, Cluster};
use uuid::Uuid;

/// Accounts that the spread consumptions go to: far more than connections, so that two in flight
/// never meet, and few enough to stay in memory.
const SPREAD_ACCOUNTS: usize = 1_000;

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
    pub hot: String,
    /// The tokens of users with an account each.
    pub spread: Vec<String>,
    client: Client,
    /// Consumptions that the ledger must hold.
    acknowledged: i64,
}

impl Fixtures {
    /// Creates the database anew and fills it.
    ///
    /// # Errors
    /// Postgres refuses something.
    pub async fn create(cluster: &Cluster, database: &str, root: &Path) -> Result<Self> {
        remove(cluster, database).await?;
        cluster.ensure_database(database).await?;
        let db_url = cluster.url(database);
        migrations::migrate(&db_url, &root.join("migrations")).await?;
        let client = postgres_cluster::connect(&db_url).await?;

        let tokens = register(&client, OTHER_USERS + SPREAD_ACCOUNTS).await?;
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

    /// Writes out what earlier phases left, so that no phase pays for another's.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn settle(&self) -> Result<()> {
        self.client
            .batch_execute("CHECKPOINT")
            .await
            .context("cannot write a checkpoint")
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
        let violations = self
            .client
            .query(
                "SELECT violation || ' (account ' || account_id || ')' FROM ledger_violations() LIMIT 10",
                &[],
            )
            .await?;
        let violations: Vec<String> = violations
            .iter()
            .map(|row| row.try_get(0))
            .collect::<Result<_, _>>()?;
        ensure!(
            violations.is_empty(),
            "the ledger is not sound: {}",
            violations.join("; ")
        );
        Ok(())
    }
}

/// Removes the database, whoever is connected to it.
///
/// # Errors
/// Postgres does not answer.
pub async fn remove(cluster: &Cluster, database: &str) -> Result<()> {
    let client = postgres_cluster::connect(&cluster.url("postgres")).await?;
    client
        .batch_execute(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"))
        .await
        .with_context(|| format!("cannot remove the database {database}"))
}

/// Registers users, signs each in and gives all of them credits; the first is the administrator
/// who does. Returns their tokens.
async fn register(client: &Client, count: usize) -> Result<Vec<String>> {
    let mut ids: Vec<Uuid> = Vec::with_capacity(count);
    let mut tokens = Vec::with_capacity(count);
    for _ in 0..count {
        let user = UserId::new(now_millis(), &random()?);
        ids.push(user.as_uuid());
        tokens.push(token::mint(TokenKind::Access, user, &random()?));
    }
    let digests: Vec<Vec<u8>> = tokens
        .iter()
        .map(|token| token::digest(token).0.to_vec())
        .collect();

    // Nobody signs in with a password here, so nothing is a hash of one. An organization and a
    // session may have the id of their user: each table numbers its own.
    for sql in [
        "INSERT INTO users (id, email, password_hash)
         SELECT id, 'user-' || n || '@bench.example', '-'
           FROM unnest($1::uuid[]) WITH ORDINALITY AS u (id, n)",
        "INSERT INTO organizations (id, name)
         SELECT id, 'Organization ' || n FROM unnest($1::uuid[]) WITH ORDINALITY AS u (id, n)",
        "INSERT INTO memberships (organization_id, user_id, role)
         SELECT id, id, 'owner' FROM unnest($1::uuid[]) AS u (id)",
        "INSERT INTO sessions (id, user_id, organization_id)
         SELECT id, id, id FROM unnest($1::uuid[]) AS u (id)",
    ] {
        client.execute(sql, &[&ids]).await?;
    }
    client
        .execute(
            "INSERT INTO access_tokens (digest, session_id, expires_at)
             SELECT digest, id, now() + interval '1 day'
               FROM unnest($1::uuid[], $2::bytea[]) AS u (id, digest)",
            &[&ids, &digests],
        )
        .await?;
    client
        .execute(
            "UPDATE users SET platform_role = 'platform_admin' WHERE id = $1",
            &[&ids.first()],
        )
        .await?;
    let granted: i64 = client
        .query_one(
            "SELECT count(*) FILTER (WHERE credits_grant(
                        $1, 'grant-' || id, $1, gen_random_uuid(), gen_random_uuid(), id,
                        'USD', $3::text::numeric, 'Benchmark') ->> 'outcome' = 'granted')
               FROM unnest($2::uuid[]) AS u (id)",
            &[&digests.first(), &ids, &GRANTED_AMOUNT],
        )
        .await?
        .try_get(0)?;
    ensure!(
        usize::try_from(granted) == Ok(count),
        "{granted} of {count} users were granted credits"
    );
    Ok(tokens)
}

/// Lets a user spend a number of times, which is returned.
async fn give_history(client: &Client, token: &str) -> Result<i64> {
    let digest = token::digest(token).0.to_vec();
    let consumed: i64 = client
        .query_one(
            "SELECT count(*) FILTER (WHERE credits_consume(
                        $1, 'history-' || n, $1, gen_random_uuid(), 'USD', 0.01,
                        'one call of the model') ->> 'outcome' = 'consumed')
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

/// Random bytes from the operating system.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).context("the operating system has no randomness")?;
    Ok(bytes)
}

/// Milliseconds since 1970.
pub fn now_millis() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(since_epoch.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
