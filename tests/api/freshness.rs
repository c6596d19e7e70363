//! No read is older than a write that was acknowledged before it began, however the two race.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::future::{join, join_all};
use serde_json::json;
use turnpike_tests::personas::{BALANCE, ME, USAGE_SUMMARY, decimal, unique};
use turnpike_tests::{Call, Race, Random, Response, TestHost, User, api_tests};

use crate::metering::{SUMMARY, meter, send};

/// Length of each race. Two run with reused instances and with fresh ones, and take two such
/// races each at once.
const RACE: Duration = Duration::from_millis(1_700);

/// Writes and cached reads that every race has, however slow the machine is.
const ENOUGH_WRITES: u64 = 20;
const ENOUGH_HITS: u64 = 5;

/// The longest pause of a writer.
const WRITE_PAUSE: Duration = Duration::from_millis(20);
const BATCH_PAUSE: Duration = Duration::from_millis(40);

/// Readers for each writer.
const READERS: usize = 6;

/// What each user starts with, in hundredths.
const START_HUNDREDTHS: u64 = 100_000;

/// One user's balance as their own writer knows it, in hundredths.
struct Known {
    /// After the last acknowledged spend: no read that begins now may show more.
    acknowledged: AtomicU64,
    /// After the last spend that was sent: no read that has ended may show less.
    sent: AtomicU64,
}

fn hundredths(amount: &str) -> u64 {
    (decimal(amount) * decimal("100"))
        .normalize()
        .to_string()
        .parse()
        .unwrap_or_else(|_| panic!("{amount} is no number of hundredths"))
}

/// Spends one hundredth at a time, and pauses now and then so that readers fill the cache.
async fn write(host: &TestHost, user: &User, known: &Known, race: &Race, mut random: Random) {
    while race.goes_on() {
        known.sent.fetch_sub(1, Ordering::SeqCst);
        let response = host.consume_call(user, "0.01").settle().await.expect(201);
        let after = hundredths(&response.text_at("/transaction/available_after/amount"));
        known.acknowledged.store(after, Ordering::SeqCst);
        race.note_write();
        race.pause(&mut random, WRITE_PAUSE).await;
    }
}

/// Where a reader sees what is left: in the balance, or as what was not spent.
#[derive(Clone, Copy)]
enum Seen {
    Balance,
    Summary,
}

impl Seen {
    fn call(self, host: &TestHost, user: &User) -> Call {
        match self {
            Self::Balance => host.balance_call(user),
            Self::Summary => host.get(USAGE_SUMMARY).bearer(&user.token),
        }
    }

    fn hundredths(self, response: &Response) -> u64 {
        match self {
            Self::Balance => hundredths(&response.text_at("/available/amount")),
            Self::Summary => {
                let spent = hundredths(&response.text_at("/total/spent/amount"));
                START_HUNDREDTHS - spent
            }
        }
    }
}

async fn read(host: &TestHost, user: &User, known: &Known, race: &Race, seen: Seen) {
    while race.goes_on() {
        let most = known.acknowledged.load(Ordering::SeqCst);
        let response = seen.call(host, user).settle().await.expect(200);
        let least = known.sent.load(Ordering::SeqCst);
        let shown = seen.hundredths(&response);
        if shown > most {
            response.fail(&format!(
                "this read is stale: a spend that left {most} hundredths was acknowledged before it began"
            ));
        }
        if shown < least {
            response.fail(&format!(
                "this read shows spends that were never sent: {least} are left at least"
            ));
        }
        race.note_read(response.cache() == "hit");
    }
}

/// The readers of one token, and when it was logged out.
struct Session {
    token: String,
    is_over: AtomicBool,
}

async fn validate(host: &TestHost, session: &Session, race: &Race, path: &str) {
    let mut reads_after = 0;
    while reads_after < 3 {
        let was_over = session.is_over.load(Ordering::SeqCst);
        let response = host.get(path).bearer(&session.token).settle().await;
        race.note_read(response.cache() == "hit");
        if was_over {
            reads_after += 1;
            response.expect_problem(401, "unauthenticated");
        } else if !matches!(response.status, 200 | 401) {
            response.fail("a token is valid or it is not");
        }
    }
}

async fn log_out(host: &TestHost, session: &Session) {
    tokio::time::sleep(Duration::from_millis(10)).await;
    let response = host
        .post("/api/v1/auth/logout")
        .bearer(&session.token)
        .settle()
        .await;
    // A 401 answers a repetition whose first attempt had ended the session.
    assert!(matches!(response.status, 200 | 401), "{response}");
    session.is_over.store(true, Ordering::SeqCst);
}

/// What one organization's senders know of its usage.
#[derive(Default)]
struct Counted {
    /// Events whose batches were acknowledged: no read that begins now may show fewer.
    acknowledged: AtomicU64,
    /// Events that were sent: no read that has ended may show more.
    sent: AtomicU64,
}

