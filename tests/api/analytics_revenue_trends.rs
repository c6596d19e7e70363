use serde_json::Value;
use turnpike_tests::personas::decimal;
use turnpike_tests::{TestHost, User, api_tests};

use crate::analytics_platform::{PLATFORM, amounts, check_period_parameters};
use crate::dated_ledger::{settle, write_functions, write_past};
use crate::refusals::refuse;

const TRENDS: &str = "/api/v1/org-billing/analytics/revenue-trends";

/// The members of `credits` and of `subscriptions` that the tables below show.
const CREDITS: [&str; 6] = [
    "sold",
    "promotional",
    "consumed",
    "refunded",
    "expired",
    "voided",
];
const SUBSCRIPTIONS: [&str; 6] = [
    "new_mrr",
    "expansion_mrr",
    "contraction_mrr",
    "churned_mrr",
    "reactivation_mrr",
    "mrr",
];

async fn trends(host: &TestHost, admin: &User, query: &str) -> Value {
    let call = host.get(format!("{TRENDS}{query}")).bearer(&admin.token);
    call.settle().await.expect(200).json()
}

fn intervals(trends: &Value) -> Vec<Value> {
    trends["intervals"].as_array().cloned().unwrap_or_default()
}

/// The bounds of each interval.
fn bounds(trends: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    intervals(trends)
        .iter()
        .map(|interval| (text(&interval["starts_on"]), text(&interval["ends_on"])))
        .collect()
}

api_tests![
    adds_up_months_by_hand,
    adds_up_days_and_fills_gaps,
    weeks_are_those_of_iso_8601,
    agree_with_the_platform,
    refuses,
];

async fn adds_up_months_by_hand(host: &TestHost) {
    write_past(host).await;
    let admin = host.platform_admin().await;
    let query = "?interval=month&since=2025-12-15&until=2026-04-10";
    /// First day, day after the last, credits, spends, subscriptions, how many are active.
    type Row<'a> = (&'a str, &'a str, [&'a str; 6], i64, [&'a str; 6], i64);
    let table: [Row<'_>; 5] = [
        ("2025-12-15", "2026-01-01", ["0"; 6], 0, ["0"; 6], 0),
        (
            "2026-01-01",
            "2026-02-01",
            ["150", "20", "5", "0", "0", "0"],
            1,
            ["100", "50", "0", "0", "0", "150"],
            1,
        ),
        (
            "2026-02-01",
            "2026-03-01",
            ["0", "4", "18", "8", "17", "42"],
            3,
            ["30", "0", "20", "30", "0", "130"],
            1,
        ),
        (
            "2026-03-01",
            "2026-04-01",
            ["500", "60", "10", "0", "50", "0"],
            1,
            ["0", "0", "0", "0", "40", "170"],
            2,
        ),
        (
            "2026-04-01",
            "2026-04-10",
            ["0"; 6],
            0,
            ["0", "0", "0", "0", "0", "170"],
            2,
        ),
    ];
    // First what has lapsed is worked out, then it is posted.
    for settled in [0, 2] {
        if settled > 0 {
            assert_eq!(settle(host, &admin).await, settled);
        }
        let shown = trends(host, &admin, query).await;
        assert_eq!(shown["interval"], "month");
        let shown = intervals(&shown);
        assert_eq!(shown.len(), table.len());
        for (interval, (starts_on, ends_on, credits, spends, subscriptions, active)) in
            shown.iter().zip(&table)
        {
            assert_eq!(interval["starts_on"], *starts_on);
            assert_eq!(interval["ends_on"], *ends_on, "{starts_on}");
            assert_eq!(
                amounts(&interval["credits"], &CREDITS),
                credits,
                "{starts_on}"
            );
            assert_eq!(interval["credits"]["spends"], *spends, "{starts_on}");
            let got = &interval["subscriptions"];
            assert_eq!(amounts(got, &SUBSCRIPTIONS), subscriptions, "{starts_on}");
            assert_eq!(got["active"], *active, "{starts_on}");
        }
    }
    // A part of a month is no more than its days: nothing of before, and nothing of after.
    let part = trends(
        host,
        &admin,
        "?interval=month&since=2026-02-02&until=2026-02-04",
    )
    .await;
    let part = intervals(&part);
    assert_eq!(part.len(), 1);
    assert_eq!(
        amounts(&part[0]["credits"], &CREDITS),
        ["0", "0", "8", "5", "0", "42"]
    );
    assert_eq!(
        amounts(&part[0]["subscriptions"], &SUBSCRIPTIONS),
        ["0", "0", "0", "0", "0", "150"]
    );
    let euro = trends(
        host,
        &admin,
        "?interval=month&since=2026-01-01&until=2026-03-01&currency=EUR",
    );
    let euro = intervals(&euro.await);
    let shown = |index: usize| {
        let figures: &Value = &euro[index];
        (
            amounts(&figures["credits"], &["sold"]),
            amounts(&figures["subscriptions"], &["mrr"]),
        )
    };
    let texts = |sold: &str, mrr: &str| (vec![sold.to_owned()], vec![mrr.to_owned()]);
    assert_eq!(shown(0), texts("1000", "0"));
    assert_eq!(shown(1), texts("0", "33"));
}

