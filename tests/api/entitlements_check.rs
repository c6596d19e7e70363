use futures::future::join_all;
use serde_json::{Value, json};
use turnpike_tests::{TestHost, User, api_tests};

use crate::entitlements::{ENTITLEMENTS, boolean, give, metered, owner, reset_call, with};
use crate::metering::{meter, now_micros, rfc3339, send};
use crate::refusals::refuse;

pub(crate) const CHECK: &str = "/api/v1/entitlements/check";

/// What a check answers.
pub(crate) async fn check(host: &TestHost, user: &User, query: &str) -> Value {
    let call = host.get(format!("{CHECK}?{query}")).bearer(&user.token);
    let response = call.send().await.expect(200);
    if response.db_queries() != 1 || response.cache() != "bypass" {
        response.fail("a check is one query, and not cached");
    }
    response.json()
}

/// Whether there is access, why not, and what was used.
pub(crate) async fn verdict(host: &TestHost, user: &User, query: &str) -> (bool, String, String) {
    let body = check(host, user, query).await;
    let text = |name: &str| body[name].as_str().unwrap_or("-").to_owned();
    let has_access = body["has_access"].as_bool();
    (
        has_access.expect("a check says yes or no"),
        text("reason"),
        text("used"),
    )
}

pub(crate) fn yes(used: &str) -> (bool, String, String) {
    (true, "-".to_owned(), used.to_owned())
}

fn no(reason: &str, used: &str) -> (bool, String, String) {
    (false, reason.to_owned(), used.to_owned())
}

/// Sends a call of `n` by a subject, now.
pub(crate) async fn call(host: &TestHost, user: &User, id: &str, subject: &str, n: &str) {
    call_at(host, user, id, subject, n, now_micros()).await;
}

pub(crate) async fn call_at(
    host: &TestHost,
    user: &User,
    id: &str,
    subject: &str,
    n: &str,
    micros: i64,
) {
    let event = json!({"id": id, "type": "call", "subject": subject, "time": rfc3339(micros),
                       "properties": {"n": n}});
    assert_eq!(send(host, &user.token, &event).await, [1, 0, 0], "{event}");
}

/// Where a period of a zone begins, as SQL.
pub(crate) fn start_of(period: &str, zone: &str) -> String {
    format!("(date_trunc('{period}', now() AT TIME ZONE '{zone}') AT TIME ZONE '{zone}')")
}

pub(crate) const TOKENS: &str = "feature=tokens&subject=cus_42";

api_tests![
    says_everything_of_a_limit,
    is_exact_at_the_limit,
    a_soft_limit_allows_and_says_the_overage,
    what_is_not_counted_is_allowed_or_not,
    an_organization_has_its_own,
    ends_when_it_says,
    a_reset_is_exact_to_the_event,
    meters_that_count_or_group,
    is_exact_after_parallel_batches,
    belongs_to_its_organization,
    refuses
];

async fn says_everything_of_a_limit(host: &TestHost) {
    let user = owner(host, "ada").await;
    give(host, &user, &metered("cus_42", "1000.50", "month")).await;
    call(host, &user, "1", "cus_42", "812.25").await;
    let rows = host
        .query(&format!(
            "SELECT rfc3339({start}), rfc3339({start} + interval '1 month')",
            start = start_of("month", "UTC")
        ))
        .await;
    let (started_at, resets_at): (String, String) = (rows[0].get(0), rows[0].get(1));
    let expected = json!({
        "feature": "tokens", "subject": "cus_42", "has_access": true, "reason": null, "type": "metered",
        "limit": "1000.5", "used": "812.25", "remaining": "188.25", "overage": "0",
        "period_started_at": started_at, "resets_at": resets_at,
    });
    assert_eq!(check(host, &user, TOKENS).await, expected);
    call(host, &user, "2", "cus_42", "200").await;
    let body = check(host, &user, TOKENS).await;
    assert_eq!(
        (
            &body["reason"],
            &body["used"],
            &body["remaining"],
            &body["overage"]
        ),
        (
            &json!("limit_reached"),
            &json!("1012.25"),
            &json!("0"),
            &json!("11.75")
        )
    );
}

