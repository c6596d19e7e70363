//! Whatever a crowd does in whatever order, the books balance, and every acknowledged operation
//! is in them once.

use std::collections::HashMap;
use std::sync::Mutex;

use futures::future::join_all;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use shared::ids::OrganizationId;
use turnpike_tests::personas::{TRANSACTIONS, decimal, fresh_key, sql_digest, sql_id};
use turnpike_tests::pools::billing_path;
use turnpike_tests::{Call, Random, Response, TestHost, User, api_tests};

use crate::dated_ledger::settle;

const CLIENTS: usize = 16;
const USERS: usize = 8;
/// Whose what is done with the pool is, which the first user owns.
const POOL: usize = USERS;
const OPERATIONS_PER_CLIENT: usize = 60;

/// What a settled hold, a grant or a spend can be refused with, because others were faster.
const LOST_RACES: [&str; 3] = ["hold_not_open", "nothing_left", "exceeds_refundable"];

/// One acknowledged transaction.
struct Done {
    user: usize,
    transaction_id: String,
    kind: String,
    amount: Decimal,
}

/// What a client may repeat: the request, and the answer it was first given.
struct Sent {
    call: Call,
    status: u16,
    body: Vec<u8>,
}

/// What all clients have made, each with the user whose it is.
#[derive(Default)]
struct Made {
    spends: Vec<(usize, String)>,
    holds: Vec<(usize, String)>,
    grants: Vec<(usize, String)>,
}

/// The people, and what they have made so far.
struct Crowd<'a> {
    host: &'a TestHost,
    users: Vec<User>,
    admin: User,
    /// The organization of the first user, who spends from its pool.
    organization: OrganizationId,
    made: Mutex<Made>,
}

/// Amounts of all sizes, from a billionth to some tens, seldom affordable and often.
fn amount(random: &mut Random) -> String {
    match random.below(4) {
        0 => format!("0.{:09}", 1 + random.below(999_999_999)),
        1 => format!("{}.{:02}", random.below(20), 1 + random.below(99)),
        2 => (1 + random.below(9)).to_string(),
        _ => format!("{}.5", 10 + random.below(40)),
    }
}

/// What a spend or a hold is for, if anything.
fn names(random: &mut Random) -> Value {
    match random.below(4) {
        0 => json!({}),
        1 => json!({"service": "chat"}),
        2 => json!({"service": "chat", "model": format!("model-{}", random.below(3))}),
        _ => json!({"model": "model-0"}),
    }
}

/// Whether a grant was to begin or end at a time that is past.
fn is_too_late(response: &Response) -> bool {
    let fields = response.error_fields();
    fields == ["effective_at"] || fields == ["expires_at"]
}

fn pick<T: Clone>(random: &mut Random, from: &[T]) -> Option<T> {
    let index = usize::try_from(random.below(from.len() as u64)).unwrap_or(0);
    from.get(index).cloned()
}

