use futures::future::join_all;
use serde_json::{Value, json};
use turnpike_tests::personas::{decimal, fresh_key};
use turnpike_tests::{Call, Random, Response, TestHost, User, api_tests};

use crate::dated_ledger::{count_due, settle, write_past};
use crate::refusals::{check_currency_parameter, refuse};

/// The path of the platform's figures.
pub const PLATFORM: &str = "/api/v1/org-billing/analytics/platform";
const ORGANIZATIONS: &str = "/api/v1/org-billing/analytics/platform/organizations";

/// The members of `credits`, in the order of the tables below.
const CREDITS: [&str; 6] = [
    "sold",
    "promotional",
    "consumed",
    "refunded",
    "expired",
    "voided",
];

/// The members of `subscriptions` that are of the period.
const MOVEMENTS: [&str; 6] = [
    "new_mrr",
    "expansion_mrr",
    "contraction_mrr",
    "churned_mrr",
    "reactivation_mrr",
    "net_new_mrr",
];

/// A question for the figures.
fn platform_call(host: &TestHost, admin: &User, query: &str) -> Call {
    host.get(format!("{PLATFORM}{query}")).bearer(&admin.token)
}

async fn figures(host: &TestHost, admin: &User, query: &str) -> Value {
    let call = platform_call(host, admin, query);
    call.settle().await.expect(200).json()
}

/// The amounts of some members, in whole units where they are whole.
pub fn amounts(of: &Value, names: &[&str]) -> Vec<String> {
    let amount = |name: &&str| {
        let text = of[*name]["amount"].as_str().unwrap_or("absent");
        text.strip_suffix(".00").unwrap_or(text).to_owned()
    };
    names.iter().map(amount).collect()
}

/// What must not change when lapsed credits are posted: all but the moment.
fn without_moment(mut figures: Value) -> Value {
    figures["as_of"] = Value::Null;
    figures
}

api_tests![
    begins_empty,
    adds_up_a_table_by_hand,
    what_nobody_has_looked_at_is_exact,
    parallel_spends_add_up,
    reads_agree_amid_spends_that_settle,
    too_much_due_at_once_is_said,
    a_subscription_counts_at_once,
    lists_organizations_by_revenue,
    refuses,
];

async fn begins_empty(host: &TestHost) {
    let admin = host.platform_admin().await;
    let empty = figures(host, &admin, "").await;
    assert_eq!(amounts(&empty["credits"], &CREDITS), ["0"; 6]);
    assert_eq!(empty["credits"]["spends"], 0);
    assert_eq!(amounts(&empty["subscriptions"], &MOVEMENTS), ["0"; 6]);
    assert_eq!(empty["subscriptions"]["mrr"]["amount"], "0.00");
    assert_eq!(empty["subscriptions"]["active"], 0);
    assert_eq!(empty["outstanding"]["liability"]["amount"], "0.00");
    assert_eq!(empty["plans"], json!([]));
    // The current month, today included.
    let rows = host
        .query(
            "SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date::text,
                    ((now() AT TIME ZONE 'UTC')::date + 1)::text",
        )
        .await;
    let month: (&str, &str) = (rows[0].get(0), rows[0].get(1));
    assert_eq!(empty["since"], month.0);
    assert_eq!(empty["until"], month.1);
    let yen = figures(host, &admin, "?currency=JPY").await;
    assert_eq!(
        yen["credits"]["sold"],
        json!({"amount": "0", "currency": "JPY"})
    );
    let call = host.get(ORGANIZATIONS).bearer(&admin.token);
    let listed = call.settle().await.expect(200).json();
    assert_eq!(listed, json!({"organizations": [], "next_cursor": null}));
}

