//! What a component answers: one [`Operation`] for each method of each path, declared
//! once in its `operations.rs`.
//!
//! From the declarations come the dispatch, the `Allow` header, the path parameters,
//! the check of `spin.toml`, the rows of the authorization matrix, and the description
//! in OpenAPI. What is for the description alone is not in a component's code.

#[cfg(not(target_arch = "wasm32"))]
pub mod description;

use crate::http::problem::{Problem, Refusal};

/// A method of HTTP that an operation answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Reads.
    Get,
    /// Creates or does something.
    Post,
    /// Replaces.
    Put,
    /// Changes in part.
    Patch,
    /// Removes.
    Delete,
}

impl Verb {
    /// As a request line has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Whom an operation answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Anybody with a valid access token or API key.
    User,
    /// Somebody who signed in, and not an API key.
    Session,
    /// A credential with the permission.
    Permission(&'static str),
    /// Somebody who signed in, with the permission.
    SessionWith(&'static str),
    /// The holder of a refresh token, in the body or in its cookie.
    RefreshToken,
}

/// One method of one path.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// Its `operationId`: the component's id, and a verb where the component has several.
    pub id: &'static str,
    /// The method.
    pub verb: Verb,
    /// The path, with its parameters in braces: `/api/v1/users/{id}`.
    pub path: &'static str,
    /// Whom it answers.
    pub access: Access,
    /// Whether it leaves events in the audit log.
    pub is_audited: bool,
    #[cfg(not(target_arch = "wasm32"))]
    docs: description::Docs,
}

/// A type that the description knows. In a component, where nothing is described, that
/// is every type.
#[cfg(not(target_arch = "wasm32"))]
pub trait Described: schemars::JsonSchema {}
#[cfg(not(target_arch = "wasm32"))]
impl<T: schemars::JsonSchema> Described for T {}

/// A type that the description knows. In a component, where nothing is described, that
/// is every type.
#[cfg(target_arch = "wasm32")]
pub trait Described {}
#[cfg(target_arch = "wasm32")]
impl<T> Described for T {}

/// Sets a part of the description, in a native build.
macro_rules! describe {
    ($self:ident, $($part:ident).+ = $value:expr, $($unused:ident),* $(,)?) => {{
        #[cfg(not(target_arch = "wasm32"))]
        {
            let mut operation = $self;
            operation.docs.$($part).+ = $value;
            operation
        }
        #[cfg(target_arch = "wasm32")]
        {
            $(let _ = $unused;)*
            $self
        }
    }};
}

impl Operation {
    /// An operation. Every other part has a method that sets it.
    pub const fn new(id: &'static str, verb: Verb, path: &'static str, access: Access) -> Self {
        Self {
            id,
            verb,
            path,
            access,
            is_audited: false,
            #[cfg(not(target_arch = "wasm32"))]
            docs: description::Docs::EMPTY,
        }
    }

    /// The group that it is listed in.
    #[must_use]
    pub const fn tag(self, tag: &'static str) -> Self {
        describe!(self, tag = tag, tag)
    }

    /// What it does, in a few words, as an order: "Spend the caller's credits".
    #[must_use]
    pub const fn summary(self, summary: &'static str) -> Self {
        describe!(self, summary = summary, summary)
    }

    /// What a caller should know beyond that. The permission is said already.
    #[must_use]
    pub const fn details(self, details: &'static str) -> Self {
        describe!(self, details = details, details)
    }

    /// It leaves events in the audit log, which say where the request came from and with
    /// which session or API key.
    #[must_use]
    pub const fn audited(mut self) -> Self {
        self.is_audited = true;
        self
    }

    /// The type of the path parameter `name`.
    #[must_use]
    pub const fn path_parameter<T: Described>(self, name: &'static str) -> Self {
        #[cfg(not(target_arch = "wasm32"))]
        {
            let mut operation = self;
            operation.docs = operation.docs.path_parameter::<T>(name);
            operation
        }
        #[cfg(target_arch = "wasm32")]
        {
            let _ = name;
            self
        }
    }

    /// The type that the query is read into.
    #[must_use]
    pub const fn query<T: Described>(self) -> Self {
        describe!(self, query = Some(description::request_schema::<T>),)
    }