impl Crowd<'_> {
    fn made(&self) -> std::sync::MutexGuard<'_, Made> {
        self.made.lock().expect("no client has panicked")
    }

    /// A grant to a user or to the pool, at times one that begins or ends while the test runs.
    async fn grant(&self, random: &mut Random, user: usize, key: &str) -> Call {
        let mut body = json!({
            "amount": amount(random), "currency": "USD", "priority": random.below(4),
        });
        let path = match self.users.get(user) {
            Some(user) => {
                body["user_id"] = json!(user.id);
                "/api/v1/credits/grants".to_owned()
            }
            None => billing_path(self.organization, "credit-pool/grants"),
        };
        let within = format!("{} milliseconds", 1_000 + random.below(2_000));
        match random.below(6) {
            0 => body["effective_at"] = json!(self.host.time_in(&within).await),
            1 => body["expires_at"] = json!(self.host.time_in(&within).await),
            _ => {}
        }
        self.host
            .post(path)
            .bearer(&self.admin.token)
            .idempotency_key(key)
            .json(&body)
    }

    /// A request at random, and the user whose credits it is about; none if it needs what is
    /// not there yet.
    async fn draw(&self, random: &mut Random, key: &str) -> Option<(usize, Call)> {
        let user = usize::try_from(random.below(USERS as u64)).unwrap_or(0);
        let who = &self.users[user];
        Some(match random.below(20) {
            0..=2 => (user, self.grant(random, user, key).await),
            3..=6 => {
                let names = names(random);
                let call = self
                    .host
                    .consume_with_call(who, &amount(random), names, key);
                (user, call)
            }
            7..=9 => {
                let mut more = names(random);
                more["ttl_secs"] = json!(1 + random.below(3) * 60);
                let call = self.host.hold_with_call(who, &amount(random), more, key);
                (user, call)
            }
            10..=11 => {
                let (user, id) = pick(random, &self.made().holds)?;
                let who = &self.users[user];
                let call = self.host.capture_call(who, &id, &amount(random), key);
                (user, call)
            }
            12 => {
                let (user, id) = pick(random, &self.made().holds)?;
                (user, self.host.release_call(&self.users[user], &id, key))
            }
            13 => {
                let (user, id) = pick(random, &self.made().grants)?;
                (user, self.host.void_call(&self.admin, &id, key))
            }
            14 => (POOL, self.grant(random, POOL, key).await),
            15..=16 => {
                let (owner, amount) = (&self.users[0], amount(random));
                let call = self
                    .host
                    .pool_spend_call(owner, self.organization, &amount, key);
                (POOL, call)
            }
            _ => {
                let (user, id) = pick(random, &self.made().spends)?;
                let part = amount(random);
                let part = (random.below(2) == 0).then_some(part.as_str());
                (user, self.host.refund_call(&self.admin, &id, part, key))
            }
        })
    }

    /// What an answer says was done.
    fn note(&self, user: usize, response: &Response) -> Vec<Done> {
        let answer = response.json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut transactions = vec![answer["transaction"].clone()];
        if let Some(several) = answer["transactions"].as_array() {
            transactions.clone_from(several);
        }
        let mut made = self.made();
        if answer["hold"]["state"] == "open" {
            made.holds.push((user, text(&answer["hold"]["id"])));
        }
        let mut done = Vec::new();
        for transaction in &transactions {
            let kind = text(&transaction["kind"]);
            let id = text(&transaction["id"]);
            match kind.as_str() {
                "grant" => made.grants.push((user, text(&answer["grant"]["id"]))),
                "consume" | "capture" => made.spends.push((user, id.clone())),
                _ => {}
            }
            done.push(Done {
                user,
                transaction_id: id,
                kind,
                amount: decimal(&text(&transaction["amount"]["amount"])).abs(),
            });
        }
        done
    }

    async fn act(&self, client: usize, mut random: Random) -> Vec<Done> {
        let mut done = Vec::new();
        let mut sent: Vec<Sent> = Vec::new();
        for operation in 0..OPERATIONS_PER_CLIENT {
            match random.below(8) {
                0 if !sent.is_empty() => {
                    let index = usize::try_from(random.below(sent.len() as u64)).unwrap_or(0);
                    let earlier = &sent[index];
                    let again = earlier.call.settle().await.expect(earlier.status);
                    if earlier.status != 402 && again.body != earlier.body {
                        again.fail(&format!(
                            "first answered with {}",
                            String::from_utf8_lossy(&earlier.body)
                        ));
                    }
                    continue;
                }
                1 => {
                    let who = pick(&mut random, &self.users).expect("there are users");
                    self.host.balance_call(&who).settle().await.expect(200);
                    continue;
                }
                _ => {}
            }
            let key = format!("client-{client}-{operation}");
            let Some((user, call)) = self.draw(&mut random, &key).await else {
                continue;
            };
            let response = call.settle().await;
            match response.status {
                200 | 201 => done.extend(self.note(user, &response)),
                402 => {}
                // On a busy machine its moment had come before the grant did.
                422 if is_too_late(&response) => continue,
                409 if LOST_RACES.contains(&response.text_at("/code").as_str()) => continue,
                _ => response.fail("an operation is done, or there is not enough, or it is late"),
            }
            sent.push(Sent {
                call,
                status: response.status,
                body: response.body,
            });
        }
        done
    }
}

api_tests![
    fresh_too:
    leave_sound_books,
];

/// Everything that reads of the pool answer, by the statements of the API.
async fn read_pool(crowd: &Crowd<'_>) -> Vec<String> {
    let digest = sql_digest(&crowd.users[0].token);
    let organization = crowd.organization.as_uuid();
    let mut seen = Vec::new();
    for statement in [
        format!("credit_pool_read({digest}, '{organization}', 'USD')"),
        format!("credit_pool_transactions({digest}, '{organization}', 'USD', 10000)"),
        format!("credit_pool_transactions({digest}, '{organization}', NULL, 10000)"),
    ] {
        let rows = crowd.host.query(&format!("SELECT {statement}::text")).await;
        seen.push(rows[0].get(0));
    }
    seen
}