async fn is_exact_at_the_limit(host: &TestHost) {
    let user = owner(host, "ada").await;
    give(host, &user, &metered("cus_42", "10", "day")).await;
    // What is sent first, and then a quantity and why it is not allowed.
    let (allowed, reached, exceeds) = (None, Some("limit_reached"), Some("would_exceed"));
    let table = [
        (None, None, allowed),
        (None, Some("0"), allowed),
        (None, Some("10"), allowed),
        (None, Some("10.000000001"), exceeds),
        (Some("9.999999999"), None, allowed),
        (None, Some("0"), allowed),
        (None, Some("0.000000001"), allowed),
        (None, Some("0.000000002"), exceeds),
        (None, Some("1"), exceeds),
        (Some("0.000000001"), None, reached),
        (None, Some("0"), reached),
        (None, Some("0.000000000"), reached),
        (None, Some("0.000000001"), reached),
        // Sums go down too.
        (Some("-15"), None, allowed),
        (None, Some("15"), allowed),
        (None, Some("15.1"), exceeds),
        (Some("15.5"), Some("0"), reached),
        (None, None, reached),
        (None, Some("1"), reached),
    ];
    for (at, (sent, quantity, expected)) in table.into_iter().enumerate() {
        if let Some(n) = sent {
            call(host, &user, &at.to_string(), "cus_42", n).await;
        }
        let query = quantity.map_or(TOKENS.to_owned(), |q| format!("{TOKENS}&quantity={q}"));
        let (has_access, reason, used) = verdict(host, &user, &query).await;
        assert_eq!(
            (has_access, &*reason),
            (expected.is_none(), expected.unwrap_or("-")),
            "row {at}: {query} with {used} used"
        );
    }
    // Another subject has nothing of it, and uses nothing of it up.
    call(host, &user, "other", "cus_43", "1000").await;
    call(host, &user, "nobody", "", "1000").await;
    assert_eq!(
        verdict(host, &user, TOKENS).await,
        no("limit_reached", "10.5")
    );
    assert_eq!(
        verdict(host, &user, "feature=tokens&subject=cus_43").await,
        no("not_entitled", "-")
    );
}

async fn a_soft_limit_allows_and_says_the_overage(host: &TestHost) {
    let user = owner(host, "ada").await;
    let body = with(metered("cus_42", "10", "day"), "is_soft", json!(true));
    let path = give(host, &user, &body).await;
    call(host, &user, "1", "cus_42", "25").await;
    let query = format!("{TOKENS}&quantity=1000");
    let body = check(host, &user, &query).await;
    assert_eq!(
        (
            &body["has_access"],
            &body["reason"],
            &body["remaining"],
            &body["overage"]
        ),
        (&json!(true), &json!(null), &json!("0"), &json!("15"))
    );
    let patch = host.patch(&path).bearer(&user.token);
    let patch = patch.json(&json!({"is_soft": false}));
    patch.send().await.expect(200);
    assert_eq!(
        verdict(host, &user, TOKENS).await,
        no("limit_reached", "25")
    );
    let patch = host.patch(&path).bearer(&user.token);
    let patch = patch.json(&json!({"limit": "25.5"}));
    patch.send().await.expect(200);
    assert_eq!(verdict(host, &user, TOKENS).await, yes("25"));
}

async fn what_is_not_counted_is_allowed_or_not(host: &TestHost) {
    let user = host.new_user("ada").await;
    let path = give(host, &user, &boolean("cus_42", "sso")).await;
    let query = "feature=sso&subject=cus_42&quantity=1000";
    let expected = json!({
        "feature": "sso", "subject": "cus_42", "has_access": true, "reason": null, "type": "boolean",
        "limit": null, "used": null, "remaining": null, "overage": null, "period_started_at": null,
        "resets_at": null,
    });
    assert_eq!(check(host, &user, query).await, expected);
    for query in [
        "feature=sso",
        "feature=sso&subject=cus_43",
        "feature=none&subject=cus_42",
    ] {
        let found = verdict(host, &user, query).await;
        assert_eq!(found, no("not_entitled", "-"), "{query}");
    }
    let revoke = host.delete(&path).bearer(&user.token);
    revoke.send().await.expect(200);
    let body = check(host, &user, query).await;
    assert_eq!(
        (&body["has_access"], &body["reason"], &body["type"]),
        (&json!(false), &json!("not_entitled"), &json!(null))
    );
}

