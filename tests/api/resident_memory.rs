//! What the host holds in memory: as much after a day of work as after its first minute.
//!
//! The host runs in a process of its own, which finds its components compiled.

use futures::stream::{self, StreamExt as _};
use turnpike_tests::host::block_on;
use turnpike_tests::{Call, Settings, TestHost};

use crate::crash::{CacheFile, ServingChild};

/// Requests of a round, and how many of them at once. An instance answers 128, so that each round
/// has made and ended dozens.
const REQUESTS: usize = 4_000;
const CONCURRENCY: usize = 32;

/// Rounds after the first, in which everything is made that stays.
const ROUNDS: usize = 4;

/// What the rounds may add at most, for what the allocator happens to keep. A place that is not
/// cleared when its instance ends, or an instance that stays, adds more than a megabyte for each.
const MAX_GROWTH_BYTES: u64 = 48 << 20;

/// The memory that a process has at the moment, or nothing where the system does not say.
fn resident_bytes(process_id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process_id}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

async fn round(calls: &[Call]) {
    let requests = (0..REQUESTS).map(|index| &calls[index % calls.len()]);
    stream::iter(requests)
        .for_each_concurrent(CONCURRENCY, async |call: &Call| {
            let answer = call.send().await;
            assert!(answer.status < 500, "{answer}");
        })
        .await;
}

#[test]
fn work_adds_nothing_to_it() {
    block_on(async {
        let setup = TestHost::start(Settings::pooled()).await;
        let (user, _) = setup.user_with("1000").await;
        let cache_file = CacheFile::new();
        let child = ServingChild::start(setup.database_url(), &cache_file.path()).await;
        let process_id = child.process_id();
        let Some(at_start) = resident_bytes(process_id) else {
            println!("this system does not say what a process has in memory");
            child.stop().await;
            return setup.finish().await;
        };
        let api = &child.api;
        let calls = [
            api.balance_call(&user),
            api.get("/api/v1/auth/me").bearer(&user.token),
            api.get("/api/v1/credits/transactions?limit=10")
                .bearer(&user.token),
            api.get("/api/v1/health"),
            api.consume_call_with_key(&user, "1", "again and again"),
            api.post("/api/v1/auth/login").json_text("{}"),
        ];
        let mut sizes = Vec::new();
        for _ in 0..=ROUNDS {
            round(&calls).await;
            sizes.push(resident_bytes(process_id).expect("it was said before"));
        }
        println!(
            "resident MiB: {} after the start, then {:?}",
            at_start >> 20,
            sizes.iter().map(|bytes| bytes >> 20).collect::<Vec<_>>()
        );
        let growth = sizes[ROUNDS].saturating_sub(sizes[0]);
        assert!(growth <= MAX_GROWTH_BYTES, "{sizes:?} grow with the work");
        child.stop().await;
        setup.finish().await;
    });
}
