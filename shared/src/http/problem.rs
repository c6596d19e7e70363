//! Problem documents (RFC 9457): the one form every refusal takes.

use std::borrow::Cow;

use serde::Serialize;

/// The media type of a problem document (RFC 9457, section 3).
pub const CONTENT_TYPE: &str = "application/problem+json";

/// A kind of refusal: what every problem with its code has in common, and what the
/// description says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The stable code, snake_case.
    pub code: &'static str,
    /// The same short text for every occurrence.
    pub title: &'static str,
    /// When it is answered: what follows the code in the description. A clause without
    /// a capital, with its full stop.
    #[cfg(not(target_arch = "wasm32"))]
    pub when: &'static str,
}

impl Refusal {
    /// A kind of refusal.
    #[cfg_attr(
        target_arch = "wasm32",
        expect(unused_variables, reason = "components do not describe")
    )]
    pub const fn new(
        status: u16,
        code: &'static str,
        title: &'static str,
        when: &'static str,
    ) -> Self {
        Self {
            status,
            code,
            title,
            #[cfg(not(target_arch = "wasm32"))]
            when,
        }
    }

    /// The problem that this is, with what happened this time.
    pub fn because(&self, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem {
            status: self.status,
            code: self.code,
            title: self.title,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_secs: None,
            allow: None,
        }
    }
}

/// Declares kinds of refusals: `/// docs` and `NAME = status "code", "Title", "when.";`.
#[macro_export]
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $status:literal $code:literal, $title:literal, $when:literal;)*) => {
        $($(#[$doc])* pub const $name: $crate::http::problem::Refusal =
            $crate::http::problem::Refusal::new($status, $code, $title, $when);)*
    };
}

crate::refusals! {
    /// The body is not what the content type promises.
    MALFORMED_BODY = 400 "malformed_body", "The request body could not be read",
        "the body is not JSON or broke off.";
    /// A parameter or header is wrong.
    INVALID_PARAMETER = 400 "invalid_parameter", "The request has an invalid parameter",
        "a header, path or query parameter is wrong, repeated or missing.";
    /// No credential, or one that is not valid. Deliberately one answer for unknown,
    /// expired and revoked.
    UNAUTHENTICATED = 401 "unauthenticated", "Authentication is required",
        "there is no access token or API key, or one that is unknown, expired, revoked or not for this operation.";
    /// A valid credential without the permission.
    FORBIDDEN = 403 "forbidden", "The credential lacks a permission",
        "the credential lacks the permission that this operation needs.";
    /// An API key where a person must have signed in.
    SESSION_REQUIRED = 403 "session_required", "An API key cannot do this",
        "an API key cannot do this.";
    /// The last proof of who asks is too old for a sensitive change.
    RECENT_LOGIN_REQUIRED = 403 "recent_login_required", "This needs a recent login",
        "the session has not proved who it is for too long; POST /api/v1/auth/reauthenticate proves it.";
    /// A cookie was sent by a page of another site.
    CROSS_SITE_REQUEST = 403 "cross_site_request", "A cookie does not authorize a request from another site",
        "the token came in a cookie, and the request not from a page of the same origin.";
    /// Nothing has the id, or nothing that the caller may know of.
    NOT_FOUND = 404 "not_found", "There is no such resource",
        "the credential's organization has nothing with this id.";
    /// No operation of the path has the method.
    METHOD_NOT_ALLOWED = 405 "method_not_allowed", "The method is not allowed here",
        "the path does not answer this method; Allow lists those that it does.";
    /// The body came too slowly.
    BODY_TIMEOUT = 408 "body_timeout", "The request body did not arrive in time",
        "the body did not arrive within ten seconds.";
    /// Another statement holds what this one needs.
    REQUEST_IN_FLIGHT = 409 "request_in_flight", "Another request is in flight",
        "another statement held what this one needs for longer than a second. Nothing was changed.";
    /// The resource has another version than `If-Match` wants.
    VERSION_CONFLICT = 412 "version_conflict", "The resource has another version",
        "the resource has another version than If-Match says; nothing was changed.";
    /// The body is larger than the operation reads.
    BODY_TOO_LARGE = 413 "body_too_large", "The request body is too large",
        "the body is larger than this operation reads.";
    /// The body has a type that the operation does not read.
    UNSUPPORTED_MEDIA_TYPE = 415 "unsupported_media_type", "The content type is not supported",
        "the content type is not one that this operation reads.";
    /// The body is encoded in a way that no operation reads.
    UNSUPPORTED_CONTENT_ENCODING = 415 "unsupported_content_encoding", "The content encoding is not supported",
        "the body is encoded other than with gzip.";
    /// The body was read, and fields are wrong.
    INVALID_FIELDS = 422 "invalid_fields", "The request has invalid fields",
        "the body is JSON, and not what this operation takes. errors names every wrong, missing and unknown field.";
    /// The Idempotency-Key came before with another body.
    IDEMPOTENCY_KEY_REUSED = 422 "idempotency_key_reused", "The Idempotency-Key was used for another request",
        "the Idempotency-Key was first sent with another request.";
    /// A fault of ours.
    INTERNAL = 500 "internal", "Something went wrong on our side",
        "a fault of the server's. Its log has the reason under the request id.";
    /// A dependency did not answer in time.
    DEPENDENCY_UNAVAILABLE = 503 "dependency_unavailable", "A dependency is unavailable",
        "Postgres did not answer in time, or requests before this one for the same account leave it no time. Whether a write took effect is unknown; a retry with the same Idempotency-Key is safe.";
}