/// Sends batches of a few events, and now and then the one before again, whose answer might have
/// been lost.
async fn count(host: &TestHost, user: &User, counted: &Counted, race: &Race, mut random: Random) {
    let mut last = Vec::new();
    while race.goes_on() {
        if random.below(4) > 0 || last.is_empty() {
            let size = 1 + random.below(4);
            let event = |_| json!({"id": unique().to_string(), "type": "call", "subject": "cus_1"});
            last = (0..size).map(event).collect();
            counted.sent.fetch_add(size, Ordering::SeqCst);
            let [_, _, rejected] = send(host, &user.token, &json!(last)).await;
            assert_eq!(rejected, 0);
            counted.acknowledged.fetch_add(size, Ordering::SeqCst);
        } else {
            let [accepted, ..] = send(host, &user.token, &json!(last)).await;
            assert_eq!(accepted, 0);
        }
        race.note_write();
        race.pause(&mut random, BATCH_PAUSE).await;
    }
}

async fn sum_up(host: &TestHost, user: &User, counted: &Counted, race: &Race, query: &str) {
    while race.goes_on() {
        let least = counted.acknowledged.load(Ordering::SeqCst);
        let call = host.get(format!("{SUMMARY}?{query}"));
        let response = call.bearer(&user.token).settle().await.expect(200);
        let most = counted.sent.load(Ordering::SeqCst);
        let groups = &response.json()["groups"];
        let shown = groups[0]["events"].as_u64().unwrap_or(0);
        if shown < least {
            response.fail(&format!(
                "this summary is stale: {least} events were acknowledged before it began"
            ));
        }
        if shown > most {
            response.fail(&format!(
                "this summary has events that were never sent: {most} at most"
            ));
        }
        race.note_read(response.cache() == "hit");
    }
}

api_tests![
    fresh_too:
    reads_race_with_spends,
    validations_race_with_logouts,
    summaries_race_with_batches,
];

async fn reads_race_with_spends(host: &TestHost) {
    let (first, admin) = host.user_with("1000.00").await;
    let second = host.new_user("second").await;
    host.grant(&admin, &second, "1000.00", "USD").await;
    let known = [(); 2].map(|()| Known {
        acknowledged: AtomicU64::new(START_HUNDREDTHS),
        sent: AtomicU64::new(START_HUNDREDTHS),
    });
    let mut random = Random::seeded("freshness");
    let races = [(); 2].map(|()| Race::begin(RACE, ENOUGH_WRITES, ENOUGH_HITS));
    let all = [&first, &second]
        .into_iter()
        .zip(&known)
        .zip(&races)
        .map(|((user, known), race)| {
            let readers = join_all((0..READERS).map(|index| {
                let seen = [Seen::Balance, Seen::Summary][index % 2];
                read(host, user, known, race, seen)
            }));
            join(write(host, user, known, race, random.fork()), readers)
        });
    join_all(all).await;
    races.iter().for_each(|race| race.assert_raced("spends"));
}

async fn summaries_race_with_batches(host: &TestHost) {
    let users = [host.new_user("first").await, host.new_user("second").await];
    for user in &users {
        let group_by = json!({"group_by": ["model"]});
        meter(host, &user.token, "calls", "count", group_by).await;
    }
    let counted = [(); 2].map(|()| Counted::default());
    let mut random = Random::seeded("freshness of summaries");
    let races = [(); 2].map(|()| Race::begin(RACE, ENOUGH_WRITES, ENOUGH_HITS));
    let queries = [
        "meter=calls",
        "meter=calls&group_by=model",
        "meter=calls&subject=cus_1&interval=hour",
    ];
    let all = users
        .iter()
        .zip(&counted)
        .zip(&races)
        .map(|((user, counted), race)| {
            let senders = [random.fork(), random.fork()];
            let senders = join_all(senders.map(|random| count(host, user, counted, race, random)));
            let readers = join_all((0..READERS).map(|index| {
                let query = queries[index % queries.len()];
                sum_up(host, user, counted, race, query)
            }));
            join(senders, readers)
        });
    join_all(all).await;
    races.iter().for_each(|race| race.assert_raced("batches"));
}

async fn validations_race_with_logouts(host: &TestHost) {
    let user = host.new_user("ada").await;
    let race = Race::begin(RACE, ENOUGH_WRITES, 0);
    while race.goes_on() {
        let session = Session {
            token: host.issue_token(&user).await,
            is_over: AtomicBool::new(false),
        };
        let readers = (0..8).map(|index| {
            let path = if index % 2 == 0 { ME } else { BALANCE };
            validate(host, &session, &race, path)
        });
        join(join_all(readers), log_out(host, &session)).await;
        race.note_write();
    }
    race.assert_raced("logouts");
}
