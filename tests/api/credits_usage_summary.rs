use futures::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use turnpike_tests::personas::{CONSUME, HOLDS, USAGE_SUMMARY, decimal, fresh_key, sql_digest};
use turnpike_tests::{Call, Response, TestHost, User, api_tests};

use crate::refusals::{check_currency_parameter, refuse};

api_tests![
    adds_up_by_day_service_and_model,
    days_are_those_of_utc,
    covers_the_month_unless_asked_otherwise,
    has_every_one_of_many_parallel_spends,
    pages_show_every_group_once,
    belongs_to_its_user_and_currency,
    a_day_has_a_thousand_names,
    refuses,
];

api_tests![
    fresh_too:
    shows_each_spend_at_once,
];

fn summary_call(host: &TestHost, user: &User, query: &str) -> Call {
    host.get(format!("{USAGE_SUMMARY}{query}"))
        .bearer(&user.token)
}

async fn summary(host: &TestHost, user: &User, query: &str) -> Response {
    summary_call(host, user, query).settle().await.expect(200)
}

async fn spend(host: &TestHost, user: &User, amount: &str, names: Value) -> String {
    let call = host.consume_with_call(user, amount, names, &fresh_key());
    call.settle().await.expect(201).text_at("/transaction/id")
}

/// Makes everything that was booked so far a day older.
async fn let_a_day_pass(host: &TestHost) {
    // Two steps, because a row may not meet the one of the day before on its way.
    host.execute(
        "SET session_replication_role = replica;
         UPDATE ledger_transfers SET occurred_at = coalesce(occurred_at, created_at) - interval '1 day';
         UPDATE credit_usage_daily SET day = day - 100001;
         UPDATE credit_usage_daily SET day = day + 100000;
         UPDATE credit_totals_daily SET day = day - 100001;
         UPDATE credit_totals_daily SET day = day + 100000;
         RESET session_replication_role",
    )
    .await;
}

/// A day of UTC, before today.
async fn day(host: &TestHost, days_ago: i32) -> String {
    let sql = format!("SELECT (utc_day(clock_timestamp()) - {days_ago})::text");
    host.query(&sql).await[0].get(0)
}

/// The groups, as `[day service model spent refunded net spends refunds]` with what is absent
/// left out and `-` for a name that is null.
fn lines(response: &Response) -> Vec<String> {
    let body = response.json();
    let groups = body["groups"].as_array().cloned().unwrap_or_default();
    groups.iter().map(line).collect()
}

fn line(group: &Value) -> String {
    let mut parts = Vec::new();
    for name in ["day", "service", "model"] {
        match group.get(name) {
            None => {}
            Some(value) => parts.push(value.as_str().unwrap_or("-").to_owned()),
        }
    }
    for name in ["spent", "refunded", "net"] {
        parts.push(group[name]["amount"].as_str().unwrap_or("?").to_owned());
    }
    for name in ["spends", "refunds"] {
        parts.push(group[name].to_string());
    }
    parts.join(" ")
}

