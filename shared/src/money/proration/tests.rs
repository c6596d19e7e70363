use super::*;
use crate::money::Currency;

fn date(text: &str) -> NaiveDate {
    text.parse()
        .unwrap_or_else(|error| panic!("{text:?} in the table is no date: {error}"))
}

/// Reads `2026-01-01..2026-02-01`.
fn range(text: &str) -> Range<NaiveDate> {
    let (start, end) = text
        .split_once("..")
        .unwrap_or_else(|| panic!("write {text:?} in the table as start..end"));
    date(start)..date(end)
}

/// Reads `2026-02-28..2026-03-31@31`, where 31 is the anchor day; without one it is the day on
/// which the period starts.
fn period(text: &str) -> Result<AnchoredPeriod, ProrationError> {
    let (dates, anchor_day) = match text.split_once('@') {
        Some((dates, day)) => (range(dates), day.parse().ok()),
        None => (range(text), Some(range(text).start.day())),
    };
    let anchor_day = anchor_day
        .unwrap_or_else(|| panic!("write a number behind the @ of {text:?} in the table"));
    AnchoredPeriod::new(dates, anchor_day)
}

/// Reads `12.50 USD`.
fn money(text: &str) -> Money {
    let (amount, code) = text
        .split_once(' ')
        .unwrap_or_else(|| panic!("write {text:?} in the table as `12.50 USD`"));
    let amount = amount
        .parse()
        .unwrap_or_else(|error| panic!("{amount:?} in the table: {error}"));
    let currency =
        Currency::parse(code).unwrap_or_else(|error| panic!("{code:?} in the table: {error}"));
    Money::new(amount, currency)
}

/// What a part of a period costs, all as the tables have it.
fn prorated(
    amount: &str,
    policy: Proration,
    whole: &str,
    part: &str,
    rounding: Rounding,
) -> Result<Money, ProrationError> {
    prorate(
        money(amount),
        policy,
        &period(whole)?,
        range(part),
        rounding,
    )
}

const JANUARY: &str = "2026-01-01..2026-02-01";
const FEBRUARY: &str = "2026-02-01..2026-03-01";
const MID_MAY: &str = "2026-05-15..2026-06-15";