async fn an_organization_has_its_own(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = owner(host, "ada").await;
    let organization = host.organization_of(&user).await;
    let body = json!({"feature": "tokens", "type": "metered", "meter": "sum", "limit": "10", "period": "never",
                      "organization_id": organization});
    give(host, &admin, &body).await;
    give(host, &user, &metered("cus_42", "1000", "month")).await;
    // What all its subjects use, and what nobody is named for.
    for (id, subject) in [("1", "cus_42"), ("2", "cus_43"), ("3", "")] {
        call(host, &user, id, subject, "3").await;
    }
    assert_eq!(verdict(host, &user, "feature=tokens").await, yes("9"));
    assert_eq!(verdict(host, &user, TOKENS).await, yes("3"));
    let query = "feature=tokens&quantity=2";
    assert_eq!(verdict(host, &user, query).await, no("would_exceed", "9"));
    let body = check(host, &user, "feature=tokens").await;
    assert_eq!(
        (
            &body["subject"],
            &body["period_started_at"],
            &body["resets_at"]
        ),
        (&json!(null), &json!(null), &json!(null))
    );
}

async fn ends_when_it_says(host: &TestHost) {
    let user = owner(host, "ada").await;
    let expires_at = host.time_in("1 day").await;
    let body = with(
        metered("cus_42", "10", "day"),
        "expires_at",
        json!(expires_at),
    );
    let path = give(host, &user, &body).await;
    assert_eq!(verdict(host, &user, TOKENS).await, yes("0"));
    host.execute("UPDATE entitlements SET expires_at = clock_timestamp()")
        .await;
    assert_eq!(verdict(host, &user, TOKENS).await, no("expired", "0"));
    let patch = host.patch(&path).bearer(&user.token);
    let patch = patch.json(&json!({"expires_at": null}));
    patch.send().await.expect(200);
    assert_eq!(verdict(host, &user, TOKENS).await, yes("0"));
}

async fn a_reset_is_exact_to_the_event(host: &TestHost) {
    let user = owner(host, "ada").await;
    let path = give(host, &user, &metered("cus_42", "10", "month")).await;
    call(host, &user, "1", "cus_42", "9.75").await;
    let reset = async |key: &str| {
        let answer = reset_call(host, &user, &path, key).send().await.expect(200);
        answer.text_at("/used_before")
    };
    assert_eq!(reset("a").await, "9.75");
    let quantity = format!("{TOKENS}&quantity=10");
    assert_eq!(verdict(host, &user, &quantity).await, yes("0"));
    // In the same quarter of an hour as what was used before.
    call(host, &user, "2", "cus_42", "4").await;
    assert_eq!(verdict(host, &user, TOKENS).await, yes("4"));
    // Sent after the reset, so it counts, though it is of before.
    let minute = 60 * 1_000_000;
    call_at(host, &user, "3", "cus_42", "2", now_micros() - minute).await;
    let (_, _, used) = verdict(host, &user, TOKENS).await;
    // Unless the month has just begun.
    assert!(used == "6" || used == "4", "{used}");
    assert_eq!(reset("a").await, "9.75", "the same reset again");
    assert_eq!(verdict(host, &user, TOKENS).await.2, used);
    assert_eq!(reset("b").await, used);
    assert_eq!(verdict(host, &user, TOKENS).await, yes("0"));
    call(host, &user, "4", "cus_42", "-1").await;
    assert_eq!(verdict(host, &user, TOKENS).await, yes("-1"));
    assert_eq!(check(host, &user, TOKENS).await["remaining"], "11");
}

async fn meters_that_count_or_group(host: &TestHost) {
    let user = owner(host, "ada").await;
    let grouped = json!({"group_by": ["model"]});
    meter(host, &user.token, "calls", "count", grouped.clone()).await;
    meter(host, &user.token, "by-model", "sum", grouped).await;
    for (feature, slug) in [("calls", "calls"), ("tokens", "by-model")] {
        let body = with(metered("cus_42", "100", "day"), "meter", json!(slug));
        give(host, &user, &with(body, "feature", json!(feature))).await;
    }
    let events: Vec<Value> = (1..=6)
        .map(|n| {
            json!({"id": n.to_string(), "type": "call", "subject": "cus_42",
                   "properties": {"n": n, "model": format!("m{}", n % 3)}})
        })
        .collect();
    assert_eq!(send(host, &user.token, &json!(events)).await, [6, 0, 0]);
    assert_eq!(
        verdict(host, &user, "feature=calls&subject=cus_42").await,
        yes("6")
    );
    assert_eq!(verdict(host, &user, TOKENS).await, yes("21"));
    // An archived meter keeps what it counted.
    let archive = host.delete("/api/v1/meters/by-model").bearer(&user.token);
    archive.send().await.expect(200);
    call(host, &user, "7", "cus_42", "1").await;
    assert_eq!(verdict(host, &user, TOKENS).await, yes("21"));
}

