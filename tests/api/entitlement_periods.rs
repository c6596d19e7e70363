//! The periods in which an entitlement counts: where they begin and end, and what a reset does.

use futures::future::join_all;
use serde_json::{Value, json};
use turnpike_tests::{Random, TestHost, User, api_tests};

use crate::entitlements::{give, metered, owner, reset_call, with};
use crate::entitlements_check::{CHECK, TOKENS, call, call_at, check, start_of, verdict, yes};
use crate::metering::{UPKEEP, meter, now_micros, rfc3339, send};

/// Writes what the meter `sum` counted of `cus_42` in a quarter of an hour, which can be longer
/// ago than an event may be.
async fn count_at(host: &TestHost, slot_at: &str, total: &str) {
    host.execute(&format!(
        "INSERT INTO usage_subject_rollups
             (organization_id, meter_id, subject, slot_at, group_key, events, total, latest_at)
         SELECT organization_id, id, 'cus_42', {slot_at}, '', 1, {total}, now() FROM meters WHERE slug = 'sum'"
    ))
    .await;
}

api_tests![
    an_organization_that_moves_has_no_new_day,
    every_period_begins_in_the_zone,
    periods_across_a_change_of_clocks,
    late_events_count_in_their_own_period,
    a_meter_with_groups_counts_alike,
    a_reset_ends_with_its_period,
    a_long_period_is_settled,
    one_that_is_not_settled_stops_no_other,
    upkeep_settles_what_is_long_and_current,
];

/// Its admins choose its zone, and would otherwise have the limit again whenever it is midnight
/// somewhere.
async fn an_organization_that_moves_has_no_new_day(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = owner(host, "ada").await;
    host.execute("UPDATE organizations SET time_zone = 'Europe/Berlin'")
        .await;
    let body = json!({"feature": "tokens", "type": "metered", "meter": "sum", "limit": "10", "period": "day",
                      "organization_id": host.organization_of(&user).await});
    give(host, &admin, &body).await;
    give(host, &user, &metered("cus_42", "10", "day")).await;
    let before = check(host, &user, "feature=tokens").await;
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        host.execute(&format!("UPDATE organizations SET time_zone = '{zone}'"))
            .await;
        let rows = host
            .query(&format!("SELECT rfc3339({})", start_of("day", zone)))
            .await;
        let started_at: String = rows[0].get(0);
        // Those of its subjects, which it gives itself, move along.
        let of_subject = check(host, &user, TOKENS).await;
        assert_eq!(of_subject["period_started_at"], started_at, "{zone}");
        assert_eq!(check(host, &user, "feature=tokens").await, before, "{zone}");
    }
}

async fn every_period_begins_in_the_zone(host: &TestHost) {
    let user = owner(host, "ada").await;
    for period in ["day", "month", "year"] {
        let body = with(metered("cus_42", "100", period), "feature", json!(period));
        give(host, &user, &body).await;
    }
    for zone in ["UTC", "Europe/Berlin", "Asia/Kathmandu", "Pacific/Auckland"] {
        host.execute(&format!("UPDATE organizations SET time_zone = '{zone}'"))
            .await;
        for period in ["day", "month", "year"] {
            host.execute("DELETE FROM usage_subject_rollups").await;
            let start = start_of(period, zone);
            // The last quarter before, the first one, and the first one after.
            count_at(host, &format!("{start} - interval '15 minutes'"), "1").await;
            count_at(host, &start, "2").await;
            count_at(
                host,
                &format!("{start} + interval '1 {period} 3 hours'"),
                "4",
            )
            .await;
            let query = format!("feature={period}&subject=cus_42");
            let body = check(host, &user, &query).await;
            assert_eq!(body["used"], "2", "{period} in {zone}");
            let rows = host.query(&format!("SELECT rfc3339({start})")).await;
            let started_at: String = rows[0].get(0);
            assert_eq!(body["period_started_at"], started_at, "{period} in {zone}");
            let rows = host
                .query(&format!(
                    "SELECT rfc3339((date_trunc('{period}', now() AT TIME ZONE '{zone}') + interval '1 {period}')
                                    AT TIME ZONE '{zone}')"
                ))
                .await;
            let resets_at: String = rows[0].get(0);
            assert_eq!(body["resets_at"], resets_at, "{period} in {zone}");
        }
    }
}