#[test]
fn a_part_of_a_period_costs_its_share() {
    use Proration::{Day, Fixed30};
    for (amount, policy, whole, part, expected) in [
        // Published answers.
        (
            "100 USD",
            Day,
            JANUARY,
            "2026-01-17..2026-02-01",
            "48.39 USD",
        ),
        (
            "100 USD",
            Day,
            JANUARY,
            "2026-01-22..2026-02-01",
            "32.26 USD",
        ),
        (
            "1000 JPY",
            Day,
            JANUARY,
            "2026-01-05..2026-01-15",
            "323 JPY",
        ),
        (
            "19.95 USD",
            Fixed30,
            MID_MAY,
            "2026-05-15..2026-05-23",
            "5.32 USD",
        ),
        (
            "19.95 USD",
            Fixed30,
            MID_MAY,
            "2026-05-23..2026-06-15",
            "14.63 USD",
        ),
        // A month whose subscription began on the 5th, after a trial of 45 days.
        (
            "5000000 USD",
            Day,
            "2024-04-01..2024-05-01",
            "2024-04-19..2024-05-01",
            "2000000.00 USD",
        ),
        (
            "5000000 USD",
            Fixed30,
            "2024-04-01..2024-05-01",
            "2024-04-19..2024-05-01",
            "2000000.00 USD",
        ),
        // Paused at the end of its second day.
        (
            "249.95 USD",
            Day,
            "2026-03-02..2026-04-02",
            "2026-03-04..2026-04-02",
            "233.82 USD",
        ),
        // Five seats become ten when 15 of 30 days are left.
        (
            "-50 USD",
            Day,
            "2026-04-01..2026-05-01",
            "2026-04-16..2026-05-01",
            "-25.00 USD",
        ),
        (
            "100 USD",
            Day,
            "2026-04-01..2026-05-01",
            "2026-04-16..2026-05-01",
            "50.00 USD",
        ),
        ("100 USD", Day, JANUARY, JANUARY, "100.00 USD"),
        ("100 USD", Fixed30, JANUARY, JANUARY, "100.00 USD"),
        ("100 USD", Fixed30, FEBRUARY, FEBRUARY, "100.00 USD"),
        (
            "100 USD",
            Day,
            JANUARY,
            "2026-01-09..2026-01-09",
            "0.00 USD",
        ),
        // A leap day counts, and a year is twelve months of 30.
        (
            "366 USD",
            Day,
            "2028-01-01..2029-01-01",
            "2028-02-29..2028-03-01",
            "1.00 USD",
        ),
        (
            "360 USD",
            Fixed30,
            "2026-01-01..2027-01-01",
            "2026-05-01..2026-05-11",
            "10.00 USD",
        ),
        // An amount finer than the currency is rounded at the end of the part.
        (
            "0.009999 USD",
            Day,
            "2026-01-01..2026-01-03",
            "2026-01-01..2026-01-02",
            "0.00 USD",
        ),
        (
            "0.010001 USD",
            Day,
            "2026-01-01..2026-01-03",
            "2026-01-01..2026-01-02",
            "0.01 USD",
        ),
        (
            "999999999999.999999999 USD",
            Day,
            JANUARY,
            JANUARY,
            "1000000000000.00 USD",
        ),
        // Three days of a cent: none of them costs a third.
        (
            "0.01 USD",
            Day,
            "2026-01-01..2026-01-04",
            "2026-01-01..2026-01-02",
            "0.00 USD",
        ),
        (
            "0.01 USD",
            Day,
            "2026-01-01..2026-01-04",
            "2026-01-02..2026-01-03",
            "0.01 USD",
        ),
        (
            "0.01 USD",
            Day,
            "2026-01-01..2026-01-04",
            "2026-01-03..2026-01-04",
            "0.00 USD",
        ),
    ] {
        let got = prorated(amount, policy, whole, part, Rounding::HalfEven);
        assert_eq!(
            got.map(|part| part.to_string()),
            Ok(expected.to_owned()),
            "{amount} for {part} of {whole}, {policy:?}: fix prorate or this row"
        );
    }
}

