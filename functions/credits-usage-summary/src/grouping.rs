//! Where a page of groups begins.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use shared::credits::MAX_USAGE_NAME_CHARS;
use shared::http::input::FromText;
use shared::http::period::Day;
use shared::http::problem::Problem;

use crate::operations::{Grouping, MAX_CURSOR_CHARS};

/// Tells cursors of this layout from others.
const CURSOR_VERSION: &str = "usage1";

/// The last group of a page: what the next one begins after. It has what the
/// grouping has, and an empty name stands for none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Position {
    pub day: Option<Day>,
    pub service: Option<String>,
    pub model: Option<String>,
}

impl Grouping {
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
        let day = position.day.map(|day| day.0.to_string());
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
        if text.len() > MAX_CURSOR_CHARS {
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
            Some(day) => Some(Day::from_text(day).ok()?),
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

#[cfg(test)]
mod tests {
    use shared::http::input;

    use super::*;

    #[test]
    fn groupings() {
        let table = [
            ("day", Ok("day")),
            ("service", Ok("service")),
            ("model,day", Ok("day,model")),
            ("model,service,day", Ok("day,service,model")),
            ("", Err("invalid")),
            ("day,", Err("invalid")),
            ("day,day", Err("invalid")),
            ("day, model", Err("invalid")),
            ("Day", Err("invalid")),
            ("user", Err("invalid")),
        ];
        for (text, expected) in table {
            let got = input::text(text)
                .map(Grouping::names)
                .map_err(|invalid| invalid.code);
            assert_eq!(got, expected.map(str::to_owned), "{text:?}");
        }
        assert_eq!(Grouping::default().names(), "day");
    }

    fn grouping(text: &str) -> Grouping {
        input::text(text).expect("the test names a grouping")
    }

    #[test]
    fn cursors_are_of_one_grouping() {
        let name = |text: &str| Some(text.to_owned());
        let longest = "\u{10ffff}".repeat(64);
        let escaped = "\u{1}".repeat(64);
        let day = Day::from_text("2026-11-21").ok();
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
            "a".repeat(MAX_CURSOR_CHARS + 1),
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