/// The bounds of periods, by the function that the check takes them from.
async fn periods_across_a_change_of_clocks(host: &TestHost) {
    // A period, a zone, a time, and the period that it is in.
    let table = [
        (
            "day",
            "Europe/Berlin",
            "2026-03-29T12:00Z",
            "2026-03-28T23:00",
            "2026-03-29T22:00",
        ),
        (
            "day",
            "Europe/Berlin",
            "2026-10-25T22:59Z",
            "2026-10-24T22:00",
            "2026-10-25T23:00",
        ),
        (
            "day",
            "Europe/Berlin",
            "2026-10-25T23:00Z",
            "2026-10-25T23:00",
            "2026-10-26T23:00",
        ),
        (
            "month",
            "Europe/Berlin",
            "2026-03-31T21:59Z",
            "2026-02-28T23:00",
            "2026-03-31T22:00",
        ),
        (
            "month",
            "Europe/Berlin",
            "2026-10-31T22:59Z",
            "2026-09-30T22:00",
            "2026-10-31T23:00",
        ),
        (
            "year",
            "Europe/Berlin",
            "2026-07-01T00:00Z",
            "2025-12-31T23:00",
            "2026-12-31T23:00",
        ),
        (
            "year",
            "Asia/Kathmandu",
            "2026-12-31T18:15Z",
            "2026-12-31T18:15",
            "2027-12-31T18:15",
        ),
        // Clocks are put back to midnight: it is this day already the first time.
        (
            "day",
            "America/Havana",
            "2026-11-01T03:59Z",
            "2026-10-31T04:00",
            "2026-11-01T04:00",
        ),
        (
            "day",
            "America/Havana",
            "2026-11-01T04:30Z",
            "2026-11-01T04:00",
            "2026-11-02T05:00",
        ),
        (
            "month",
            "America/Havana",
            "2026-11-01T04:30Z",
            "2026-11-01T04:00",
            "2026-12-01T05:00",
        ),
        (
            "month",
            "America/Havana",
            "2026-11-01T03:59Z",
            "2026-10-01T04:00",
            "2026-11-01T04:00",
        ),
        (
            "day",
            "Atlantic/Azores",
            "2026-10-25T00:30Z",
            "2026-10-25T00:00",
            "2026-10-26T01:00",
        ),
        (
            "day",
            "Atlantic/Azores",
            "2026-10-25T01:30Z",
            "2026-10-25T00:00",
            "2026-10-26T01:00",
        ),
        // Clocks are put forward at midnight, which there is not.
        (
            "day",
            "Africa/Cairo",
            "2026-04-24T12:00Z",
            "2026-04-23T22:00",
            "2026-04-24T21:00",
        ),
    ];
    for (period, zone, at, started_at, ends_at) in table {
        let rows = host
            .query(&format!(
                "SELECT rfc3339(started_at), rfc3339(ends_at) FROM entitlement_period('{period}', '{zone}', '{at}')"
            ))
            .await;
        let found: (String, String) = (rows[0].get(0), rows[0].get(1));
        let whole = |text: &str| format!("{text}:00.000000Z");
        assert_eq!(
            found,
            (whole(started_at), whole(ends_at)),
            "{period} in {zone} at {at}"
        );
    }
}

async fn late_events_count_in_their_own_period(host: &TestHost) {
    let user = owner(host, "ada").await;
    for period in ["day", "never"] {
        let body = with(metered("cus_42", "100", period), "feature", json!(period));
        give(host, &user, &body).await;
    }
    let day = 86_400 * 1_000_000;
    let now = now_micros();
    call_at(host, &user, "yesterday", "cus_42", "5", now - day).await;
    call_at(host, &user, "last month", "cus_42", "7", now - 34 * day).await;
    call_at(host, &user, "today", "cus_42", "11", now_micros()).await;
    let used = async |feature: &str| {
        let query = format!("feature={feature}&subject=cus_42");
        verdict(host, &user, &query).await.2
    };
    assert_eq!(used("day").await, "11");
    assert_eq!(used("never").await, "23");
    // After what is final was summed up, what is not counts on.
    call_at(host, &user, "late", "cus_42", "13", now_micros() - 34 * day).await;
    assert_eq!(used("never").await, "36");
    assert_eq!(used("day").await, "11");
}

