//! A database of a benchmark's own, and the users in it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use shared::ids::{OrganizationId, SessionId, UserId};
use shared::token::{self, TokenKind};
use tokio_postgres::Client;
use turnpike_host::migrations;
use turnpike_host::postgres_cluster::{self, Cluster};
use turnpike_tests::database::connect_without_timeouts;
use uuid::Uuid;

/// Creates the database anew and migrates it. Returns its address and a connection.
///
/// # Errors
/// Postgres refuses something.
pub async fn create(cluster: &Cluster, database: &str, root: &Path) -> Result<(String, Client)> {
    remove(cluster, database).await?;
    cluster.ensure_database(database).await?;
    let db_url = cluster.url(database);
    migrations::migrate(&db_url, root).await?;
    let client = connect_without_timeouts(&db_url).await?;
    Ok((db_url, client))
}

/// Writes out what earlier phases left, so that no phase pays for another's.
///
/// # Errors
/// Postgres does not answer.
pub async fn settle(client: &Client) -> Result<()> {
    client
        .batch_execute("CHECKPOINT")
        .await
        .context("cannot write a checkpoint")
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

/// Somebody who is signed in, and owns an organization of the same UUID.
pub struct Registered {
    /// Their id.
    pub id: Uuid,
    /// Their access token.
    pub token: String,
}

/// Registers users as `user-1@bench.example` and so on, and signs each in.
///
/// # Errors
/// Postgres refuses something.
pub async fn register(client: &Client, count: usize) -> Result<Vec<Registered>> {
    let mut registered = Vec::with_capacity(count);
    for _ in 0..count {
        registered.push(Registered {
            id: UserId::new(now_millis(), &random()?).as_uuid(),
            token: String::new(),
        });
    }
    let ids: Vec<Uuid> = registered.iter().map(|user| user.id).collect();

    // Nobody signs in with a password here, so nothing is a hash of one.
    for sql in [
        "INSERT INTO users (id, email, password_hash)
         SELECT id, 'user-' || n || '@bench.example', '-'
           FROM unnest($1::uuid[]) WITH ORDINALITY AS u (id, n)",
        "INSERT INTO organizations (id, name)
         SELECT id, 'Organization ' || n FROM unnest($1::uuid[]) WITH ORDINALITY AS u (id, n)",
        "INSERT INTO memberships (organization_id, user_id, role)
         SELECT id, id, 'owner' FROM unnest($1::uuid[]) AS u (id)",
    ] {
        client.execute(sql, &[&ids]).await?;
    }
    sign_in(client, &mut registered, None).await?;
    Ok(registered)
}

/// Gives each user a session and its access token, in the organization or else in their own.
///
/// # Errors
/// Postgres refuses something.
pub async fn sign_in(
    client: &Client,
    users: &mut [Registered],
    organization: Option<Uuid>,
) -> Result<()> {
    let mut opened = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for user in users {
        let organization = OrganizationId::from_uuid(organization.unwrap_or(user.id));
        let owner = UserId::from_uuid(user.id);
        user.token = token::mint(TokenKind::Access, organization, owner, &random()?);
        let session = SessionId::owned(organization, now_millis(), &random()?);
        opened.0.push(organization.as_uuid());
        opened.1.push(session.as_uuid());
        opened.2.push(user.id);
        opened.3.push(token::digest(&user.token).0.to_vec());
    }
    client
        .execute(
            "WITH opened AS (
                 SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bytea[])
                            AS o (organization_id, id, user_id, digest)
             ), sessions AS (
                 INSERT INTO sessions (organization_id, id, user_id)
                 SELECT organization_id, id, user_id FROM opened)
             INSERT INTO access_tokens (organization_id, digest, session_id, expires_at)
             SELECT organization_id, token_hash(digest), id, now() + interval '1 day' FROM opened",
            &[&opened.0, &opened.1, &opened.2, &opened.3],
        )
        .await?;
    Ok(())
}

/// Gives each user `amount` dollars, by the first of them, who becomes an administrator.
///
/// # Errors
/// Postgres refuses something, or not each was granted them.
pub async fn grant_to_each(client: &Client, users: &[Registered], amount: &str) -> Result<()> {
    let ids: Vec<Uuid> = users.iter().map(|user| user.id).collect();
    let granter = users.first().context("nobody can grant credits")?;
    client
        .execute(
            "UPDATE users SET platform_role = 'platform_admin' WHERE id = $1",
            &[&granter.id],
        )
        .await?;
    let digest = token::digest(&granter.token).0.to_vec();
    let granted: i64 = client
        .query_one(
            "SELECT count(*) FILTER (WHERE credits_grant(
                        $1, 'grant-' || id, token_hash($1), gen_random_uuid(), gen_random_uuid(),
                        gen_random_uuid(), id, 'USD', $3::text::numeric, 'Benchmark') -> 'grant' IS NOT NULL)
               FROM unnest($2::uuid[]) AS u (id)",
            &[&digest, &ids, &amount],
        )
        .await?
        .try_get(0)?;
    ensure!(
        usize::try_from(granted) == Ok(ids.len()),
        "{granted} of {} users were granted credits",
        ids.len()
    );
    Ok(())
}

/// Checks the ledger.
///
/// # Errors
/// It is not sound.
pub async fn check_ledger(client: &Client) -> Result<()> {
    let sql =
        "SELECT violation || ' (account ' || account_id || ')' FROM ledger_violations() LIMIT 10";
    let rows = client.query(sql, &[]).await?;
    let violations: Vec<String> = rows
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
