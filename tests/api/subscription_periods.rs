//! The periods of subscriptions: known answers, and ten years of them in zones whose clocks do what
//! clocks can do, beside what another reader of the time zone database has.

use jiff::civil::{Date, DateTime, date};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp};
use turnpike_tests::{TestHost, api_tests};

api_tests![
    periods_are_those_of_known_answers,
    boundaries_tile_time_in_every_zone,
    a_skipped_time_is_the_end_of_the_gap_and_a_repeated_one_the_first,
];

/// The number, the start and the end of the period that `at` lies in.
async fn period(host: &TestHost, terms: &str, first: &str, at: &str) -> (i32, String, String) {
    let rows = host
        .query(&format!(
            "SELECT period_index, rfc3339(started_at), rfc3339(ends_at)
               FROM billing_period_at({terms}, '{first}', '{at}')"
        ))
        .await;
    (rows[0].get(0), rows[0].get(1), rows[0].get(2))
}

async fn periods_are_those_of_known_answers(host: &TestHost) {
    let monthly = |anchor: &str, day: u32| format!("'month', 1, '{anchor}', {day}, 'UTC'");
    let table = [
        // From the last day of January, of a leap year.
        (
            monthly("2024-01-31", 31),
            "2024-01-31",
            "2024-01-31",
            0,
            "2024-01-31",
            "2024-02-29",
        ),
        (
            monthly("2024-01-31", 31),
            "2024-01-31",
            "2024-02-29",
            1,
            "2024-02-29",
            "2024-03-31",
        ),
        (
            monthly("2024-01-31", 31),
            "2024-01-31",
            "2024-04-29",
            2,
            "2024-03-31",
            "2024-04-30",
        ),
        (
            monthly("2024-01-31", 31),
            "2024-01-31",
            "2025-02-28",
            13,
            "2025-02-28",
            "2025-03-31",
        ),
        // An anchor day after the start.
        (
            monthly("2025-07-10T15:00", 31),
            "2025-07-10T15:00Z",
            "2025-07-10T15:00Z",
            0,
            "2025-07-10T15",
            "2025-07-31T15",
        ),
        (
            monthly("2025-07-10T15:00", 31),
            "2025-07-10T15:00Z",
            "2025-08-30T15:00Z",
            1,
            "2025-07-31T15",
            "2025-08-31T15",
        ),
        (
            monthly("2025-07-10T15:00", 31),
            "2025-07-10T15:00Z",
            "2025-09-30T14:59:59Z",
            2,
            "2025-08-31T15",
            "2025-09-30T15",
        ),
        (
            monthly("2025-07-10T15:00", 31),
            "2025-07-10T15:00Z",
            "2025-09-30T15:00Z",
            3,
            "2025-09-30T15",
            "2025-10-31T15",
        ),
        // A first period that is shorter, and how many have gone.
        (
            monthly("2024-01-01", 10),
            "2024-01-01",
            "2024-01-01",
            0,
            "2024-01-01",
            "2024-01-10",
        ),
        (
            monthly("2024-01-01", 10),
            "2024-01-01",
            "2024-01-10",
            1,
            "2024-01-10",
            "2024-02-10",
        ),
        (
            monthly("2024-01-01", 10),
            "2024-01-01",
            "2024-03-15",
            3,
            "2024-03-10",
            "2024-04-10",
        ),
        // First periods.
        (
            monthly("2012-02-16", 30),
            "2012-02-16",
            "2012-02-16",
            0,
            "2012-02-16",
            "2012-02-29",
        ),
        (
            monthly("2012-01-31", 30),
            "2012-01-31",
            "2012-01-31",
            0,
            "2012-01-31",
            "2012-02-29",
        ),
        (
            monthly("2012-02-16", 14),
            "2012-02-16",
            "2012-02-16",
            0,
            "2012-02-16",
            "2012-03-14",
        ),
        (
            monthly("2012-07-16", 15),
            "2012-07-16",
            "2012-07-16",
            0,
            "2012-07-16",
            "2012-08-15",
        ),
        // One that begins on a boundary is whole.
        (
            monthly("2012-03-03", 3),
            "2012-03-03",
            "2012-03-03",
            0,
            "2012-03-03",
            "2012-04-03",
        ),
        // A year of 29 February.
        (
            "'year', 1, '2024-02-29', 29, 'UTC'".to_owned(),
            "2024-02-29",
            "2027-02-28",
            3,
            "2027-02-28",
            "2028-02-29",
        ),
        // Calendar: Mondays, quarters, half years.
        (
            "'week', 1, '2026-11-23', 1, 'UTC'".to_owned(),
            "2026-11-28",
            "2026-11-28",
            0,
            "2026-11-28",
            "2026-11-30",
        ),
        (
            "'quarter', 1, '2026-01-01', 1, 'UTC'".to_owned(),
            "2026-11-28",
            "2027-01-01",
            1,
            "2027-01-01",
            "2027-04-01",
        ),
        (
            "'half_year', 1, '2026-01-01', 1, 'UTC'".to_owned(),
            "2026-11-28",
            "2026-11-28",
            0,
            "2026-11-28",
            "2027-01-01",
        ),
        (
            "'day', 10, '2026-11-28', 1, 'UTC'".to_owned(),
            "2026-11-28",
            "2026-12-08",
            1,
            "2026-12-08",
            "2026-12-18",
        ),
        // A moment before the start is in the first period.
        (
            monthly("2024-01-31", 31),
            "2024-01-31",
            "2020-01-01",
            0,
            "2024-01-31",
            "2024-02-29",
        ),
    ];
    let utc = |time: &str| match time.contains('T') {
        true => time.to_owned(),
        false => format!("{time}T00:00Z"),
    };
    for (terms, first, at, index, start, end) in table {
        let (got, started_at, ends_at) = period(host, &terms, &utc(first), &utc(at)).await;
        assert_eq!(got, index, "{terms}, {at}");
        assert!(started_at.starts_with(start), "{terms}, {at}: {started_at}");
        assert!(ends_at.starts_with(end), "{terms}, {at}: {ends_at}");
    }
}