/// What was wrong with one field of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field's name as the client wrote it; nested names join with dots.
    pub field: Cow<'static, str>,
    /// A stable code for programs.
    pub code: &'static str,
    /// A sentence for people, safe to show.
    pub message: Cow<'static, str>,
}

crate::describe!(FieldError as "FieldError", {
    "type": "object",
    "required": ["field", "code", "message"],
    "properties": {
        "field": {
            "type": "string",
            "description": "The field, parameter or header; empty for the body as a whole.",
        },
        "code": {
            "type": "string", "pattern": "^[a-z_]+$", "description": "Stable, for programs.",
        },
        "message": {"type": "string", "description": "For people; may change."},
    },
    "additionalProperties": false,
});

/// A refusal: what a handler returns instead of a reply.
///
/// `code` is the stable name that programs branch on; `detail` is for people
/// and may change. Neither ever carries another tenant's data or an internal
/// message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The stable code, snake_case.
    pub code: &'static str,
    /// The same short text for every occurrence of the code.
    pub title: &'static str,
    /// What happened this time.
    pub detail: Cow<'static, str>,
    /// Which fields were wrong, when fields were.
    pub errors: Vec<FieldError>,
    /// Seconds until a retry makes sense; sent as `Retry-After`.
    pub retry_after_secs: Option<u32>,
    /// The methods a route does answer, for a 405; sent as `Allow`.
    pub allow: Option<Cow<'static, str>>,
}

impl Problem {
    /// 400: the body is not what the content type promises.
    pub fn malformed_body(detail: impl Into<Cow<'static, str>>) -> Self {
        MALFORMED_BODY.because(detail)
    }

    /// 422: the body was read, and these fields are wrong.
    pub fn invalid_fields(errors: Vec<FieldError>) -> Self {
        Self {
            errors,
            ..INVALID_FIELDS.because("One or more fields are invalid; nothing was changed.")
        }
    }

