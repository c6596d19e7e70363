//! Whatever a crowd does in whatever order, the books balance, and every acknowledged operation
//! is in them once.

use std::collections::HashMap;

use futures::future::join_all;
use rust_decimal::Decimal;
use turnpike_tests::personas::decimal;
use turnpike_tests::{Call, Random, TestHost, User, api_tests};

const CLIENTS: usize = 16;
const USERS: usize = 8;
const OPERATIONS_PER_CLIENT: usize = 40;

/// One acknowledged operation.
struct Done {
    user: usize,
    transaction_id: String,
    change: Decimal,
}

/// What a client may repeat: the request, and the answer it was first given.
struct Sent {
    call: Call,
    status: u16,
    body: Vec<u8>,
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

async fn act(
    host: &TestHost,
    users: &[User],
    admin: &User,
    client: usize,
    mut random: Random,
) -> Vec<Done> {
    let mut done = Vec::new();
    let mut sent: Vec<Sent> = Vec::new();
    for operation in 0..OPERATIONS_PER_CLIENT {
        let user = usize::try_from(random.below(USERS as u64)).unwrap_or(0);
        let key = format!("client-{client}-{operation}");
        let call = match random.below(10) {
            0..=2 => {
                let body = serde_json::json!({"user_id": users[user].id, "amount": amount(&mut random), "currency": "USD"});
                host.post("/api/v1/credits/grants")
                    .bearer(&admin.token)
                    .idempotency_key(&key)
                    .json(&body)
            }
            3..=7 => host.consume_call_with_key(&users[user], &amount(&mut random), &key),
            8 if !sent.is_empty() => {
                let index = usize::try_from(random.below(sent.len() as u64)).unwrap_or(0);
                let earlier = &sent[index];
                let again = earlier.call.settle().await.expect(earlier.status);
                if earlier.status == 201 && again.body != earlier.body {
                    again.fail(&format!(
                        "first answered with {}",
                        String::from_utf8_lossy(&earlier.body)
                    ));
                }
                continue;
            }
            _ => {
                host.balance_call(&users[user]).settle().await.expect(200);
                continue;
            }
        };
        let response = call.settle().await;
        match response.status {
            201 => done.push(Done {
                user,
                transaction_id: response.text_at("/transaction/id"),
                change: decimal(&response.text_at("/transaction/amount/amount")),
            }),
            402 => {}
            _ => response.fail("a grant or a spend is done, or there is not enough"),
        }
        sent.push(Sent {
            call,
            status: response.status,
            body: response.body,
        });
    }
    done
}

api_tests![leave_sound_books,];

async fn leave_sound_books(host: &TestHost) {
    let mut random = Random::seeded("random operations");
    let admin = host.platform_admin().await;
    let users = join_all((0..USERS).map(|_| host.signup_and_login("user"))).await;
    let clients = (0..CLIENTS).map(|client| act(host, &users, &admin, client, random.fork()));
    let done: Vec<Done> = join_all(clients).await.into_iter().flatten().collect();

    let rows = host
        .query("SELECT prefixed_id('ctx_', id), count(*) FROM ledger_transfers GROUP BY id")
        .await;
    let booked: HashMap<String, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    for operation in &done {
        let times = booked.get(&operation.transaction_id).copied().unwrap_or(0);
        assert_eq!(
            times, 1,
            "{} was acknowledged and is booked {times} times",
            operation.transaction_id
        );
    }
    assert_eq!(
        booked.len(),
        done.len(),
        "nothing may be booked that was not acknowledged"
    );
    for (index, user) in users.iter().enumerate() {
        let expected: Decimal = done
            .iter()
            .filter(|d| d.user == index)
            .map(|d| d.change)
            .sum();
        assert_eq!(
            host.ledger_balance(user).await,
            expected,
            "the ledger of user {index}"
        );
        assert_eq!(
            host.balance(user).await,
            expected,
            "the balance of user {index}"
        );
    }
    println!("random operations: {} acknowledged", done.len());
}
