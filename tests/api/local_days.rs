//! A moment has the date that the clocks of its zone show at it, also where they are put back over
//! midnight: summaries, alerts and entitlements begin their days with `local_midnight`. Wherever
//! clocks move, it is held to that rule on the clocks of another reader of the time zone database.
//! `time_zones` compares all days with what Postgres has for the zone of a session.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan as _};
use serde_json::json;
use turnpike_tests::{TestHost, api_tests};

use crate::metering::{count_every_quarter, groups, meter};

const FIRST_DAY: Date = Date::constant(2020, 1, 1);
const LAST_DAY: Date = Date::constant(2030, 12, 31);

/// Zones in which midnight comes twice, and Postgres alone takes the second.
const MIDNIGHT_COMES_TWICE: [&str; 2] = ["America/Havana", "Atlantic/Azores"];

api_tests![
    wherever_clocks_move_a_day_begins_with_its_date,
    summaries_of_each_interval_begin_with_their_date,
];

/// The days on which clocks move, and those beside them; in a zone whose clocks never do, the first.
fn days_of(zone: &TimeZone) -> BTreeSet<Date> {
    let first = FIRST_DAY
        .to_zoned_datetime(TimeZone::UTC)
        .expect("in the range of times");
    let moves = zone.following(first.timestamp());
    let dates = moves.map(|change| zone.to_datetime(change.timestamp()).date());
    let beside = dates
        .take_while(|date| *date <= LAST_DAY)
        .flat_map(|date| [-1, 0, 1].map(|days| date.saturating_add(days.days())));
    beside.chain([FIRST_DAY]).collect()
}

async fn wherever_clocks_move_a_day_begins_with_its_date(host: &TestHost) {
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
        let dates = days_of(&zone);
        let listed: Vec<String> = dates.iter().map(|date| format!("('{date}')")).collect();
        let sql = format!(
            "SELECT extract(epoch FROM local_midnight(day, '{name}'))::bigint,
                    local_midnight(day, '{name}') < day AT TIME ZONE '{name}',
                    extract(epoch FROM noon)::bigint, extract(epoch FROM noon AT TIME ZONE '{name}')::bigint,
                    extract(epoch FROM noon - interval '1 day')::bigint,
                    extract(epoch FROM (noon - interval '1 day') AT TIME ZONE '{name}')::bigint
               FROM (SELECT day, day + interval '12 hours' AS noon
                       FROM (SELECT day::timestamp FROM (VALUES {}) days (day)) days) days
              ORDER BY day",
            listed.join(",")
        );
        for (date, row) in dates.iter().zip(host.query(&sql).await) {
            let at = |column: usize| row.get::<_, i64>(column);
            let local = |second: i64| {
                let moment = Timestamp::from_second(second).expect("a time of this century");
                zone.to_datetime(moment)
            };
            // Its noon, and that of the day before, are the same to both: if not, this machine has
            // rules of another release, and neither is wrong.
            let is_noon = |clocks: i64, moment: i64| {
                let clocks = Timestamp::from_second(clocks).expect("a time of this century");
                TimeZone::UTC.to_datetime(clocks) == local(moment)
            };
            if !is_noon(at(2), at(3)) || !is_noon(at(4), at(5)) {
                other += 1;
                continue;
            }
            assert!(
                local(at(0) - 1).date() < *date,
                "{date} in {name} begins earlier"
            );
            assert_eq!(local(at(0)).date(), *date, "{date} in {name} begins later");
            compared += 1;
            if row.get(1) {
                twice.insert(name.clone());
            }
        }
    }
    println!("compared {compared} days, and {other} have other rules here");
    assert!(
        compared > 10_000 && other < compared / 100,
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
    count_every_quarter(host, &user, "2026-10-01T00:00Z", "2026-11-30T23:45Z").await;
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
