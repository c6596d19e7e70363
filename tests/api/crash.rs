//! The host is killed in the middle of a thousand spends and holds, or of batches of events, and
//! nothing is lost or done twice.
//!
//! The host runs in a child process: this test binary, asked by an environment variable to serve
//! and do nothing else.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use turnpike_host::{KeyValueOptions, LogSink};
use turnpike_tests::database::connect_without_timeouts;
use turnpike_tests::environment::{load_app, project_root};
use turnpike_tests::host::{BLOCKED, block_on, start_host};
use turnpike_tests::personas::{decimal, sql_id, unique};
use turnpike_tests::{Api, Call, Random, Response, Settings, TestHost, environment};

use crate::{metering, usage_alerts};

/// The database that the child serves; without it the child's test does nothing.
const DATABASE_URL: &str = "TURNPIKE_TEST_SERVES_DATABASE_URL";
/// The file of the child's cache.
const CACHE_FILE: &str = "TURNPIKE_TEST_SERVES_CACHE_FILE";
/// The Redis server of the child's cache, if it is in none of its own.
const CACHE_URL: &str = "TURNPIKE_TEST_SERVES_CACHE_URL";

/// What the child prints before its address.
const LISTENING: &str = "listening on ";

/// Of all requests, one in so many is a hold and the others are spends: 125 holds, of 200 that an
/// account may have open.
const HOLD_EVERY: usize = 8;
const SPENDS: usize = 1_000;
const CONCURRENCY: usize = 32;

/// Serves until its standard input ends, which it does when the parent ends, too.
#[test]
fn serves_when_asked() {
    let Ok(database_url) = std::env::var(DATABASE_URL) else {
        return;
    };
    let cache = match (std::env::var(CACHE_URL), std::env::var_os(CACHE_FILE)) {
        (Ok(url), _) => KeyValueOptions::Redis { url },
        (_, Some(path)) => KeyValueOptions::Disk {
            path: PathBuf::from(path),
        },
        _ => panic!("the parent names no cache"),
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(async {
        let app = load_app(&project_root())
            .await
            .expect("the components load");
        let settings = Settings::pooled().with_key_value(cache);
        let host = start_host(&app, settings, &database_url, LogSink::stderr()).await;
        let host = host.expect("the host starts");
        println!("\n{LISTENING}{}", host.address());
        let mut input = Vec::new();
        tokio::io::stdin()
            .read_to_end(&mut input)
            .await
            .expect("the input ends");
        host.shutdown().await.expect("the host shuts down");
    });
}

/// A host in a process of its own.
pub struct ServingChild {
    child: Child,
    input: Option<ChildStdin>,
    /// Asks it.
    pub api: Api,
}

impl ServingChild {
    /// A host with its cache in a file of its own.
    pub async fn start(database_url: &str, cache_file: &Path) -> Self {
        Self::launch(database_url, CACHE_FILE, cache_file.as_os_str()).await
    }

    /// A host whose cache is in the Redis server at this address.
    pub async fn start_with_redis(database_url: &str, redis_url: &str) -> Self {
        Self::launch(database_url, CACHE_URL, redis_url.as_ref()).await
    }

    async fn launch(database_url: &str, cache_variable: &str, cache: &OsStr) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut child = Command::new(program)
            .args(["--exact", "crash::serves_when_asked", "--nocapture"])
            .env(DATABASE_URL, database_url)
            .env(cache_variable, cache)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("this program can be started again");
        let output = child.stdout.take().expect("the output is a pipe");
        let mut lines = BufReader::new(output).lines();
        let address = loop {
            let line = lines
                .next_line()
                .await
                .expect("the child's output can be read");
            let line = line.expect("the child ended without serving: see its messages above");
            if let Some(address) = line.strip_prefix(LISTENING) {
                break address.parse().expect("the child prints its address");
            }
        };
        // Read on, or the child would stop at a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let description = Arc::clone(&environment().description);
        Self {
            input: child.stdin.take(),
            child,
            api: Api::new(address, description, None),
        }
    }

    /// SIGKILL: no destructor runs, nothing is flushed.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("the child can be killed");
    }

    /// The number of its process.
    pub fn process_id(&self) -> u32 {
        self.child.id().expect("the child runs")
    }

    /// An orderly end.
    pub async fn stop(mut self) {
        drop(self.input.take());
        let status = self
            .child
            .wait()
            .await
            .expect("the child can be waited for");
        assert!(status.success(), "the child failed: see its messages above");
    }
}

/// The file of a cache, in a directory that goes with it.
pub struct CacheFile(PathBuf);

impl CacheFile {
    pub fn new() -> Self {
        let name = format!("turnpike-crash-{}-{}", std::process::id(), unique());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("the temporary directory is writable");
        Self(directory)
    }

    pub fn path(&self) -> PathBuf {
        self.0.join("cache.redb")
    }
}

