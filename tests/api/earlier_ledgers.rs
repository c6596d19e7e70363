//! A ledger from before grants were told apart is read as if they always had been.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tokio_postgres::Client;
use turnpike_host::migrations::migrate;
use turnpike_host::postgres_cluster::connect;
use turnpike_tests::environment;
use turnpike_tests::environment::project_root;
use turnpike_tests::host::block_on;

/// The first migration that knows of grants.
const FIRST_OF_GRANTS: &str = "20261121001000";

/// A user who was granted 30 and 50, and spent 10, 45 and 5, as the functions of then did it.
const EARLIER: &str = "
    SELECT user_register('00000000-0000-4000-8000-000000000001', gen_random_uuid(), 'ada@example.com', '-');
    UPDATE users SET platform_role = 'platform_admin';
    SELECT auth_login(id, '-', '-', gen_random_uuid(), sha256('token'), sha256('refresh'), 3600, 3600, '', '')
      FROM users;
    SELECT credits_grant(sha256('token'), 'grant-' || amount, sha256('body'), gen_random_uuid(), gen_random_uuid(),
                         id, 'USD', amount, 'then')
      FROM users, unnest('{30,50}'::numeric[]) AS amount;
    SELECT credits_consume(sha256('token'), 'consume-' || amount, sha256('body'), gen_random_uuid(), 'USD', amount, '')
      FROM unnest('{10,45,5}'::numeric[]) AS amount";

/// The migrations before grants, in a directory that goes with it.
struct EarlierMigrations(PathBuf);

impl EarlierMigrations {
    fn copy(from: &Path) -> Result<Self> {
        let directory =
            std::env::temp_dir().join(format!("turnpike-earlier-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let copy = Self(directory);
        for entry in std::fs::read_dir(from)? {
            let path = entry?.path();
            let name = path.file_name().context("a file has a name")?;
            if name.to_string_lossy().as_ref() < FIRST_OF_GRANTS {
                std::fs::copy(&path, copy.0.join(name))?;
            }
        }
        Ok(copy)
    }
}

impl Drop for EarlierMigrations {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn texts(client: &Client, sql: &str) -> Result<Vec<String>> {
    let rows = client.query(sql, &[]).await.context(sql.to_owned())?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn check(url: &str) -> Result<()> {
    let migrations = project_root().join("migrations");
    let earlier = EarlierMigrations::copy(&migrations)?;
    let client = connect(url).await?;
    client
        .batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        .await?;
    migrate(url, &earlier.0).await?;
    client.batch_execute(EARLIER).await?;
    migrate(url, &migrations).await?;

    let left =
        "SELECT concat_ws(' ', amount, remaining, state) FROM credit_grants ORDER BY sequence";
    assert_eq!(
        texts(&client, left).await?,
        [
            "30.000000000 0.000000000 closed",
            "50.000000000 20.000000000 open"
        ]
    );
    let movements = "SELECT m.amount::text FROM credit_movements m JOIN ledger_transfers t ON t.id = m.transfer_id
                      WHERE t.kind = 'consume' ORDER BY t.sequence, m.position";
    assert_eq!(
        texts(&client, movements).await?,
        [
            "10.000000000",
            "20.000000000",
            "25.000000000",
            "5.000000000"
        ],
        "the oldest credits went first"
    );
    let usage = "SELECT concat_ws(' ', spent, spends, service, model) FROM credit_usage_daily";
    assert_eq!(
        texts(&client, usage).await?,
        ["60.000000000 3  "],
        "what was spent then is in the usage of its day"
    );
    let totals = "SELECT concat_ws(' ', sum(sold), sum(consumed), sum(spends), (SELECT sum(amount) FROM credit_liabilities))
                    FROM credit_totals_daily";
    assert_eq!(
        texts(&client, totals).await?,
        ["80.000000000 60.000000000 3 20.000000000"],
        "what was granted and spent then is in the totals of its day"
    );
    let violations = "SELECT violation FROM ledger_violations()
                      UNION ALL SELECT violation FROM analytics_violations()";
    assert_eq!(texts(&client, violations).await?, Vec::<String>::new());

    // A key from then repeats its answer in the form of now, and what was spent can be refunded.
    let again = "SELECT a ->> 'outcome' || ' ' || (a -> 'grant' ->> 'remaining') || ' ' || (a -> 'transaction' ->> 'debited')
                   FROM users, credits_grant(sha256('token'), 'grant-30', sha256('body'), gen_random_uuid(),
                                             gen_random_uuid(), gen_random_uuid(), id, 'USD', 30, 'then') AS a";
    assert_eq!(
        texts(&client, again).await?,
        ["granted 30.000000000 issued"]
    );
    let again = "SELECT a ->> 'outcome' || ' ' || (a -> 'transaction' ->> 'credited')
                   FROM credits_consume(sha256('token'), 'consume-45', sha256('body'), gen_random_uuid(), 'USD', 45, '') AS a";
    assert_eq!(texts(&client, again).await?, ["consumed consumed"]);
    let refund = "SELECT credits_refund(sha256('token'), 'refund', sha256('refund'), gen_random_uuid(), t.id) ->> 'outcome'
                    FROM ledger_transfers t WHERE amount = 45";
    assert_eq!(texts(&client, refund).await?, ["refunded"]);
    let remaining = "SELECT remaining::text FROM credit_grants ORDER BY sequence";
    assert_eq!(
        texts(&client, remaining).await?,
        ["20.000000000", "45.000000000"]
    );
    assert_eq!(texts(&client, violations).await?, Vec::<String>::new());
    Ok(())
}

#[test]
fn keep_their_balances_and_gain_grants() {
    block_on(async {
        let database = match environment().databases.create().await {
            Ok(database) => database,
            Err(error) => panic!("{error:#}"),
        };
        let outcome = check(&database.url).await;
        if let Err(error) = database.remove().await {
            eprintln!("{error:#}; the next run drops it");
        }
        if let Err(error) = outcome {
            panic!("{error:#}");
        }
    });
}