/// Everything that a user's reads answer, by the statements of the API.
async fn read_all(host: &TestHost, user: &User) -> Vec<String> {
    let digest = sql_digest(&user.token);
    let mut seen = Vec::new();
    for statement in [
        format!("credits_balance({digest}, 'USD')"),
        format!("credits_grants_list({digest}, 'USD', 1000)"),
        format!("credits_grants_list({digest}, NULL, 1000)"),
        format!("credits_transactions({digest}, 'USD', 10000)"),
        format!("credits_transactions({digest}, NULL, 10000)"),
        format!("credits_transactions({digest}, NULL, 10000, 'release')"),
        format!("credits_transactions_export({digest}, NULL, 10000)"),
        format!(
            "credits_usage_summary({digest}, 'USD', '2000-01-01', '2100-01-01', false, true, true, 100)"
        ),
    ] {
        let rows = host.query(&format!("SELECT {statement}::text")).await;
        seen.push(rows[0].get(0));
    }
    let holds = format!(
        "SELECT coalesce(string_agg(credits_hold_find({digest}, h.id)::text, ', ' ORDER BY h.id), '')
           FROM credit_holds h JOIN credit_accounts a ON (a.organization_id, a.id) = (h.organization_id, h.account_id)
          WHERE a.user_id = {}",
        sql_id(user.id)
    );
    seen.push(host.query(&holds).await[0].get(0));
    seen
}

/// A user's transactions in all currencies, in pages of `limit`, with `between` after the first.
async fn listed(host: &TestHost, user: &User, limit: u64, between: impl AsyncFn()) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let call = host.get(format!("{TRANSACTIONS}?limit={limit}{cursor}"));
        let page = call.bearer(&user.token).settle().await.expect(200).json();
        all.extend(page["transactions"].as_array().cloned().unwrap_or_default());
        let Some(next) = page["next_cursor"].as_str() else {
            return all;
        };
        if cursor.is_empty() {
            between().await;
        }
        cursor = format!("&cursor={next}");
    }
}

/// Posts what is due of the accounts that `owner` says.
async fn settle_accounts(host: &TestHost, owner: &str) {
    host.execute(&format!(
        "SELECT account_settle(a, clock_timestamp()) FROM credit_accounts a WHERE {owner}"
    ))
    .await;
}

/// What is due must be read as it is posted.
fn assert_alike(due: &[String], posted: &[String]) {
    for (due, posted) in due.iter().zip(posted) {
        assert_eq!(due, posted, "what is due must be read as it is posted");
    }
}

/// Lets all that can begin or lapse do so, half of it before the rest, and compares what is read
/// before it is posted with what is read after.
async fn read_alike_before_and_after_settling(
    host: &TestHost,
    crowd: &Crowd<'_>,
    random: &mut Random,
) {
    // On a slow machine the crowd's holds may all have lapsed.
    for user in &crowd.users {
        host.grant(&crowd.admin, user, "3", "USD").await;
        let hold = host.hold_call(user, "1", 3_600, &fresh_key());
        hold.settle().await.expect(201);
    }
    let tomorrow = host.time_in("1 day").await;
    for terms in [
        json!({"effective_at": tomorrow}),
        json!({"effective_at": tomorrow, "priority": 90}),
        json!({"expires_at": tomorrow}),
        json!({"expires_at": tomorrow, "currency": "EUR"}),
        json!({"effective_at": tomorrow, "currency": "JPY"}),
    ] {
        for user in &crowd.users {
            host.grant_with(&crowd.admin, user, "3", terms.clone())
                .await;
        }
        host.pool_grant(&crowd.admin, crowd.organization, "3", terms)
            .await;
    }
    let began = host.time_in("0 seconds").await;
    host.execute(
        "UPDATE credit_grants SET effective_at = clock_timestamp() - interval '1 second' * (get_byte(uuid_send(id), 8) % 2),
                expires_at = CASE WHEN priority = 90 THEN clock_timestamp() + interval '1 microsecond' ELSE 'infinity' END
          WHERE state = 'pending';
         UPDATE credit_holds SET expires_at = clock_timestamp() - interval '1 second' * (get_byte(uuid_send(id), 8) % 2)
          WHERE state = 'open';
         UPDATE credit_grants SET expires_at = greatest(clock_timestamp(), effective_at + interval '1 microsecond')
          WHERE state = 'open' AND (expires_at < 'infinity' OR get_byte(uuid_send(id), 8) % 3 = 0);
         UPDATE credit_accounts SET next_due_at = clock_timestamp()",
    )
    .await;
    for user in &crowd.users {
        let due = read_all(host, user).await;
        let all = listed(host, user, 100, async || ()).await;
        let settle = async || {
            settle_accounts(host, &format!("user_id = {}", sql_id(user.id))).await;
        };
        // Posted after the first of many pages.
        let limit = 1 + random.below(10);
        assert_eq!(listed(host, user, limit, settle).await, all);
        assert_alike(&due, &read_all(host, user).await);
    }
    let due = read_pool(crowd).await;
    settle_accounts(host, "user_id IS NULL").await;
    assert_alike(&due, &read_pool(crowd).await);
    let fell_due = |of: &str| {
        format!(
            "SELECT DISTINCT t.kind FROM ledger_transfers t
               JOIN credit_accounts a ON (a.organization_id, a.id) = (t.organization_id, t.account_id)
              WHERE t.actor_id IS NULL AND t.written_at >= '{began}' AND a.user_id {of} ORDER BY t.kind"
        )
    };
    for (of, expected) in [
        ("IS NOT NULL", vec!["activate", "expire", "release"]),
        ("IS NULL", vec!["activate", "expire"]),
    ] {
        let rows = host.query(&fell_due(of)).await;
        let mut kinds: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        kinds.retain(|kind| *kind != "void");
        assert_eq!(kinds, expected, "what fell due of accounts whose user {of}");
    }
}

