//! Where a page of groups begins.

use serde::Deserialize;
use shared::credits::MAX_USAGE_NAME_CHARS;
use shared::http::pagination::Place;
use shared::http::period::Day;

use crate::operations::Grouping;

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

    /// Whether a position is one of a group of this grouping.
    pub fn has(self, position: &Position) -> bool {
        position.day.is_some() == self.by_day
            && position.service.is_some() == self.by_service
            && position.model.is_some() == self.by_model
    }
}

/// As JSON: a list of the three.
impl Place for Position {
    fn to_bytes(&self) -> Vec<u8> {
        // Texts always serialize; the empty bytes are for the type checker.
        serde_json::to_vec(&(&self.day, &self.service, &self.model)).unwrap_or_default()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (day, service, model): (_, Option<String>, Option<String>) =
            serde_json::from_slice(bytes).ok()?;
        let is_name =
            |name: &String| name.chars().count() <= MAX_USAGE_NAME_CHARS && !name.contains('\0');
        let has_names = [&service, &model].into_iter().flatten().all(is_name);
        has_names.then_some(Self {
            day,
            service,
            model,
        })
    }
}

#[cfg(test)]
mod tests {
    use shared::http::input::{self, FromText};

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
    fn positions_round_trip() {
        let name = |text: &str| Some(text.to_owned());
        let longest = "\u{10ffff}".repeat(64);
        let escaped = "\u{1}".repeat(64);
        let day = Day::from_text("2026-11-21").ok();
        let none = Position::default();
        let table = [
            (
                "day",
                Position {
                    day,
                    ..none.clone()
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
            let bytes = position.to_bytes();
            assert!(bytes.len() <= 800, "a cursor has room for {names}");
            assert_eq!(Position::from_bytes(&bytes), Some(position.clone()));
            for other in [
                "day",
                "service",
                "day,model",
                "service,model",
                "day,service,model",
            ] {
                assert_eq!(
                    grouping(other).has(&position),
                    other == names,
                    "{names} {other}"
                );
            }
        }
        let long = format!(r#"[null,"{}",null]"#, "a".repeat(65));
        for bytes in [
            "",
            "[]",
            "7",
            "[null,7,null]",
            r#"["2026-13-01",null,null]"#,
            r#"[null,"a\u0000",null]"#,
            &long,
        ] {
            assert_eq!(Position::from_bytes(bytes.as_bytes()), None, "{bytes}");
        }
    }
}
