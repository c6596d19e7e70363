//! Redis, Postgres and a host go away while customers spend and look at what is left, on two hosts
//! that share both: no spend is lost or done twice, no answer is wrong, and all works again.
//!
//! The test asserts what is right, and prints how long it took until something was answered again.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use turnpike_host::KeyValueOptions;
use turnpike_tests::host::block_on;
use turnpike_tests::personas::{available, decimal};
use turnpike_tests::redis_server::RedisServer;
use turnpike_tests::{Api, Response, Settings, TestHost, User};

use crate::crash::ServingChild;
use crate::postgres_outage::OwnCluster;

/// Customers who spend at the same time, each from an account of their own.
const CUSTOMERS: usize = 6;

/// What each of them has at first, in dollars. Each spend takes one.
const GRANTED: u64 = 100_000;

/// Spends of each customer in a part of the test.
const ROUNDS: u64 = 4;

/// How long a part may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The pause before something is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// How long an instance leaves a store alone that failed once.
const STORE_REST: Duration = Duration::from_secs(1);

/// What all customers know.
struct Load {
    /// The hosts that are asked.
    hosts: Mutex<Vec<Api>>,
    /// Whether a balance may be older than the last spend, as it may for as long as the hosts
    /// cannot all reach their store.
    may_be_old: AtomicBool,
    /// Whether customers are to wait.
    is_paused: AtomicBool,
    is_over: AtomicBool,
    /// Answers that ask for another attempt.
    refusals: AtomicU64,
    /// Requests without an answer.
    unanswered: AtomicU64,
}

/// A customer with an account that nobody else spends from.
struct Customer {
    user: User,
    /// Spends that were acknowledged, and no other came to pass.
    spent: AtomicU64,
    /// What was spent when balances were last sure to be new.
    spent_when_sure: AtomicU64,
    is_resting: AtomicBool,
}

impl Load {
    /// One of the hosts.
    fn host(&self, turn: u64) -> Api {
        let hosts = self.hosts.lock().expect("nobody panics with it");
        hosts[usize::try_from(turn).unwrap_or_default() % hosts.len()].clone()
    }

    fn set_hosts(&self, hosts: &[&Api]) {
        let hosts = hosts.iter().map(|&host| host.clone()).collect();
        *self.hosts.lock().expect("nobody panics with it") = hosts;
    }
}

impl Customer {
    fn left(&self) -> u64 {
        GRANTED - self.spent.load(Ordering::SeqCst)
    }

    /// Spends and looks, until the load is over.
    async fn act(&self, load: &Load) {
        let mut turn = 0;
        while !load.is_over.load(Ordering::SeqCst) {
            let is_paused = load.is_paused.load(Ordering::SeqCst);
            self.is_resting.store(is_paused, Ordering::SeqCst);
            if is_paused {
                tokio::time::sleep(RETRY_PAUSE).await;
                continue;
            }
            self.spend(load, &mut turn).await;
            self.look(load, &mut turn).await;
        }
    }

    /// One spend, with one key, until it is acknowledged.
    async fn spend(&self, load: &Load, turn: &mut u64) {
        let key = format!("spend-{}", self.spent.load(Ordering::SeqCst));
        let response = answered(load, turn, |api| {
            api.consume_call_with_key(&self.user, "1", &key)
        });
        let response = response.await.expect(201);
        let expected = self.left() - 1;
        let left = response.text_at("/transaction/available_after/amount");
        if decimal(&left) != expected.into() {
            response.fail(&format!("{expected} must be left after this spend"));
        }
        self.spent.fetch_add(1, Ordering::SeqCst);
    }

    /// One look at the balance, which must be what is left.
    async fn look(&self, load: &Load, turn: &mut u64) {
        let may_be_old = load.may_be_old.load(Ordering::SeqCst);
        let response = answered(load, turn, |api| api.balance_call(&self.user)).await;
        let response = response.expect(200);
        let shown = available(&response);
        let oldest = if may_be_old || load.may_be_old.load(Ordering::SeqCst) {
            self.spent_when_sure.load(Ordering::SeqCst)
        } else {
            let spent = self.spent.load(Ordering::SeqCst);
            self.spent_when_sure.store(spent, Ordering::SeqCst);
            spent
        };
        if shown < self.left().into() || shown > (GRANTED - oldest).into() {
            response.fail(&format!(
                "{} are left, and no more than {} were since balances were sure to be new",
                self.left(),
                GRANTED - oldest
            ));
        }
    }

    /// Whether both hosts show what is left, from the cache.
    async fn is_seen_by(&self, hosts: &[&Api]) -> bool {
        let calls = hosts.iter().map(|api| api.balance_call(&self.user));
        for call in calls {
            let response = call.send().await.expect(200);
            if response.cache() != "hit" || available(&response) != self.left().into() {
                return false;
            }
        }
        true
    }
}

