//! A token ends when it says, whether it is cached or not; so does a grant, and it begins when it
//! says.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use turnpike_tests::personas::{
    BALANCE, ME, TRANSACTIONS, available, decimal, sql_digest, sql_hash, sql_id,
};
use turnpike_tests::{Response, TestHost, User, api_tests};

/// By how much the clocks of the test, the host and Postgres may seem to differ.
const CLOCK_TOLERANCE: Duration = Duration::from_millis(500);

/// What lies between the decision on a spend and its entry in the ledger, on a busy machine too.
const DECISION_INTERVAL: &str = "1 second";

/// Something that takes a quarter of a second where nothing else runs.
const COMPARED: &str = "SELECT count(*) FROM generate_series(1, 2000000)";

/// A statement may take six times as long: a second and a half.
const MOST_TIMES_COMPARED: u32 = 6;

api_tests![
    a_grant_that_expires_amid_spends_is_spent_or_expires,
    all_that_can_be_open_falls_due_at_once,
    reads_amid_spends_that_settle_show_what_is_posted,
    what_comes_back_falls_due_with_its_grant,
];

api_tests![
    fresh_too:
    an_expired_token_is_refused,
    a_token_that_expires_while_cached_is_refused,
    a_grant_that_expires_while_cached_is_gone,
    a_grant_begins_when_it_says,
];

async fn an_expired_token_is_refused(host: &TestHost) {
    let user = host.new_user("ada").await;
    host.execute("UPDATE access_tokens SET expires_at = now() - interval '1 second'")
        .await;
    for path in [ME, BALANCE] {
        for _ in 0..3 {
            let response = host.get(path).bearer(&user.token).send().await;
            response.expect_problem(401, "unauthenticated");
        }
    }
}

async fn a_token_that_expires_while_cached_is_refused(host: &TestHost) {
    for life_secs in [1, 4, 16, 64] {
        let user = host.new_user("ada").await;
        host.execute(&format!(
            "UPDATE access_tokens SET expires_at = clock_timestamp() + interval '{life_secs} seconds'
              WHERE digest = {}",
            sql_hash(&user.token)
        ))
        .await;
        let began = Instant::now();
        let life = Duration::from_secs(life_secs);
        let calls = [ME, BALANCE].map(|path| host.get(path).bearer(&user.token));
        let mut cached = 0;
        for call in &calls {
            // Reads until it is cached, unless the machine is so slow that it expires first.
            while began.elapsed() < life {
                let response = call.send().await;
                if response.status != 200 {
                    break;
                }
                if response.cache() == "hit" {
                    cached += 1;
                    break;
                }
            }
        }
        let rest = (life + CLOCK_TOLERANCE).saturating_sub(began.elapsed());
        tokio::time::sleep(rest).await;
        for call in &calls {
            call.send().await.expect_problem(401, "unauthenticated");
        }
        if cached == calls.len() {
            return;
        }
    }
    panic!("the token was never cached before it expired");
}

async fn a_grant_that_expires_while_cached_is_gone(host: &TestHost) {
    let (user, admin) = host.user_with("2.00").await;
    host.grant_with_moment(&admin, &user, "5", "expires_at")
        .await;
    // Read again and again, so that it is in the cache unless the machine is very slow.
    for _ in 0..5 {
        host.balance_call(&user).settle().await.expect(200);
    }
    host.wait_until_due("credit_grants", "expires_at").await;
    assert_eq!(host.balance(&user).await.to_string(), "2.00");
    host.consume_call(&user, "2.01")
        .send()
        .await
        .expect_problem(402, "insufficient_credits");
    assert_eq!(host.count_transfers(&user, "expire").await, 1);
}

async fn a_grant_begins_when_it_says(host: &TestHost) {
    let (user, admin) = host.user_with("2.00").await;
    host.grant_with_moment(&admin, &user, "5", "effective_at")
        .await;
    for _ in 0..5 {
        host.balance_call(&user).settle().await.expect(200);
    }
    host.wait_until_due("credit_grants", "effective_at").await;
    assert_eq!(host.balance(&user).await.to_string(), "7.00");
    host.consume(&user, "7").await;
    assert_eq!(host.count_transfers(&user, "activate").await, 1);
}