/// Zones whose clocks skip a day, skip or repeat midnight, move by half an hour, and have odd
/// offsets.
const ZONES: [&str; 11] = [
    "Pacific/Apia",
    "Pacific/Pago_Pago",
    "America/Havana",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/New_York",
    "Europe/Paris",
    "America/Sao_Paulo",
    "Pacific/Chatham",
    "UTC",
];

/// Ten years, in which Apia has no 30 December 2011.
const FIRST_YEAR: i16 = 2008;
const LAST_DAY: Date = date(2018, 3, 1);

/// How long periods are: their unit and its number, and the days or the months of one.
const UNITS: [(&str, i32, i32, i32); 8] = [
    ("day", 1, 1, 0),
    ("day", 10, 10, 0),
    ("week", 1, 7, 0),
    ("month", 1, 0, 1),
    ("month", 5, 0, 5),
    ("quarter", 1, 0, 3),
    ("half_year", 1, 0, 6),
    ("year", 1, 0, 12),
];

/// The moment at which clocks first show a time, or a later one.
fn moment(zone: &TimeZone, time: DateTime) -> Timestamp {
    let ambiguous = zone.to_ambiguous_timestamp(time);
    let is_skipped = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
    let earlier = ambiguous.earlier().expect("the time is in range");
    match is_skipped {
        true => zone
            .following(earlier)
            .next()
            .map_or(earlier, |transition| transition.timestamp()),
        false => earlier,
    }
}

/// The boundary that is `steps` periods from the anchor.
fn boundary(anchor: DateTime, day: i8, days: i32, months: i32, steps: i32) -> DateTime {
    if months == 0 {
        return anchor + Span::new().days(days * steps);
    }
    let month = anchor.date().first_of_month() + Span::new().months(months * steps);
    let last = month.last_of_month().day();
    let on = Date::new(month.year(), month.month(), day.min(last));
    on.expect("the month has the day")
        .to_datetime(anchor.time())
}