/// Asks one host after another until one answers otherwise than that it should be tried again.
async fn answered(
    load: &Load,
    turn: &mut u64,
    call: impl Fn(&Api) -> turnpike_tests::Call,
) -> Response {
    let began = Instant::now();
    loop {
        *turn += 1;
        let counted = match call(&load.host(*turn)).try_send().await {
            Ok(response) if response.is_from_a_busy_machine() => &load.refusals,
            Ok(response) => return response,
            Err(_) => &load.unanswered,
        };
        counted.fetch_add(1, Ordering::SeqCst);
        assert!(
            began.elapsed() < PATIENCE,
            "nobody answers within {PATIENCE:?}"
        );
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Waits until something holds.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(
            began.elapsed() < PATIENCE,
            "{what}: not within {PATIENCE:?}"
        );
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Lets every customer spend a few times more. Returns how long the first of all spends took.
async fn spend_on(what: &str, customers: &[Customer]) -> Duration {
    let spent = |customer: &Customer| customer.spent.load(Ordering::SeqCst);
    let before: Vec<u64> = customers.iter().map(spent).collect();
    let began = Instant::now();
    let since = |least: u64| {
        let pairs = customers.iter().zip(&before);
        pairs
            .filter(|(one, before)| spent(one) >= *before + least)
            .count()
    };
    until(what, async || since(1) > 0).await;
    let first = began.elapsed();
    until(what, async || since(ROUNDS) == customers.len()).await;
    first
}

async fn check(redis: &mut RedisServer) {
    let own = OwnCluster::start("outages-under-load").await;
    let settings = Settings::pooled()
        .with_key_value(KeyValueOptions::Redis { url: redis.url() })
        .with_database_url(&own.url);
    let mut first = TestHost::start(settings.clone()).await;
    let mut second = ServingChild::start_with_redis(&own.url, &redis.url()).await;
    let admin = first.platform_admin().await;
    let mut customers = Vec::new();
    for number in 0..CUSTOMERS {
        let user = first.new_user(&format!("customer-{number}")).await;
        first
            .grant(&admin, &user, &format!("{GRANTED}.00"), "USD")
            .await;
        customers.push(Customer {
            user,
            spent: AtomicU64::new(0),
            spent_when_sure: AtomicU64::new(0),
            is_resting: AtomicBool::new(false),
        });
    }
    let load = Load {
        hosts: Mutex::default(),
        may_be_old: AtomicBool::new(false),
        is_paused: AtomicBool::new(false),
        is_over: AtomicBool::new(false),
        refusals: AtomicU64::new(0),
        unanswered: AtomicU64::new(0),
    };
    load.set_hosts(&[&first, &second.api]);
    let customers = &customers[..];
    let acting = join_all(customers.iter().map(|customer| customer.act(&load)));
    let events = async {
        spend_on("at first", customers).await;

        load.may_be_old.store(true, Ordering::SeqCst);
        redis.kill().await.expect("Redis can be killed");
        let took = spend_on("without Redis", customers).await;
        println!("outages: without Redis, the next spend took {took:?}");
        redis.restart().await.expect("Redis starts again");
        // Until every instance has the store again, a write may not be seen by another's readers.
        load.is_paused.store(true, Ordering::SeqCst);
        let all_rest = || {
            let mut resting = customers
                .iter()
                .map(|one| one.is_resting.load(Ordering::SeqCst));
            resting.all(|is_resting| is_resting)
        };
        until("the customers rest", async || all_rest()).await;
        tokio::time::sleep(STORE_REST).await;
        until("both hosts use Redis", async || {
            let hosts: [&Api; 2] = [&first, &second.api];
            let seen = join_all(customers.iter().map(|one| one.is_seen_by(&hosts)));
            seen.await.into_iter().all(|is_seen| is_seen)
        })
        .await;
        load.may_be_old.store(false, Ordering::SeqCst);
        load.is_paused.store(false, Ordering::SeqCst);
        spend_on("with Redis again", customers).await;
        println!(
            "outages: {} refusals and {} without an answer until here",
            load.refusals.swap(0, Ordering::SeqCst),
            load.unanswered.swap(0, Ordering::SeqCst)
        );

        own.cluster.crash().await.expect("Postgres can be killed");
        until("requests are refused without Postgres", async || {
            load.refusals.load(Ordering::SeqCst) > 0
        })
        .await;
        own.cluster.restart().await.expect("Postgres starts again");
        let took = spend_on("with Postgres again", customers).await;
        println!("outages: the first spend came {took:?} after Postgres was back");

        second.kill().await;
        let took = spend_on("with one host", customers).await;
        println!("outages: the first spend came {took:?} after a host was killed");
        load.set_hosts(&[&first]);
        second = ServingChild::start_with_redis(&own.url, &redis.url()).await;
        load.set_hosts(&[&first, &second.api]);
        spend_on("with two hosts again", customers).await;
        load.is_over.store(true, Ordering::SeqCst);
    };
    tokio::join!(acting, events);

    second.stop().await;
    first.shut_down().await;
    // The test's own connection died with Postgres.
    let host = TestHost::start(settings).await;
    for customer in customers {
        let left = host.ledger_balance(&customer.user).await;
        assert_eq!(left, customer.left().into(), "each spend came to pass once");
    }
    host.finish().await;
    own.remove().await;
}

#[test]
fn neither_redis_nor_postgres_nor_a_host_is_needed_for_right_answers() {
    block_on(async {
        if let Some(mut redis) = RedisServer::start_for_test().await {
            check(&mut redis).await;
        }
    });
}
