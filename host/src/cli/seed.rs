//! The demo tenant: what `cargo run` loads into its private Postgres, so that a
//! newcomer has someone to sign in as.
//!
//! It goes through the same SQL functions as the components, so that what it
//! leaves behind is what real requests would have left. The audit log says that they came from
//! this machine.

use anyhow::Context;
use shared::auth::password::{self, Password};
use shared::ids::{
    CreditAccountId, CreditGrantId, CreditTransactionId, OrganizationId, SessionId, UserId,
};
use shared::token::{self, TokenKind};
use tokio_postgres::Client;

/// The demo's password. It is in the source for all to read, and so the demo is
/// never loaded into a database that was not made for it.
const PASSWORD: &str = "turnpike-demo";

/// What the demo user is given to spend, in US dollars.
const CREDITS: &str = "100.00";

/// How to sign in to the demo tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demo {
    /// A user with credits to spend.
    pub email: String,
    /// A platform administrator, who may grant credits.
    pub admin_email: String,
    /// The password of both.
    pub password: String,
}

/// Loads the demo tenant, unless it is there already.
///
/// # Errors
/// When Postgres refuses a statement or the host has no randomness.
pub async fn load_demo(client: &Client) -> anyhow::Result<Demo> {
    let demo = Demo {
        email: "demo@turnpike.example".to_owned(),
        admin_email: "admin@turnpike.example".to_owned(),
        password: PASSWORD.to_owned(),
    };
    let loaded = client
        .query_opt("SELECT 1 FROM users WHERE email = $1", &[&demo.email])
        .await?;
    if loaded.is_some() {
        return Ok(demo);
    }
    let admin = register(client, &demo.admin_email).await?;
    client
        .execute(
            "UPDATE users SET platform_role = 'platform_admin' WHERE id = $1",
            &[&admin.as_uuid()],
        )
        .await?;
    let user = register(client, &demo.email).await?;
    grant(client, &demo.admin_email, admin, user)
        .await
        .context("granting the demo's credits")?;
    Ok(demo)
}

async fn register(client: &Client, email: &str) -> anyhow::Result<UserId> {
    let hash = password::hash(&Password::presented(PASSWORD), &random()?, &[])?;
    let user = UserId::new(now_millis(), &random()?);
    let organization = OrganizationId::new(now_millis(), &random()?);
    client
        .execute(
            "SELECT user_register($1, $2, $3, $4) FROM audit_asker('127.0.0.1', NULL)",
            &[&user.as_uuid(), &organization.as_uuid(), &email, &hash],
        )
        .await
        .with_context(|| format!("registering {email}"))?;
    // Nobody reads the demo's mail, and who has no verified email invites nobody. A run that was cut
    // short may have registered the user under another id.
    let row = client
        .query_one(
            "UPDATE users SET email_verified_at = coalesce(email_verified_at, now()) WHERE email = $1 RETURNING id",
            &[&email],
        )
        .await?;
    Ok(UserId::from_uuid(row.get(0)))
}

/// Grants through a session of the administrator that ends with the grant.
async fn grant(
    client: &Client,
    admin_email: &str,
    admin: UserId,
    user: UserId,
) -> anyhow::Result<()> {
    let row = client
        .query_one("SELECT user_home_organization($1)", &[&admin.as_uuid()])
        .await?;
    let organization = OrganizationId::from_uuid(row.get(0));
    let digest = |kind| -> anyhow::Result<_> {
        let token = token::mint(kind, organization, admin, &random()?);
        Ok(token::digest(&token))
    };
    let refresh_digest = digest(TokenKind::Refresh)?;
    let digest = digest(TokenKind::Access)?;
    let session = SessionId::owned(organization, now_millis(), &random()?);
    client
        .execute(
            "SELECT auth_login(id, password_hash, password_hash, $2, $3, $4, 60, 60, 'turnpike seed', '')
               FROM users, audit_asker('127.0.0.1', NULL) WHERE email = $1",
            &[
                &admin_email,
                &session.as_uuid(),
                &digest.0.as_slice(),
                &refresh_digest.0.as_slice(),
            ],
        )
        .await?;
    let answer: String = client
        .query_one(
            "SELECT credits_grant($1, 'demo', token_hash($1), $2, $3, $4, $5, 'USD', $6::text::numeric, 'A gift to try things with')::text
               FROM audit_asker('127.0.0.1', $1)",
            &[
                &digest.0.as_slice(),
                &CreditTransactionId::new(now_millis(), &random()?).as_uuid(),
                &CreditAccountId::new(now_millis(), &random()?).as_uuid(),
                &CreditGrantId::new(now_millis(), &random()?).as_uuid(),
                &user.as_uuid(),
                &CREDITS,
            ],
        )
        .await?
        .get(0);
    client
        .execute(
            "SELECT auth_logout($1) FROM audit_asker('127.0.0.1', $1)",
            &[&digest.0.as_slice()],
        )
        .await?;
    // The second run of a load that was cut short finds the key used.
    anyhow::ensure!(
        !answer.contains("\"refusal\"") || answer.contains("idempotency_key_reused"),
        "the grant was refused: {answer}"
    );
    Ok(())
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).context("the operating system has no randomness")?;
    Ok(bytes)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a command that loads data has no request to take the time from"
)]
pub fn now_millis() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(since_epoch.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