async fn boundaries_tile_time_in_every_zone(host: &TestHost) {
    for name in ZONES {
        let zone = TimeZoneDatabase::bundled().get(name);
        let zone = zone.expect("the other reader has the zone");
        for (unit, count, days, months) in UNITS {
            let anchor_days = if months == 0 { 28..=28 } else { 28..=31 };
            for day in anchor_days {
                for (hour, minute) in [(0, 0), (2, 15)] {
                    let first = date(FIRST_YEAR, 1, day).at(hour, minute, 0, 0);
                    let last = moment(&zone, LAST_DAY.at(0, 0, 0, 0));
                    // Of a boundary that is skipped with its whole day, the period has no time.
                    let mut expected: Vec<i64> = (0..)
                        .map(|steps| moment(&zone, boundary(first, day, days, months, steps)))
                        .take_while(|boundary| *boundary <= last)
                        .map(|boundary| boundary.as_second())
                        .collect();
                    expected.dedup();
                    let terms = format!("'{unit}', {count}, '{first}', {day}, '{name}'");
                    let start = expected[0];
                    let rows = host
                        .query(&format!(
                            "WITH RECURSIVE walk AS (
                                 SELECT p.* FROM billing_period_at({terms}, to_timestamp({start}), to_timestamp({start})) p
                                 UNION ALL
                                 SELECT p.* FROM walk w,
                                        billing_period_at({terms}, to_timestamp({start}), w.ends_at) p
                                  WHERE w.ends_at <= to_timestamp({})
                             )
                             SELECT array_agg(extract(epoch FROM w.started_at)::bigint ORDER BY w.started_at),
                                    bool_and(b.started_at = w.started_at AND b.ends_at = w.ends_at
                                             AND b.period_index = w.period_index),
                                    bool_and(w.whole_from <= (w.started_at AT TIME ZONE '{name}')::date
                                             AND w.whole_to > w.whole_from)
                               FROM walk w,
                                    billing_period_at({terms}, to_timestamp({start}),
                                                      w.ends_at - interval '1 microsecond') b",
                            last.as_second()
                        ))
                        .await;
                    let case = format!("{terms} from {start}");
                    assert_eq!(rows[0].get::<_, Vec<i64>>(0), expected, "{case}");
                    assert!(rows[0].get::<_, bool>(1), "{case}: the last moment of each");
                    assert!(rows[0].get::<_, bool>(2), "{case}: the dates of each");
                }
            }
        }
    }
}

async fn a_skipped_time_is_the_end_of_the_gap_and_a_repeated_one_the_first(host: &TestHost) {
    for (zone, time, expected) in [
        (
            "America/New_York",
            "2026-03-08T02:15",
            "2026-03-08T07:00:00",
        ),
        (
            "America/New_York",
            "2026-03-08T03:00",
            "2026-03-08T07:00:00",
        ),
        (
            "America/New_York",
            "2026-11-01T01:30",
            "2026-11-01T05:30:00",
        ),
        ("Europe/Paris", "2026-03-29T02:59:59", "2026-03-29T01:00:00"),
        (
            "Australia/Lord_Howe",
            "2026-10-04T02:10",
            "2026-10-03T15:30:00",
        ),
        (
            "America/Sao_Paulo",
            "2017-10-15T00:00",
            "2017-10-15T03:00:00",
        ),
        ("America/Havana", "2026-11-01T00:30", "2026-11-01T04:30:00"),
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00:00"),
        ("Asia/Kathmandu", "2026-01-01T00:00", "2025-12-31T18:15:00"),
    ] {
        let rows = host
            .query(&format!("SELECT rfc3339(local_moment('{time}', '{zone}'))"))
            .await;
        let got: String = rows[0].get(0);
        assert_eq!(got, format!("{expected}.000000Z"), "{time} in {zone}");
    }
}