    /// The type that the JSON body is read into, and an example of one.
    #[must_use]
    pub const fn body<T: Described>(self, example: &'static str) -> Self {
        describe!(
            self,
            body = Some(description::Body::new::<T>("application/json", example)),
            example
        )
    }

    /// A body of another media type, as [`Operation::body`].
    #[must_use]
    pub const fn body_of<T: Described>(
        self,
        media_type: &'static str,
        example: &'static str,
    ) -> Self {
        describe!(
            self,
            body = Some(description::Body::new::<T>(media_type, example)),
            media_type,
            example
        )
    }

    /// Further forms of the body, each with its media type.
    #[must_use]
    pub const fn other_bodies(self, others: &'static [OtherBody]) -> Self {
        describe!(self, other_bodies = others, others)
    }

    /// It needs an `Idempotency-Key`.
    #[must_use]
    pub const fn idempotent(self) -> Self {
        describe!(self, is_idempotent = true,)
    }

    /// It takes an `If-Match`, and is refused with 412 for another version.
    #[must_use]
    pub const fn conditional(self) -> Self {
        describe!(self, is_conditional = true,)
    }

    /// It never asks Postgres.
    #[must_use]
    pub const fn without_database(self) -> Self {
        describe!(self, max_statements = 0,)
    }

    /// It sends Postgres at most so many statements, where others send one. A statement that is
    /// sent again is not counted. A test holds every answer against it.
    #[must_use]
    pub const fn statements(self, max_statements: u32) -> Self {
        describe!(self, max_statements = max_statements, max_statements)
    }

    /// Its successes.
    #[must_use]
    pub const fn answers(self, answers: &'static [Answer]) -> Self {
        describe!(self, answers = answers, answers)
    }

    /// Its own refusals, beyond those that follow from what else is declared.
    #[must_use]
    pub const fn refuses(self, refusals: &'static [&'static Refusal]) -> Self {
        describe!(self, refusals = refusals, refusals)
    }

    /// Whether a token or an API key can come with it.
    pub const fn takes_credential(&self) -> bool {
        !matches!(self.access, Access::Public | Access::RefreshToken)
    }

    /// The permission that it needs, if it needs one.
    pub const fn permission(&self) -> Option<&'static str> {
        match self.access {
            Access::Permission(permission) | Access::SessionWith(permission) => Some(permission),
            Access::Public | Access::User | Access::Session | Access::RefreshToken => None,
        }
    }

    /// The segment of `path` that stands where this operation's path has `{name}`.
    pub fn segment<'a>(&self, path: &'a str, name: &str) -> Option<&'a str> {
        let segments = self.path.split('/').zip(path.split('/'));
        segments
            .filter_map(|(template, segment)| Some((parameter(template)?, segment)))
            .find_map(|(parameter, segment)| (parameter == name).then_some(segment))
    }

    fn matches(&self, path: &str) -> bool {
        let (mut templates, mut segments) = (self.path.split('/'), path.split('/'));
        loop {
            match (templates.next(), segments.next()) {
                (None, None) => return true,
                (Some(template), Some(segment)) => {
                    let is_equal = match parameter(template) {
                        Some(_) => !segment.is_empty(),
                        None => template == segment,
                    };
                    if !is_equal {
                        return false;
                    }
                }
                _ => return false,
            }
        }
    }
}

/// The name in the braces of a template's segment.
fn parameter(template: &str) -> Option<&str> {
    template.strip_prefix('{')?.strip_suffix('}')
}

/// Another form of a body.
#[derive(Debug, Clone, Copy)]
pub struct OtherBody {
    #[cfg(not(target_arch = "wasm32"))]
    body: description::Body,
}

impl OtherBody {
    /// A form of a body, with an example of one.
    pub const fn new<T: Described>(media_type: &'static str, example: &'static str) -> Self {
        #[cfg(not(target_arch = "wasm32"))]
        {
            Self {
                body: description::Body::new::<T>(media_type, example),
            }
        }
        #[cfg(target_arch = "wasm32")]
        {
            let _ = (media_type, example);
            Self {}
        }
    }
}

/// A success.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    #[cfg(not(target_arch = "wasm32"))]
    docs: description::AnswerDocs,
}

impl Answer {
    /// A JSON answer: its status, when it is given, and an example.
    pub const fn json<T: Described>(
        status: u16,
        when: &'static str,
        example: &'static str,
    ) -> Self {
        Self::of::<T>("application/json", status, when, example)
    }

