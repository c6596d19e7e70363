//! A batch of events is stored by one statement, with whatever the organization's
//! meters make of them. An event that is wrong does not keep the others out,
//! unless the request says that it shall.

use std::borrow::Cow;

use shared::http::context::Context;
use shared::http::input::Invalid;
use shared::http::problem::{FieldError, Problem};
use shared::http::{Reply, Request};
use shared::store::cache;
use shared::store::cache_key::Scope;
use shared::store::counts;

use crate::event::{self, Event, Rejected};
use crate::operations::{
    MAX_EVENTS_PER_BATCH, UsageEventFlag, UsageEventStatus, UsageEventsQuery, UsageResults,
    UsageVerdict,
};
use crate::properties::MAX_PROPERTIES_BYTES;
use crate::queries::{self, MeterProblem, Stored};
use crate::{batch, cloud_event};

/// Most bytes of a body, and of what it inflates to: for each of a thousand events
/// 4 KiB of properties and 1 KiB for the rest, 5,120,000 in all.
const MAX_BODY_BYTES: usize = MAX_EVENTS_PER_BATCH * (MAX_PROPERTIES_BYTES + 1_024);

/// Most mistakes that the refusal of a whole batch names.
const MAX_NAMED_ERRORS: usize = 100;

/// The forms of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Lines,
    CloudEvent,
    CloudEventBatch,
    CloudEventBinary,
}

fn form(media_type: &str, is_binary: bool) -> Result<Form, Problem> {
    match media_type.to_ascii_lowercase().as_str() {
        "application/cloudevents+json" => Ok(Form::CloudEvent),
        "application/cloudevents-batch+json" => Ok(Form::CloudEventBatch),
        text if is_binary && (text.is_empty() || cloud_event::is_json(text)) => {
            Ok(Form::CloudEventBinary)
        }
        "application/json" => Ok(Form::Json),
        "application/x-ndjson" => Ok(Form::Lines),
        _ => Err(Problem::unsupported_media_type(
            "application/json, application/x-ndjson, application/cloudevents+json or \
             application/cloudevents-batch+json",
        )),
    }
}

/// An event, or why it cannot be stored.
type Read<'a> = Result<Event<'a>, Rejected>;

fn read<'a>(
    request: &Request,
    form: Form,
    body: &'a str,
    now: i64,
) -> Result<Vec<Read<'a>>, Problem> {
    let each = |texts: Vec<&'a str>, read: fn(&'a str, i64) -> Read<'a>| {
        texts.into_iter().map(|text| read(text, now)).collect()
    };
    Ok(match form {
        Form::Json => each(batch::json(body)?, event::read),
        Form::Lines => each(batch::lines(body)?, event::read),
        Form::CloudEvent => vec![cloud_event::read(body, now)],
        Form::CloudEventBatch => each(batch::array(body.trim())?, cloud_event::read),
        Form::CloudEventBinary => vec![cloud_event::read_binary(request, body, now)?],
    })
}

/// What a meter has against an event, in the API's words.
fn meter_error(problem: &MeterProblem) -> FieldError {
    let invalid = match problem.code.as_str() {
        "required" => Invalid::new("required", "is required: a meter of this type adds it up"),
        "not_a_scalar" => Invalid::new("not_a_scalar", "must be a text, a number, true or false"),
        "group_too_long" => Invalid::new(
            "group_too_long",
            "the values that a meter groups by must have at most 1,024 bytes together",
        ),
        _ => Invalid::new(
            "not_a_number",
            "must be a number, or a text such as \"12.50\": a meter of this type adds it up",
        ),
    };
    event::field_error(problem.field.clone(), invalid)
}

/// A 422 that names what is wrong with which event.
fn refuse_all<'a>(errors: impl Iterator<Item = (usize, &'a FieldError)>) -> Option<Problem> {
    let named: Vec<FieldError> = errors
        .take(MAX_NAMED_ERRORS)
        .map(|(at, error)| FieldError {
            field: if error.field.is_empty() {
                format!("events[{at}]").into()
            } else {
                format!("events[{at}].{}", error.field).into()
            },
            ..error.clone()
        })
        .collect();
    (!named.is_empty()).then(|| Problem::invalid_fields(named))
}

