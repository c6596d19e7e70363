//! The data that is measured on: about what a small customer has after a quarter of a year.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use shared::ids::{OrganizationId, UserId};
use tokio_postgres::Client;
use turnpike_host::postgres_cluster::Cluster;

use crate::load::fixtures::{self, Registered, random};
use crate::load::generator::Connection;
use crate::load::server_process::ServerProcess;
use crate::load::workload::Template;

use super::endpoints::{Days, Endpoint, Persona};

/// Members of the organization, its owner included.
pub const MEMBERS: usize = 20;

/// Transactions of the user with a history: one grant, and what was spent and refunded since.
pub const TRANSACTIONS: usize = 10_000;

/// How long ago the grant was, in days. Evenly spread that is a transaction every 13 minutes.
const HISTORY_DAYS: i32 = 90;

/// Transactions that are written by one statement. Each is another version of the account's row,
/// and those of one statement cannot be cleared away before it ends: 500 keep a lookup short.
const TRANSACTIONS_AT_ONCE: i32 = 500;

/// Organizations with a subscription, on [`PLANS`] in turn: enough for the platform's figures to be
/// sums.
pub const SUBSCRIPTIONS: usize = 50;

/// The plans, and the price of a seat.
const PLANS: [(&str, &str); 3] = [
    ("starter", "9.00"),
    ("team", "25.00"),
    ("enterprise", "60.00"),
];

/// Spends of each member from the pool.
const POOL_SPENDS: usize = 5;

/// Where the platform's administrator, and the organization's owner, are among the users. The
/// members follow, the first of whom has the history, and then the owners of other organizations.
const PLATFORM_ADMIN: usize = 0;
const OWNER: usize = 1;
const END_USER: usize = 2;
const OTHER_OWNERS: usize = OWNER + MEMBERS;

