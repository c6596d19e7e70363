//! Whatever a crowd does in whatever order, the books balance, and every acknowledged operation
//! is in them once.

use std::collections::HashMap;
use std::sync::Mutex;

use futures::future::join_all;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use turnpike_tests::personas::{decimal, sql_digest, sql_id};
use turnpike_tests::{Call, Random, Response, TestHost, User, api_tests};

use crate::dated_ledger::settle;

const CLIENTS: usize = 16;
const USERS: usize = 8;
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

    /// A grant, at times one that begins or ends while the test runs.
    async fn grant(&self, random: &mut Random, user: usize, key: &str) -> Call {
        let mut body = json!({
            "user_id": self.users[user].id, "amount": amount(random), "currency": "USD",
            "priority": random.below(4),
        });
        let within = format!("{} milliseconds", 1_000 + random.below(2_000));
        match random.below(6) {
            0 => body["effective_at"] = json!(self.host.time_in(&within).await),
            1 => body["expires_at"] = json!(self.host.time_in(&within).await),
            _ => {}
        }
        self.host
            .post("/api/v1/credits/grants")
            .bearer(&self.admin.token)
            .idempotency_key(key)
            .json(&body)
    }

    /// A request at random, and the user whose credits it is about; none if it needs what is
    /// not there yet.
    async fn draw(&self, random: &mut Random, key: &str) -> Option<(usize, Call)> {
        let user = usize::try_from(random.below(USERS as u64)).unwrap_or(0);
        let who = &self.users[user];
        Some(match random.below(16) {
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

/// Everything that a user's reads answer, by the statements of the API.
async fn read_all(host: &TestHost, user: &User) -> Vec<String> {
    let digest = sql_digest(&user.token);
    let mut seen = Vec::new();
    for statement in [
        format!("credits_balance({digest}, 'USD')"),
        format!("credits_grants_list({digest}, 'USD', 1000, 1000000)"),
        format!("credits_transactions({digest}, 'USD', 10000, 1000000)"),
        format!("credits_transactions({digest}, 'USD', 10000, 1000000, 'release')"),
        format!("credits_transactions_export({digest}, 'USD', 10000)"),
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

/// Lets all that can lapse do so, half of it before the rest, and compares what is read before
/// it is posted with what is read after.
async fn read_alike_before_and_after_settling(host: &TestHost, crowd: &Crowd<'_>) {
    host.execute(
        "UPDATE credit_holds SET expires_at = clock_timestamp() - interval '1 second' * (get_byte(uuid_send(id), 8) % 2)
          WHERE state = 'open';
         UPDATE credit_grants SET expires_at = greatest(clock_timestamp(), effective_at + interval '1 microsecond')
          WHERE state = 'open' AND (expires_at < 'infinity' OR get_byte(uuid_send(id), 8) % 3 = 0);
         UPDATE credit_accounts SET next_due_at = clock_timestamp()",
    )
    .await;
    for user in &crowd.users {
        let due = read_all(host, user).await;
        host.execute(&format!(
            "SELECT account_settle(a, clock_timestamp()) FROM credit_accounts a WHERE user_id = {}",
            sql_id(user.id)
        ))
        .await;
        let posted = read_all(host, user).await;
        for (due, posted) in due.iter().zip(&posted) {
            assert_eq!(due, posted, "what is due must be read as it is posted");
        }
    }
    let rows = host
        .query("SELECT count(*) FROM ledger_transfers WHERE kind IN ('expire', 'release') AND actor_id IS NULL")
        .await;
    let lapsed: i64 = rows[0].get(0);
    assert!(lapsed > 0, "nothing has lapsed");
    println!("random operations: {lapsed} transfers fell due");
}

async fn leave_sound_books(host: &TestHost) {
    let mut random = Random::seeded("random operations");
    let crowd = Crowd {
        host,
        admin: host.platform_admin().await,
        users: join_all((0..USERS).map(|_| host.new_user("user"))).await,
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
    // From here on nothing falls due by itself: what a balance shows is what is posted.
    host.execute(
        "UPDATE credit_holds SET expires_at = expires_at + interval '1 day' WHERE state = 'open'",
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
    read_alike_before_and_after_settling(host, &crowd).await;
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for operation in &done {
        *counts.entry(&operation.kind).or_default() += 1;
    }
    println!("random operations: {counts:?} acknowledged");
}