impl Drop for CacheFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Sends all spends, 32 at a time; `None` for those that were not answered.
async fn spend_all(calls: Vec<Call>, answered: &AtomicUsize) -> Vec<Option<Response>> {
    stream::iter(calls)
        .map(async |call: Call| {
            let response = call.try_send().await.ok();
            if response.is_some() {
                answered.fetch_add(1, Ordering::Relaxed);
            }
            response
        })
        .buffered(CONCURRENCY)
        .collect()
        .await
}

#[test]
fn a_killed_host_neither_loses_nor_repeats_a_spend() {
    block_on(async {
        let mut random = Random::seeded("crash");
        let setup = TestHost::start(Settings::pooled()).await;
        let (user, _) = setup.user_with("1000.00").await;
        let cache_file = CacheFile::new();
        let start = async || ServingChild::start(setup.database_url(), &cache_file.path()).await;
        let spends = |api: &Api| -> Vec<Call> {
            (0..SPENDS)
                .map(|index| {
                    let key = format!("spend-{index}");
                    match index % HOLD_EVERY {
                        0 => api.hold_call(&user, "1", 3_600, &key),
                        _ => api.consume_call_with_key(&user, "1", &key),
                    }
                })
                .collect()
        };

        // An old balance on the disk, as any earlier day would have left it.
        let child = start().await;
        setup.warm(&child.api.balance_call(&user)).await;
        child.stop().await;

        let mut child = start().await;
        setup.warm(&child.api.balance_call(&user)).await;
        let until = SPENDS * usize::try_from(10 + random.below(50)).unwrap_or(30) / 100;
        println!("crash: killing the host after {until} answers");
        let answered = AtomicUsize::new(0);
        let calls = spends(&child.api);
        let kill = async {
            while answered.load(Ordering::Relaxed) < until {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            child.kill().await;
        };
        let (before, ()) = tokio::join!(spend_all(calls, &answered), kill);
        let acknowledged = before
            .iter()
            .flatten()
            .filter(|response| response.status == 201)
            .count();
        println!("crash: {acknowledged} spends were acknowledged");
        assert!(
            acknowledged > 0,
            "the host must have spent something before it was killed"
        );

        let child = start().await;
        for attempt in 0..5 {
            let shown = child.api.balance(&user).await;
            let real = setup.ledger_balance(&user).await;
            assert_eq!(
                shown, real,
                "read {attempt} after the crash shows an old balance: the cache must not survive \
                 with entries that later writes had made stale"
            );
        }
        for (index, call) in spends(&child.api).into_iter().enumerate() {
            let after = call.settle().await.expect(201);
            let Some(first) = before[index].as_ref().filter(|first| first.status == 201) else {
                continue;
            };
            if first.body != after.body {
                after.fail(&format!("spend {index} was first answered thus:\n{first}"));
            }
        }
        assert_eq!(child.api.balance(&user).await, decimal("0"));
        let transfers = setup.count_transfers(&user, "consume").await;
        let holds = setup.count_transfers(&user, "hold").await;
        assert_eq!(
            (usize::try_from(transfers), usize::try_from(holds)),
            (Ok(SPENDS - SPENDS / HOLD_EVERY), Ok(SPENDS / HOLD_EVERY)),
            "every spend and every hold once"
        );
        child.stop().await;
        setup.finish().await;
    });
}

/// Spends that wait for one account, which are fewer than an instance takes at once.
const WAITING: usize = 15;

/// How often a host is killed until a statement was carried out and not answered.
const ATTEMPTS: usize = 10;

/// The host is killed while statements of one spend or of several wait in Postgres, which carries
/// them out without it: all of a statement, or nothing, and none of it twice.
#[test]
fn a_host_killed_before_it_answers_has_spent_once() {
    block_on(async {
        let setup = TestHost::start(Settings::pooled()).await;
        // On a busy machine the statement may give the row up before it is free.
        for _ in 0..ATTEMPTS {
            if kill_before_the_answer(&setup).await {
                return setup.finish().await;
            }
        }
        panic!("no statement was carried out without being answered");
    });
}

/// Kills a host while a statement of several spends waits in Postgres, and sends all of them again
/// to another host. Whether that statement was carried out.
async fn kill_before_the_answer(setup: &TestHost) -> bool {
    let (user, _) = setup.user_with("100.00").await;
    let cache_file = CacheFile::new();
    let start = async || ServingChild::start(setup.database_url(), &cache_file.path()).await;
    let mut child = start().await;
    let spends = |api: &Api| -> Vec<Call> {
        (0..WAITING)
            .map(|index| api.consume_call_with_key(&user, "1", &format!("spend-{index}")))
            .collect()
    };
    // Somebody holds the account: one spend waits for them, and the others for that one.
    let holder = connect_without_timeouts(setup.database_url()).await;
    let holder = holder.expect("the database can be reached");
    let hold = format!(
        "BEGIN; SELECT 1 FROM credit_accounts WHERE user_id = {} FOR UPDATE",
        sql_id(user.id)
    );
    holder.batch_execute(&hold).await.expect("the row is free");
    let sent = spends(&child.api)
        .into_iter()
        .map(|call| async move { call.try_send().await.ok() });
    let sent = tokio::spawn(join_all(sent));
    setup.until_blocked().await;
    // Let go for one statement, after which somebody holds the account again, so that what
    // waited is sent, and waits in Postgres when the host is killed.
    let holder_of_next = connect_without_timeouts(setup.database_url()).await;
    let holder_of_next = holder_of_next.expect("the database can be reached");
    let hold_next = tokio::spawn(async move {
        holder_of_next
            .batch_execute(&hold)
            .await
            .map(|()| holder_of_next)
    });
    let next_waits = format!("{BLOCKED} AND query LIKE 'BEGIN%'");
    setup.until_sessions(&next_waits, |count| count == 1).await;
    holder.batch_execute("COMMIT").await.expect("it held a row");
    let holder_of_next = hold_next.await.expect("it does not panic");
    let holder_of_next = holder_of_next.expect("the row is given to it in the end");
    setup.until_blocked().await;
    child.kill().await;
    holder_of_next
        .batch_execute("COMMIT")
        .await
        .expect("it held a row");
    let before = sent.await.expect("it does not panic");
    setup
        .until_sessions("state = 'active'", |count| count == 0)
        .await;

    let child = start().await;
    let spent = setup.count_transfers(&user, "consume").await;
    println!("crash: {spent} of {WAITING} spends were carried out");
    let acknowledged = before
        .iter()
        .flatten()
        .filter(|first| first.status == 201)
        .count();
    let spent = usize::try_from(spent).expect("a count");
    assert!(
        acknowledged <= spent,
        "what is acknowledged is carried out: {acknowledged} and {spent}"
    );
    for (index, call) in spends(&child.api).into_iter().enumerate() {
        let after = call.settle().await.expect(201);
        if let Some(first) = before[index].as_ref().filter(|first| first.status == 201) {
            assert_eq!(first.body, after.body, "spend {index}");
        }
    }
    assert_eq!(child.api.balance(&user).await, decimal("85"));
    assert_eq!(setup.count_transfers(&user, "consume").await, 15);
    child.stop().await;
    acknowledged < spent
}

/// Batches of events, each of which shares three events in ten with the next.
const BATCHES: usize = 200;
const EVENTS_PER_BATCH: usize = 20;
const FRESH_EVENTS_PER_BATCH: usize = 14;

#[test]
fn a_killed_host_neither_loses_nor_repeats_an_event() {
    block_on(async {
        let mut random = Random::seeded("crash of usage");
        let setup = TestHost::start(Settings::pooled()).await;
        let user = setup.new_user("ada").await;
        metering::meter(&setup, &user.token, "sum", "sum", json!({})).await;
        let alert = usage_alerts::alert(&["100", "1400", "2806"]);
        let alert = usage_alerts::with(alert, "email", json!("ops@example.com"));
        usage_alerts::make(&setup, &user, &alert).await;
        let cache_file = CacheFile::new();
        let start = async || ServingChild::start(setup.database_url(), &cache_file.path()).await;
        let batches = |api: &Api| -> Vec<Call> {
            (0..BATCHES)
                .map(|batch| {
                    let events = (0..EVENTS_PER_BATCH).map(|n| {
                        let id = format!("e{}", batch * FRESH_EVENTS_PER_BATCH + n);
                        json!({"id": id, "type": "call", "properties": {"n": 1}})
                    });
                    metering::send_call(api, &user.token, &events.collect())
                })
                .collect()
        };
        let mut child = start().await;
        let until = BATCHES * usize::try_from(10 + random.below(50)).unwrap_or(30) / 100;
        println!("crash: killing the host after {until} answers");
        let answered = AtomicUsize::new(0);
        let calls = batches(&child.api);
        let kill = async {
            while answered.load(Ordering::Relaxed) < until {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            child.kill().await;
        };
        let (before, ()) = tokio::join!(spend_all(calls, &answered), kill);

        let child = start().await;
        for (index, call) in batches(&child.api).into_iter().enumerate() {
            let after = call.settle().await.expect(200);
            let was_acknowledged = before[index]
                .as_ref()
                .is_some_and(|first| first.status == 200);
            if was_acknowledged && after.json()["accepted"] != 0 {
                after.fail(&format!("batch {index} was acknowledged and is not stored"));
            }
        }
        let distinct = (BATCHES - 1) * FRESH_EVENTS_PER_BATCH + EVENTS_PER_BATCH;
        let (value, events) = metering::total(&child.api, &user.token, "meter=sum").await;
        assert_eq!(
            (value, usize::try_from(events)),
            (Some(distinct.to_string()), Ok(distinct)),
            "every event once"
        );
        let fired = usage_alerts::fired(&setup, &user).await;
        let thresholds: Vec<_> = fired.iter().map(|(t, _)| t.as_str()).collect();
        assert_eq!(thresholds, ["100", "1400", "2806"], "each once");
        let mails = setup.mail_kinds("ops@example.com").await;
        assert_eq!(mails, ["usage_alert"; 3], "and one message each");
        child.stop().await;
        setup.finish().await;
    });
}
