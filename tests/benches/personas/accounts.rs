//! The accounts that the personas act with: in the database by SQL, furnished by the API.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::auth::password::{self, Password};
use shared::ids::{OrganizationId, UserId};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::load::fixtures::{self, Registered};
use crate::load::generator::Connection;
use crate::load::workload::Template;

use super::placeholders::Values;
use super::scenario::{Role, Scenario};

/// The password of all accounts.
const PASSWORD: &str = "correct horse battery";

/// What every account and every pool holds at first: at 0.01 a spend, more than any run takes.
const GRANTED_AMOUNT: &str = "1000000.00";

/// The plan that estimates ask for.
const PLAN: &str = "load";

/// One account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Whose it is to be.
    pub persona: String,
    /// Its access token, for a day.
    pub token: String,
    /// Its email.
    pub email: String,
    /// Its password.
    pub password: String,
    /// Its user.
    pub user_id: String,
    /// The organization that it owns.
    pub organization_id: String,
}

/// What a file of accounts holds, which the generated programs read too.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Accounts {
    /// All of them.
    pub accounts: Vec<Account>,
}

impl Account {
    /// What stands for an account in the scenario.
    pub fn values(&self) -> Values {
        let pairs = [
            ("token", &self.token),
            ("email", &self.email),
            ("password", &self.password),
            ("user_id", &self.user_id),
            ("organization_id", &self.organization_id),
        ];
        let owned = pairs.map(|(name, value)| (name.to_owned(), value.clone()));
        BTreeMap::from(owned)
    }
}

impl Accounts {
    /// Makes accounts for so many users, in a migrated database without users, by the host at
    /// `address`.
    ///
    /// # Errors
    /// Postgres or the host refuses something.
    pub async fn create(
        scenario: &Scenario,
        users: usize,
        client: &Client,
        address: SocketAddr,
    ) -> Result<Self> {
        // Each persona has an account at least, however few the users are.
        let cast = scenario.cast(users.clamp(1, scenario.max_accounts));
        let absent = (0..scenario.personas.len()).filter(|persona| !cast.contains(persona));
        let cast: Vec<usize> = cast.iter().copied().chain(absent).collect();
        // The first is the administrator who furnishes the others.
        let registered = fixtures::register(client, 1 + cast.len()).await?;
        let (Some(furnisher), others) = (registered.first(), &registered[1..]) else {
            anyhow::bail!("nobody was registered");
        };
        let accounts = cast.iter().zip(others).zip(2..);
        let accounts: Vec<Account> = accounts
            .map(|((persona, user), number)| Account {
                persona: scenario.personas[*persona].name.clone(),
                token: user.token.clone(),
                // As fixtures::register names them.
                email: format!("user-{number}@bench.example"),
                password: PASSWORD.to_owned(),
                user_id: UserId::from_uuid(user.id).to_string(),
                organization_id: OrganizationId::from_uuid(user.id).to_string(),
            })
            .collect();
        let of_role = |role: Role| -> Vec<&Registered> {
            let with_role = cast.iter().zip(others);
            let with_role = with_role.filter(|(one, _)| scenario.personas[**one].role == role);
            with_role.map(|(_, user)| user).collect()
        };
        let administrators = of_role(Role::Platform).into_iter();
        let administrators: Vec<Uuid> = administrators.map(|user| user.id).collect();
        write_by_sql(client, &registered, &administrators).await?;
        furnish(address, furnisher, &of_role(Role::Owner)).await?;
        client.batch_execute("VACUUM (ANALYZE)").await?;
        Ok(Self { accounts })
    }

    /// The accounts of a persona.
    ///
    /// # Errors
    /// There are none.
    pub fn of(&self, persona: &str) -> Result<Vec<&Account>> {
        let accounts = self.accounts.iter();
        let accounts: Vec<&Account> = accounts.filter(|one| one.persona == persona).collect();
        ensure!(!accounts.is_empty(), "there is no account for {persona}");
        Ok(accounts)
    }
}