async fn adds_up_a_table_by_hand(host: &TestHost) {
    write_past(host).await;
    let admin = host.platform_admin().await;
    /// The question, the credits and their spends, and the movements of subscriptions.
    type Row<'a> = (&'a str, [&'a str; 6], i64, [&'a str; 6]);
    let table: [Row<'_>; 8] = [
        (
            "?since=2026-01-01&until=2026-02-01",
            ["150", "20", "5", "0", "0", "0"],
            1,
            ["100", "50", "0", "0", "0", "150"],
        ),
        (
            "?since=2026-02-01&until=2026-03-01",
            ["0", "4", "18", "8", "17", "42"],
            3,
            ["30", "0", "20", "30", "0", "-20"],
        ),
        (
            "?since=2026-03-01&until=2026-04-01",
            ["500", "60", "10", "0", "50", "0"],
            1,
            ["0", "0", "0", "0", "40", "40"],
        ),
        (
            "?since=2026-01-01&until=2026-04-01",
            ["650", "84", "33", "8", "67", "42"],
            5,
            ["130", "50", "20", "30", "40", "170"],
        ),
        // The last microsecond of January, the first of February.
        (
            "?since=2026-01-31&until=2026-02-02",
            ["50", "4", "12", "0", "0", "0"],
            2,
            ["0"; 6],
        ),
        (
            "?since=2026-02-10&until=2026-02-11",
            ["0", "0", "0", "0", "13", "0"],
            0,
            ["0"; 6],
        ),
        ("?since=2025-01-01&until=2026-01-01", ["0"; 6], 0, ["0"; 6]),
        (
            "?since=2026-01-01&until=2026-04-01&currency=EUR",
            ["1000", "0", "0", "0", "0", "0"],
            0,
            ["33", "0", "0", "0", "0", "33"],
        ),
    ];
    // First nothing is posted, and then all that is due.
    assert_eq!(count_due(host).await, 2, "ada's account and the pool");
    let mut unposted = Vec::new();
    for is_posted in [false, true] {
        for (index, (query, credits, spends, movements)) in table.iter().enumerate() {
            let figures = figures(host, &admin, query).await;
            assert_eq!(amounts(&figures["credits"], &CREDITS), credits, "{query}");
            assert_eq!(figures["credits"]["spends"], *spends, "{query}");
            let subscriptions = &figures["subscriptions"];
            assert_eq!(amounts(subscriptions, &MOVEMENTS), movements, "{query}");
            // Whatever the period, these are of now.
            let is_euro = query.contains("EUR");
            let expected = match is_euro {
                false => ("600.00", "170.00", 2),
                true => ("1000.00", "33.00", 1),
            };
            assert_eq!(figures["outstanding"]["liability"]["amount"], expected.0);
            assert_eq!(subscriptions["mrr"]["amount"], expected.1);
            assert_eq!(subscriptions["active"], expected.2);
            if is_posted {
                assert_eq!(without_moment(figures), unposted[index], "{query}");
            } else {
                unposted.push(without_moment(figures));
            }
        }
        let due = if is_posted { 0 } else { 2 };
        assert_eq!(count_due(host).await, due, "no read has posted any");
        assert_eq!(settle(host, &admin).await, due);
    }
    let plans = figures(host, &admin, "").await["plans"].clone();
    let plan = |plan: &str, seats: i64, mrr: &str| {
        let mrr = json!({"amount": mrr, "currency": "USD"});
        json!({"plan": plan, "subscriptions": 1, "seats": seats, "mrr": mrr})
    };
    assert_eq!(
        plans,
        json!([plan("team", 13, "130.00"), plan("duo", 2, "40.00")])
    );
}