#[test]
fn days_are_counted_by_the_policy() {
    for (whole, part, actual, fixed) in [
        (MID_MAY, "2026-05-15..2026-05-23", (8, 31), (8, 30)),
        (MID_MAY, "2026-05-23..2026-06-15", (23, 31), (22, 30)),
        // The 31st counts as the 30th: 30 January costs nothing, and no more than
        // the month's 30 days are left from the 1st.
        (JANUARY, "2026-01-30..2026-01-31", (1, 31), (0, 30)),
        (JANUARY, "2026-01-31..2026-02-01", (1, 31), (1, 30)),
        (JANUARY, "2026-01-02..2026-02-01", (30, 31), (29, 30)),
        // The last day of February has what the month lacks.
        (FEBRUARY, "2026-02-01..2026-02-28", (27, 28), (27, 30)),
        (FEBRUARY, "2026-02-28..2026-03-01", (1, 28), (3, 30)),
        (
            "2028-02-01..2028-03-01",
            "2028-02-29..2028-03-01",
            (1, 29),
            (2, 30),
        ),
        (
            "2028-02-01..2028-03-01",
            "2028-02-28..2028-02-29",
            (1, 29),
            (1, 30),
        ),
        // Months anchored to a day that one of them lacks have 30 days too.
        (
            "2026-01-31..2026-02-28",
            "2026-01-31..2026-02-28",
            (28, 28),
            (30, 30),
        ),
        (
            "2026-01-31..2026-02-28",
            "2026-02-27..2026-02-28",
            (1, 28),
            (3, 30),
        ),
        (
            "2026-01-31..2026-02-28",
            "2026-01-31..2026-02-01",
            (1, 28),
            (1, 30),
        ),
        (
            "2026-02-28..2026-03-31@31",
            "2026-02-28..2026-03-01",
            (1, 31),
            (1, 30),
        ),
        (
            "2026-02-28..2026-03-31@31",
            "2026-03-30..2026-03-31",
            (1, 31),
            (0, 30),
        ),
        (
            "2026-02-28..2026-03-29@29",
            "2026-02-28..2026-03-01",
            (1, 29),
            (2, 30),
        ),
        (
            "2026-01-29..2026-02-28",
            "2026-02-27..2026-02-28",
            (1, 30),
            (2, 30),
        ),
        (
            "2026-03-31..2026-04-30",
            "2026-03-31..2026-04-01",
            (1, 30),
            (1, 30),
        ),
        (
            "2026-04-30..2026-05-31@31",
            "2026-05-30..2026-05-31",
            (1, 31),
            (0, 30),
        ),
        // One that is anchored to a day that every month has.
        (
            "2026-02-28..2026-03-28",
            "2026-02-28..2026-03-01",
            (1, 28),
            (3, 30),
        ),
        // From 28 February on, a year of a subscription that began on 29 February.
        (
            "2025-02-28..2026-02-28@29",
            "2025-02-28..2025-03-29",
            (29, 365),
            (30, 360),
        ),
        (
            "2025-02-28..2026-02-28@31",
            "2025-02-28..2025-03-31",
            (31, 365),
            (30, 360),
        ),
        (
            "2025-02-28..2026-02-28@28",
            "2025-02-28..2025-03-28",
            (28, 365),
            (30, 360),
        ),
        // A quarter from the last of January is cut where its months are.
        (
            "2026-01-31..2026-04-30",
            "2026-01-31..2026-02-28",
            (28, 89),
            (30, 90),
        ),
        (
            "2026-01-31..2026-04-30",
            "2026-02-28..2026-03-31",
            (31, 89),
            (30, 90),
        ),
        (
            "2026-01-31..2026-04-30",
            "2026-03-31..2026-04-30",
            (30, 89),
            (30, 90),
        ),
    ] {
        for (policy, expected) in [(Proration::Day, actual), (Proration::Fixed30, fixed)] {
            let share = period(whole).and_then(|period| policy.share(&period, &range(part).into()));
            let got = share.map(|share| (share.count(), share.period_count()));
            assert_eq!(got, Ok(expected), "{part} of {whole}, {policy:?}");
        }
    }
}

/// From each date on which a month of a subscription begins to each later one there are 30 days a
/// month, whatever the period, of four years with a leap day, is cut into.
#[test]
fn every_month_from_anchor_to_anchor_has_30_days() {
    for anchor_day in 1..=31 {
        let begins = |month: i32| {
            let (year, month) = (2026 + month / 12, month.unsigned_abs() % 12 + 1);
            let day = (1..=anchor_day)
                .rev()
                .find_map(|day| NaiveDate::from_ymd_opt(year, month, day));
            day.unwrap_or_else(|| panic!("month {month} of {year} has days"))
        };
        for start in 0..48 {
            for months in 1..=24 {
                let dates = begins(start)..begins(start + months);
                let period = AnchoredPeriod::new(dates.clone(), anchor_day)
                    .unwrap_or_else(|error| panic!("{dates:?}: {error}"));
                for cut in start..start + months {
                    let part = begins(cut)..begins(cut + 1);
                    let share = Proration::Fixed30.share(&period, &part.clone().into());
                    let days = share.map(|share| (share.count(), i64::from(share.period_count())));
                    assert_eq!(
                        days,
                        Ok((30, i64::from(months) * 30)),
                        "{part:?} of {dates:?}, anchored to the {anchor_day}."
                    );
                }
            }
        }
    }
}