/// Two days ago four spends, and a hold that was captured in part; yesterday a refund; today a
/// spend, and a hold that was captured above its amount.
async fn adds_up_by_day_service_and_model(host: &TestHost) {
    let (user, admin) = host.user_with("100.00").await;
    let small = json!({"service": "chat", "model": "small"});
    spend(host, &user, "1", small.clone()).await;
    let large = json!({"service": "chat", "model": "large"});
    let refunded = spend(host, &user, "2", large).await;
    spend(host, &user, "3", json!({})).await;
    spend(host, &user, "0.000000001", json!({"model": "small"})).await;
    let image = json!({"service": "image", "model": null});
    let hold = host.hold_with_call(&user, "10", image, &fresh_key());
    let hold = hold.settle().await.expect(201);
    assert_eq!(hold.text_at("/hold/service"), "image", "{hold}");
    assert_eq!(hold.text_at("/transaction/service"), "image", "{hold}");
    let id = hold.text_at("/hold/id");
    let captured = host.capture_call(&user, &id, "4", "capture");
    let captured = captured.settle().await.expect(200);
    assert_eq!(
        captured.text_at("/transactions/0/service"),
        "image",
        "a capture has the names of its hold\n{captured}"
    );
    let_a_day_pass(host).await;
    let refund = host.refund_call(&admin, &refunded, Some("0.5"), "refund");
    let refund = refund.settle().await.expect(201);
    assert_eq!(
        refund.text_at("/transaction/model"),
        "large",
        "a refund has the names of what it gives back\n{refund}"
    );
    let_a_day_pass(host).await;
    spend(host, &user, "0.25", small.clone()).await;
    let hold = host.hold_with_call(&user, "1", small, &fresh_key());
    let id = hold.settle().await.expect(201).text_at("/hold/id");
    let above = host.capture_call(&user, &id, "1.5", "above");
    let above = above.settle().await.expect(200);
    assert_eq!(
        above.text_at("/transactions/1/model"),
        "small",
        "what exceeds a hold has its names\n{above}"
    );

    let (d0, d1, d2) = (day(host, 2).await, day(host, 1).await, day(host, 0).await);
    let (before, after) = (day(host, 3).await, day(host, -1).await);
    let table = [
        (
            "day",
            vec![
                format!("{before} 0.00 0.00 0.00 0 0"),
                format!("{d0} 10.000000001 0.00 10.000000001 5 0"),
                format!("{d1} 0.00 0.50 -0.50 0 1"),
                format!("{d2} 1.75 0.00 1.75 3 0"),
            ],
        ),
        (
            "service",
            vec![
                "- 3.000000001 0.00 3.000000001 2 0".to_owned(),
                "chat 4.75 0.50 4.25 5 1".to_owned(),
                "image 4.00 0.00 4.00 1 0".to_owned(),
            ],
        ),
        (
            "model",
            vec![
                "- 7.00 0.00 7.00 2 0".to_owned(),
                "large 2.00 0.50 1.50 1 1".to_owned(),
                "small 2.750000001 0.00 2.750000001 5 0".to_owned(),
            ],
        ),
        (
            "model,service",
            vec![
                "- - 3.00 0.00 3.00 1 0".to_owned(),
                "- small 0.000000001 0.00 0.000000001 1 0".to_owned(),
                "chat large 2.00 0.50 1.50 1 1".to_owned(),
                "chat small 2.75 0.00 2.75 4 0".to_owned(),
                "image - 4.00 0.00 4.00 1 0".to_owned(),
            ],
        ),
        (
            "day,service",
            vec![
                format!("{d0} - 3.000000001 0.00 3.000000001 2 0"),
                format!("{d0} chat 3.00 0.00 3.00 2 0"),
                format!("{d0} image 4.00 0.00 4.00 1 0"),
                format!("{d1} chat 0.00 0.50 -0.50 0 1"),
                format!("{d2} chat 1.75 0.00 1.75 3 0"),
            ],
        ),
        (
            "day,model",
            vec![
                format!("{d0} - 7.00 0.00 7.00 2 0"),
                format!("{d0} large 2.00 0.00 2.00 1 0"),
                format!("{d0} small 1.000000001 0.00 1.000000001 2 0"),
                format!("{d1} large 0.00 0.50 -0.50 0 1"),
                format!("{d2} small 1.75 0.00 1.75 3 0"),
            ],
        ),
        (
            "day,service,model",
            vec![
                format!("{d0} - - 3.00 0.00 3.00 1 0"),
                format!("{d0} - small 0.000000001 0.00 0.000000001 1 0"),
                format!("{d0} chat large 2.00 0.00 2.00 1 0"),
                format!("{d0} chat small 1.00 0.00 1.00 1 0"),
                format!("{d0} image - 4.00 0.00 4.00 1 0"),
                format!("{d1} chat large 0.00 0.50 -0.50 0 1"),
                format!("{d2} chat small 1.75 0.00 1.75 3 0"),
            ],
        ),
    ];
    for (group_by, expected) in table {
        let query = format!("?since={before}&until={after}&group_by={group_by}");
        let response = summary(host, &user, &query).await;
        assert_eq!(lines(&response), expected, "{group_by}\n{response}");
        let total = line(&response.json()["total"]);
        assert_eq!(
            total, "11.750000001 0.50 11.250000001 8 1",
            "the total is that of all groups\n{response}"
        );
    }
    // since is inclusive, until is not.
    let query = format!("?since={d1}&until={d2}");
    let response = summary(host, &user, &query).await;
    assert_eq!(lines(&response), [format!("{d1} 0.00 0.50 -0.50 0 1")]);
    assert_eq!(
        line(&response.json()["total"]),
        "0.00 0.50 -0.50 0 1",
        "{response}"
    );
}