/// Of a meter with groups days are read, and of one without quarters of an hour. What they count
/// of the same events is the same, of a subject and of all, whatever zone the periods are of, and
/// whether upkeep has settled them or not.
async fn a_meter_with_groups_counts_alike(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = owner(host, "ada").await;
    meter(
        host,
        &user.token,
        "grouped",
        "sum",
        json!({"group_by": ["model"]}),
    )
    .await;
    let organization = host.organization_of(&user).await;
    let mut random = Random::seeded("entitlements of groups");
    let mut before = |end: u64| i64::try_from(random.below(end)).unwrap_or(0);
    let events: Vec<Value> = (0..600)
        .map(|n| {
            let quarters = before(35 * 96 - 1);
            json!({"id": n.to_string(), "type": "call", "subject": format!("cus_{}", 42 + before(2)),
                   "time": rfc3339(now_micros() - quarters * 900_000_000),
                   "properties": {"n": before(100) - 20, "model": before(3)}})
        })
        .collect();
    assert_eq!(send(host, &user.token, &json!(events)).await, [600, 0, 0]);
    for period in ["day", "month", "year", "never"] {
        for slug in ["sum", "grouped"] {
            let body = with(metered("cus_42", "1000000", period), "meter", json!(slug));
            let body = with(body, "feature", json!(format!("{slug}-{period}")));
            give(host, &user, &body).await;
            let mut body = with(body, "organization_id", json!(organization));
            if let Some(members) = body.as_object_mut() {
                members.remove("subject");
            }
            give(host, &admin, &body).await;
        }
    }
    for step in 0..2 {
        for zone in [
            "UTC",
            "Asia/Kathmandu",
            "America/New_York",
            "Pacific/Kiritimati",
        ] {
            host.execute(&format!(
                "UPDATE organizations SET time_zone = '{zone}';
                 UPDATE entitlements SET time_zone = '{zone}' WHERE subject = ''"
            ))
            .await;
            for period in ["day", "month", "year", "never"] {
                for subject in ["", "&subject=cus_42"] {
                    let used = async |slug: &str| {
                        let query = format!("feature={slug}-{period}{subject}");
                        check(host, &user, &query).await["used"].clone()
                    };
                    let (flat, grouped) = (used("sum").await, used("grouped").await);
                    assert_eq!(grouped, flat, "{step} {zone} {period} {subject:?}");
                }
            }
        }
        // Those of the year and for good, of both.
        let expected = [8, 0][step];
        let done = settle(host, &admin).await;
        assert_eq!(done, expected);
    }
    host.assert_usage_is_sound().await;
}

async fn a_reset_ends_with_its_period(host: &TestHost) {
    let user = owner(host, "ada").await;
    let path = give(host, &user, &metered("cus_42", "10", "month")).await;
    call(host, &user, "1", "cus_42", "3").await;
    reset_call(host, &user, &path, "key")
        .send()
        .await
        .expect(200);
    let before = check(host, &user, TOKENS).await;
    assert_eq!(before["used"], "0");
    // Another zone moves no period that was reset.
    host.execute("UPDATE organizations SET time_zone = 'Asia/Kathmandu'")
        .await;
    assert_eq!(check(host, &user, TOKENS).await, before);
    // The period that was reset is over: this one has what it has.
    host.execute(
        "UPDATE entitlements SET reset_period_started_at = reset_period_started_at - interval '1 month',
                                 reset_period_ends_at = reset_period_started_at",
    )
    .await;
    assert_eq!(verdict(host, &user, TOKENS).await, yes("3"));
    // It ended after this one began, as it does in a zone to the west: what is of before its end
    // was in it, and is not in this one.
    host.execute(
        "UPDATE entitlements
            SET reset_period_ends_at = date_bin('15 minutes', now() - interval '15 minutes', 'epoch')",
    )
    .await;
    count_at(
        host,
        "(SELECT reset_period_ends_at - interval '15 minutes' FROM entitlements)",
        "100",
    )
    .await;
    assert_eq!(verdict(host, &user, TOKENS).await, yes("3"));
}

/// What upkeep says that it has settled.
async fn settle(host: &TestHost, admin: &User) -> i64 {
    let run = host.post(UPKEEP).bearer(&admin.token);
    let done = run.settle().await.expect(200).json();
    done["settled_entitlements"].as_i64().unwrap_or(-1)
}

/// What is kept of the entitlements that have any, in the order of their features.
async fn settled(host: &TestHost) -> Vec<String> {
    let rows = host
        .query("SELECT settled_used::text FROM entitlements WHERE settled_used IS NOT NULL ORDER BY feature")
        .await;
    rows.iter().map(|row| row.get(0)).collect()
}