#[test]
fn moments_are_the_local_dates_of_their_zone() {
    // Paris, over the days on which its clocks change.
    for (start, end, days) in [
        ("2023-03-01T00:10:00+01:00", "2023-04-01T00:00:00+02:00", 31),
        ("2023-10-01T01:10:00+02:00", "2023-11-01T00:00:00+01:00", 31),
    ] {
        let date = |text: &str| {
            chrono::DateTime::parse_from_rfc3339(text)
                .unwrap_or_else(|error| panic!("{text} in the table: {error}"))
                .date_naive()
        };
        let dates = date(start)..date(end);
        let share = AnchoredPeriod::new(dates.clone(), 1)
            .and_then(|period| Proration::Day.share(&period, &dates.into()));
        assert_eq!(share.map(PeriodShare::count), Ok(days), "{start} to {end}");
    }
}

#[test]
fn seconds_are_counted_where_they_are_asked_for() {
    let dates = || range("2017-02-14..2017-03-14");
    let period = |secs: Range<i64>| {
        AnchoredPeriod::new(dates(), 14).and_then(|period| period.with_secs(secs))
    };
    let whole = 1_487_030_400..1_489_449_600;
    for (amount, secs, part, expected) in [
        // A published answer.
        (
            "1000 JPY",
            whole.clone(),
            1_488_568_488..1_489_449_600,
            Ok("364 JPY"),
        ),
        (
            "1000 JPY",
            whole.clone(),
            1_487_030_400..1_488_568_488,
            Ok("636 JPY"),
        ),
        ("10 USD", whole.clone(), whole.clone(), Ok("10.00 USD")),
        // A day of 23 hours: its last costs more than one of 24.
        ("24 USD", 0..82_800, 79_200..82_800, Ok("1.04 USD")),
        (
            "10 USD",
            whole.clone(),
            whole.start - 1..whole.end,
            Err(ProrationError::PartOutsidePeriod),
        ),
        (
            "10 USD",
            whole.clone(),
            whole.end..whole.start,
            Err(ProrationError::InvertedPart),
        ),
        (
            "10 USD",
            whole.end..whole.start,
            whole.clone(),
            Err(ProrationError::EmptyPeriod),
        ),
    ] {
        let got = period(secs.clone()).and_then(|period| {
            let part = PeriodPart::new(dates(), part.clone());
            let (amount, rounding) = (money(amount), Rounding::HalfEven);
            prorate(amount, Proration::Second, &period, part, rounding)
        });
        let got = got.map(|part| part.to_string());
        assert_eq!(
            got,
            expected.map(str::to_owned),
            "{amount} for {part:?} of {secs:?}"
        );
    }
    let without = prorated(
        "1 USD",
        Proration::Second,
        JANUARY,
        JANUARY,
        Rounding::HalfEven,
    );
    assert_eq!(without, Err(ProrationError::NoSeconds));
}

#[test]
fn without_proration_the_first_part_costs_all() {
    for (part, expected) in [
        (JANUARY, "10.00 USD"),
        ("2026-01-01..2026-01-02", "10.00 USD"),
        ("2026-01-01..2026-01-01", "0.00 USD"),
        ("2026-01-02..2026-02-01", "0.00 USD"),
        ("2026-01-31..2026-02-01", "0.00 USD"),
        ("2026-02-01..2026-02-01", "0.00 USD"),
    ] {
        let got = prorated("10 USD", Proration::None, JANUARY, part, Rounding::HalfEven);
        assert_eq!(
            got.map(|part| part.to_string()),
            Ok(expected.to_owned()),
            "{part}"
        );
    }
}

