//! No read is older than a write that was acknowledged before it began, however the two race.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::{join, join_all};
use serde_json::json;
use turnpike_tests::personas::{BALANCE, ME, USAGE_SUMMARY, decimal, unique};
use turnpike_tests::{Call, Random, Response, TestHost, User, api_tests};

use crate::metering::{SUMMARY, meter, send};

/// Length of each of the six races: fifteen seconds in all.
const RACE: Duration = Duration::from_millis(2_500);

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
async fn write(
    host: &TestHost,
    user: &User,
    known: &Known,
    end: Instant,
    mut random: Random,
) -> u64 {
    let mut count = 0;
    while Instant::now() < end {
        known.sent.fetch_sub(1, Ordering::SeqCst);
        let response = host.consume_call(user, "0.01").settle().await.expect(201);
        let after = hundredths(&response.text_at("/transaction/available_after/amount"));
        known.acknowledged.store(after, Ordering::SeqCst);
        count += 1;
        if random.below(2) == 0 {
            tokio::time::sleep(Duration::from_millis(random.below(20))).await;
        }
    }
    count
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

async fn read(host: &TestHost, user: &User, known: &Known, end: Instant, seen: Seen) -> (u64, u64) {
    let (mut count, mut hits) = (0, 0);
    while Instant::now() < end {
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
        count += 1;
        hits += u64::from(response.cache() == "hit");
    }
    (count, hits)
}

/// The readers of one token, and when it was logged out.
struct Session {
    token: String,
    is_over: AtomicBool,
}

async fn validate(host: &TestHost, session: &Session, path: &str) -> u64 {
    let mut count = 0;
    let mut reads_after = 0;
    while reads_after < 3 {
        let was_over = session.is_over.load(Ordering::SeqCst);
        let response = host.get(path).bearer(&session.token).settle().await;
        if was_over {
            reads_after += 1;
            response.expect_problem(401, "unauthenticated");
        } else if !matches!(response.status, 200 | 401) {
            response.fail("a token is valid or it is not");
        }
        count += 1;
    }
    count
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
async fn count(
    host: &TestHost,
    user: &User,
    counted: &Counted,
    end: Instant,
    mut random: Random,
) -> u64 {
    let (mut batches, mut last) = (0, Vec::new());
    while Instant::now() < end {
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
        batches += 1;
        if random.below(2) == 0 {
            tokio::time::sleep(Duration::from_millis(random.below(40))).await;
        }
    }
    batches
}

async fn sum_up(
    host: &TestHost,
    user: &User,
    counted: &Counted,
    end: Instant,
    query: &str,
) -> (u64, u64) {
    let (mut count, mut hits) = (0, 0);
    while Instant::now() < end {
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
        count += 1;
        hits += u64::from(response.cache() == "hit");
    }
    (count, hits)
}

api_tests![
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
    let end = Instant::now() + RACE;
    let races = [&first, &second]
        .into_iter()
        .zip(&known)
        .map(|(user, known)| {
            let readers = join_all((0..READERS).map(|index| {
                let seen = [Seen::Balance, Seen::Summary][index % 2];
                read(host, user, known, end, seen)
            }));
            join(write(host, user, known, end, random.fork()), readers)
        });
    for (writes, reads) in join_all(races).await {
        let count: u64 = reads.iter().map(|(count, _)| count).sum();
        let hits: u64 = reads.iter().map(|(_, hits)| hits).sum();
        println!("freshness: {writes} spends against {count} reads, {hits} of them cached");
        assert!(writes > 0 && count > 0, "nothing raced");
    }
}

async fn summaries_race_with_batches(host: &TestHost) {
    let users = [host.new_user("first").await, host.new_user("second").await];
    for user in &users {
        let group_by = json!({"group_by": ["model"]});
        meter(host, &user.token, "calls", "count", group_by).await;
    }
    let counted = [(); 2].map(|()| Counted::default());
    let mut random = Random::seeded("freshness of summaries");
    let end = Instant::now() + RACE;
    let queries = [
        "meter=calls",
        "meter=calls&group_by=model",
        "meter=calls&subject=cus_1&interval=hour",
    ];
    let races = users.iter().zip(&counted).map(|(user, counted)| {
        let senders = [random.fork(), random.fork()];
        let senders = join_all(senders.map(|random| count(host, user, counted, end, random)));
        let readers = join_all((0..READERS).map(|index| {
            let query = queries[index % queries.len()];
            sum_up(host, user, counted, end, query)
        }));
        join(senders, readers)
    });
    for (batches, reads) in join_all(races).await {
        let batches: u64 = batches.iter().sum();
        let count: u64 = reads.iter().map(|(count, _)| count).sum();
        let hits: u64 = reads.iter().map(|(_, hits)| hits).sum();
        println!("freshness: {batches} batches against {count} summaries, {hits} of them cached");
        assert!(batches > 0 && hits > 0, "nothing raced");
    }
}

async fn validations_race_with_logouts(host: &TestHost) {
    let user = host.new_user("ada").await;
    let end = Instant::now() + RACE;
    let (mut logouts, mut validations) = (0, 0);
    while Instant::now() < end {
        let session = Session {
            token: host.issue_token(&user).await,
            is_over: AtomicBool::new(false),
        };
        let readers =
            (0..8).map(|index| validate(host, &session, if index % 2 == 0 { ME } else { BALANCE }));
        let (counts, ()) = join(join_all(readers), log_out(host, &session)).await;
        validations += counts.iter().sum::<u64>();
        logouts += 1;
    }
    println!("freshness: {logouts} logouts against {validations} validations");
    assert!(logouts > 0 && validations > 0, "nothing raced");
}