    /// 422 for one field.
    pub fn invalid_field(
        field: impl Into<Cow<'static, str>>,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::invalid_fields(vec![FieldError {
            field: field.into(),
            code,
            message: message.into(),
        }])
    }

    /// 400: these parameters or headers are wrong.
    pub fn invalid_parameters(errors: Vec<FieldError>) -> Self {
        Self {
            errors,
            ..INVALID_PARAMETER.because("A parameter is invalid; nothing was changed.")
        }
    }

    /// 400: a query parameter or header is wrong.
    pub fn invalid_parameter(
        field: impl Into<Cow<'static, str>>,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::invalid_parameters(vec![FieldError {
            field: field.into(),
            code,
            message: message.into(),
        }])
    }

    /// 401: no credential, or one that is not valid. Deliberately one answer
    /// for unknown, expired and revoked.
    pub fn unauthenticated() -> Self {
        UNAUTHENTICATED
            .because("Send a valid access token or API key as \"Authorization: Bearer\".")
    }

    /// 403: a valid credential without the permission this route needs.
    pub fn forbidden(permission: &str) -> Self {
        FORBIDDEN.because(format!("This needs the permission \"{permission}\"."))
    }

    /// 403: only a person who signed in may do this, and not an API key.
    pub fn session_required() -> Self {
        SESSION_REQUIRED.because("Sign in, and send the access token of the session.")
    }

    /// 403: the change is sensitive, and the last proof of who asks too old.
    pub fn recent_login_required() -> Self {
        RECENT_LOGIN_REQUIRED.because(
            "Confirm who you are with POST /api/v1/auth/reauthenticate, and send this again.",
        )
    }

    /// 404.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        NOT_FOUND.because(detail)
    }

    /// 404: no component serves the path.
    pub fn no_such_path() -> Self {
        Self::not_found("No route of this API has this path.")
    }

    /// 405, with the methods the route does answer.
    pub fn method_not_allowed(allow: impl Into<Cow<'static, str>>) -> Self {
        let allow = allow.into();
        let detail = format!("This route answers {allow}.");
        Self {
            allow: Some(allow),
            ..METHOD_NOT_ALLOWED.because(detail)
        }
    }

    /// 412, with the version that the resource has.
    pub fn version_conflict(version: u64) -> Self {
        VERSION_CONFLICT.because(format!(
            "Its version is {version}. Read it, and decide anew."
        ))
    }

    /// 413, with the most bytes that a body may have.
    pub fn body_too_large(max_bytes: usize) -> Self {
        BODY_TOO_LARGE.because(format!("A body may have at most {max_bytes} bytes."))
    }

    /// 415, with the types that the route takes.
    pub fn unsupported_media_type(wanted: &'static str) -> Self {
        UNSUPPORTED_MEDIA_TYPE.because(format!("Send the body as {wanted}."))
    }

    /// 415, with what a body may be encoded with.
    pub fn unsupported_content_encoding() -> Self {
        UNSUPPORTED_CONTENT_ENCODING.because("Send the body as it is, or with gzip.")
    }

    /// 503: a dependency did not answer in time. The effect of a write is then
    /// unknown, and a retry with the same Idempotency-Key is safe.
    pub fn unavailable(dependency: &'static str) -> Self {
        Self {
            retry_after_secs: Some(1),
            ..DEPENDENCY_UNAVAILABLE.because(format!(
                "{dependency} is unavailable. Retry with the same Idempotency-Key, if you sent one."
            ))
        }
    }

    /// 503 at once: requests before this one take all of its time. This attempt changed nothing.
    pub fn crowded(retry_after_secs: u32) -> Self {
        Self {
            retry_after_secs: Some(retry_after_secs),
            ..DEPENDENCY_UNAVAILABLE.because(
                "Requests before this one take all the time that it may wait. This attempt changed nothing; retry with the same Idempotency-Key, if you sent one.",
            )
        }
    }

    /// 409: another request holds what this one needs.
    pub fn in_flight() -> Self {
        Self {
            retry_after_secs: Some(1),
            ..REQUEST_IN_FLIGHT.because("A request that this one must wait for has not finished; retry with the same Idempotency-Key.",
            )
        }
    }

    /// 422: the Idempotency-Key was used before with another body.
    pub fn idempotency_key_reused() -> Self {
        IDEMPOTENCY_KEY_REUSED.because(
            "This key was first sent with a different body. Use a new key for a new request.",
        )
    }

    /// 500: a fault of ours. The log carries the reason under the request id.
    pub fn internal() -> Self {
        INTERNAL.because(
            "The request could not be completed. Quote the request id when reporting this.",
        )
    }

    /// The document's body.
    pub fn to_json(&self, request_id: &str) -> Vec<u8> {
        #[derive(Serialize)]
        struct Document<'a> {
            r#type: String,
            title: &'a str,
            status: u16,
            detail: &'a str,
            code: &'a str,
            request_id: &'a str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            errors: &'a [FieldError],
        }
        let document = Document {
            r#type: format!("urn:turnpike:problem:{}", self.code),
            title: self.title,
            status: self.status,
            detail: &self.detail,
            code: self.code,
            request_id,
            errors: &self.errors,
        };
        // Strings and integers always serialize; the empty object is for the
        // type checker, not for a case that happens.
        serde_json::to_vec(&document).unwrap_or_else(|_| b"{}".to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(problem: &Problem) -> serde_json::Value {
        serde_json::from_slice(&problem.to_json("req_1")).expect("a problem is JSON")
    }

    #[test]
    fn a_document_has_the_members_of_rfc_9457() {
        let problem = Problem::invalid_field("amount", "negative", "must be positive");
        assert_eq!(
            document(&problem),
            serde_json::json!({
                "type": "urn:turnpike:problem:invalid_fields",
                "title": "The request has invalid fields",
                "status": 422,
                "detail": "One or more fields are invalid; nothing was changed.",
                "code": "invalid_fields",
                "request_id": "req_1",
                "errors": [{"field": "amount", "code": "negative", "message": "must be positive"}],
            })
        );
    }

    #[test]
    fn errors_is_absent_when_no_field_was_wrong() {
        assert!(document(&Problem::internal()).get("errors").is_none());
    }
}
