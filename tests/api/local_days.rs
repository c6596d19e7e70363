//! A moment has the date that the clocks of its zone show at it, also where they are put back over
//! midnight: summaries, alerts and entitlements begin their days with `local_midnight`, which is
//! compared with another reader of the time zone database.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan as _};
use serde_json::json;
use turnpike_tests::{TestHost, api_tests};

use crate::metering::{groups, meter};

const FIRST_DAY: Date = Date::constant(2020, 1, 1);
const LAST_DAY: Date = Date::constant(2030, 12, 31);

/// Zones whose clocks are put back over midnight, so that midnight comes twice. A day that
/// Postgres alone would begin at the second.
const MIDNIGHT_COMES_TWICE: [&str; 2] = ["America/Havana", "Atlantic/Azores"];

api_tests![
    every_day_of_every_zone_begins_with_its_date,
    summaries_of_each_interval_begin_with_their_date,
];

/// When a day begins and the one after it, and the seconds from UTC at its noon and at that of the
/// day before.
type Day = [i64; 4];

fn day_of(zone: &TimeZone, date: Date) -> Option<Day> {
    let noon = |date: Date| date.at(12, 0, 0, 0).to_zoned_datetime(zone.clone()).ok();
    let begins = |date: Date| Some(noon(date)?.start_of_day().ok()?.timestamp().as_second());
    let before = noon(date.yesterday().ok()?)?;
    Some([
        begins(date)?,
        begins(date.tomorrow().ok()?)?,
        noon(date)?.offset().seconds().into(),
        before.offset().seconds().into(),
    ])
}

async fn every_day_of_every_zone_begins_with_its_date(host: &TestHost) {
    let database = TimeZoneDatabase::bundled();
    let rows = host.query("SELECT name FROM pg_timezone_names").await;
    let known: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    // What AT TIME ZONE takes for an abbreviation is no zone to it.
    let rows = host.query("SELECT abbrev FROM pg_timezone_abbrevs").await;
    let abbreviations: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let (mut compared, mut other, mut twice) = (0_u32, 0_u32, BTreeSet::new());
    let names = database.available().map(|name| name.as_str().to_owned());
    for name in names.filter(|n| known.contains(n) && !abbreviations.contains(n)) {
        let zone = database.get(&name).expect("the database has what it lists");
        let sql = format!(
            "SELECT array_agg(extract(epoch FROM local_midnight(day, '{name}'))::bigint ORDER BY day),
                    array_agg(extract(epoch FROM day AT TIME ZONE '{name}')::bigint ORDER BY day),
                    array_agg(extract(epoch FROM noon - noon AT TIME ZONE '{name}' AT TIME ZONE 'UTC')::bigint ORDER BY day)
               FROM generate_series(timestamp '{}', '{}', '1 day') day, LATERAL (SELECT day + interval '12 hours') n (noon)",
            FIRST_DAY.yesterday().expect("there is one"),
            LAST_DAY.tomorrow().expect("there is one"),
        );
        let row = &host.query(&sql).await[0];
        let [begins, plain, offsets]: [Vec<i64>; 3] = [0, 1, 2].map(|column| row.get(column));
        let mut date = FIRST_DAY;
        for at in 1..begins.len() - 1 {
            let expected = day_of(&zone, date).expect("every day is there");
            let got = [begins[at], begins[at + 1], offsets[at], offsets[at - 1]];
            // Rules of another release, on this machine: neither is wrong.
            if got[2..] == expected[2..] {
                // The day after may be of another release.
                assert_eq!(got[0], expected[0], "{date} in {name}");
                compared += 1;
            } else {
                other += 1;
            }
            if begins[at] != plain[at] {
                twice.insert(name.clone());
            }
            // No moment before is of this date or later, and from then on all are.
            let local = |second: i64| {
                let moment = Timestamp::from_second(second).expect("a time of this century");
                zone.to_datetime(moment).date()
            };
            if got[2..] == expected[2..] {
                assert!(local(begins[at] - 1) < date, "{date} in {name}");
                assert_eq!(local(begins[at]), date, "{date} in {name}");
            }
            date = date.checked_add(1.day()).expect("there is one");
        }
    }
    println!("compared {compared} days, and {other} have other rules here");
    assert!(
        compared > 1_000_000 && other < compared / 100,
        "{compared} {other}"
    );
    for zone in MIDNIGHT_COMES_TWICE {
        assert!(twice.contains(zone), "{twice:?}");
    }
}

async fn summaries_of_each_interval_begin_with_their_date(host: &TestHost) {
    let user = host.new_user("ada").await;
    meter(host, &user.token, "calls", "count", json!({})).await;
    // An event in every quarter around the end of summer time of both.
    let organization = host.organization_of(&user).await.as_uuid();
    host.execute(&format!(
        "INSERT INTO usage_rollups (organization_id, meter_id, slot_at, group_key, events, latest_at)
         SELECT organization_id, id, s, '', 1, s FROM meters,
                generate_series('2026-10-01T00:00Z'::timestamptz, '2026-11-30T23:45Z', '15 minutes') s
          WHERE organization_id = '{organization}'"
    ))
    .await;
    let day = |n: u64| n * 96;
    // A range, the interval, and the events of each bucket.
    let table = [
        (
            "America/Havana",
            "since=2026-10-31&until=2026-11-03",
            "day",
            vec![day(1), day(1) + 4, day(1)],
        ),
        // From the second midnight on, and until the first.
        (
            "America/Havana",
            "since=2026-11-01T05:00:00Z&until=2026-11-02",
            "day",
            vec![day(1)],
        ),
        (
            "America/Havana",
            "since=2026-10-31&until=2026-11-01T04:00:00Z",
            "day",
            vec![day(1)],
        ),
        (
            "America/Havana",
            "since=2026-10-31&until=2026-11-01T04:45:00Z",
            "day",
            vec![day(1), 3],
        ),
        (
            "America/Havana",
            "since=2026-10-15&until=2026-11-15",
            "month",
            vec![day(17), day(14) + 4],
        ),
        (
            "America/Havana",
            "since=2026-11-01&until=2026-11-02",
            "hour",
            vec![4; 25],
        ),
        (
            "Atlantic/Azores",
            "since=2026-10-24&until=2026-10-27",
            "day",
            vec![day(1), day(1) + 4, day(1)],
        ),
        (
            "Atlantic/Azores",
            "since=2026-10-25&until=2026-10-26",
            "hour",
            vec![4; 25],
        ),
    ];
    for (zone, range, interval, expected) in table {
        let query = format!("meter=calls&{range}&interval={interval}&timezone={zone}");
        let shown = groups(host, &user.token, &query).await;
        let buckets = shown[0]["buckets"].as_array().cloned().unwrap_or_default();
        let events: Vec<u64> = buckets
            .iter()
            .filter_map(|b| b["events"].as_u64())
            .collect();
        assert_eq!(events, expected, "{query}");
    }
}