/// The good events' places in the request, in the order of their keys: that in which
/// every batch takes them. Of one key the first comes first.
fn key_order(events: &[Read<'_>]) -> Vec<usize> {
    let mut order: Vec<(&str, &str, usize)> = events
        .iter()
        .enumerate()
        .filter_map(|(at, event)| event.as_ref().ok().map(|e| (&*e.source, &*e.id, at)))
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, _, at)| at).collect()
}

/// What became of each event, in the order of the request.
fn verdicts<'a>(events: Vec<Read<'a>>, order: &[usize], stored: &Stored) -> Vec<UsageVerdict<'a>> {
    let mut verdicts: Vec<UsageVerdict<'a>> = events
        .into_iter()
        .map(|event| match event {
            // Until the statement's answer says otherwise.
            Ok(event) => UsageVerdict::stored(event.id, UsageEventStatus::Duplicate),
            Err(rejected) => UsageVerdict::rejected(rejected.id.map(Cow::Owned), rejected.errors),
        })
        .collect();
    // The statement counts from 1.
    let place = |n: &usize| order.get(n.wrapping_sub(1)).copied();
    for at in stored.accepted.iter().filter_map(place) {
        verdicts[at].status = UsageEventStatus::Accepted;
    }
    for at in stored.adjustments.iter().filter_map(place) {
        verdicts[at].flag = Some(UsageEventFlag::Adjustment);
    }
    for problem in &stored.problems {
        if let Some(at) = place(&problem.n) {
            let mut errors = std::mem::take(&mut verdicts[at].errors);
            errors.push(meter_error(problem));
            verdicts[at] = UsageVerdict::rejected(verdicts[at].id.take(), errors);
        }
    }
    verdicts
}

