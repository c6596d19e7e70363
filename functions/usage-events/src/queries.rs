use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::OrganizationId;
use shared::store::db;
use shared::token::PresentedToken;
use spin_sdk::pg::ParameterValue;

use crate::event::Event;

/// Most events of a request that is sent together with others. More are a statement's worth by
/// themselves: a thousand take some 20 ms, of which a commit is the smaller part.
const MAX_EVENTS_TOGETHER: usize = 32;

/// Something that a meter has against an event.
#[derive(Debug, Deserialize)]
pub struct MeterProblem {
    /// The number of the event in the statement, from 1.
    pub n: usize,
    pub field: String,
    pub code: String,
}

/// What the statement did. Events that are in none of these were there before.
#[derive(Debug, Deserialize)]
pub struct Stored {
    /// Whose usage it is.
    pub organization_id: OrganizationId,
    pub accepted: Vec<usize>,
    pub adjustments: Vec<usize>,
    pub problems: Vec<MeterProblem>,
}

/// Numbers the distinct keys of events that are in the order of their keys, from 1.
fn numbered_keys(events: &[&Event<'_>]) -> Vec<i32> {
    let mut keys = Vec::with_capacity(events.len());
    let mut key = 0;
    for (at, event) in events.iter().enumerate() {
        let is_new = at == 0 || {
            let before = events[at - 1];
            (&before.source, &before.id) != (&event.source, &event.id)
        };
        key += i32::from(is_new);
        keys.push(key);
    }
    keys
}

/// An array as the text that Postgres reads it from.
fn array_text<T: AsRef<str>>(elements: impl Iterator<Item = T>) -> ParameterValue {
    let mut text = "{".to_owned();
    for (at, element) in elements.enumerate() {
        text.push_str(if at == 0 { "\"" } else { ",\"" });
        for character in element.as_ref().chars() {
            if matches!(character, '"' | '\\') {
                text.push('\\');
            }
            text.push(character);
        }
        text.push('"');
    }
    text.push('}');
    text.into()
}

/// Stores events that are in the order of their keys.
///
/// Batches of an organization wait for each other at its sums. Small ones that do so in this
/// instance are sent as one statement, but for atomic ones, of which each is all or nothing.
pub async fn ingest(
    context: &Context,
    token: &PresentedToken,
    events: &[&Event<'_>],
    is_atomic: bool,
) -> Result<Stored, Problem> {
    let digest = token.digest.0.to_vec().into();
    let keys = numbered_keys(events);
    if events.len() <= MAX_EVENTS_TOGETHER && !is_atomic {
        let numbers = |number: fn(&Event<'_>) -> i64| {
            array_text(events.iter().map(|event| number(event).to_string()))
        };
        let texts = |text: for<'a, 'b> fn(&'a Event<'b>) -> &'a str| {
            array_text(events.iter().map(|event| text(event)))
        };
        let parameters = vec![
            digest,
            array_text(keys.iter().map(i32::to_string)),
            texts(|event| &event.source),
            texts(|event| &event.id),
            texts(|event| &event.subject),
            texts(|event| &event.kind),
            numbers(|event| event.time_micros),
            texts(|event| &event.properties),
        ];
        let sql = [
            "SELECT usage_ingest($1, $2::text::integer[], $3::text::text[], $4::text::text[], $5::text::text[],
                                 $6::text::text[], $7::text::bigint[], $8::text::text[], false)::text",
            "SELECT usage_ingest_many($1::text[]::bytea[], $2, $3, $4, $5, $6, $7, $8)",
        ];
        let organization = token.organization.to_string();
        let refuse = db::no_refusal_of_its_own;
        return db::call_together(context, sql, &organization, parameters, refuse).await;
    }
    let texts = |text: fn(&Event<'_>) -> String| {
        events
            .iter()
            .map(|event| text(event))
            .collect::<Vec<String>>()
    };
    let times: Vec<i64> = events.iter().map(|event| event.time_micros).collect();
    let parameters = [
        digest,
        keys.into(),
        texts(|event| event.source.clone().into_owned()).into(),
        texts(|event| event.id.clone().into_owned()).into(),
        texts(|event| event.subject.clone().into_owned()).into(),
        texts(|event| event.kind.clone().into_owned()).into(),
        times.into(),
        texts(|event| event.properties.clone().into_owned()).into(),
        is_atomic.into(),
    ];
    let sql = "SELECT usage_ingest($1, $2, $3, $4, $5, $6, $7, $8, $9)::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_as_texts() {
        let table: [(&[&str], &str); 4] = [
            (&[], "{}"),
            (&[""], r#"{""}"#),
            (&["a", "NULL", "b c"], r#"{"a","NULL","b c"}"#),
            (
                &[r#"{"n":"\u00e9"}"#, "é,}"],
                r#"{"{\"n\":\"\\u00e9\"}","é,}"}"#,
            ),
        ];
        for (elements, expected) in table {
            let ParameterValue::Str(text) = array_text(elements.iter()) else {
                panic!("{elements:?} is no text");
            };
            assert_eq!(text, expected, "{elements:?}");
        }
    }
}