async fn adds_up_days_and_fills_gaps(host: &TestHost) {
    write_past(host).await;
    let admin = host.platform_admin().await;
    // Of February 2026, the days on which something was; interval is day when absent.
    let table = [
        ("2026-02-01", ["0", "4", "7", "0", "0", "0"]),
        ("2026-02-02", ["0", "0", "8", "5", "0", "0"]),
        ("2026-02-03", ["0", "0", "0", "0", "0", "42"]),
        ("2026-02-04", ["0", "0", "3", "0", "0", "0"]),
        ("2026-02-05", ["0", "0", "0", "0", "1", "0"]),
        ("2026-02-10", ["0", "0", "0", "0", "13", "0"]),
        // Given back after it had expired, it expired on the day of its return.
        ("2026-02-28", ["0", "0", "0", "3", "3", "0"]),
    ];
    let shown = trends(host, &admin, "?since=2026-02-01&until=2026-03-01").await;
    assert_eq!(shown["interval"], "day");
    let shown = intervals(&shown);
    assert_eq!(shown.len(), 28, "every day of February");
    for interval in &shown {
        let day = interval["starts_on"].as_str().unwrap_or_default();
        let expected = table
            .iter()
            .find(|(starts_on, _)| *starts_on == day)
            .map_or(["0"; 6], |(_, credits)| *credits);
        assert_eq!(amounts(&interval["credits"], &CREDITS), expected, "{day}");
        // The first day from which on it is so.
        let steps = [
            ("2026-02-20", "130"),
            ("2026-02-06", "160"),
            ("2026-02-05", "180"),
        ];
        let mrr = steps
            .iter()
            .find(|(since, _)| day >= *since)
            .map_or("150", |(_, mrr)| *mrr);
        assert_eq!(
            amounts(&interval["subscriptions"], &["mrr"]),
            [mrr],
            "{day}"
        );
    }
    let today = bounds(&trends(host, &admin, "").await);
    let rows = host
        .query("SELECT ((now() AT TIME ZONE 'UTC')::date + 1)::text")
        .await;
    let tomorrow: &str = rows[0].get(0);
    assert_eq!(today.last().map(|(_, end)| end.as_str()), Some(tomorrow));
}