/// Grants and holds that lapse while nobody looks, in every order, with spends, captures, voids
/// and refunds before: what a read works out is what is posted later.
async fn what_nobody_has_looked_at_is_exact(host: &TestHost) {
    let admin = host.platform_admin().await;
    let mut random = Random::seeded("what nobody has looked at");
    let users = join_all((0..4).map(|_| host.new_user("user"))).await;
    for user in &users {
        let mut grants = Vec::new();
        for _ in 0..4 {
            let soon = format!("{} milliseconds", 5_000 + random.below(1_500));
            let later = host.time_in("1 day").await;
            let soon = host.time_in(&soon).await;
            let kind = ["paid", "promotional"][usize::from(random.below(2) == 0)];
            let mut terms = json!({"kind": kind, "priority": random.below(3)});
            match random.below(4) {
                0 => terms["effective_at"] = json!(soon),
                1 => terms["expires_at"] = json!(later),
                _ => terms["expires_at"] = json!(soon),
            }
            let amount = format!("{}", 2 + random.below(9));
            grants.push(host.grant_with(&admin, user, &amount, terms).await);
        }
        for index in 0..4 {
            let amount = format!("0.{}", 1 + random.below(9));
            let spend = host.consume_call(user, &amount).settle().await;
            if spend.status == 201 && random.below(2) == 0 {
                let id = spend.text_at("/transaction/id");
                let call = host.refund_call(&admin, &id, None, &fresh_key());
                call.settle().await.expect(201);
            }
            let ttl_secs = 1 + i32::try_from(random.below(3)).unwrap_or(0);
            let call = host.hold_call(user, &amount, ttl_secs, &fresh_key());
            call.settle().await;
            if index == 1 {
                // What is held of it comes back to a grant that was voided.
                host.void_call(&admin, &grants[0], &fresh_key())
                    .settle()
                    .await;
            }
        }
    }
    host.wait_until_due("credit_holds", "expires_at").await;
    // What ends tomorrow is not waited for.
    let within =
        "CASE WHEN expires_at < now() + interval '1 hour' THEN expires_at ELSE effective_at END";
    host.wait_until_due("credit_grants", within).await;
    assert!(count_due(host).await > 0, "nobody has looked");
    let worked_out = without_moment(figures(host, &admin, "").await);
    assert!(count_due(host).await > 0, "the read has posted nothing");
    settle(host, &admin).await;
    assert_eq!(count_due(host).await, 0, "all of it was posted");
    let posted = without_moment(figures(host, &admin, "").await);
    assert_eq!(worked_out, posted);
    let rows = host
        .query(
            "SELECT sum(pending + available + held)::text, sum(expired)::text FROM credit_accounts
              WHERE currency = 'USD'",
        )
        .await;
    let amount = |value: &Value| decimal(value["amount"].as_str().unwrap_or_default());
    assert_eq!(
        amount(&posted["outstanding"]["liability"]),
        decimal(rows[0].get(0))
    );
    assert_eq!(
        amount(&posted["credits"]["expired"]),
        decimal(rows[0].get(1))
    );
    assert_ne!(posted["credits"]["expired"]["amount"], "0.00");
}

async fn parallel_spends_add_up(host: &TestHost) {
    let admin = host.platform_admin().await;
    let users = join_all((0..8).map(|_| host.new_user("user"))).await;
    for user in &users {
        host.grant(&admin, user, "100", "USD").await;
    }
    let spends = (0..160).map(|index| {
        let call = host.consume_call(&users[index % users.len()], "0.25");
        let admin = &admin;
        async move {
            call.settle().await.expect(201);
            // Every answer that came before is in the figures.
            (index % 16 == 0).then_some(figures(host, admin, "").await)
        }
    });
    join_all(spends).await;
    let after = figures(host, &admin, "").await;
    assert_eq!(
        amounts(&after["credits"], &CREDITS),
        ["800", "0", "40", "0", "0", "0"]
    );
    assert_eq!(after["credits"]["spends"], 160);
    assert_eq!(after["outstanding"]["liability"]["amount"], "760.00");
    // A spend is in the figures as soon as it is answered.
    host.consume(&users[0], "1").await;
    let now = figures(host, &admin, "").await;
    assert_eq!(now["credits"]["consumed"]["amount"], "41.00");
}

