//! By what usage is added up, and where a page of groups begins.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::NaiveDate;
use shared::credits::MAX_USAGE_NAME_CHARS;
use shared::http::period::parse_date;
use shared::http::problem::Problem;

/// Tells cursors of this layout from others.
const CURSOR_VERSION: &str = "usage1";

/// Longest cursor that is looked at: two names of 64 characters, each of which is
/// at most 6 bytes of JSON (an escaped one) are 768 bytes, with a date, quotes and
/// the version 800, and in base64 a third more.
const MAX_CURSOR_BYTES: usize = 1_100;

/// By what usage is added up, each in the order of the groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grouping {
    pub by_day: bool,
    pub by_service: bool,
    pub by_model: bool,
}

/// The last group of a page: what the next one begins after. It has what the
/// grouping has, and an empty name stands for none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    pub day: Option<NaiveDate>,
    pub service: Option<String>,
    pub model: Option<String>,
}

impl Grouping {
    /// Reads the `group_by` parameter: a list of `day`, `service` and `model`, in
    /// any order. By day when there is none.
    ///
    /// # Errors
    /// A 400 that names the parameter.
    pub fn from_parameter(text: Option<&str>) -> Result<Self, Problem> {
        let mut grouping = Self {
            by_day: false,
            by_service: false,
            by_model: false,
        };
        for name in text.unwrap_or("day").split(',') {
            let chosen = match name {
                "day" => &mut grouping.by_day,
                "service" => &mut grouping.by_service,
                "model" => &mut grouping.by_model,
                _ => return Err(invalid_grouping()),
            };
            if std::mem::replace(chosen, true) {
                return Err(invalid_grouping());
            }
        }
        Ok(grouping)
    }

    /// The names, in the order of the groups.
    pub fn names(self) -> String {
        let chosen = [
            (self.by_day, "day"),
            (self.by_service, "service"),
            (self.by_model, "model"),
        ];
        let names = chosen.iter().filter(|(is_chosen, _)| *is_chosen);
        names.map(|(_, name)| *name).collect::<Vec<_>>().join(",")
    }

    /// The cursor of a position, as clients see it.
    pub fn encode(self, position: &Position) -> Result<String, Problem> {
        let day = position.day.map(|day| day.to_string());
        let fields = (
            CURSOR_VERSION,
            self.names(),
            &day,
            &position.service,
            &position.model,
        );
        let json = serde_json::to_vec(&fields).map_err(|_| Problem::internal())?;
        Ok(URL_SAFE_NO_PAD.encode(json))
    }

    /// Reads a cursor that [`Grouping::encode`] wrote for the same grouping; `None`
    /// for anything else.
    pub fn decode(self, text: &str) -> Option<Position> {
        if text.len() > MAX_CURSOR_BYTES {
            return None;
        }
        let json = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (version, names, day, service, model): (
            String,
            String,
            Option<String>,
            Option<String>,
            Option<String>,
        ) = serde_json::from_slice(&json).ok()?;
        let day = match &day {
            Some(day) => Some(parse_date(day)?),
            None => None,
        };
        let is_name = |name: &Option<String>| {
            name.as_ref().is_none_or(|name| {
                name.chars().count() <= MAX_USAGE_NAME_CHARS && !name.contains('\0')
            })
        };
        let has_its_parts = day.is_some() == self.by_day
            && service.is_some() == self.by_service
            && model.is_some() == self.by_model;
        let is_ours = version == CURSOR_VERSION
            && names == self.names()
            && has_its_parts
            && is_name(&service)
            && is_name(&model);
        is_ours.then_some(Position {
            day,
            service,
            model,
        })
    }
}

fn invalid_grouping() -> Problem {
    Problem::invalid_parameter(
        "group_by",
        "invalid",
        "must be a list of day, service and model, separated by commas, each at most once",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groupings() {
        let table = [
            (None, Ok("day")),
            (Some("day"), Ok("day")),
            (Some("service"), Ok("service")),
            (Some("model,day"), Ok("day,model")),
            (Some("model,service,day"), Ok("day,service,model")),
            (Some(""), Err("group_by")),
            (Some("day,"), Err("group_by")),
            (Some("day,day"), Err("group_by")),
            (Some("day, model"), Err("group_by")),
            (Some("Day"), Err("group_by")),
            (Some("user"), Err("group_by")),
        ];
        for (text, expected) in table {
            let got = Grouping::from_parameter(text)
                .map(Grouping::names)
                .map_err(|problem| problem.errors[0].field.clone());
            assert_eq!(
                got,
                expected.map(str::to_owned).map_err(Into::into),
                "{text:?}"
            );
        }
    }

    fn grouping(text: &str) -> Grouping {
        Grouping::from_parameter(Some(text)).expect("the test names a grouping")
    }

    #[test]
    fn cursors_are_of_one_grouping() {
        let name = |text: &str| Some(text.to_owned());
        let longest = "\u{10ffff}".repeat(64);
        let escaped = "\u{1}".repeat(64);
        let day = parse_date("2026-11-21");
        let table = [
            (
                "day",
                Position {
                    day,
                    ..Position::default()
                },
            ),
            (
                "service,model",
                Position {
                    day: None,
                    service: name(""),
                    model: name(&longest),
                },
            ),
            (
                "day,service,model",
                Position {
                    day,
                    service: name(&escaped),
                    model: name(&escaped),
                },
            ),
        ];
        for (names, position) in table {
            let text = grouping(names).encode(&position).expect("it is plain data");
            assert_eq!(grouping(names).decode(&text), Some(position), "{names}");
            assert_eq!(grouping("model").decode(&text), None, "{names}");
        }
    }

    #[test]
    fn cursors_of_others_are_refused() {
        let encode = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let table = [
            String::new(),
            "AQAAAAAAAAAH".to_owned(),
            "not base64!".to_owned(),
            encode("[]"),
            encode(r#"["usage1","service",null,null,null]"#),
            encode(r#"["usage1","service",null,7,null]"#),
            encode(r#"["usage1","service","2026-11-21","a",null]"#),
            encode(r#"["usage1","service",null,"a","b"]"#),
            encode(r#"["usage1","service",null,"a\u0000",null]"#),
            encode(r#"["usage2","service",null,"a",null]"#),
            encode(r#"["usage1","model",null,"a",null]"#),
            encode(&format!(
                r#"["usage1","service",null,"{}",null]"#,
                "a".repeat(65)
            )),
            "a".repeat(MAX_CURSOR_BYTES + 1),
        ];
        for text in table {
            assert_eq!(grouping("service").decode(&text), None, "{text}");
        }
        let good = encode(r#"["usage1","service",null,"a",null]"#);
        assert!(grouping("service").decode(&good).is_some());
        let day = encode(r#"["usage1","day","2026-13-01",null,null]"#);
        assert_eq!(grouping("day").decode(&day), None);
    }
}
