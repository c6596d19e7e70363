//! Names of time zones: which are taken, and that each means what the IANA database means by it,
//! as another reader of the database has it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{self, Date};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde_json::json;
use turnpike_tests::personas::ORGANIZATIONS;
use turnpike_tests::{TestHost, api_tests};

use crate::metering::{SUMMARY, meter};
use crate::refusals::refuse;

api_tests![
    exactly_the_names_of_the_database_are_taken,
    days_begin_where_the_database_has_them_begin,
    an_abbreviation_has_summer_time,
];

/// The first and the last day that are compared.
const FIRST_DAY: Date = civil::date(2020, 1, 1);
const LAST_DAY: Date = civil::date(2030, 12, 31);

/// Names that are abbreviations to Postgres. The zone that each is a link to takes its place.
const REPLACED: [&str; 7] = ["CET", "EET", "EST", "HST", "MET", "MST", "WET"];

/// Stands for no zone, though the database has it.
const NO_ZONE: &str = "Factory";

/// The names of the database that comes with the other reader.
fn names() -> BTreeSet<String> {
    let database = TimeZoneDatabase::bundled();
    let names = database.available();
    let names: BTreeSet<String> = names.map(|name| name.as_str().to_owned()).collect();
    assert!(names.len() > 500, "the other reader has {names:?}");
    names.into_iter().filter(|name| name != NO_ZONE).collect()
}

/// The zone by which Postgres reads each name that is taken.
async fn read_as(host: &TestHost, names: &BTreeSet<String>) -> BTreeMap<String, String> {
    let list = names.iter().map(|name| format!("('{name}')"));
    let sql = format!(
        "SELECT name, time_zone_read(name) FROM (VALUES {}) names (name)
          WHERE time_zone_read(name) IS NOT NULL",
        list.collect::<Vec<_>>().join(",")
    );
    let rows = host.query(&sql).await;
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// The names of zones that this Postgres has.
async fn installed(host: &TestHost) -> BTreeSet<String> {
    let rows = host.query("SELECT name FROM pg_timezone_names").await;
    rows.iter().map(|row| row.get(0)).collect()
}

async fn exactly_the_names_of_the_database_are_taken(host: &TestHost) {
    let (ours, installed) = (names(), installed(host).await);
    let taken = read_as(host, &ours).await;
    for name in &ours {
        // A system may lack a zone that is newer than it, and nobody can compute with that.
        assert!(
            taken.contains_key(name) || !installed.contains(name),
            "{name} is a zone, and Postgres has it: add it to time_zone_read"
        );
    }
    for (name, zone) in &taken {
        assert!(
            ours.contains(zone),
            "{name} is read as {zone}, which is no zone"
        );
    }
    let foreign: BTreeSet<String> = installed.difference(&ours).cloned().collect();
    let others = [
        "localtime",
        "posixrules",
        NO_ZONE,
        "posix/Europe/Berlin",
        "right/Europe/Berlin",
        "europe/berlin",
        "EUROPE/BERLIN",
        "cet",
        "CEST",
        "PST",
        "Nowhere5",
        "EST5",
        "<+03>-3",
        "+01:00",
        "Z",
        " UTC",
        "UTC ",
        "Europe",
        "Europe/",
        "leapseconds",
        "tzdata.zi",
        "",
    ];
    let foreign = foreign.into_iter().chain(others.map(str::to_owned));
    let taken = read_as(host, &foreign.collect()).await;
    assert_eq!(taken, BTreeMap::new(), "no names of the database");
}

/// When each day from the first to the last begins in a zone, in seconds from its midnight in UTC.
type Midnights = Vec<i32>;

/// What a query of two columns says of each name.
async fn midnights(host: &TestHost, sql: &str) -> BTreeMap<String, Midnights> {
    let rows = host.query(sql).await;
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// A query for the midnights of days, of which `begins` says when the day `day` begins.
fn for_each_day(begins: &str) -> String {
    format!(
        "ARRAY(SELECT extract(epoch FROM ({begins}) - day AT TIME ZONE 'UTC')::integer
                 FROM generate_series(timestamp '{FIRST_DAY}', timestamp '{LAST_DAY}', '1 day') day)"
    )
}

/// The names and zones as rows of SQL.
fn values<'a>(zones: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let rows: Vec<String> = zones
        .map(|(name, zone)| format!("('{name}', '{zone}')"))
        .collect();
    rows.join(",")
}

/// The same as the other reader has it.
fn midnights_by_another_reader(name: &str) -> Midnights {
    let zone = TimeZoneDatabase::bundled().get(name);
    let zone = zone.expect("it has the zones that it lists");
    let days = FIRST_DAY.series(jiff::Span::new().days(1));
    days.take_while(|day| *day <= LAST_DAY)
        .map(|day| {
            let midnight = day.at(0, 0, 0, 0);
            // Of two midnights the first, and of none the moment at which clocks go on.
            let begins = zone.to_ambiguous_timestamp(midnight).compatible();
            let in_utc = TimeZone::UTC.to_timestamp(midnight);
            let [begins, in_utc] = [begins, in_utc].map(|time| time.expect("in range").as_second());
            i32::try_from(begins - in_utc).expect("a day has some 86,400 seconds")
        })
        .collect()
}

