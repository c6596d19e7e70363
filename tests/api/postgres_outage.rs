//! Postgres goes away and comes back, and the host lives on.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;
use turnpike_host::migrations;
use turnpike_host::postgres_cluster::{Cluster, Durability};
use turnpike_tests::environment::project_root;
use turnpike_tests::host::block_on;
use turnpike_tests::personas::{BALANCE, LOGIN, ME, PASSWORD, TRANSACTIONS, decimal};
use turnpike_tests::{Call, Quickest, Response, Reuse, Settings, TestHost, User};

/// How soon a request says that Postgres is gone.
const ANSWER_BOUND: Duration = Duration::from_secs(2);

/// When everything must work again once Postgres does, on a busy machine too.
const RECOVERY_BOUND: Duration = Duration::from_secs(60);

/// A cluster that this test alone may mistreat. What it has committed must survive that.
pub struct OwnCluster {
    /// The server.
    pub cluster: Cluster,
    directory: PathBuf,
    /// The address of a migrated database.
    pub url: String,
}

impl OwnCluster {
    /// Starts one in a folder with the test's name in its own.
    pub async fn start(name: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("turnpike-{name}-{}", std::process::id()));
        let cluster = Cluster::start(&directory, Durability::Durable)
            .await
            .expect("a cluster starts");
        cluster
            .ensure_database("turnpike")
            .await
            .expect("a database is created");
        let url = cluster.url("turnpike");
        migrations::migrate(&url, &project_root())
            .await
            .expect("it migrates");
        Self {
            cluster,
            directory,
            url,
        }
    }

    /// Stops it, and removes all that it has.
    pub async fn remove(self) {
        let real = self.cluster.directory().to_owned();
        self.cluster.stop().await.expect("the cluster stops");
        for directory in [real, self.directory] {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

fn expect_unavailable(response: Response) {
    let response = response.expect_problem(503, "dependency_unavailable");
    if !response.text_at("/detail").contains("Postgres") {
        response.fail("the problem must name Postgres");
    }
    if response.header("retry-after") != Some("1") {
        response.fail("the problem must say when to try again");
    }
}

/// Every kind of request that needs Postgres.
fn needs_postgres(
    host: &TestHost,
    user: &User,
    uncached: &User,
    key: &str,
) -> [(&'static str, Call); 6] {
    let credentials = json!({"email": user.email, "password": PASSWORD});
    [
        ("readiness", host.get("/api/v1/health/ready")),
        ("the ledger", host.get(TRANSACTIONS).bearer(&user.token)),
        ("a balance", host.get(BALANCE).bearer(&uncached.token)),
        ("who one is", host.get(ME).bearer(&uncached.token)),
        ("a sign-in", host.post(LOGIN).json(&credentials)),
        ("a spend", host.consume_call_with_key(uncached, "1", key)),
    ]
}

/// Asks for everything while Postgres is gone.
async fn check_outage(host: &TestHost, user: &User, uncached: &User, key: &str) {
    host.get("/api/v1/health").send().await.expect(200);
    let balance = host.balance_call(user).send_once().await.expect(200);
    assert_eq!(
        (balance.cache(), balance.db_queries()),
        ("hit", 0),
        "a hit needs no Postgres\n{balance}"
    );
    let calls = needs_postgres(host, user, uncached, key);
    let mut quickest = Quickest::within(ANSWER_BOUND);
    let mut is_first = true;
    while is_first || quickest.asks_for_more() {
        is_first = false;
        let answers = calls
            .iter()
            .map(async |(kind, call)| (*kind, call.send_once().await));
        for (kind, answer) in futures::future::join_all(answers).await {
            quickest.note(kind, &answer);
            expect_unavailable(answer);
        }
    }
    quickest.assert_met();
    host.balance_call(user).send_once().await.expect(200);
}

/// Waits until everything works again, without a restart of the host.
async fn check_recovery(host: &TestHost, user: &User, uncached: &User, key: &str) {
    let deadline = Instant::now() + RECOVERY_BOUND;
    loop {
        let ready = host.get("/api/v1/health/ready").send_once().await;
        if ready.status == 200 {
            break;
        }
        if Instant::now() > deadline {
            ready.fail("the host must be ready again after Postgres came back");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    host.get(TRANSACTIONS)
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
    host.get(BALANCE)
        .bearer(&uncached.token)
        .send()
        .await
        .expect(200);
    // The spend that was answered with 503 may have been done or not: its key settles it.
    let spent = host
        .consume_call_with_key(uncached, "1", key)
        .settle()
        .await
        .expect(201);
    let again = host
        .consume_call_with_key(uncached, "1", key)
        .settle()
        .await
        .expect(201);
    assert_eq!(spent.body, again.body, "one key, one answer");
}

async fn check(reuse: Reuse) {
    let own = OwnCluster::start(&format!("outage-{reuse:?}").to_lowercase()).await;
    let settings = match reuse {
        Reuse::Pooled => Settings::pooled(),
        Reuse::Fresh => Settings::fresh(),
    };
    let host = TestHost::start(settings.clone().with_database_url(&own.url)).await;
    let (user, admin) = host.user_with("10.00").await;
    let uncached = host.new_user("uncached").await;
    host.grant(&admin, &uncached, "10.00", "USD").await;
    host.warm(&host.balance_call(&user)).await;

    // It neither answers nor closes a connection.
    own.cluster.suspend();
    check_outage(&host, &user, &uncached, "while-suspended").await;
    own.cluster.resume();
    check_recovery(&host, &user, &uncached, "while-suspended").await;

    // Its processes are gone, and every connection with them.
    host.warm(&host.balance_call(&user)).await;
    own.cluster.crash().await.expect("the server can be killed");
    check_outage(&host, &user, &uncached, "while-gone").await;
    own.cluster
        .restart()
        .await
        .expect("the server starts again");
    assert_eq!(
        own.cluster.url("turnpike"),
        own.url,
        "another program took the server's port; run the test again"
    );
    check_recovery(&host, &user, &uncached, "while-gone").await;

    let host = with_new_connection(host, settings.with_database_url(&own.url)).await;
    assert_eq!(
        host.balance(&uncached).await,
        decimal("8.00"),
        "each of the two spends once"
    );
    host.finish().await;
    own.remove().await;
}

/// The test's own connection died with the server.
async fn with_new_connection(mut host: TestHost, settings: Settings) -> TestHost {
    host.shut_down().await;
    TestHost::start(settings).await
}

#[test]
fn is_survived_by_pooled_instances() {
    block_on(check(Reuse::Pooled));
}

#[test]
fn is_survived_by_fresh_instances() {
    block_on(check(Reuse::Fresh));
}