/// Spends that post what has lapsed of their accounts, and reads that work it out until then.
async fn reads_agree_amid_spends_that_settle(host: &TestHost) {
    let admin = host.platform_admin().await;
    let tomorrow = host.time_in("1 day").await;
    let users = join_all((0..8).map(|_| host.new_user("user"))).await;
    for user in &users {
        host.grant(&admin, user, "100", "USD").await;
        for _ in 0..5 {
            let terms = json!({"expires_at": tomorrow, "priority": 90});
            host.grant_with(&admin, user, "1", terms).await;
        }
    }
    host.let_grants_end().await;
    let spends = (0..64).map(|index| {
        let call = host.consume_call(&users[index % users.len()], "1");
        async move { call.settle().await.expect(201) }
    });
    let reads = (0..16).map(|_| figures(host, &admin, ""));
    let (_, seen) = futures::join!(join_all(spends), join_all(reads));
    for figures in seen {
        assert_eq!(figures["credits"]["expired"]["amount"], "40.00");
    }
    let after = figures(host, &admin, "").await;
    assert_eq!(after["credits"]["consumed"]["amount"], "64.00");
    assert_eq!(after["outstanding"]["liability"]["amount"], "736.00");
}

async fn too_much_due_at_once_is_said(host: &TestHost) {
    write_past(host).await;
    let admin = host.platform_admin().await;
    host.execute(
        "CREATE OR REPLACE FUNCTION max_credits_due() RETURNS integer LANGUAGE sql IMMUTABLE RETURN 1",
    )
    .await;
    let query = "?since=2026-02-01&until=2026-03-01";
    let refused = |response: Response| response.expect_problem(503, "settlement_pending");
    refused(platform_call(host, &admin, query).send().await);
    assert_eq!(settle(host, &admin).await, 2);
    let figures = figures(host, &admin, query).await;
    assert_eq!(figures["credits"]["expired"]["amount"], "17.00");
    assert_eq!(figures["outstanding"]["liability"]["amount"], "600.00");
    assert_eq!(count_due(host).await, 0);
}

async fn a_subscription_counts_at_once(host: &TestHost) {
    let admin = host.platform_admin().await;
    let owner = host.new_user("owner").await;
    let organization = host.organization_of(&owner).await;
    let path = format!("/api/v1/org-billing/organizations/{organization}/subscription");
    let table = [
        ("team", 10, "active", ["100", "0", "0", "0", "0", "100"], 1),
        ("team", 12, "active", ["100", "20", "0", "0", "0", "120"], 1),
        (
            "solo",
            3,
            "past_due",
            ["100", "20", "90", "0", "0", "30"],
            1,
        ),
        (
            "solo",
            3,
            "canceled",
            ["100", "20", "90", "30", "0", "0"],
            0,
        ),
        (
            "team",
            5,
            "active",
            ["100", "20", "90", "30", "50", "50"],
            1,
        ),
    ];
    for (plan, seats, status, movements, active) in table {
        let body = json!({
            "plan": plan, "seats": seats, "status": status, "billing_period": "month",
            "seat_price": {"amount": "10", "currency": "USD"}});
        let call = host.put(&path).bearer(&admin.token).json(&body);
        let response = call.settle().await;
        assert!(response.status < 300, "{response}");
        let figures = figures(host, &admin, "").await;
        let subscriptions = &figures["subscriptions"];
        assert_eq!(amounts(subscriptions, &MOVEMENTS), movements, "{status}");
        assert_eq!(amounts(subscriptions, &["mrr"]), [movements[5]]);
        assert_eq!(subscriptions["active"], active, "{status}");
        let plans = figures["plans"].as_array().cloned().unwrap_or_default();
        let names: Vec<_> = plans.iter().map(|shown| &shown["plan"]).collect();
        assert_eq!(names.len(), usize::from(active > 0), "{plans:?}");
        assert!(names.iter().all(|name| *name == plan), "{plans:?}");
    }
}