/// The moment before midnight and the one after it, as seen from wherever Postgres may stand.
async fn days_are_those_of_utc(host: &TestHost) {
    for zone in ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"] {
        host.execute(&format!("SET TimeZone = '{zone}'")).await;
        let rows = host
            .query(
                "SELECT utc_day(moment)::text
                   FROM unnest('{2026-02-28T23:59:59.999999Z,2026-03-01T00:00:00Z,
                                 2026-03-01T00:30:00+01:00,2026-02-28T23:30:00-01:00,
                                 2024-02-29T12:00:00Z}'::timestamptz[]) WITH ORDINALITY AS m (moment, n)
                  ORDER BY n",
            )
            .await;
        let days: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let expected = [
            "2026-02-28",
            "2026-03-01",
            "2026-02-28",
            "2026-03-01",
            "2024-02-29",
        ];
        assert_eq!(days, expected, "{zone}");
    }
    host.execute("RESET TimeZone").await;
}

async fn covers_the_month_unless_asked_otherwise(host: &TestHost) {
    let (user, _) = host.user_with("10.00").await;
    spend(host, &user, "1", json!({})).await;
    let (today, tomorrow) = (day(host, 0).await, day(host, -1).await);
    let response = summary(host, &user, "").await;
    let first = format!("{}-01", &today[..7]);
    if day(host, 0).await != today {
        // Midnight came in between, and with it perhaps another month.
        return;
    }
    assert_eq!(response.text_at("/since"), first, "{response}");
    assert_eq!(response.text_at("/until"), tomorrow, "{response}");
    assert_eq!(response.text_at("/currency"), "USD", "{response}");
    let groups = lines(&response);
    assert_eq!(
        groups.last(),
        Some(&format!("{today} 1.00 0.00 1.00 1 0")),
        "{response}"
    );
    let days: usize = today[8..].parse().expect("a date ends with its day");
    assert_eq!(groups.len(), days, "every day is there\n{response}");
    let table = [
        ("?until=2024-03-01", "2024-02-01", 29),
        ("?since=2024-01-01&until=2024-01-02", "2024-01-01", 1),
    ];
    for (query, since, days) in table {
        let response = summary(host, &user, query).await;
        assert_eq!(response.text_at("/since"), since, "{response}");
        assert_eq!(lines(&response).len(), days, "{response}");
    }
    // A year, leap years too, in pages.
    let mut query = "?since=2024-01-01&until=2025-01-01&limit=100".to_owned();
    let mut all = Vec::new();
    loop {
        let response = summary(host, &user, &query).await;
        all.extend(lines(&response));
        let Some(cursor) = response.json()["next_cursor"].as_str().map(str::to_owned) else {
            break;
        };
        query = format!("?since=2024-01-01&until=2025-01-01&limit=100&cursor={cursor}");
    }
    assert_eq!(all.len(), 366);
    assert_eq!(all[0], "2024-01-01 0.00 0.00 0.00 0 0");
    assert_eq!(all[365], "2024-12-31 0.00 0.00 0.00 0 0");
}

async fn shows_each_spend_at_once(host: &TestHost) {
    let (user, admin) = host.user_with("10.00").await;
    let call = summary_call(host, &user, "?group_by=service,model");
    let cached = host.warm(&call).await;
    assert_eq!(cached.db_queries(), 0, "a hit needs no statement\n{cached}");
    let same = summary(host, &user, "?group_by=model,service&currency=USD").await;
    assert_ne!(same.cache(), "miss", "it was asked for the same\n{same}");
    let other = summary(host, &user, "?group_by=model").await;
    assert_ne!(other.cache(), "hit", "it was asked for another\n{other}");
    let chat = json!({"service": "chat"});
    let id = spend(host, &user, "2", chat.clone()).await;
    let response = call.settle().await.expect(200);
    assert_eq!(lines(&response), ["chat - 2.00 0.00 2.00 1 0"]);
    assert_eq!(response.db_queries(), 1, "{response}");
    host.warm(&call).await;
    let hold = host.hold_with_call(&user, "3", chat, &fresh_key());
    let hold = hold.settle().await.expect(201).text_at("/hold/id");
    let held = call.settle().await.expect(200);
    assert_eq!(
        lines(&held),
        ["chat - 2.00 0.00 2.00 1 0"],
        "a hold is not spent"
    );
    host.warm(&call).await;
    let capture = host.capture_call(&user, &hold, "1", "capture");
    capture.settle().await.expect(200);
    let captured = call.settle().await.expect(200);
    assert_eq!(lines(&captured), ["chat - 3.00 0.00 3.00 2 0"]);
    host.warm(&call).await;
    let refund = host.refund_call(&admin, &id, None, "refund");
    refund.settle().await.expect(201);
    let refunded = call.settle().await.expect(200);
    assert_eq!(lines(&refunded), ["chat - 3.00 2.00 1.00 2 1"]);
}

