//! What a handler answers.

use serde::Serialize;

use crate::http::entity_tag::entity_tag;
use crate::http::pieces::Pieces;
use crate::http::problem::{self, Problem};

/// Nearly every response is for one caller at one moment, so nobody may keep it.
const NO_STORE: &str = "no-store";

/// What a handler answers.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body, or the first piece of it.
    pub body: Vec<u8>,
    /// The other pieces, for a body whose length is not known beforehand.
    pub rest: Option<Box<dyn Pieces>>,
    /// Who may keep the response, and for how long.
    pub cache_control: &'static str,
    /// Headers beyond those that every response carries.
    pub headers: Vec<(&'static str, String)>,
}

impl Reply {
    /// A JSON reply.
    ///
    /// # Errors
    /// A 500 if the value does not serialize, which plain data always does.
    pub fn json(status: u16, value: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_vec(value).map_err(|_| Problem::internal())?;
        Ok(Self::from_json_bytes(status, body))
    }

    /// A reply whose body is JSON already.
    pub fn from_json_bytes(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            content_type: "application/json",
            body,
            rest: None,
            cache_control: NO_STORE,
            headers: Vec::new(),
        }
    }

    /// A text that is no JSON.
    pub fn text(content_type: &'static str, text: String) -> Self {
        Self {
            content_type,
            ..Self::from_json_bytes(200, text.into_bytes())
        }
    }

    /// A table in the form of RFC 4180, to be saved under `file_name`, which has
    /// letters, digits, hyphens and dots.
    pub fn csv(file_name: &str, body: Vec<u8>) -> Self {
        let disposition = format!("attachment; filename=\"{file_name}\"");
        Self {
            status: 200,
            content_type: "text/csv; charset=utf-8",
            body,
            rest: None,
            cache_control: NO_STORE,
            headers: vec![("content-disposition", disposition)],
        }
    }

    /// Sends more after the body that it has so far, and so without a length.
    #[must_use]
    pub fn followed_by(mut self, rest: impl Pieces + 'static) -> Self {
        self.rest = Some(Box::new(rest));
        self
    }

    /// Lets others keep the response: only for what is public and the same for all.
    #[must_use]
    pub fn with_cache_control(mut self, cache_control: &'static str) -> Self {
        self.cache_control = cache_control;
        self
    }

    /// Sets a cookie that only this origin's requests carry and no script reads.
    /// A lifetime of zero deletes it.
    #[must_use]
    pub fn with_cookie(mut self, name: &str, value: &str, max_age_secs: i32) -> Self {
        self.headers.push((
            "set-cookie",
            format!(
                "{name}={value}; Path=/; Max-Age={max_age_secs}; Secure; HttpOnly; SameSite=Lax"
            ),
        ));
        self
    }

    /// Says which version of the resource the body shows, by its `ETag`.
    #[must_use]
    pub fn with_entity_tag(mut self, version: u64) -> Self {
        self.headers.push(("etag", entity_tag(version)));
        self
    }

    pub(super) fn from_problem(problem: &Problem, request_id: &str) -> Self {
        Self {
            status: problem.status,
            content_type: problem::CONTENT_TYPE,
            body: problem.to_json(request_id),
            rest: None,
            cache_control: NO_STORE,
            headers: Vec::new(),
        }
    }
}