    /// An answer of another media type.
    pub const fn of<T: Described>(
        media_type: &'static str,
        status: u16,
        when: &'static str,
        example: &'static str,
    ) -> Self {
        #[cfg(not(target_arch = "wasm32"))]
        {
            Self {
                docs: description::AnswerDocs::new::<T>(media_type, status, when, example),
            }
        }
        #[cfg(target_arch = "wasm32")]
        {
            let _ = (media_type, status, when, example);
            Self {}
        }
    }

    /// It sets the cookies of a session, when it was asked to.
    #[must_use]
    pub const fn with_cookies(self) -> Self {
        describe!(self, sets_cookies = true,)
    }

    /// It is a file to be saved, sent piece by piece and so without a length: an example of
    /// its `Content-Disposition`.
    #[must_use]
    pub const fn as_file(self, content_disposition: &'static str) -> Self {
        describe!(self, file = Some(content_disposition), content_disposition)
    }

    /// It has an `ETag`: the version of what it shows.
    #[must_use]
    pub const fn with_entity_tag(self) -> Self {
        describe!(self, has_entity_tag = true,)
    }

    /// It may be kept: the value of its `Cache-Control`.
    #[must_use]
    pub const fn with_cache_control(self, cache_control: &'static str) -> Self {
        describe!(self, cache_control = Some(cache_control), cache_control)
    }
}

/// The operation that answers `method` at `path`. What has the path itself goes before what has a
/// parameter in it.
///
/// # Errors
/// 404 when no operation has the path, 405 when none that has it has the method.
pub fn find(
    operations: &'static [Operation],
    method: &str,
    path: &str,
) -> Result<&'static Operation, Problem> {
    let mut allow = String::new();
    let is_literal = operations.iter().any(|operation| operation.path == path);
    for operation in operations {
        if !operation.matches(path) || (is_literal && operation.path != path) {
            continue;
        }
        let verb = operation.verb.as_str();
        if verb == method {
            return Ok(operation);
        }
        if !allow.is_empty() {
            allow.push_str(", ");
        }
        allow.push_str(verb);
    }
    Err(match allow.as_str() {
        "" => Problem::no_such_path(),
        _ => Problem::method_not_allowed(allow),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATIONS: [Operation; 5] = [
        Operation::new("list", Verb::Get, "/a", Access::Public),
        Operation::new("make", Verb::Post, "/a", Access::User),
        Operation::new("all", Verb::Delete, "/a/all", Access::Session),
        Operation::new(
            "end",
            Verb::Delete,
            "/a/{id}/b",
            Access::Permission("a:end"),
        ),
        Operation::new("one", Verb::Get, "/a/{id}", Access::User),
    ];

    #[test]
    fn operations_are_found_by_method_and_path() {
        let allow = |allow| Err((405, Some(allow)));
        let table = [
            ("GET", "/a", Ok("list")),
            ("POST", "/a", Ok("make")),
            ("PUT", "/a", allow("GET, POST")),
            ("HEAD", "/a", allow("GET, POST")),
            ("DELETE", "/a/all", Ok("all")),
            ("GET", "/a/all", allow("DELETE")),
            ("GET", "/a/x", Ok("one")),
            ("DELETE", "/a/x/b", Ok("end")),
            ("GET", "/a/x/b", allow("DELETE")),
            ("GET", "/a/", Err((404, None))),
            ("DELETE", "/a//b", Err((404, None))),
            ("DELETE", "/a/x/b/", Err((404, None))),
            ("GET", "", Err((404, None))),
        ];
        static STATIC: [Operation; 5] = OPERATIONS;
        for (method, path, expected) in table {
            let got = find(&STATIC, method, path).map(|operation| operation.id);
            let got = got.map_err(|problem| (problem.status, problem.allow));
            let expected = expected.map_err(|(status, allow)| (status, allow.map(Into::into)));
            assert_eq!(got, expected, "{method} {path}");
        }
    }

    #[test]
    fn parameters_are_segments_of_the_path() {
        let operation = &OPERATIONS[3];
        assert_eq!(operation.segment("/a/x%20y/b", "id"), Some("x%20y"));
        assert_eq!(operation.segment("/a/x/b", "name"), None);
        assert_eq!(operation.permission(), Some("a:end"));
    }
}