async fn leave_sound_books(host: &TestHost) {
    host.fail_on_deadlock().await;
    let mut random = Random::seeded("random operations");
    let users = join_all((0..USERS).map(|_| host.new_user("user"))).await;
    let organization = host.organization_of(&users[0]).await;
    host.allocate(&users[0], organization, &users[0], "1000000", "never")
        .await;
    let crowd = Crowd {
        host,
        admin: host.platform_admin().await,
        users,
        organization,
        made: Mutex::default(),
    };
    let clients = (0..CLIENTS).map(|client| crowd.act(client, random.fork()));
    let done: Vec<Done> = join_all(clients).await.into_iter().flatten().collect();

    // What nobody asked for, but what fell due, has no actor.
    let rows = host
        .query(
            "SELECT prefixed_id('ctx_', id), kind, amount::text, count(*) OVER (PARTITION BY id)
               FROM ledger_transfers WHERE actor_id IS NOT NULL",
        )
        .await;
    let booked: HashMap<String, (String, Decimal, i64)> = rows
        .iter()
        .map(|row| (row.get(0), (row.get(1), decimal(row.get(2)), row.get(3))))
        .collect();
    for operation in &done {
        let expected = (operation.kind.clone(), operation.amount, 1);
        assert_eq!(
            booked.get(&operation.transaction_id),
            Some(&expected),
            "{} was acknowledged and must be booked once",
            operation.transaction_id
        );
    }
    assert_eq!(
        rows.len(),
        done.len(),
        "nothing may be booked that was not acknowledged"
    );
    // From here on nothing falls due by itself: what a balance shows is what is posted. A hold that has
    // lapsed has lapsed, because a cached balance may reckon with it.
    host.execute(
        "UPDATE credit_holds SET expires_at = expires_at + interval '1 day'
          WHERE state = 'open' AND expires_at > clock_timestamp()",
    )
    .await;
    for moment in ["effective_at", "expires_at"] {
        host.wait_until_due("credit_grants", moment).await;
    }
    settle(host, &crowd.admin).await;
    for (index, user) in crowd.users.iter().enumerate() {
        let sum = |kinds: &[&str]| -> Decimal {
            let own = done.iter().filter(|d| d.user == index);
            let chosen = own.filter(|d| kinds.contains(&d.kind.as_str()));
            chosen.map(|d| d.amount).sum()
        };
        let shown = host.balance(user).await;
        assert_eq!(
            host.ledger_balance(user).await,
            shown,
            "the balance of user {index}"
        );
        let rows = host
            .query(&format!(
                "SELECT coalesce(sum(consumed), 0)::text FROM credit_accounts WHERE user_id = {}",
                sql_id(user.id)
            ))
            .await;
        assert_eq!(
            decimal(rows[0].get(0)),
            sum(&["consume", "capture"]) - sum(&["refund"]),
            "what user {index} has spent"
        );
    }
    read_alike_before_and_after_settling(host, &crowd, &mut random).await;
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for operation in &done {
        *counts.entry(&operation.kind).or_default() += 1;
    }
    println!("random operations: {counts:?} acknowledged");
}