/// Spends before, at and after the expiry: what was not spent in time has expired, and nothing
/// was spent that had.
async fn a_grant_that_expires_amid_spends_is_spent_or_expires(host: &TestHost) {
    host.fail_on_deadlock().await;
    let admin = host.platform_admin().await;
    let user = host.new_user("ada").await;
    host.grant_with_moment(&admin, &user, "1000", "expires_at")
        .await;
    let rows = host
        .query(&format!(
            "SELECT rfc3339(max(expires_at) + interval '{DECISION_INTERVAL}') FROM credit_grants"
        ))
        .await;
    let too_late: String = rows[0].get(0);
    let spends = (0..90).map(|index| {
        let call = host.consume_call(&user, "1");
        async move {
            tokio::time::sleep(Duration::from_millis(35 * index)).await;
            call.settle().await
        }
    });
    let responses = join_all(spends).await;
    host.wait_until_due("credit_grants", "expires_at").await;
    assert_eq!(host.balance(&user).await.to_string(), "0.00");
    // Posts what has expired, unless one of those above came late enough.
    host.consume_call(&user, "1")
        .settle()
        .await
        .expect_problem(402, "insufficient_credits");
    // A spend that was decided just before the expiry is written just after it.
    let mut done = 0;
    for response in responses {
        match response.status {
            201 => {
                done += 1;
                if response.text_at("/transaction/occurred_at") >= too_late {
                    response.fail("nothing may be spent of a grant that has expired");
                }
            }
            _ => {
                response.expect_problem(402, "insufficient_credits");
            }
        }
    }
    assert_eq!(host.count_transfers(&user, "consume").await, done);
    let rows = host
        .query("SELECT consumed::bigint, expired::bigint FROM credit_accounts")
        .await;
    let (consumed, expired): (i64, i64) = (rows[0].get(0), rows[0].get(1));
    assert_eq!((consumed, expired), (done, 1_000 - done));
}

async fn time_of(host: &TestHost, sql: &str) -> Duration {
    let began = Instant::now();
    host.execute(sql).await;
    began.elapsed()
}

/// The most open grants and the most open holds, of which none was looked at when it ended.
async fn all_that_can_be_open_falls_due_at_once(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = host.new_user("ada").await;
    host.execute(&format!(
        "SELECT credits_grant({admin}, 'grant-' || n, token_hash({admin}), gen_random_uuid(), gen_random_uuid(),
                              gen_random_uuid(), {id}, 'USD', 4, '', 'paid', 50, NULL, now() + interval '1 hour')
           FROM audit_asker('127.0.0.1', {admin}), generate_series(1, max_due_grants()) AS n;
         SELECT credits_hold({user}, 'hold-' || n, token_hash({user}), gen_random_uuid(), gen_random_uuid(), 'USD', 1, '', 3600)
           FROM generate_series(1, max_open_holds()) AS n;
         UPDATE credit_grants SET expires_at = effective_at + interval '1 microsecond';
         UPDATE credit_holds SET expires_at = clock_timestamp();
         UPDATE credit_accounts SET next_due_at = clock_timestamp()",
        admin = sql_digest(&admin.token),
        user = sql_digest(&user.token),
        id = sql_id(user.id),
    ))
    .await;
    let settle = "SELECT account_settle(a, clock_timestamp()) FROM credit_accounts a";
    let digest = sql_digest(&user.token);
    let table = [
        format!("SELECT credits_balance({digest}, 'USD')"),
        format!("SELECT credits_transactions({digest}, 'USD', 100)"),
        format!("SELECT credits_grants_list({digest}, 'USD', 100)"),
        format!("BEGIN; {settle}; ROLLBACK"),
    ];
    for statement in table {
        // Compared with something else on the same machine, which may be busy.
        let (mut taken, mut compared) = (Duration::MAX, Duration::MAX);
        for _ in 0..4 {
            taken = taken.min(time_of(host, &statement).await);
            compared = compared.min(time_of(host, COMPARED).await);
            if taken < compared * MOST_TIMES_COMPARED {
                break;
            }
        }
        assert!(
            taken < compared * MOST_TIMES_COMPARED,
            "{statement} takes {taken:?}, where {COMPARED} takes {compared:?}"
        );
    }
    let balance = host.balance_call(&user).send_once().await;
    if !balance.is_from_a_busy_machine() {
        assert_eq!(available(&balance.expect(200)).to_string(), "0.00");
    }
    host.query(settle).await;
    let rows = host
        .query("SELECT expired::bigint, (SELECT count(*) FROM credit_holds WHERE state = 'expired') FROM credit_accounts")
        .await;
    assert_eq!(
        (rows[0].get::<_, i64>(0), rows[0].get::<_, i64>(1)),
        (600, 200)
    );
}

/// What has fallen due, as a list of transactions shows it.
fn lapsed(listed: &Response) -> Vec<Value> {
    let listed = listed.json();
    let transactions = listed["transactions"].as_array().cloned();
    let mut found = transactions.unwrap_or_default();
    found.retain(|transaction| transaction["kind"] == "expire");
    found
}

