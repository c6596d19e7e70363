//! What became of each event.

use std::borrow::Cow;

use serde::Serialize;
use shared::http::problem::FieldError;

/// Whether an event was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Accepted,
    Duplicate,
    Rejected,
}

/// What became of one event.
#[derive(Debug, Serialize)]
pub struct Verdict<'a> {
    pub id: Option<Cow<'a, str>>,
    pub status: Status,
    /// `adjustment` for an event of a period that was invoiced before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flag: Option<&'static str>,
    /// The code of the first error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub errors: Vec<FieldError>,
}

impl<'a> Verdict<'a> {
    /// An event that cannot be stored.
    pub fn rejected(id: Option<Cow<'a, str>>, errors: Vec<FieldError>) -> Self {
        Self {
            id,
            status: Status::Rejected,
            flag: None,
            reason: errors.first().map(|error| error.code),
            errors,
        }
    }

    /// An event that is stored, by this request or an earlier one.
    pub fn stored(id: Cow<'a, str>, status: Status) -> Self {
        Self {
            id: Some(id),
            status,
            flag: None,
            reason: None,
            errors: Vec::new(),
        }
    }
}

/// The answer to a batch.
#[derive(Debug, Serialize)]
pub struct Output<'a> {
    results: Vec<Verdict<'a>>,
    accepted: usize,
    duplicate: usize,
    rejected: usize,
}

impl<'a> Output<'a> {
    /// The answer with its counts.
    pub fn new(results: Vec<Verdict<'a>>) -> Self {
        let count = |status| {
            results
                .iter()
                .filter(|verdict| verdict.status == status)
                .count()
        };
        Self {
            accepted: count(Status::Accepted),
            duplicate: count(Status::Duplicate),
            rejected: count(Status::Rejected),
            results,
        }
    }
}