async fn has_every_one_of_many_parallel_spends(host: &TestHost) {
    const SPENDS: usize = 200;
    let (user, _) = host.user_with("100.00").await;
    let spends: Vec<_> = (0..SPENDS)
        .map(|n| {
            let names = json!({"service": format!("service-{}", n % 4)});
            host.consume_with_call(&user, "0.01", names, &fresh_key())
        })
        .collect();
    stream::iter(spends)
        .for_each_concurrent(16, async |call| {
            call.settle().await.expect(201);
        })
        .await;
    let response = summary(host, &user, "?group_by=service").await;
    let expected: Vec<String> = (0..4)
        .map(|n| format!("service-{n} 0.50 0.00 0.50 50 0"))
        .collect();
    assert_eq!(lines(&response), expected, "{response}");
    assert_eq!(line(&response.json()["total"]), "2.00 0.00 2.00 200 0");
}

/// Spends a hundredth with each of `count` models at once.
async fn spend_with_models(host: &TestHost, user: &User, count: usize) {
    let digest = sql_digest(&user.token);
    let sql = format!(
        "SELECT count(credits_consume({digest}, 'model-' || n, token_hash({digest}), gen_random_uuid(), 'USD', 0.01, '',
                                      NULL, 'model-' || n))
           FROM generate_series(1, {count}) n"
    );
    host.query(&sql).await;
}

async fn pages_show_every_group_once(host: &TestHost) {
    let (user, _) = host.user_with("100.00").await;
    spend_with_models(host, &user, 120).await;
    let_a_day_pass(host).await;
    spend(host, &user, "1", json!({"model": "é\u{10ffff}"})).await;
    spend(
        host,
        &user,
        "1",
        json!({"service": "a b", "model": "x&y=z"}),
    )
    .await;
    let since = day(host, 1).await;
    for (group_by, count) in [
        ("model", 122),
        ("day,model", 122),
        ("service,model", 122),
        ("day,service,model", 122),
        ("day,service", 3),
        ("service", 2),
    ] {
        for limit in [1, 50, 100] {
            if limit == 1 && count > 10 {
                continue;
            }
            let base = format!("?since={since}&group_by={group_by}&limit={limit}");
            let mut query = base.clone();
            let mut all = Vec::new();
            loop {
                let response = summary(host, &user, &query).await;
                let page = lines(&response);
                assert!(page.len() <= limit, "{response}");
                all.extend(page);
                let body = response.json();
                let Some(cursor) = body["next_cursor"].as_str() else {
                    break;
                };
                assert_eq!(all.len() % limit, 0, "only the last page may be short");
                query = format!("{base}&cursor={cursor}");
            }
            assert_eq!(all.len(), count, "{base}");
            let mut unique = all.clone();
            unique.sort();
            unique.dedup();
            assert_eq!(unique.len(), count, "no group twice: {base}");
        }
    }
}

async fn belongs_to_its_user_and_currency(host: &TestHost) {
    let (ada, admin) = host.user_with("10.00").await;
    let eve = host.new_user("eve").await;
    host.grant(&admin, &eve, "10", "USD").await;
    host.grant(&admin, &ada, "10", "JPY").await;
    spend(host, &ada, "1", json!({"service": "secret"})).await;
    let yen = json!({"amount": "3", "currency": "JPY", "service": "secret"});
    let call = host.post(CONSUME).bearer(&ada.token);
    let call = call.idempotency_key(&fresh_key()).json(&yen);
    call.settle().await.expect(201);
    for _ in 0..3 {
        let own = summary(host, &ada, "?group_by=service").await;
        assert_eq!(lines(&own), ["secret 1.00 0.00 1.00 1 0"], "{own}");
        let query = format!("?group_by=service&user_id={}", ada.id);
        let others = summary(host, &eve, &query).await;
        assert_eq!(lines(&others), Vec::<String>::new(), "{others}");
        assert_eq!(line(&others.json()["total"]), "0.00 0.00 0.00 0 0");
        let yen = summary(host, &ada, "?group_by=service&currency=JPY").await;
        assert_eq!(lines(&yen), ["secret 3 0 3 1 0"], "{yen}");
        let none = summary(host, &ada, "?group_by=service&currency=EUR").await;
        assert_eq!(lines(&none), Vec::<String>::new(), "{none}");
    }
}