/// Transactions from the `p_from`-th to the `p_to`-th, as they would have been posted at their
/// time: the first is a grant, every hundredth gives the one before it back in part, and all
/// others are spends of four services with six models, in turns that do not coincide.
const HISTORY_SQL: &str = "
CREATE FUNCTION pg_temp.give_history(p_user_id uuid, p_from integer, p_to integer, p_count integer, p_days integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_began_at timestamptz := clock_timestamp() - make_interval(days => p_days);
    v_organization_id uuid := user_home_organization(p_user_id);
    v_account credit_accounts;
    v_grant_id uuid;
    v_spent_id uuid;
    v_id uuid;
    v_at timestamptz;
    v_amount numeric;
    v_post record;
BEGIN
    INSERT INTO credit_accounts (organization_id, id, user_id, currency)
    VALUES (v_organization_id, owned_id(v_organization_id, gen_random_uuid()), p_user_id, 'USD')
    ON CONFLICT DO NOTHING;
    SELECT * INTO v_account FROM credit_accounts
     WHERE organization_id = v_organization_id AND user_id = p_user_id AND currency = 'USD' FOR NO KEY UPDATE;
    SELECT id INTO v_grant_id FROM credit_grants
     WHERE organization_id = v_organization_id AND account_id = v_account.id;
    FOR n IN p_from..p_to LOOP
        v_id := owned_id(v_organization_id, gen_random_uuid());
        v_at := v_began_at + make_interval(days => p_days) * ((n - 1)::double precision / p_count);
        v_amount := 0.01 + n % 250 * 0.01;
        IF n = 1 THEN
            v_post := ledger_post(v_account, v_id, 'grant', 'issued', 'available', 1000000, 'Benchmark', p_user_id, v_at);
            v_grant_id := owned_id(v_organization_id, gen_random_uuid());
            v_amount := 1000000;
            INSERT INTO credit_grants (organization_id, id, account_id, sequence, kind, priority, amount, remaining,
                                       effective_at, state, description)
            VALUES (v_organization_id, v_grant_id, v_account.id, (v_post.account).sequence, 'paid', 50, v_amount, v_amount, v_at, 'open',
                    'Benchmark');
        ELSIF n % 100 = 0 THEN
            v_amount := 0.01;
            v_post := ledger_post(v_account, v_id, 'refund', 'consumed', 'available', v_amount, 'too slow', p_user_id,
                                  v_at, v_spent_id);
            PERFORM grant_return(v_organization_id, v_grant_id, v_amount, false);
        ELSE
            v_post := ledger_post(v_account, v_id, 'consume', 'available', 'consumed', v_amount,
                                  'one call of the model', p_user_id, v_at,
                                  p_service => 'service-' || n % 4, p_model => 'model-' || n / 7 % 6);
            PERFORM grants_take(v_organization_id, v_account.id, v_amount, false);
            v_spent_id := v_id;
        END IF;
        v_account := v_post.account;
        INSERT INTO credit_movements (organization_id, transfer_id, grant_id, amount, position)
        VALUES (v_organization_id, v_id, v_grant_id, v_amount, 1);
    END LOOP;
END
$$";

/// A database of its own, and who is in it.
pub struct Dataset {
    /// The address of the database.
    pub db_url: String,
    /// When it was made, RFC 3339 in UTC.
    pub date: String,
    client: Client,
    users: Vec<Registered>,
    days: Days,
}

impl Dataset {
    /// Creates the database anew, with users, their organization and a history.
    ///
    /// # Errors
    /// Postgres refuses something.
    pub async fn create(cluster: &Cluster, database: &str, root: &Path) -> Result<Self> {
        let (db_url, client) = fixtures::create(cluster, database, root).await?;
        // The organization is one of those with a subscription.
        let users = fixtures::register(&client, OTHER_OWNERS + SUBSCRIPTIONS - 1).await?;
        let (date, days) = read_days(&client).await?;
        let mut dataset = Self {
            db_url,
            date,
            client,
            users,
            days,
        };
        dataset.join_organization().await?;
        dataset.give_history().await?;
        Ok(dataset)
    }

    /// A connection to the database.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The request that is measured of an endpoint.
    pub fn request(&self, endpoint: Endpoint) -> Template {
        let token = match endpoint.persona() {
            Persona::EndUser => self.token(END_USER),
            Persona::OrganizationAdmin => self.token(OWNER),
            Persona::PlatformAdmin => self.token(PLATFORM_ADMIN),
        };
        Template::get(&self.target(endpoint), Some(token))
    }

    /// What is asked for, without the host.
    pub fn target(&self, endpoint: Endpoint) -> String {
        endpoint.target(&self.organization(OWNER), &self.days)
    }

    fn token(&self, user: usize) -> &str {
        self.users.get(user).map_or("", |user| &user.token)
    }

    /// The organization that a user owns since they registered.
    fn organization(&self, owner: usize) -> String {
        let id = self.users.get(owner).map(|user| user.id);
        OrganizationId::from_uuid(id.unwrap_or_default()).to_string()
    }

    fn members(&self) -> &[Registered] {
        self.users.get(OWNER..OTHER_OWNERS).unwrap_or_default()
    }

    async fn join_organization(&mut self) -> Result<()> {
        let admin = self.users.get(PLATFORM_ADMIN).map(|user| user.id);
        self.client
            .execute(
                "UPDATE users SET platform_role = 'platform_admin' WHERE id = $1",
                &[&admin],
            )
            .await?;
        let organization = self.users.get(OWNER).map(|user| user.id);
        let others = self.members().iter().skip(1);
        let others: Vec<_> = others.map(|user| user.id).collect();
        let sql = "INSERT INTO memberships (organization_id, user_id, role)
                   SELECT $1::uuid, id, 'member' FROM unnest($2::uuid[]) AS u (id)";
        self.client.execute(sql, &[&organization, &others]).await?;
        let others = self.users.get_mut(OWNER + 1..OTHER_OWNERS);
        fixtures::sign_in(&self.client, others.unwrap_or_default(), organization).await
    }

    async fn give_history(&self) -> Result<()> {
        let user = self.users.get(END_USER).map(|user| user.id);
        let count = i32::try_from(TRANSACTIONS)?;
        self.client.batch_execute(HISTORY_SQL).await?;
        let mut from = 1;
        while from <= count {
            let to = count.min(from + TRANSACTIONS_AT_ONCE - 1);
            self.client
                .execute(
                    "SELECT pg_temp.give_history($1, $2, $3, $4, $5)",
                    &[&user, &from, &to, &count, &HISTORY_DAYS],
                )
                .await
                .context("cannot write the history")?;
            from = to + 1;
        }
        Ok(())
    }

    /// Fills in by way of the API what an administrator would: subscriptions, the pool and its
    /// allocations, and what members spent of it. Then makes sure that the ledger is sound.
    ///
    /// # Errors
    /// The API refuses something.
    pub async fn furnish(&self, server: &ServerProcess) -> Result<()> {
        let mut connection = Connection::open(server.address()).await?;
        let admin = self.token(PLATFORM_ADMIN);
        for number in 0..SUBSCRIPTIONS {
            let owner = if number == 0 {
                OWNER
            } else {
                OTHER_OWNERS + number - 1
            };
            let (plan, price) = PLANS[number % PLANS.len()];
            let body = json!({
                "plan": plan, "seats": number + MEMBERS, "status": "active", "billing_period": "month",
                "seat_price": {"amount": price, "currency": "USD"},
            });
            let target = of_organization(&self.organization(owner), "subscription");
            let request = Template::put(&target, admin, &body.to_string());
            send(&mut connection, &target, &request).await?;
        }

        let organization = self.organization(OWNER);
        let granted = json!({"amount": "100000.00", "currency": "USD"});
        self.post(&mut connection, admin, "credit-pool/grants", &granted)
            .await?;
        for member in self.members() {
            let id = UserId::from_uuid(member.id);
            let target = of_organization(&organization, &format!("credit-pool/allocations/{id}"));
            let body = json!({"limit": {"amount": "1000.00", "currency": "USD"}, "reset": "month"});
            let request = Template::put(&target, self.token(OWNER), &body.to_string());
            send(&mut connection, &target, &request).await?;
            let spent = json!({
                "amount": "1.25", "currency": "USD", "description": "one call of the model",
                "service": "chat", "model": "small",
            });
            for _ in 0..POOL_SPENDS {
                self.post(
                    &mut connection,
                    &member.token,
                    "credit-pool/consume",
                    &spent,
                )
                .await?;
            }
        }
        fixtures::check_ledger(&self.client).await?;
        // Not within a transaction, and before anything is measured and not meanwhile.
        self.client.batch_execute("VACUUM (ANALYZE)").await?;
        Ok(())
    }

    /// Posts to the organization, with an Idempotency-Key of its own.
    async fn post(
        &self,
        connection: &mut Connection,
        token: &str,
        rest: &str,
        body: &Value,
    ) -> Result<()> {
        let target = of_organization(&self.organization(OWNER), rest);
        let run = u64::from_be_bytes(random()?);
        let request = Template::post_idempotent(&target, token, run, &body.to_string());
        send(connection, &target, &request).await
    }
}

fn of_organization(organization: &str, rest: &str) -> String {
    format!("/api/v1/org-billing/organizations/{organization}/{rest}")
}

async fn send(connection: &mut Connection, target: &str, request: &Template) -> Result<()> {
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
    Ok(())
}

/// The time of the database, and the days around it.
async fn read_days(client: &Client) -> Result<(String, Days)> {
    let row = client
        .query_one(
            "SELECT rfc3339(now()), (today - 29)::text, (today - 89)::text, (today + 1)::text
               FROM (SELECT (now() AT TIME ZONE 'UTC')::date AS today) t",
            &[],
        )
        .await?;
    let days = Days {
        month_since: row.try_get(1)?,
        quarter_since: row.try_get(2)?,
        until: row.try_get(3)?,
    };
    Ok((row.try_get(0)?, days))
}
