//! A signature changes while instances of two releases call the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::*;

/// Connections of each release.
const CALLERS: usize = 4;

/// How many calls each release makes in each phase: enough to meet a migration that takes some
/// milliseconds.
const CALLS_PER_PHASE: u64 = 300;

/// How long a phase may take on a machine that is busy with other work.
const PATIENCE: Duration = Duration::from_secs(120);

const BEFORE: (&str, &str) = (
    "functions/prices/sql/price.sql",
    "CREATE OR REPLACE FUNCTION price(p_units bigint) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    RETURN total(p_units);
END;
$$;
",
);

const AFTER: (&str, &str) = (
    BEFORE.0,
    "CREATE OR REPLACE FUNCTION price(p_units bigint, p_currency text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    RETURN total(p_units, p_currency);
END;
$$;
",
);

/// What `price` calls changes its signature with it.
const TOTAL_BEFORE: (&str, &str) = (
    "shared/sql/prices/total.sql",
    "CREATE OR REPLACE FUNCTION total(p_units bigint) RETURNS text
LANGUAGE sql RETURN (p_units * 2)::text;
",
);

const TOTAL_AFTER: (&str, &str) = (
    TOTAL_BEFORE.0,
    "CREATE OR REPLACE FUNCTION total(p_units bigint, p_currency text) RETURNS text
LANGUAGE sql RETURN (p_units * 2)::text || ' ' || p_currency;
",
);

/// The instances of one release, calling for as long as they run.
struct Instances {
    calls: Arc<AtomicU64>,
    progress: Arc<Notify>,
    stop: Arc<AtomicBool>,
    callers: JoinSet<()>,
}

impl Instances {
    async fn start(url: &str, sql: &'static str, expected: &'static str) -> Self {
        let calls = Arc::new(AtomicU64::new(0));
        let progress = Arc::new(Notify::new());
        let stop = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let client = connect(url).await.expect("the database answers");
            let (calls, stop) = (Arc::clone(&calls), Arc::clone(&stop));
            let progress = Arc::clone(&progress);
            callers.spawn(async move {
                // Half of them keep a prepared statement, as a pool does.
                let kept = match caller % 2 {
                    0 => Some(
                        client
                            .prepare(sql)
                            .await
                            .expect("the statement is understood"),
                    ),
                    _ => None,
                };
                while !stop.load(Ordering::Relaxed) {
                    let row = match &kept {
                        Some(kept) => client.query_one(kept, &[]).await,
                        None => client.query_one(sql, &[]).await,
                    };
                    let row = row.unwrap_or_else(|error| panic!("{sql} failed: {error:?}"));
                    assert_eq!(row.get::<_, String>(0), expected, "{sql} answered");
                    calls.fetch_add(1, Ordering::Relaxed);
                    progress.notify_one();
                }
            });
        }
        Self {
            calls,
            progress,
            stop,
            callers,
        }
    }

    fn answered(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Returns when enough more calls were answered; a caller that failed fails the test.
    async fn call(&mut self) {
        let enough = self.answered() + CALLS_PER_PHASE;
        let deadline = Instant::now() + PATIENCE;
        while self.answered() < enough {
            tokio::select! {
                () = self.progress.notified() => {}
                ended = self.callers.join_next() => ended.expect("there are callers").expect("no call fails"),
                () = tokio::time::sleep_until(deadline) => panic!("the calls did not come to pass"),
            }
        }
    }

    async fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.callers.join_next().await {
            ended.expect("no call fails");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_changes_under_load() {
    let directory = ScratchDirectory::new();
    let cluster = Cluster::start(directory.path(), Durability::Test)
        .await
        .expect("the private cluster starts");
    let deadline = Instant::now() + PATIENCE;
    while !roll_out(&cluster).await {
        assert!(
            Instant::now() < deadline,
            "no call came to pass while the database was migrated"
        );
    }
    cluster.stop().await.expect("the private cluster stops");
}

/// Rolls a release out beside the one before. Whether calls were answered while it migrated and
/// while it pruned.
async fn roll_out(cluster: &Cluster) -> bool {
    let case = Case::new(cluster)
        .await
        .with(&[FIRST, BEFORE, TOTAL_BEFORE])
        .expect(Ok(&["customers"]))
        .await;
    let mut earlier = Instances::start(&case.url, "SELECT price(21)", "42").await;
    earlier.call().await;

    // The new release migrates, and its instances start. Those of the old one go on.
    let case = case.with(&[SECOND, AFTER, TOTAL_AFTER]);
    let before = earlier.answered();
    let report = case.migrate().await.expect("the new release is applied");
    let raced_with_migration = earlier.answered() > before;
    assert_eq!(
        report.functions.leftovers,
        ["price(bigint)", "total(bigint)"]
    );
    let mut later = Instances::start(&case.url, "SELECT price(21, 'USD')", "42 USD").await;
    for _ in 0..3 {
        later.call().await;
        earlier.call().await;
    }

    // An instance of the old release starts late, and changes nothing.
    let late = Case {
        url: case.url.clone(),
        folder: ScratchDirectory::new(),
    }
    .with(&[FUNCTION, FIRST, BEFORE, TOTAL_BEFORE]);
    late.migrate()
        .await
        .expect_err("an older release is refused")
        .downcast::<OlderRelease>()
        .expect("for being older");
    earlier.call().await;
    later.call().await;

    // The last instance of the old release ends, and what only it called may go.
    earlier.stop().await;
    let before = later.answered();
    let report = migrate_and_prune(&case.url, case.folder.path())
        .await
        .expect("what is left over is dropped");
    let raced_with_pruning = later.answered() > before;
    assert_eq!(report.functions.pruned, ["price(bigint)", "total(bigint)"]);
    later.call().await;
    later.stop().await;
    assert_eq!(
        case.ask("SELECT price(21)").await,
        Err("42883".to_owned()),
        "the old signature is gone"
    );
    raced_with_migration && raced_with_pruning
}
