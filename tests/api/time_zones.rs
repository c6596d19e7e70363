//! Names of time zones: which are taken, and that each means what the IANA database means by it,
//! as another reader of the database has it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{self, Date};
use jiff::tz::{AmbiguousTimestamp, TimeZoneDatabase};
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

/// From here on a release of the database is a forecast to somebody, and is compared with the
/// release that Postgres has alone.
const FIRST_FORECAST: Date = civil::date(2025, 1, 1);

/// Zones whose days before that were a forecast in one of the releases 2020a to 2026f, and another
/// one proved right: their rules were changed at short notice, or found out late. They are compared
/// with the release that Postgres has alone, which may be older than ours.
const CHANGED_AT_SHORT_NOTICE: [&str; 35] = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/El_Aaiun",
    "Africa/Juba",
    "America/Bahia_Banderas",
    "America/Chihuahua",
    "America/Godthab",
    "America/Mazatlan",
    "America/Merida",
    "America/Mexico_City",
    "America/Monterrey",
    "America/Nuuk",
    "America/Ojinaga",
    "America/Santiago",
    "America/Scoresbysund",
    "Antarctica/Casey",
    "Antarctica/Macquarie",
    "Antarctica/Vostok",
    "Asia/Almaty",
    "Asia/Amman",
    "Asia/Damascus",
    "Asia/Gaza",
    "Asia/Hebron",
    "Asia/Qostanay",
    "Asia/Tehran",
    "Chile/Continental",
    "Chile/EasterIsland",
    "Egypt",
    "Europe/Volgograd",
    "Iran",
    "Mexico/BajaSur",
    "Mexico/General",
    "Pacific/Apia",
    "Pacific/Easter",
    "Pacific/Fiji",
];

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

/// When days begin in a zone, in seconds from their midnight in UTC: from the first day, and from
/// each on which that changes.
type Beginnings = BTreeMap<Date, i64>;

/// For each name, when days begin as Postgres reads the zone: by `sql`, of `name`, `zone` and `day`.
async fn beginnings(
    host: &TestHost,
    zones: &BTreeMap<String, String>,
    sql: &str,
) -> BTreeMap<String, Beginnings> {
    let list = zones
        .iter()
        .map(|(name, zone)| format!("('{name}', '{zone}')"));
    let statement = format!(
        "SELECT name, day::text, seconds FROM (
             SELECT name, day, seconds, lag(seconds) OVER (PARTITION BY name ORDER BY day) AS before FROM (
                 SELECT name, day, extract(epoch FROM ({sql}) - day AT TIME ZONE 'UTC')::bigint AS seconds
                   FROM (VALUES {}) zones (name, zone),
                        generate_series(timestamp '{FIRST_DAY}', timestamp '{LAST_DAY}', '1 day') day) each) changes
          WHERE before IS DISTINCT FROM seconds",
        list.collect::<Vec<_>>().join(",")
    );
    let mut beginnings: BTreeMap<String, Beginnings> = BTreeMap::new();
    for row in host.query(&statement).await {
        let day: String = row.get(1);
        let day = day[..10]
            .parse()
            .expect("Postgres writes days as ISO 8601 does");
        let of_zone = beginnings.entry(row.get(0)).or_default();
        of_zone.insert(day, row.get(2));
    }
    assert_eq!(beginnings.len(), zones.len(), "every zone has days");
    beginnings
}

/// The same as the other reader has it, before the days that are a forecast.
fn beginnings_by_another_reader(
    name: &str,
    choose: fn(AmbiguousTimestamp) -> Result<jiff::Timestamp, jiff::Error>,
) -> Beginnings {
    let database = TimeZoneDatabase::bundled();
    let zone = database.get(name).expect("it has the zones that it lists");
    let mut beginnings = Beginnings::new();
    let mut last = None;
    for day in FIRST_DAY
        .series(jiff::Span::new().days(1))
        .take_while(|day| *day < FIRST_FORECAST)
    {
        let midnight = day.at(0, 0, 0, 0);
        let begins = choose(zone.to_ambiguous_timestamp(midnight)).expect("in the range of times");
        let in_utc = jiff::tz::TimeZone::UTC
            .to_timestamp(midnight)
            .expect("in the range of times");
        let seconds = begins.as_second() - in_utc.as_second();
        if last.replace(seconds) != Some(seconds) {
            beginnings.insert(day, seconds);
        }
    }
    beginnings
}

fn before_forecasts(beginnings: &Beginnings) -> Beginnings {
    let known = beginnings.range(..FIRST_FORECAST);
    known.map(|(day, seconds)| (*day, *seconds)).collect()
}

async fn days_begin_where_the_database_has_them_begin(host: &TestHost) {
    let (names, installed) = (names(), installed(host).await);
    let zones = read_as(host, &names).await;
    let ours = beginnings(host, &zones, "local_midnight(day, zone)").await;
    let by_name = beginnings(host, &zones, "day AT TIME ZONE zone").await;
    for name in zones.keys() {
        if CHANGED_AT_SHORT_NOTICE.contains(&name.as_str()) {
            continue;
        }
        // Where clocks go back over midnight the day begins at the first of the two.
        let expected = beginnings_by_another_reader(name, AmbiguousTimestamp::compatible);
        assert_eq!(before_forecasts(&ours[name]), expected, "{name}");
        let expected = beginnings_by_another_reader(name, AmbiguousTimestamp::later);
        assert_eq!(before_forecasts(&by_name[name]), expected, "{name}");
    }
    // All days of the zones that Postgres has under the same name: a setting of the session is
    // never an abbreviation.
    host.execute(
        "CREATE FUNCTION midnight_of_session(p_day timestamp, p_zone text) RETURNS timestamptz
         LANGUAGE plpgsql AS $$
         BEGIN
             PERFORM set_config('TimeZone', p_zone, true) WHERE current_setting('TimeZone') <> p_zone;
             RETURN p_day::timestamptz;
         END;
         $$",
    )
    .await;
    let same_name = zones.keys().filter(|name| installed.contains(*name));
    let same_name = same_name.map(|name| (name.clone(), name.clone())).collect();
    let expected = beginnings(host, &same_name, "midnight_of_session(day, name)").await;
    for (name, expected) in expected {
        assert_eq!(
            by_name[&name], expected,
            "{name} is read as {}",
            zones[&name]
        );
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
