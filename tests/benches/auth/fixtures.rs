//! The users that ask and sign in.

use std::path::Path;

use anyhow::{Result, anyhow};
use shared::auth::password::{self, Password};
use tokio_postgres::Client;
use turnpike_host::postgres_cluster::Cluster;
use uuid::Uuid;

use crate::load::fixtures;

/// Tokens that the gateway asks about: enough that no single entry of a cache is what is measured.
const SUBJECTS: usize = 100;

/// Users who sign in with the password: at least as many as are asked about in the timing test,
/// so that nobody mistypes a password twice.
pub const LOGIN_USERS: usize = 200;

/// Their password.
pub const PASSWORD: &str = "correct horse battery";

/// A database of its own for one server, and what its users present.
pub struct Fixtures {
    /// The address of the database.
    pub db_url: String,
    /// The token of the gateway that asks.
    pub gateway: String,
    /// The tokens that it asks about, of members of its organization.
    pub subjects: Vec<String>,
    /// The emails of users with [`PASSWORD`].
    pub emails: Vec<String>,
    client: Client,
}

impl Fixtures {
    /// Creates the database anew and fills it.
    ///
    /// # Errors
    /// Postgres refuses something.
    pub async fn create(cluster: &Cluster, database: &str, root: &Path) -> Result<Self> {
        let (db_url, client) = fixtures::create(cluster, database, root).await?;
        let mut registered = fixtures::register(&client, 1 + SUBJECTS + LOGIN_USERS).await?;
        let [gateway, others @ ..] = registered.as_mut_slice() else {
            anyhow::bail!("nobody was registered");
        };
        let (subjects, _) = others.split_at_mut(SUBJECTS);
        let members: Vec<Uuid> = subjects.iter().map(|user| user.id).collect();
        let sql = "INSERT INTO memberships (organization_id, user_id, role)
                   SELECT $1, id, 'member' FROM unnest($2::uuid[]) AS u (id)";
        client.execute(sql, &[&gateway.id, &members]).await?;
        fixtures::sign_in(&client, subjects, Some(gateway.id)).await?;
        // One hash for all: what is measured is the verification, which knows no difference.
        let hash = password::hash(&Password::presented(PASSWORD), &fixtures::random()?, b"")
            .map_err(|error| anyhow!("{error}"))?;
        client
            .execute("UPDATE users SET password_hash = $1", &[&hash])
            .await?;
        client.batch_execute("VACUUM (ANALYZE)").await?;
        let first = 2 + SUBJECTS;
        Ok(Self {
            db_url,
            gateway: gateway.token.clone(),
            subjects: subjects.iter().map(|user| user.token.clone()).collect(),
            emails: (first..first + LOGIN_USERS)
                .map(|number| format!("user-{number}@bench.example"))
                .collect(),
            client,
        })
    }

    /// A connection to the database.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Forgets all failed sign-ins, so that nobody is locked out.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn forget_failures(&self) -> Result<()> {
        Ok(self
            .client
            .batch_execute("DELETE FROM login_attempts")
            .await?)
    }
}