async fn a_long_period_is_settled(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = owner(host, "ada").await;
    let path = give(host, &user, &metered("cus_42", "100", "never")).await;
    for (ago, total) in [("2500 days", "1"), ("50 days", "2"), ("30 days", "4")] {
        let slot_at = format!("date_bin('15 minutes', now() - interval '{ago}', 'epoch')");
        count_at(host, &slot_at, total).await;
    }
    call(host, &user, "1", "cus_42", "8").await;
    // A check keeps nothing.
    assert_eq!(verdict(host, &user, TOKENS).await, yes("15"));
    assert!(settled(host).await.is_empty());
    // Checks at once with upkeep see all of it, whatever is settled already.
    let call_of_check = host.get(format!("{CHECK}?{TOKENS}")).bearer(&user.token);
    let checks = join_all((0..8).map(|_| call_of_check.settle()));
    let upkeeps = join_all((0..4).map(|_| settle(host, &admin)));
    let (checks, counts) = futures::join!(checks, upkeeps);
    for answer in checks {
        assert_eq!(answer.text_at("/used"), "15");
    }
    assert_eq!(counts.iter().sum::<i64>(), 1, "one call settles it");
    assert_eq!(settled(host).await, ["3"]);
    assert_eq!(settle(host, &admin).await, 0, "there is nothing more");
    call(host, &user, "2", "cus_42", "16").await;
    assert_eq!(verdict(host, &user, TOKENS).await, yes("31"));
    // Weeks later.
    host.execute(
        "UPDATE entitlements SET settled_until = settled_until - interval '21 days', settled_used = 1",
    )
    .await;
    assert_eq!(verdict(host, &user, TOKENS).await, yes("31"));
    assert_eq!(settle(host, &admin).await, 1);
    assert_eq!(settled(host).await, ["3"]);
    assert_eq!(verdict(host, &user, TOKENS).await, yes("31"));
    // A reset counts what is settled too.
    let reset = reset_call(host, &user, &path, "key");
    assert_eq!(reset.send().await.expect(200).text_at("/used_before"), "31");
    assert_eq!(verdict(host, &user, TOKENS).await, yes("0"));
}

/// Neither one that cannot be settled nor one that takes all the time of a call stops the others.
async fn one_that_is_not_settled_stops_no_other(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = owner(host, "ada").await;
    for feature in ["bad", "good"] {
        let body = with(metered("cus_42", "100", "never"), "feature", json!(feature));
        give(host, &user, &body).await;
    }
    count_at(host, "'2020-01-01Z'", "1").await;
    let run = host.post(UPKEEP).bearer(&admin.token);
    let bad_first = "UPDATE entitlements
                        SET settled_from = NULL, settled_until = NULL, settled_used = NULL,
                            settling_began_at = CASE feature WHEN 'bad' THEN '-infinity'::timestamptz
                                                ELSE now() - interval '1 day' END";
    let breaks = |how: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION breaks() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN {how}; RETURN NEW; END $$;
             CREATE OR REPLACE TRIGGER breaks BEFORE UPDATE ON entitlements FOR EACH ROW
             WHEN (NEW.feature = 'bad' AND NEW.settled_used IS NOT NULL) EXECUTE FUNCTION breaks()"
        )
    };
    host.execute(bad_first).await;
    host.execute(&breaks("RAISE 'no'")).await;
    let done = run.settle().await.expect(200).json();
    let counts = ["settled_entitlements", "failed_entitlements"].map(|name| done[name].as_i64());
    assert_eq!(counts, [Some(1), Some(1)], "{done}");
    assert_eq!(settled(host).await, ["1"]);

    host.execute(bad_first).await;
    host.execute(&breaks("PERFORM pg_sleep(2)")).await;
    let once = async || run.try_send().await.expect("it is answered").expect(503);
    once().await;
    assert!(settled(host).await.is_empty(), "it took all of the time");
    once().await;
    assert_eq!(settled(host).await, ["1"], "the other was tried first");
    host.execute("DROP TRIGGER breaks ON entitlements").await;
    let done = run.settle().await.expect(200).json();
    assert_eq!(done["settled_entitlements"], json!(1), "{done}");
}

/// Short periods and what was revoked are left alone, and what was kept of a period that is over
/// counts no more.
async fn upkeep_settles_what_is_long_and_current(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = owner(host, "ada").await;
    for period in ["day", "month", "year", "never"] {
        let body = with(metered("cus_42", "100", period), "feature", json!(period));
        give(host, &user, &body).await;
    }
    let body = with(
        metered("cus_42", "100", "never"),
        "feature",
        json!("revoked"),
    );
    let revoked = give(host, &user, &body).await;
    host.delete(&revoked)
        .bearer(&user.token)
        .settle()
        .await
        .expect(200);
    count_at(host, "'2020-01-01Z'", "1").await;
    // The sum of the year before this one.
    host.execute(
        "UPDATE entitlements
            SET settled_from = date_trunc('year', now()) - interval '1 year',
                settled_until = date_trunc('year', now()) - interval '10 weeks', settled_used = 50
          WHERE feature = 'year'",
    )
    .await;
    let of_year = async || verdict(host, &user, "feature=year&subject=cus_42").await;
    assert_eq!(of_year().await, yes("0"));
    assert_eq!(settle(host, &admin).await, 2);
    // `never` and `year`.
    assert_eq!(settled(host).await, ["1", "0"]);
    assert_eq!(of_year().await, yes("0"));
    assert_eq!(settle(host, &admin).await, 0);
}