async fn is_exact_after_parallel_batches(host: &TestHost) {
    let user = owner(host, "ada").await;
    let path = give(host, &user, &metered("cus_42", "1000", "day")).await;
    let batches = (0..12).map(async |batch| {
        let events: Vec<Value> = (0..10)
            .map(|n| {
                json!({"id": format!("{batch}-{n}"), "type": "call", "subject": "cus_42",
                       "properties": {"n": "0.1"}})
            })
            .collect();
        assert_eq!(send(host, &user.token, &json!(events)).await, [10, 0, 0]);
        // What was acknowledged counts in the next check.
        let used = verdict(host, &user, TOKENS).await.2;
        let used: rust_decimal::Decimal = used.parse().expect("what was used is a number");
        let one = rust_decimal::Decimal::ONE;
        assert!(
            used >= one && used <= one * rust_decimal::Decimal::from(12),
            "{used}"
        );
    });
    let checks = (0..12).map(async |_| {
        verdict(host, &user, TOKENS).await;
    });
    tokio::join!(join_all(batches), join_all(checks));
    assert_eq!(verdict(host, &user, TOKENS).await, yes("12"));
    // Whatever was not before a reset is after it.
    let sends = (0..8).map(async |n| {
        call(host, &user, &format!("late-{n}"), "cus_42", "1").await;
    });
    let reset = async {
        let answer = reset_call(host, &user, &path, "key").settle().await;
        answer.expect(200).text_at("/used_before")
    };
    let (_, before) = tokio::join!(join_all(sends), reset);
    let before: rust_decimal::Decimal = before.parse().expect("what was used is a number");
    let after = verdict(host, &user, TOKENS).await.2;
    let after: rust_decimal::Decimal = after.parse().expect("what was used is a number");
    assert_eq!(before + after, rust_decimal::Decimal::from(20));
}

async fn belongs_to_its_organization(host: &TestHost) {
    let (ada, eve) = (owner(host, "ada").await, owner(host, "eve").await);
    give(host, &ada, &metered("cus_42", "10", "day")).await;
    assert_eq!(verdict(host, &eve, TOKENS).await, no("not_entitled", "-"));
    give(host, &eve, &metered("cus_42", "10", "day")).await;
    call(host, &ada, "1", "cus_42", "7").await;
    assert_eq!(verdict(host, &eve, TOKENS).await, yes("0"));
    assert_eq!(verdict(host, &ada, TOKENS).await, yes("7"));
    // Naming another organization is of no use.
    let organization = host.organization_of(&ada).await;
    let query = format!("{TOKENS}&organization_id={organization}");
    assert_eq!(verdict(host, &eve, &query).await, yes("0"));
    // A key with the scope is enough, and one without is not.
    let key = host.issue_api_key(&ada, &["entitlements:read"]).await.key;
    let by_key = User {
        token: key,
        ..ada.clone()
    };
    assert_eq!(verdict(host, &by_key, TOKENS).await, yes("7"));
    let key = host.issue_api_key(&ada, &["usage:read"]).await.key;
    let call = host.get(format!("{CHECK}?{TOKENS}")).bearer(&key);
    refuse(host, call, 403, "forbidden", &[]).await;
}

async fn refuses(host: &TestHost) {
    let user = host.new_user("ada").await;
    let long = "s".repeat(129);
    let table = [
        ("", "feature"),
        ("feature=", "feature"),
        ("feature=SSO", "feature"),
        ("feature=a%00", "feature"),
        ("feature=a&feature=b", "feature"),
        ("feature=a&subject=", "subject"),
        (&*format!("feature=a&subject={long}"), "subject"),
        ("feature=a&subject=%00", "subject"),
        ("feature=a&subject=b&subject=b", "subject"),
        ("feature=a&quantity=", "quantity"),
        ("feature=a&quantity=-1", "quantity"),
        ("feature=a&quantity=1e3", "quantity"),
        ("feature=a&quantity=1000000000000", "quantity"),
        ("feature=a&quantity=0.0000000001", "quantity"),
        ("feature=a&quantity=NaN", "quantity"),
    ];
    for (query, name) in table {
        let call = host.get(format!("{CHECK}?{query}")).bearer(&user.token);
        refuse(host, call, 400, "invalid_parameter", &[name]).await;
    }
    // The name of a route is no id.
    let call = host.get(format!("{ENTITLEMENTS}/checks"));
    refuse(host, call.bearer(&user.token), 404, "not_found", &[]).await;
}