async fn lists_organizations_by_revenue(host: &TestHost) {
    write_past(host).await;
    let admin = host.platform_admin().await;
    host.execute(
        "SELECT dated_subscription(name, 'USD', 'team', 1, status, mrr, movement, '2026-03-03T00:00:00Z')
           FROM (VALUES ('First', 'active', 40, 'new'), ('Second', 'active', 40, 'new'),
                        ('Trial', 'trialing', 0, 'none'), ('Tiny', 'active', 0.000000001, 'new'))
                v (name, status, mrr, movement)",
    )
    .await;
    let page = async |query: &str| {
        let call = host
            .get(format!("{ORGANIZATIONS}{query}"))
            .bearer(&admin.token);
        call.settle().await.expect(200).json()
    };
    let all = page("").await;
    let all = all["organizations"].as_array().cloned().unwrap_or_default();
    let mrr: Vec<_> = all
        .iter()
        .map(|organization| organization["mrr"]["amount"].clone())
        .collect();
    assert_eq!(
        mrr,
        ["130.00", "40.00", "40.00", "40.00", "0.000000001", "0.00"]
    );
    let id = host
        .query("SELECT prefixed_id('org_', dated_organization('Engines'))")
        .await;
    let money = |amount: &str| json!({"amount": amount, "currency": "USD"});
    // 50 of the pool have lapsed, and are not posted.
    assert_eq!(
        all[0],
        json!({
            "organization_id": id[0].get::<_, &str>(0), "name": "Engines", "plan": "team",
            "status": "past_due", "seats": 13, "mrr": money("130.00"),
            "pool": {"available": money("500.00"), "consumed": money("10.00")}})
    );
    assert_eq!(all[5]["name"], "Trial");
    assert_eq!(
        all[5]["pool"],
        json!({"available": money("0.00"), "consumed": money("0.00")})
    );
    for limit in 1..=6 {
        let mut seen = Vec::new();
        let mut query = format!("?limit={limit}");
        loop {
            let answer = page(&query).await;
            seen.extend(
                answer["organizations"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default(),
            );
            let Some(cursor) = answer["next_cursor"].as_str() else {
                break;
            };
            query = format!("?limit={limit}&cursor={cursor}");
        }
        assert_eq!(seen, all, "pages of {limit}");
    }
    let euro = page("?currency=EUR").await;
    assert_eq!(euro["organizations"][0]["name"], "Euro");
    assert_eq!(euro["organizations"].as_array().map(Vec::len), Some(1));
}

/// What both routes of figures refuse: everybody but the platform's own, and periods that are none.
pub async fn check_period_parameters(host: &TestHost, admin: &User, path: &str) {
    let with_query = |query: &str| host.get(format!("{path}?{query}")).bearer(&admin.token);
    check_currency_parameter(host, with_query).await;
    let table = [
        ("since=", "since"),
        ("since=yesterday", "since"),
        ("since=2026-1-1", "since"),
        ("since=2026-02-29", "since"),
        ("since=0000-01-01", "since"),
        ("since=10000-01-01", "since"),
        ("since=2026-01-01T00:00:00Z", "since"),
        ("since=%00", "since"),
        ("since=2026-01-01&since=2026-01-01", "since"),
        ("until=2026-13-01", "until"),
        ("until=-001-01-01", "until"),
        ("until=2026-01-01&until=2026-01-01", "until"),
        ("since=9999-12-31", "since"),
        ("since=2026-03-01&until=2026-03-01", "until"),
        ("since=2026-03-02&until=2026-03-01", "until"),
        ("since=2000-01-01&until=2026-03-01", "since"),
    ];
    for (query, field) in table {
        refuse(host, with_query(query), 400, "invalid_parameter", &[field]).await;
    }
}

async fn refuses(host: &TestHost) {
    let admin = host.platform_admin().await;
    check_period_parameters(host, &admin, PLATFORM).await;
    let organizations = |query: &str| {
        host.get(format!("{ORGANIZATIONS}?{query}"))
            .bearer(&admin.token)
    };
    check_currency_parameter(host, organizations).await;
    let table = [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=1", "limit"),
        ("cursor=", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=not+base64!", "cursor"),
        // Of another list.
        ("cursor=AQAAAAAAAAAH", "cursor"),
        // Less than nothing.
        (
            "cursor=AgAAAIABAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "cursor",
        ),
        // More decimals than a decimal has.
        (
            "cursor=AgAA_wABAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "cursor",
        ),
    ];
    for (query, field) in table {
        let call = organizations(query);
        refuse(host, call, 400, "invalid_parameter", &[field]).await;
    }
}