/// The first day on which the two differ.
fn first_difference(ours: &Midnights, expected: &Midnights) -> Option<Date> {
    assert_eq!(ours.len(), expected.len(), "both have each day");
    let days = ours.iter().zip(expected).position(|(a, b)| a != b)?;
    Some(FIRST_DAY + jiff::Span::new().days(i64::try_from(days).unwrap_or(0)))
}

/// Of each name all days. Those of the names that are replaced are compared with another reader,
/// for these zones have had their rules for long. Other zones' rules change, and the two readers
/// may have other releases: they are compared with what Postgres has for the name itself, while
/// `local_days` compares the days on which the clocks of both move.
async fn days_begin_where_the_database_has_them_begin(host: &TestHost) {
    let (names, installed) = (names(), installed(host).await);
    let zones = read_as(host, &names).await;
    let sql = format!(
        "SELECT name, {} FROM (VALUES {}) zones (name, zone)",
        for_each_day("local_midnight(day, zone)"),
        values(zones.iter())
    );
    let ours = midnights(host, &sql).await;
    assert_eq!(ours.len(), zones.len());
    for name in REPLACED {
        let expected = midnights_by_another_reader(name);
        assert!(expected.len() > 4_000, "{name} has days");
        let day = first_difference(&ours[name], &expected);
        assert_eq!(day, None, "{name} is read as {}", zones[name]);
    }
    // A setting of the session is never an abbreviation. Where midnight comes twice, the cast takes
    // the second, and the first is up to three hours before.
    host.execute(&format!(
        "CREATE FUNCTION midnights_of_session(p_zone text) RETURNS integer[]
         LANGUAGE plpgsql AS $$
         BEGIN
             PERFORM set_config('TimeZone', p_zone, true);
             RETURN {};
         END;
         $$",
        for_each_day(
            "CASE WHEN (day::timestamptz - interval '24 hours')::timestamp = day - interval '24 hours'
                  THEN day::timestamptz
                  ELSE coalesce((SELECT min(t)
                                   FROM generate_series(day::timestamptz - interval '3 hours', day::timestamptz,
                                                        '15 minutes') t
                                  WHERE t::timestamp = day), day::timestamptz) END"
        )
    ))
    .await;
    let same_name = zones.iter().filter(|(name, _)| installed.contains(*name));
    let sql = format!(
        "SELECT name, midnights_of_session(name) FROM (VALUES {}) zones (name, zone)",
        values(same_name)
    );
    let expected = midnights(host, &sql).await;
    assert!(expected.len() > 400, "Postgres has zones");
    for (name, expected) in expected {
        let day = first_difference(&ours[&name], &expected);
        assert_eq!(day, None, "{name} is read as {}", zones[&name]);
    }
}

async fn an_abbreviation_has_summer_time(host: &TestHost) {
    let ada = host.new_user("ada").await;
    meter(host, &ada.token, "calls", "count", json!({})).await;
    let organization = host.organization_of(&ada).await;
    let path = format!("{ORGANIZATIONS}/{organization}");
    let summary = |query: &str| {
        host.get(format!(
            "{SUMMARY}?meter=calls&since=2026-07-01&until=2026-08-01{query}"
        ))
        .bearer(&ada.token)
    };
    for (zone, kept, begins) in [
        ("CET", "Europe/Brussels", "2026-06-30T22:00:00.000000Z"),
        ("MET", "Europe/Brussels", "2026-06-30T22:00:00.000000Z"),
        ("EET", "Europe/Athens", "2026-06-30T21:00:00.000000Z"),
        ("WET", "Europe/Lisbon", "2026-06-30T23:00:00.000000Z"),
        ("EST", "America/Panama", "2026-07-01T05:00:00.000000Z"),
        ("EST5EDT", "EST5EDT", "2026-07-01T04:00:00.000000Z"),
        ("UTC", "UTC", "2026-07-01T00:00:00.000000Z"),
    ] {
        let asked = summary(&format!("&timezone={zone}"))
            .send()
            .await
            .expect(200);
        let patched = host.patch(&path).bearer(&ada.token);
        let patched = patched.json(&json!({"time_zone": zone})).send().await;
        assert_eq!(patched.expect(200).text_at("/time_zone"), kept);
        let of_organization = summary("").send().await.expect(200);
        for response in [asked, of_organization] {
            assert_eq!(response.text_at("/since"), begins, "{zone}\n{response}");
            assert_eq!(response.text_at("/time_zone"), kept, "{zone}\n{response}");
        }
    }
    for zone in ["localtime", "posixrules", NO_ZONE, "CEST", "cet"] {
        let call = summary(&format!("&timezone={zone}"));
        refuse(host, call, 400, "invalid_parameter", &["timezone"]).await;
        let call = host.patch(&path).bearer(&ada.token);
        let call = call.json(&json!({"time_zone": zone}));
        refuse(host, call, 422, "invalid_fields", &["time_zone"]).await;
    }
}