/// Passwords, meters and what can be spent: what would take too many requests.
async fn write_by_sql(
    client: &Client,
    registered: &[Registered],
    administrators: &[Uuid],
) -> Result<()> {
    // One hash for all: verifying knows no difference.
    let hash = password::hash(&Password::presented(PASSWORD), &fixtures::random()?, b"")
        .map_err(|error| anyhow!("{error}"))?;
    client
        .execute("UPDATE users SET password_hash = $1", &[&hash])
        .await?;
    client
        .execute(
            "UPDATE users SET platform_role = 'platform_admin' WHERE id = ANY ($1::uuid[])",
            &[&administrators],
        )
        .await?;
    let ids: Vec<Uuid> = registered.iter().map(|user| user.id).collect();
    client
        .execute(
            "INSERT INTO meters (organization_id, id, slug, event_type, aggregation, value_property, group_by)
             SELECT id, owned_id(id, gen_random_uuid()), 'tokens', 'completion', 'sum', 'tokens', '{}'
               FROM unnest($1::uuid[]) AS u (id)",
            &[&ids],
        )
        .await?;
    fixtures::grant_to_each(client, registered, GRANTED_AMOUNT).await
}

/// The plan, and the owners' subscriptions and pools.
async fn furnish(
    address: SocketAddr,
    furnisher: &Registered,
    owners: &[&Registered],
) -> Result<()> {
    let mut connection = Connection::open(address).await?;
    let token = furnisher.token.as_str();
    let plan = json!({"code": PLAN, "name": "Load", "currency": "USD", "billing_period": "month"});
    let version = json!({
        "currency": "USD",
        "charges": [
            {"code": "base", "name": "Base fee", "billing": "advance",
             "model": {"type": "flat", "amount": "49"}},
            {"code": "tokens", "name": "Tokens", "metric": "tokens",
             "model": {"type": "graduated", "tiers": [
                 {"up_to": "1000", "unit_price": "0.02"}, {"unit_price": "0.015"}]}},
        ],
    });
    for (target, body) in [
        ("/api/v1/plans".to_owned(), plan),
        (format!("/api/v1/plans/{PLAN}/versions"), version),
    ] {
        let request = Template::post(&target, Some(token), "application/json", &body.to_string());
        send(&mut connection, &target, &request).await?;
    }
    let subscription = json!({
        "plan": "team", "seats": 20, "status": "active", "billing_period": "month",
        "seat_price": {"amount": "25.00", "currency": "USD"},
    });
    let granted = json!({"amount": GRANTED_AMOUNT, "currency": "USD"});
    let allocated = json!({
        "limit": {"amount": GRANTED_AMOUNT, "currency": "USD"}, "reset": "month",
    });
    for owner in owners {
        let organization = OrganizationId::from_uuid(owner.id);
        let of = |rest: &str| format!("/api/v1/org-billing/organizations/{organization}/{rest}");
        let target = of("subscription");
        let request = Template::put(&target, token, &subscription.to_string());
        send(&mut connection, &target, &request).await?;
        let target = of("credit-pool/grants");
        let run = u64::from_be_bytes(fixtures::random()?);
        let request = Template::post_idempotent(&target, token, run, &granted.to_string());
        send(&mut connection, &target, &request).await?;
        let user = UserId::from_uuid(owner.id);
        let target = of(&format!("credit-pool/allocations/{user}"));
        let request = Template::put(&target, &owner.token, &allocated.to_string());
        send(&mut connection, &target, &request).await?;
    }
    Ok(())
}

async fn send(connection: &mut Connection, target: &str, request: &Template) -> Result<Value> {
    let head = connection
        .exchange(request.as_bytes())
        .await
        .with_context(|| target.to_owned())?;
    ensure!(
        (200..300).contains(&head.status),
        "{target} was answered {}: {}",
        head.status,
        connection.quoted_body(head)
    );
    Ok(serde_json::from_slice(connection.body(head))?)
}

/// How many spends the ledger holds, which must be sound.
///
/// # Errors
/// It is not.
pub async fn spends_in_ledger(client: &Client) -> Result<u64> {
    fixtures::check_ledger(client).await?;
    let row = client
        .query_one(
            "SELECT count(*) FROM ledger_transfers WHERE kind = 'consume'",
            &[],
        )
        .await?;
    Ok(u64::try_from(row.try_get::<_, i64>(0)?)?)
}
