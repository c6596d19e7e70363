//! What a summary is asked for.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike as _};
use shared::http::Request;
use shared::http::problem::Problem;
use shared::organizations::MAX_TIME_ZONE_CHARS;

/// Longest name of a meter.
const MAX_SLUG_CHARS: usize = 64;
/// Longest subject of an event.
const MAX_SUBJECT_CHARS: usize = 128;
/// Most properties that a meter groups by.
const MAX_GROUPS: usize = 4;
/// Minutes of the shortest time that sums are kept for.
const SLOT_MINUTES: u32 = 15;

/// A moment, or midnight of a day in the zone of the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    pub time: NaiveDateTime,
    pub is_local: bool,
}

/// A summary, as asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Query {
    pub meter: String,
    pub since: Option<Bound>,
    pub until: Option<Bound>,
    pub interval: &'static str,
    pub subject: Option<String>,
    pub group_by: Vec<String>,
    pub time_zone: Option<String>,
}

impl Query {
    /// What the answer depends on beside the organization and the time, in one form
    /// for each answer. JSON, because a name may hold whatever would separate two.
    pub fn canonical(&self) -> String {
        let bound = |bound: Option<Bound>| {
            bound.map(|bound| {
                let zone = if bound.is_local { "" } else { "Z" };
                format!("{}{zone}", bound.time.format("%Y-%m-%dT%H:%M"))
            })
        };
        serde_json::json!([
            self.meter,
            bound(self.since),
            bound(self.until),
            self.interval,
            self.subject,
            self.group_by,
            self.time_zone,
        ])
        .to_string()
    }
}

fn wrong_length(name: &'static str, most: usize) -> Problem {
    Problem::invalid_parameter(
        name,
        "wrong_length",
        format!("must have 1 to {most} characters"),
    )
}

fn text(name: &'static str, text: &str, most: usize) -> Result<String, Problem> {
    if text.is_empty() || text.chars().count() > most {
        return Err(wrong_length(name, most));
    }
    Ok(text.to_owned())
}

fn bound(name: &'static str, text: &str) -> Result<Bound, Problem> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        // Ten characters in one spelling: the reader also takes "-9999-01-1", a year
        // that Postgres does not have.
        if text.len() == 10 && day.to_string() == text {
            return Ok(Bound {
                time: day.and_time(NaiveTime::MIN),
                is_local: true,
            });
        }
    }
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| {
        Problem::invalid_parameter(
            name,
            "invalid",
            "must be a day such as 2026-11-21, or an RFC 3339 time",
        )
    })?;
    let time = time.naive_utc();
    if time.minute() % SLOT_MINUTES != 0 || time.second() != 0 || time.nanosecond() != 0 {
        return Err(Problem::invalid_parameter(
            name,
            "not_aligned",
            "must be a whole quarter of an hour",
        ));
    }
    Ok(Bound {
        time,
        is_local: false,
    })
}

fn interval(text: &str) -> Result<&'static str, Problem> {
    match text {
        "hour" => Ok("hour"),
        "day" => Ok("day"),
        "month" => Ok("month"),
        _ => Err(Problem::invalid_parameter(
            "interval",
            "invalid",
            "must be hour, day or month",
        )),
    }
}

fn group_by(text: &str) -> Result<Vec<String>, Problem> {
    let names: Vec<String> = text.split(',').map(str::to_owned).collect();
    let is_repeated = |(at, name): (usize, &String)| names[..at].contains(name);
    if names.len() > MAX_GROUPS || names.iter().enumerate().any(is_repeated) {
        return Err(Problem::invalid_parameter(
            "group_by",
            "invalid",
            format!(
                "must be up to {MAX_GROUPS} different properties with a comma between each two"
            ),
        ));
    }
    Ok(names)
}

