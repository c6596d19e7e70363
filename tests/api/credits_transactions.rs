use futures::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use turnpike_tests::personas::{TRANSACTIONS, decimal};
use turnpike_tests::{TestHost, User, api_tests};

use crate::refusals::{check_currency_parameter, refuse};

async fn page(host: &TestHost, user: &User, query: &str) -> (Vec<Value>, Option<String>) {
    let call = host
        .get(format!("{TRANSACTIONS}{query}"))
        .bearer(&user.token);
    let body = call.settle().await.expect(200).json();
    let transactions = body["transactions"].as_array().cloned().unwrap_or_default();
    (
        transactions,
        body["next_cursor"].as_str().map(str::to_owned),
    )
}

/// Follows the cursors from the first page to the last, and does `between` after each.
async fn all_pages(
    host: &TestHost,
    user: &User,
    limit: usize,
    between: impl AsyncFn(),
) -> Vec<Value> {
    let mut all = Vec::new();
    let mut query = format!("?limit={limit}");
    loop {
        let (transactions, next_cursor) = page(host, user, &query).await;
        let Some(cursor) = next_cursor else {
            all.extend(transactions);
            return all;
        };
        assert_eq!(transactions.len(), limit, "only the last page may be short");
        all.extend(transactions);
        query = format!("?limit={limit}&cursor={cursor}");
        between().await;
    }
}

fn ids(transactions: &[Value]) -> Vec<String> {
    transactions.iter().map(|t| t["id"].to_string()).collect()
}

api_tests![
    lists_the_ledger_newest_first,
    pages_show_every_row_once,
    shows_every_kind,
    narrows_to_a_kind_and_a_time,
    refuses,
];

async fn lists_the_ledger_newest_first(host: &TestHost) {
    let (user, admin) = host.user_with("10.00").await;
    host.consume(&user, "2.5").await;
    host.grant(&admin, &user, "5", "JPY").await;
    let (transactions, next_cursor) = page(host, &user, "?currency=USD").await;
    let seen: Vec<_> = transactions
        .iter()
        .map(|t| {
            (
                t["kind"].clone(),
                t["amount"]["amount"].clone(),
                t["available_after"]["amount"].clone(),
            )
        })
        .collect();
    let expected = [("consume", "-2.50", "7.50"), ("grant", "10.00", "10.00")];
    assert_eq!(
        seen,
        expected.map(|(a, b, c)| (json!(a), json!(b), json!(c)))
    );
    assert_eq!(next_cursor, None);
    let (mut all, _) = page(host, &user, "").await;
    let in_yen = vec![all.remove(0)];
    assert_eq!(all, transactions, "all currencies unless one is named");
    assert_eq!(page(host, &user, "?currency=JPY").await, (in_yen, None));
    assert_eq!(page(host, &user, "?currency=EUR").await, (vec![], None));
    let (first, next_cursor) = page(host, &user, "?limit=1").await;
    assert_eq!((first.len(), next_cursor.is_some()), (1, true));
}

async fn pages_show_every_row_once(host: &TestHost) {
    let (user, admin) = host.user_with("1000.00").await;
    let spends: Vec<_> = (0..249).map(|_| host.consume_call(&user, "0.5")).collect();
    stream::iter(spends)
        .for_each_concurrent(8, async |call| {
            call.settle().await.expect(201);
        })
        .await;
    let all = all_pages(host, &user, 100, async || ()).await;
    assert_eq!(all.len(), 250, "every row once");
    let mut unique = ids(&all);
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), 250, "no row twice");
    for pair in all.windows(2) {
        let [newer, older] = pair else { continue };
        let after =
            |t: &Value| decimal(t["available_after"]["amount"].as_str().unwrap_or_default());
        assert_eq!(
            after(newer) + decimal("0.5"),
            after(older),
            "newest first: {newer} then {older}"
        );
        assert!(
            newer["created_at"].as_str() >= older["created_at"].as_str(),
            "{newer} is older than {older}"
        );
    }
    // What arrives between two pages is newer than the first, and so on none that follows.
    let again = all_pages(host, &user, 100, async || {
        host.grant(&admin, &user, "1", "USD").await;
    })
    .await;
    assert_eq!(
        ids(&again),
        ids(&all),
        "rows that arrive between pages must not shift them"
    );
    for limit in [1, 50, 99] {
        let (first, _) = page(host, &user, &format!("?limit={limit}")).await;
        assert_eq!(first.len(), limit);
    }
    let (default, next_cursor) = page(host, &user, "").await;
    assert_eq!(
        (default.len(), next_cursor.is_some()),
        (50, true),
        "50 rows unless asked for others"
    );
}