/// Whether the answer says of any event that it is counted, by this request or by one
/// before whose answer may have been lost.
fn is_committed(verdicts: &[UsageVerdict<'_>]) -> bool {
    verdicts.iter().any(|verdict| {
        matches!(
            verdict.status,
            UsageEventStatus::Accepted | UsageEventStatus::Duplicate
        )
    })
}

pub async fn ingest(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let query: UsageEventsQuery = request.query()?;
    let is_atomic = query.atomic.unwrap_or_default();
    let is_binary = request.header_is_present(cloud_event::SPEC_VERSION_HEADER);
    let form = form(request.media_type()?, is_binary)?;
    let body = request.body_within(MAX_BODY_BYTES).await?;
    let body = std::str::from_utf8(&body)
        .map_err(|_| Problem::malformed_body("The body is not UTF-8."))?;
    let now_micros = i64::try_from(context.now_millis()).unwrap_or(i64::MAX / 1_000) * 1_000;
    let events = read(request, form, body, now_micros)?;
    if is_atomic {
        let errors = events.iter().enumerate().filter_map(|(at, event)| {
            Some(event.as_ref().err()?.errors.iter().map(move |e| (at, e)))
        });
        if let Some(problem) = refuse_all(errors.flatten()) {
            return Err(problem);
        }
    }
    let order = key_order(&events);
    let good: Vec<&Event<'_>> = order
        .iter()
        .filter_map(|at| events[*at].as_ref().ok())
        .collect();
    // Asked even when no event is left, because a stranger is told nothing.
    let stored = queries::ingest(context, &token, &good, is_atomic).await?;
    let verdicts = verdicts(events, &order, &stored);
    if is_committed(&verdicts) {
        // After the commit and before the answer, without a mark before: whose summaries
        // are old is known only now. A batch whose answer was lost is not acknowledged,
        // and whoever sends it again is told of duplicates, which renews them too.
        cache::invalidate(context, &[Scope::Usage(stored.organization_id)]).await;
    }
    if is_atomic {
        let errors = verdicts
            .iter()
            .enumerate()
            .flat_map(|(at, verdict)| verdict.errors.iter().map(move |e| (at, e)));
        if let Some(problem) = refuse_all(errors) {
            return Err(problem);
        }
    }
    count(&verdicts);
    Reply::json(200, &UsageResults::new(verdicts))
}

/// Counts the events for the operator's metrics.
fn count(verdicts: &[UsageVerdict<'_>]) {
    for (status, label) in [
        (UsageEventStatus::Accepted, "accepted"),
        (UsageEventStatus::Duplicate, "duplicate"),
        (UsageEventStatus::Rejected, "rejected"),
    ] {
        let of_status = verdicts.iter().filter(|verdict| verdict.status == status);
        counts::add("usage_events", label, of_status.count() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::ids::OrganizationId;

    #[test]
    fn forms() {
        let table = [
            ("application/json", false, Ok(Form::Json)),
            ("Application/JSON", false, Ok(Form::Json)),
            ("application/json", true, Ok(Form::CloudEventBinary)),
            (
                "application/vnd.usage+json",
                true,
                Ok(Form::CloudEventBinary),
            ),
            ("", true, Ok(Form::CloudEventBinary)),
            ("application/x-ndjson", false, Ok(Form::Lines)),
            ("application/cloudevents+json", true, Ok(Form::CloudEvent)),
            (
                "application/cloudevents-batch+json",
                false,
                Ok(Form::CloudEventBatch),
            ),
            ("", false, Err(415)),
            ("text/plain", true, Err(415)),
            ("application/vnd.usage+json", false, Err(415)),
        ];
        for (media_type, is_binary, expected) in table {
            let got = form(media_type, is_binary).map_err(|problem| problem.status);
            assert_eq!(got, expected, "{media_type} {is_binary}");
        }
    }

    #[test]
    fn verdicts_are_in_the_order_of_the_request() {
        let texts = ["c", "", "a", "b", "a"].map(|id| format!(r#"{{"id": "{id}", "type": "t"}}"#));
        let events: Vec<_> = texts.iter().map(|text| event::read(text, 0)).collect();
        let order = key_order(&events);
        assert_eq!(order, [2, 4, 3, 0], "by key, and then by place");
        let problem = MeterProblem {
            n: 3,
            field: "properties.n".to_owned(),
            code: "not_a_number".to_owned(),
        };
        let stored = Stored {
            organization_id: OrganizationId::new(1, &[1; 10]),
            accepted: vec![1, 4],
            adjustments: vec![4],
            problems: vec![problem],
        };
        let verdicts = verdicts(events, &order, &stored);
        let got: Vec<_> = verdicts
            .iter()
            .map(|v| (v.status, v.flag, v.reason))
            .collect();
        let expected = [
            (
                UsageEventStatus::Accepted,
                Some(UsageEventFlag::Adjustment),
                None,
            ),
            (UsageEventStatus::Rejected, None, Some("wrong_length")),
            (UsageEventStatus::Accepted, None, None),
            (UsageEventStatus::Rejected, None, Some("not_a_number")),
            (UsageEventStatus::Duplicate, None, None),
        ];
        assert_eq!(got, expected);
    }

    #[test]
    fn what_is_acknowledged_makes_summaries_old() {
        let verdict = |status| match status {
            UsageEventStatus::Rejected => UsageVerdict::rejected(None, Vec::new()),
            status => UsageVerdict::stored(Cow::Borrowed("a"), status),
        };
        let table = [
            (vec![], false),
            (vec![UsageEventStatus::Rejected], false),
            (
                vec![UsageEventStatus::Rejected, UsageEventStatus::Accepted],
                true,
            ),
            (vec![UsageEventStatus::Duplicate], true),
        ];
        for (statuses, expected) in table {
            let verdicts: Vec<_> = statuses.iter().copied().map(verdict).collect();
            assert_eq!(is_committed(&verdicts), expected, "{statuses:?}");
        }
    }
}