/// Reads the parameters.
///
/// # Errors
/// A 400 that names the first one that is wrong.
pub fn read(request: &Request) -> Result<Query, Problem> {
    let parameter = |name| request.query_parameter(name);
    let meter = parameter("meter")?.ok_or_else(|| {
        Problem::invalid_parameter("meter", "required", "is required: the name of a meter")
    })?;
    Ok(Query {
        meter: text("meter", &meter, MAX_SLUG_CHARS)?,
        since: parameter("since")?
            .map(|text| bound("since", &text))
            .transpose()?,
        until: parameter("until")?
            .map(|text| bound("until", &text))
            .transpose()?,
        interval: parameter("interval")?.map_or(Ok("day"), |text| interval(&text))?,
        subject: parameter("subject")?
            .map(|subject| text("subject", &subject, MAX_SUBJECT_CHARS))
            .transpose()?,
        group_by: parameter("group_by")?.map_or(Ok(Vec::new()), |text| group_by(&text))?,
        time_zone: parameter("timezone")?
            .map(|zone| text("timezone", &zone, MAX_TIME_ZONE_CHARS))
            .transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        let table = [
            ("2026-11-21", Ok(("2026-11-21T00:00:00", true))),
            ("2026-11-21T10:15:00Z", Ok(("2026-11-21T10:15:00", false))),
            (
                "2026-11-21T10:00:00+05:45",
                Ok(("2026-11-21T04:15:00", false)),
            ),
            ("2026-11-21T10:01:00Z", Err("not_aligned")),
            ("2026-11-21T10:00:00.001Z", Err("not_aligned")),
            ("2026-11-21T10:00:00", Err("invalid")),
            ("2026-02-30", Err("invalid")),
            ("2026-1-1", Err("invalid")),
            ("2026- 1- 1", Err("invalid")),
            ("-9999-01-1", Err("invalid")),
            ("-9999-01-01", Err("invalid")),
            ("+12345-1-1", Err("invalid")),
            ("+12345-01-01", Err("invalid")),
            ("now", Err("invalid")),
        ];
        for (text, expected) in table {
            let got = bound("since", text).map_err(|problem| problem.errors[0].code);
            let expected = expected.map(|(time, is_local)| Bound {
                time: time.parse().expect("the table holds times"),
                is_local,
            });
            assert_eq!(got, expected, "{text}");
        }
    }

    #[test]
    fn what_is_answered_differently_is_asked_differently() {
        let plain = || Query {
            meter: "calls".to_owned(),
            since: None,
            until: None,
            interval: "day",
            subject: None,
            group_by: Vec::new(),
            time_zone: None,
        };
        let day = |is_local| {
            Some(Bound {
                time: "2026-11-21T00:00:00"
                    .parse()
                    .expect("the table holds times"),
                is_local,
            })
        };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let queries = [
            plain(),
            Query {
                meter: "tokens".to_owned(),
                ..plain()
            },
            Query {
                since: day(true),
                ..plain()
            },
            Query {
                since: day(false),
                ..plain()
            },
            Query {
                until: day(true),
                ..plain()
            },
            Query {
                interval: "hour",
                ..plain()
            },
            Query {
                subject: Some("UTC".to_owned()),
                ..plain()
            },
            Query {
                time_zone: Some("UTC".to_owned()),
                ..plain()
            },
            Query {
                group_by: names(&["a", "b"]),
                ..plain()
            },
            Query {
                group_by: names(&["b", "a"]),
                ..plain()
            },
            Query {
                group_by: names(&["a\",\"b"]),
                ..plain()
            },
        ];
        for (at, query) in queries.iter().enumerate() {
            for other in &queries[..at] {
                assert_ne!(query.canonical(), other.canonical(), "{query:?} {other:?}");
            }
        }
    }

    #[test]
    fn groups() {
        let table = [
            ("model", Ok(1)),
            ("model,region.name", Ok(2)),
            ("a,a", Err("invalid")),
            ("a,b,c,d,e", Err("invalid")),
        ];
        for (text, expected) in table {
            let got = group_by(text).map(|names| names.len());
            assert_eq!(
                got.map_err(|problem| problem.errors[0].code),
                expected,
                "{text}"
            );
        }
    }
}