#[test]
fn rounding_is_the_callers() {
    // The exact share of one day is -0.125.
    let expected = [
        "-0.12 USD",
        "-0.13 USD",
        "-0.12 USD",
        "-0.13 USD",
        "-0.12 USD",
        "-0.12 USD",
        "-0.13 USD",
    ];
    for (rounding, expected) in Rounding::ALL.into_iter().zip(expected) {
        let got = prorated(
            "-1 USD",
            Proration::Day,
            "2026-01-01..2026-01-09",
            "2026-01-01..2026-01-02",
            rounding,
        );
        assert_eq!(
            got.map(|part| part.to_string()),
            Ok(expected.to_owned()),
            "an eighth of -1 USD by {rounding:?}: fix share or this row"
        );
    }
}

#[test]
fn periods_that_make_no_sense_are_refused() {
    use Proration::{Day, Fixed30};
    let day = "2026-01-02..2026-01-03";
    for (amount, policy, whole, part, error) in [
        (
            "1 USD",
            Day,
            "2026-01-02..2026-01-02",
            "2026-01-02..2026-01-02",
            ProrationError::EmptyPeriod,
        ),
        (
            "1 USD",
            Day,
            "2026-02-01..2026-01-01",
            day,
            ProrationError::EmptyPeriod,
        ),
        (
            "1 USD",
            Day,
            JANUARY,
            "2026-01-03..2026-01-02",
            ProrationError::InvertedPart,
        ),
        (
            "1 USD",
            Day,
            JANUARY,
            "2025-12-31..2026-01-02",
            ProrationError::PartOutsidePeriod,
        ),
        (
            "1 USD",
            Fixed30,
            JANUARY,
            "2026-01-31..2026-02-02",
            ProrationError::PartOutsidePeriod,
        ),
        (
            "1 USD",
            Fixed30,
            "2026-01-01..2026-01-08",
            day,
            ProrationError::NotWholeMonths,
        ),
        (
            "1 USD",
            Fixed30,
            "2026-01-01..2026-02-02",
            day,
            ProrationError::NotWholeMonths,
        ),
        (
            "1 USD",
            Fixed30,
            "2026-01-02..2026-02-01",
            day,
            ProrationError::NotWholeMonths,
        ),
        // It ends where the months of a subscription of the 29th do, and not of one of the 30th.
        (
            "1 USD",
            Fixed30,
            "2025-02-28..2025-03-29@30",
            "2025-03-01..2025-03-02",
            ProrationError::NotWholeMonths,
        ),
        (
            "1 USD",
            Fixed30,
            "2028-02-28..2028-03-29@29",
            "2028-03-01..2028-03-02",
            ProrationError::NotWholeMonths,
        ),
        (
            "1 USD",
            Day,
            "2026-01-01..2026-02-01@0",
            day,
            ProrationError::NoSuchAnchorDay,
        ),
        (
            "1 USD",
            Day,
            "2026-01-01..2026-02-01@32",
            day,
            ProrationError::NoSuchAnchorDay,
        ),
        (
            "79228162514264337593543950335 USD",
            Day,
            JANUARY,
            day,
            ProrationError::Overflow,
        ),
    ] {
        let got = prorated(amount, policy, whole, part, Rounding::HalfEven);
        assert_eq!(
            got,
            Err(error),
            "{amount} for {part} of {whole}, {policy:?}"
        );
    }
}

#[test]
fn names_are_stable() {
    for (policy, name) in [
        (Proration::Day, "day"),
        (Proration::Second, "second"),
        (Proration::Fixed30, "fixed_30"),
        (Proration::None, "none"),
    ] {
        assert_eq!(
            serde_json::to_value(policy).ok(),
            Some(name.into()),
            "{policy:?}: stored prices name this policy; do not rename it"
        );
        assert_eq!(
            serde_json::from_value::<Proration>(name.into()).ok(),
            Some(policy),
            "{name} must be read"
        );
    }
    for name in ["fixed30", "Day", "actual", ""] {
        assert!(
            serde_json::from_value::<Proration>(name.into()).is_err(),
            "{name:?} names no policy and must be refused"
        );
    }
}