fn kinds(transactions: &[Value]) -> Vec<String> {
    let kind = |t: &Value| t["kind"].as_str().unwrap_or_default().to_owned();
    transactions.iter().map(kind).collect()
}

/// What falls due is shown at the time at which it did, though nobody looked then.
async fn shows_every_kind(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = host.new_user("ada").await;
    let effective_at = host.time_in("1 day").await;
    let expires_at = host.time_in("2 days").await;
    let terms = json!({"effective_at": effective_at, "expires_at": expires_at});
    let dated = host.grant_with(&admin, &user, "5", terms).await;
    let voided = host.grant_with(&admin, &user, "7", json!({})).await;
    let spent = host.consume(&user, "2").await;
    let spent = spent["id"].as_str().unwrap_or_default();
    host.refund_call(&admin, spent, None, "refund")
        .send()
        .await
        .expect(201);
    let hold = host.hold(&user, "3", 900).await;
    host.capture_call(&user, &hold, "1", "capture")
        .send()
        .await
        .expect(200);
    host.void_call(&admin, &voided, "void")
        .send()
        .await
        .expect(200);
    // It began and ended, in this order and after all the rest, before anybody looked.
    let expires_at = host.time_in("10 milliseconds").await;
    host.execute(&format!(
        "UPDATE credit_grants SET effective_at = '{expires_at}'::timestamptz - interval '5 milliseconds',
                                  expires_at = '{expires_at}'
          WHERE prefixed_id('cgr_', id) = '{dated}';
         UPDATE credit_accounts SET next_due_at = '-infinity'"
    ))
    .await;
    host.wait_until_due("credit_grants", "expires_at").await;
    let (transactions, _) = page(host, &user, "").await;
    let mut seen = kinds(&transactions);
    let due = |kind: &str| {
        let found = transactions.iter().find(|t| t["kind"] == kind);
        found.unwrap_or_else(|| panic!("no {kind} in {transactions:?}"))
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    assert_eq!(text(&due("expire")["occurred_at"]), expires_at);
    assert_eq!(due("expire")["amount"]["amount"], "-5.00");
    assert_eq!(due("expire")["credited"], "expired");
    assert_eq!(due("activate")["debited"], "pending");
    for transaction in &transactions {
        // Of what fell due the id follows from what it is.
        let is_due = ["activate", "expire"]
            .map(Value::from)
            .contains(&transaction["kind"]);
        let version = text(&transaction["id"]).chars().nth("ctx_".len() + 12);
        let expected = if is_due { '8' } else { '7' };
        assert_eq!(version, Some(expected), "the id of {transaction}");
    }
    for pair in transactions.windows(2) {
        let [newer, older] = pair else { continue };
        assert!(
            text(&newer["occurred_at"]) >= text(&older["occurred_at"]),
            "{newer} came to pass before {older}"
        );
    }
    seen.sort();
    seen.dedup();
    let all = [
        "activate", "capture", "consume", "expire", "grant", "hold", "refund", "release", "void",
    ];
    assert_eq!(seen, all);
}

async fn narrows_to_a_kind_and_a_time(host: &TestHost) {
    let (user, admin) = host.user_with("10.00").await;
    for _ in 0..3 {
        host.consume(&user, "1").await;
    }
    host.grant(&admin, &user, "1", "USD").await;
    host.consume(&user, "1").await;
    let (all, _) = page(host, &user, "").await;
    let time = |index: usize| {
        let text = all[index]["occurred_at"].as_str().unwrap_or_default();
        text.to_owned()
    };
    let table = [
        ("?kind=consume".to_owned(), vec![0, 2, 3, 4]),
        ("?kind=grant".to_owned(), vec![1, 5]),
        ("?kind=expire".to_owned(), vec![]),
        // since is inclusive, until is not.
        (format!("?since={}", time(2)), vec![0, 1, 2]),
        (format!("?until={}", time(2)), vec![3, 4, 5]),
        (
            format!("?since={}&until={}", time(4), time(1)),
            vec![2, 3, 4],
        ),
        (
            format!("?kind=consume&since={}&until={}", time(3), time(0)),
            vec![2, 3],
        ),
        (format!("?since={}&until={}", time(1), time(1)), vec![]),
        (
            "?since=2020-01-01T00:00:00Z".to_owned(),
            vec![0, 1, 2, 3, 4, 5],
        ),
        ("?since=9999-12-31T23:59:59Z".to_owned(), vec![]),
        ("?until=0001-01-01T00:00:00Z".to_owned(), vec![]),
        (
            "?until=9999-12-31T23:59:59Z".to_owned(),
            vec![0, 1, 2, 3, 4, 5],
        ),
        (format!("?currency=EUR&since={}", time(2)), vec![]),
    ];
    for (query, expected) in table {
        let (found, _) = page(host, &user, &query).await;
        let wanted: Vec<Value> = expected.iter().map(|&index| all[index].clone()).collect();
        assert_eq!(found, wanted, "{query}");
    }
    // A cursor goes on within the same bounds.
    let (first, cursor) = page(host, &user, "?kind=consume&limit=3").await;
    let cursor = cursor.expect("one more follows");
    let (rest, end) = page(
        host,
        &user,
        &format!("?kind=consume&limit=3&cursor={cursor}"),
    )
    .await;
    assert_eq!((first.len(), rest.len(), end), (3, 1, None));
    assert_eq!(rest[0], all[4]);
}

async fn refuses(host: &TestHost) {
    let (user, _) = host.user_with("5.00").await;
    let with_query = |query: &str| {
        host.get(format!("{TRANSACTIONS}?{query}"))
            .bearer(&user.token)
    };
    check_currency_parameter(host, with_query).await;
    let table = [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=", "limit"),
        ("limit=%2B1", "limit"),
        ("limit=1.0", "limit"),
        ("limit=ten", "limit"),
        ("limit=4294967297", "limit"),
        ("limit=1&limit=1", "limit"),
        ("limit=%00", "limit"),
        ("kind=", "kind"),
        ("kind=Grant", "kind"),
        ("kind=grant%20", "kind"),
        ("kind=grant&kind=grant", "kind"),
        ("kind=%00", "kind"),
        ("since=", "since"),
        ("since=yesterday", "since"),
        ("since=2026-01-01", "since"),
        ("since=2026-01-01T00:00:00", "since"),
        ("until=2026-13-01T00:00:00Z", "until"),
        (
            "until=2026-01-01T00:00:00Z&until=2026-01-01T00:00:00Z",
            "until",
        ),
        ("cursor=", "cursor"),
        ("cursor=AQ", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=not+base64!", "cursor"),
        ("cursor=AgAAAAAAAAAH", "cursor"),
        ("cursor=AQAAAAAAAAAH%3D", "cursor"),
        ("cursor=AQAAAAAAAAAH&cursor=AQAAAAAAAAAH", "cursor"),
    ];
    for (query, field) in table {
        refuse(host, with_query(query), 400, "invalid_parameter", &[field]).await;
    }
}