async fn weeks_are_those_of_iso_8601(host: &TestHost) {
    write_functions(host).await;
    // 2020-12-28 to 2021-01-03 is week 53 of 2020.
    host.execute(
        "SELECT dated_grant('ada', 'USD', 'paid', n, day)
           FROM (VALUES (1, '2020-12-27T23:59:59Z'::timestamptz), (2, '2020-12-28T00:00:00Z'),
                        (4, '2020-12-31T12:00:00Z'), (8, '2021-01-01T00:00:00Z'),
                        (16, '2021-01-03T23:59:59.999999Z'), (32, '2021-01-04T00:00:00Z')) v (n, day)",
    )
    .await;
    let admin = host.platform_admin().await;
    let table = [
        (
            "?interval=week&since=2020-12-21&until=2021-01-11",
            vec![
                ("2020-12-21", "2020-12-28", "1"),
                ("2020-12-28", "2021-01-04", "30"),
                ("2021-01-04", "2021-01-11", "32"),
            ],
        ),
        // The first and the last are as much of a week as is asked for.
        (
            "?interval=week&since=2020-12-31&until=2021-01-05",
            vec![
                ("2020-12-31", "2021-01-04", "28"),
                ("2021-01-04", "2021-01-05", "32"),
            ],
        ),
        (
            "?interval=week&since=2020-12-31&until=2021-01-02",
            vec![("2020-12-31", "2021-01-02", "12")],
        ),
        (
            "?interval=month&since=2020-12-28&until=2021-02-01",
            vec![
                ("2020-12-28", "2021-01-01", "6"),
                ("2021-01-01", "2021-02-01", "56"),
            ],
        ),
    ];
    for (query, expected) in table {
        let shown = trends(host, &admin, query).await;
        let sold = intervals(&shown)
            .iter()
            .flat_map(|interval| amounts(&interval["credits"], &["sold"]))
            .collect::<Vec<_>>();
        let got: Vec<_> = bounds(&shown)
            .into_iter()
            .zip(sold)
            .map(|((start, end), sold)| (start, end, sold))
            .collect();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(start, end, sold)| (start.to_owned(), end.to_owned(), sold.to_owned()))
            .collect();
        assert_eq!(got, expected, "{query}");
    }
}

/// The intervals of a period add up to what the platform's figures say of it.
async fn agree_with_the_platform(host: &TestHost) {
    write_past(host).await;
    let admin = host.platform_admin().await;
    let user = host.new_user("user").await;
    host.grant(&admin, &user, "100", "USD").await;
    host.consume(&user, "12.5").await;
    let period = "since=2025-11-15&until=2026-12-15";
    let call = host
        .get(format!("{PLATFORM}?{period}"))
        .bearer(&admin.token);
    let platform = call.settle().await.expect(200).json();
    for unit in ["day", "week", "month"] {
        let shown = trends(host, &admin, &format!("?interval={unit}&{period}")).await;
        let shown = intervals(&shown);
        for (of, names) in [("credits", CREDITS), ("subscriptions", SUBSCRIPTIONS)] {
            for name in names.iter().filter(|name| **name != "mrr") {
                let amount = |figures: &Value| {
                    let text = figures[of][*name]["amount"].as_str();
                    decimal(text.unwrap_or_default())
                };
                let sum: rust_decimal::Decimal = shown.iter().map(amount).sum();
                assert_eq!(sum, amount(&platform), "{name} by {unit}");
            }
        }
        let last = shown
            .last()
            .map(|interval| &interval["subscriptions"]["mrr"]);
        assert_eq!(last, Some(&platform["subscriptions"]["mrr"]), "{unit}");
    }
}

async fn refuses(host: &TestHost) {
    let admin = host.platform_admin().await;
    check_period_parameters(host, &admin, TRENDS).await;
    let with_query = |query: &str| host.get(format!("{TRENDS}?{query}")).bearer(&admin.token);
    for query in [
        "interval=",
        "interval=Day",
        "interval=year",
        "interval=hour",
        "interval=%00",
        "interval=day&interval=day",
    ] {
        let call = with_query(query);
        refuse(host, call, 400, "invalid_parameter", &["interval"]).await;
    }
    // 400 intervals are shown, and no more.
    for (query, count) in [
        ("since=2025-01-01&until=2026-02-05", 400),
        ("since=2016-01-01&until=2026-01-01&interval=month", 120),
    ] {
        let call = with_query(query);
        let shown = call.settle().await.expect(200).json();
        assert_eq!(intervals(&shown).len(), count, "{query}");
    }
    for query in [
        "since=2025-01-01&until=2026-02-06",
        "since=2016-01-01&until=2026-01-01&interval=week",
    ] {
        let call = with_query(query);
        refuse(host, call, 422, "invalid_fields", &["interval"]).await;
    }
}