/// A read shows what has fallen due before the first spend posts it, while it is posted, and
/// after that, and always the same.
async fn reads_amid_spends_that_settle_show_what_is_posted(host: &TestHost) {
    host.fail_on_deadlock().await;
    const GRANTS: usize = 5;
    let (user, admin) = host.user_with("100.00").await;
    let tomorrow = host.time_in("1 day").await;
    for _ in 0..GRANTS {
        let terms = json!({"expires_at": tomorrow, "priority": 90});
        host.grant_with(&admin, &user, "1", terms).await;
    }
    let hold = host.hold(&user, "1", 900).await;
    host.let_grants_end().await;
    let list = host
        .get(format!("{TRANSACTIONS}?limit=100"))
        .bearer(&user.token);
    let first = lapsed(&list.settle().await.expect(200));
    assert_eq!(first.len(), GRANTS, "{first:?}");
    assert_eq!(host.count_transfers(&user, "expire").await, 0);
    let spends = (0..24).map(|_| {
        let call = host.consume_call(&user, "1");
        async move { call.settle().await.expect(201) }
    });
    let reads = (0..24).map(|_| list.settle());
    let (_, seen) = futures::join!(join_all(spends), join_all(reads));
    for listed in seen {
        let listed = listed.expect(200);
        assert_eq!(lapsed(&listed), first, "{listed}");
        // Newest first: what each left is what the one before it found.
        let transactions = listed.json()["transactions"].as_array().cloned();
        for pair in transactions.unwrap_or_default().windows(2) {
            let [after, before] = [0, 1].map(|index| {
                let amount = &pair[index]["available_after"]["amount"];
                decimal(amount.as_str().unwrap_or_default())
            });
            let change = pair[0]["amount"]["amount"].as_str().unwrap_or_default();
            assert_eq!(after, before + decimal(change), "{pair:?}");
        }
    }
    assert_eq!(lapsed(&list.settle().await.expect(200)), first);
    let posted = i64::try_from(GRANTS).expect("a few");
    assert_eq!(host.count_transfers(&user, "expire").await, posted);
    assert_eq!(host.balance(&user).await.to_string(), "75.00");
    host.release_call(&user, &hold, "release")
        .settle()
        .await
        .expect(200);
}

/// Nothing falls due of a grant that is spent or held whole. What comes back falls due with it.
async fn what_comes_back_falls_due_with_its_grant(host: &TestHost) {
    let admin = host.platform_admin().await;
    let tomorrow = host.time_in("1 day").await;
    let next_due_at = async |user: &User| -> Option<String> {
        let next = format!(
            "SELECT rfc3339(nullif(next_due_at, 'infinity')) FROM credit_accounts WHERE user_id = {}",
            sql_id(user.id)
        );
        host.query(&next).await[0].get(0)
    };
    // Settled once with nothing due, so that the grant is forgotten that is spent or held whole.
    let forget = async |user: &User| {
        let settle = format!(
            "SELECT account_settle(a, clock_timestamp()) FROM credit_accounts a WHERE user_id = {}",
            sql_id(user.id)
        );
        host.execute(&settle).await;
    };
    let has_grant = async || {
        let user = host.new_user("ada").await;
        let terms = json!({"expires_at": tomorrow});
        host.grant_with(&admin, &user, "5", terms).await;
        assert_eq!(next_due_at(&user).await.as_ref(), Some(&tomorrow));
        user
    };
    for (captured, left) in [(None, true), (Some("2"), true), (Some("5"), false)] {
        let user = has_grant().await;
        let hold = host.hold(&user, "5", 900).await;
        forget(&user).await;
        let held_until = next_due_at(&user).await;
        assert!(held_until.is_some() && held_until.as_ref() != Some(&tomorrow));
        let call = match captured {
            None => host.release_call(&user, &hold, "release"),
            Some(amount) => host.capture_call(&user, &hold, amount, "capture"),
        };
        call.settle().await.expect(200);
        let expected = left.then(|| tomorrow.clone());
        assert_eq!(next_due_at(&user).await, expected, "captured {captured:?}");
    }
    let user = has_grant().await;
    let spent = host.consume(&user, "5").await;
    forget(&user).await;
    assert_eq!(next_due_at(&user).await, None);
    let id = spent["id"].as_str().unwrap_or_default();
    let refund = host.refund_call(&admin, id, None, "refund");
    refund.settle().await.expect(201);
    assert_eq!(next_due_at(&user).await, Some(tomorrow));
}