async fn a_day_has_a_thousand_names(host: &TestHost) {
    let (user, _) = host.user_with("100.00").await;
    spend_with_models(host, &user, 1_000).await;
    let call = |path: &str, names: Value, key: &str| {
        let mut body = json!({"amount": "1", "currency": "USD"});
        if let (Some(body), Some(names)) = (body.as_object_mut(), names.as_object()) {
            body.extend(names.clone());
        }
        let call = host.post(path).bearer(&user.token);
        call.idempotency_key(key).json(&body)
    };
    let new = json!({"model": "model-1001"});
    for path in [CONSUME, HOLDS] {
        let refused = call(path, new.clone(), "new");
        refuse(host, refused, 409, "too_many_usage_names", &[]).await;
    }
    let known = call(HOLDS, json!({"model": "model-7"}), "known-hold");
    known.send().await.expect(201);
    let known = call(CONSUME, json!({"model": "model-7"}), "known");
    known.send().await.expect(201);
    let unnamed = call(CONSUME, json!({}), "unnamed");
    unnamed.send().await.expect(201);
    // Tomorrow there is room again, and the key was not used up.
    let_a_day_pass(host).await;
    call(CONSUME, new, "new").send().await.expect(201);
    let since = day(host, 1).await;
    let response = summary(host, &user, &format!("?since={since}")).await;
    let spent = decimal(&response.text_at("/total/spent/amount"));
    assert_eq!(spent, decimal("13.00"), "{response}");
}

async fn refuses(host: &TestHost) {
    let (user, _) = host.user_with("5.00").await;
    let with_query = |query: &str| summary_call(host, &user, &format!("?{query}"));
    check_currency_parameter(host, with_query).await;
    let long = format!("cursor={}", "a".repeat(1_101));
    let table = [
        ("since=", "since"),
        ("since=yesterday", "since"),
        ("since=2026-1-1", "since"),
        ("since=2026-02-30", "since"),
        ("since=0000-01-01", "since"),
        ("since=2026-01-01T00:00:00Z", "since"),
        ("since=9999-12-31", "since"),
        ("since=%00", "since"),
        ("since=2026-01-01&since=2026-01-01", "since"),
        ("since=2024-01-01&until=2025-01-02", "since"),
        ("until=", "until"),
        ("until=2026-13-01", "until"),
        ("until=0001-01-01", "until"),
        ("since=2026-01-02&until=2026-01-02", "until"),
        ("since=2026-01-02&until=2026-01-01", "until"),
        ("group_by=", "group_by"),
        ("group_by=user", "group_by"),
        ("group_by=day,day", "group_by"),
        ("group_by=day,", "group_by"),
        ("group_by=Day", "group_by"),
        ("group_by=day&group_by=day", "group_by"),
        ("group_by=day;DROP", "group_by"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=%2B1", "limit"),
        ("limit=1&limit=1", "limit"),
        ("cursor=", "cursor"),
        ("cursor=AQAAAAAAAAAH", "cursor"),
        ("cursor=%00", "cursor"),
        (&long, "cursor"),
    ];
    for (query, field) in table {
        refuse(host, with_query(query), 400, "invalid_parameter", &[field]).await;
    }
    // A cursor is of one grouping.
    spend(host, &user, "1", json!({"service": "a"})).await;
    spend(host, &user, "1", json!({"service": "b"})).await;
    let page = summary(host, &user, "?group_by=service&limit=1").await;
    let cursor = page.text_at("/next_cursor");
    let other = with_query(&format!("group_by=model&cursor={cursor}"));
    refuse(host, other, 400, "invalid_parameter", &["cursor"]).await;
}
