//! The one wrapper around every component: it decodes what the host hands over,
//! runs the handler, and encodes a reply or a problem document with the headers
//! that every response carries.
//!
//! It works on the host's own request and response, not on the `http` crate's,
//! because each conversion copies every header once more.

use std::borrow::Cow;
use std::cell::RefCell;
use std::time::Duration;

use futures::future::{Either, select};
use serde::Serialize;
use sha2::{Digest, Sha256};
use spin_sdk::wasip3::wit_bindgen::StreamResult;
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};

pub use spin_sdk::wasip3::exports::http::handler::Guest;
pub use spin_sdk::wasip3::http::types::{
    ErrorCode, Method, Request as WireRequest, Response as WireResponse,
};

use spin_sdk::wasip3::http::types::Fields as WireFields;

use crate::credits::DEFAULT_CURRENCY;
use crate::http::context::Context;
use crate::http::fields::Fields;
use crate::http::pagination::Page;
use crate::http::pieces::{self, Pieces};
use crate::http::problem::{self, Problem};
use crate::money::Currency;
use crate::token::{self, PresentedToken, TokenKind};

/// Most bytes of a body that a route reads: ten times the largest one that these
/// routes have a use for, 500 characters of description at 12 bytes each when
/// every one is escaped as a surrogate pair.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// Most bytes of an oversized body that are read and dropped, so that the
/// client has finished sending and can read the refusal.
const MAX_DRAINED_BYTES: usize = 16 * 1024 * 1024;

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes asked of the host at a time.
const READ_BYTES: usize = 16 * 1024;

/// Longest Idempotency-Key.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;

/// Longest Authorization header that is looked at. Ours have 81 bytes.
const MAX_AUTHORIZATION_BYTES: usize = 1024;

/// The cookie that carries a browser's access token. The prefix makes the browser
/// insist on Secure, on path `/` and on no domain (RFC 6265bis, section 4.1.3.2).
pub const ACCESS_COOKIE: &str = "__Host-turnpike_access";

/// The cookie that carries a browser's refresh token.
pub const REFRESH_COOKIE: &str = "__Host-turnpike_refresh";

/// What nearly every response says to whoever would keep it: it was for one caller,
/// at one moment.
const NO_STORE: &str = "no-store";

/// Requests slower than this leave a line in the log.
const SLOW: Duration = Duration::from_millis(500);

/// A decoded request. The body stays with the host until it is asked for.
pub struct Request {
    method: Method,
    path: String,
    query: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    body: RefCell<Option<WireRequest>>,
}

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

/// An Idempotency-Key and the digest of the request that it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The key, as sent.
    pub key: String,
    /// SHA-256 over method, path and body.
    pub request_digest: [u8; 32],
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

    fn from_problem(problem: &Problem, request_id: &str) -> Self {
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

impl Request {
    fn decode(wire: WireRequest) -> Self {
        let target = wire.get_path_with_query().unwrap_or_default();
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
            None => (target, None),
        };
        Self {
            method: wire.get_method(),
            path,
            query,
            headers: wire.get_headers().copy_all(),
            body: RefCell::new(Some(wire)),
        }
    }

    /// The method.
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The path, as sent. Path parameters are read from here and never from a
    /// `spin-*` header, which a client can send too.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn header_values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers
            .iter()
            .filter(move |(candidate, _)| candidate.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    /// Whether a header was sent at all.
    pub fn header_is_present(&self, name: &str) -> bool {
        self.header_values(name).next().is_some()
    }

    /// A header that may be sent once.
    ///
    /// # Errors
    /// A 400 that names the header when it is repeated or not visible ASCII.
    pub fn header(&self, name: &'static str) -> Result<Option<&str>, Problem> {
        let mut values = self.header_values(name);
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(Problem::invalid_parameter(
                name,
                "repeated",
                "must be sent once",
            ));
        }
        match std::str::from_utf8(value) {
            Ok(text) if text.is_ascii() => Ok(Some(text.trim())),
            _ => Err(Problem::invalid_parameter(
                name,
                "invalid_character",
                "must be ASCII",
            )),
        }
    }

    /// A query parameter that may be given once.
    ///
    /// # Errors
    /// A 400 that names the parameter when it is repeated or has a NUL.
    pub fn query_parameter(&self, name: &'static str) -> Result<Option<Cow<'_, str>>, Problem> {
        let Some(query) = &self.query else {
            return Ok(None);
        };
        let mut values = form_urlencoded::parse(query.as_bytes())
            .filter(|(candidate, _)| candidate == name)
            .map(|(_, value)| value);
        let value = values.next();
        if values.next().is_some() {
            return Err(Problem::invalid_parameter(
                name,
                "repeated",
                "must be given once",
            ));
        }
        if value.as_ref().is_some_and(|value| value.contains('\0')) {
            return Err(Problem::invalid_parameter(
                name,
                "invalid_character",
                "must not contain NUL",
            ));
        }
        Ok(value)
    }

    /// The `currency` query parameter, or the default one.
    ///
    /// # Errors
    /// A 400 that names the parameter.
    pub fn currency(&self) -> Result<Currency, Problem> {
        let text = self.query_parameter("currency")?;
        let text = text.as_deref().unwrap_or(DEFAULT_CURRENCY);
        Currency::parse(text)
            .map_err(|error| Problem::invalid_parameter("currency", "invalid", error.to_string()))
    }

    /// The `limit` and `cursor` query parameters.
    ///
    /// # Errors
    /// Those of [`Page::from_parameters`].
    pub fn page(&self) -> Result<Page, Problem> {
        let limit = self.query_parameter("limit")?;
        let cursor = self.query_parameter("cursor")?;
        Page::from_parameters(limit.as_deref(), cursor.as_deref())
    }

    /// The access token or API key of `Authorization: Bearer` (RFC 6750, section
    /// 2.1), or else the browser's cookie.
    ///
    /// # Errors
    /// 401 when there is none, or one that cannot be ours; 400 when the header
    /// is repeated; 403 for a change that a browser was led to by another site.
    pub fn access_token(&self) -> Result<PresentedToken, Problem> {
        let Some(header) = self.header("authorization")? else {
            return self.cookie_token(ACCESS_COOKIE, TokenKind::Access);
        };
        if header.len() > MAX_AUTHORIZATION_BYTES {
            return Err(Problem::unauthenticated());
        }
        let token = match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim_start(),
            _ => return Err(Problem::unauthenticated()),
        };
        token::parse(TokenKind::Access, token)
            .or_else(|| token::parse(TokenKind::ApiKey, token))
            .ok_or_else(Problem::unauthenticated)
    }

    /// The token of kind `kind` in the cookie `name`.
    ///
    /// # Errors
    /// As [`Request::access_token`].
    pub fn cookie_token(&self, name: &str, kind: TokenKind) -> Result<PresentedToken, Problem> {
        let value = self
            .header_values("cookie")
            .filter_map(|header| std::str::from_utf8(header).ok())
            .flat_map(|header| header.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(candidate, value)| (candidate == name).then_some(value))
            .ok_or_else(Problem::unauthenticated)?;
        let token = token::parse(kind, value).ok_or_else(Problem::unauthenticated)?;
        if !matches!(self.method, Method::Get) && !self.is_same_origin()? {
            return Err(Problem::new(
                403,
                "cross_site_request",
                "A cookie does not authorize a request from another site",
                "Send the request from the same origin, or with an Authorization header.",
            ));
        }
        Ok(token)
    }

    /// Whether a browser says that the page which sends this is our own. Every
    /// current browser sends `Sec-Fetch-Site` (W3C Fetch Metadata), which no
    /// page can forge; for an old one its `Origin` must name our host. A
    /// request with neither did not come from a page, and has no business
    /// with a cookie.
    fn is_same_origin(&self) -> Result<bool, Problem> {
        if let Some(site) = self.header("sec-fetch-site")? {
            return Ok(site == "same-origin");
        }
        let origin = self.header("origin")?.unwrap_or_default();
        let authority = self
            .body
            .borrow()
            .as_ref()
            .and_then(WireRequest::get_authority);
        let host = authority.unwrap_or_default();
        Ok(!host.is_empty() && origin.split_once("://").is_some_and(|(_, of)| of == host))
    }

    /// The address that the request came from, as the host saw it: the last
    /// `spin-client-addr`, because a client can send one of its own before it.
    pub fn client_address(&self) -> &str {
        let last = self
            .header_values("spin-client-addr")
            .last()
            .unwrap_or_default();
        let address = std::str::from_utf8(last).unwrap_or_default();
        address
            .rsplit_once(':')
            .map_or(address, |(address, _)| address)
    }

    /// A form body (`application/x-www-form-urlencoded`), as name and value.
    ///
    /// # Errors
    /// 415 for another content type, and what [`Request::body`] refuses.
    pub async fn form(&self) -> Result<Vec<(String, String)>, Problem> {
        self.require_media_type("application/x-www-form-urlencoded")?;
        let body = self.body().await?;
        Ok(form_urlencoded::parse(&body).into_owned().collect())
    }

    fn require_media_type(&self, wanted: &'static str) -> Result<(), Problem> {
        if self.media_type()?.eq_ignore_ascii_case(wanted) {
            return Ok(());
        }
        Err(Problem::unsupported_media_type(wanted))
    }

    /// The content type without its parameters; empty when there is none.
    ///
    /// # Errors
    /// Those of [`Request::header`].
    pub fn media_type(&self) -> Result<&str, Problem> {
        let content_type = self.header("content-type")?.unwrap_or_default();
        Ok(content_type.split(';').next().unwrap_or_default().trim())
    }

    /// The length of the body, if its sender announced one; the server refuses a
    /// body that differs from it.
    fn content_length(&self) -> Option<usize> {
        self.header("content-length").ok()??.parse().ok()
    }

    /// The body, up to [`MAX_BODY_BYTES`].
    ///
    /// # Errors
    /// Those of [`Request::body_within`].
    pub async fn body(&self) -> Result<Vec<u8>, Problem> {
        self.body_within(MAX_BODY_BYTES).await
    }

    /// The body, up to `max_bytes`, for a route that has a use for larger ones.
    ///
    /// # Errors
    /// 413 when it is larger, 408 when it does not arrive in time, 400 when it
    /// breaks off.
    pub async fn body_within(&self, max_bytes: usize) -> Result<Vec<u8>, Problem> {
        let Some(wire) = self.body.take() else {
            return Ok(Vec::new());
        };
        let read = std::pin::pin!(read_body(wire, self.content_length(), max_bytes));
        let timeout = std::pin::pin!(spin_sdk::time::sleep(BODY_TIMEOUT));
        match select(read, timeout).await {
            Either::Left((body, _)) => body,
            Either::Right(_) => Err(Problem::new(
                408,
                "body_timeout",
                "The request body did not arrive in time",
                format!(
                    "A body must arrive within {} seconds.",
                    BODY_TIMEOUT.as_secs()
                ),
            )),
        }
    }

    /// The fields of a JSON body, and the body's bytes.
    ///
    /// # Errors
    /// 415 for another content type, 400 for malformed JSON, 422 for JSON that
    /// is not an object, and what [`Request::body`] refuses.
    pub async fn json_fields(&self) -> Result<(Fields, Vec<u8>), Problem> {
        self.json_fields_within(MAX_BODY_BYTES).await
    }

    /// As [`Request::json_fields`], for a route that has a use for larger bodies.
    ///
    /// # Errors
    /// Those of [`Request::json_fields`].
    pub async fn json_fields_within(&self, max_bytes: usize) -> Result<(Fields, Vec<u8>), Problem> {
        self.require_media_type("application/json")?;
        let body = self.body_within(max_bytes).await?;
        Ok((Fields::parse(&body)?, body))
    }

    /// The Idempotency-Key that every request for money must carry.
    ///
    /// # Errors
    /// A 400 that names the header when it is missing, repeated, too long or
    /// has characters other than visible ASCII.
    pub fn idempotency(&self, body: &[u8]) -> Result<Idempotency, Problem> {
        const NAME: &str = "idempotency-key";
        let key = self.header(NAME)?.unwrap_or_default();
        if key.is_empty() {
            return Err(Problem::invalid_parameter(
                NAME,
                "required",
                "is required: send a fresh unique value, and the same one when you retry",
            ));
        }
        if key.len() > MAX_IDEMPOTENCY_KEY_BYTES || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Problem::invalid_parameter(
                NAME,
                "invalid",
                format!("must have 1 to {MAX_IDEMPOTENCY_KEY_BYTES} visible ASCII characters"),
            ));
        }
        let mut hasher = Sha256::new();
        hasher.update(method_name(&self.method).as_bytes());
        hasher.update([0]);
        hasher.update(self.path.as_bytes());
        hasher.update([0]);
        hasher.update(body);
        Ok(Idempotency {
            key: key.to_owned(),
            request_digest: hasher.finalize().into(),
        })
    }
}

/// Reads until the stream ends, or the announced length is there: asking for the
/// end and then for the trailers are two more turns of the host, which a gateway
/// that introspects every request would pay for each of them.
async fn read_body(
    wire: WireRequest,
    announced: Option<usize>,
    max_bytes: usize,
) -> Result<Vec<u8>, Problem> {
    let (_unread, done) = wit_future::new(|| Ok(()));
    let (mut stream, trailers) = WireRequest::consume_body(wire, done);
    let mut body = Vec::new();
    let mut total_bytes = 0;
    loop {
        if announced == Some(total_bytes) && total_bytes <= max_bytes {
            return Ok(body);
        }
        let (result, chunk) = stream.read(Vec::with_capacity(READ_BYTES)).await;
        total_bytes += chunk.len();
        if total_bytes <= max_bytes {
            body.extend_from_slice(&chunk);
        }
        if !matches!(result, StreamResult::Complete(_)) || total_bytes > MAX_DRAINED_BYTES {
            break;
        }
    }
    if total_bytes > max_bytes {
        return Err(Problem::body_too_large(max_bytes));
    }
    drop(stream);
    match trailers.await {
        Ok(_) => Ok(body),
        Err(_) => Err(Problem::malformed_body("The body broke off.")),
    }
}

/// Exports a component: its id, the methods it answers as the `Allow` header
/// will list them, and its handler.
///
/// The SDK's own attribute hands over the `http` crate's request; this hands
/// over the host's.
///
/// A component whose paths answer different methods gives, instead of a text, a
/// function from the path to the methods.
#[macro_export]
macro_rules! component {
    ($id:literal, $allow:literal, $handler:expr) => {
        $crate::component!($id, |_: &str| $allow, $handler);
    };
    ($id:literal, $allow:expr, $handler:expr) => {
        /// What the host calls.
        pub struct Component;

        impl $crate::http::Guest for Component {
            async fn handle(
                wire: $crate::http::WireRequest,
            ) -> Result<$crate::http::WireResponse, $crate::http::ErrorCode> {
                Ok($crate::http::handle($id, $allow, wire, $handler).await)
            }
        }

        // The names of a component's exports are not names that a native linker
        // takes, and a native build is only ever for the unit tests.
        #[cfg(target_arch = "wasm32")]
        ::spin_sdk::wasip3::http::service::export!(Component);
    };
}

/// Runs `handler` for a request with one of the methods that `allow` gives for
/// its path, which read as the `Allow` header will: `"GET"` or `"GET, POST"`.
pub async fn handle(
    component: &'static str,
    allow: impl FnOnce(&str) -> &'static str,
    wire: WireRequest,
    handler: impl AsyncFnOnce(&Context, &Request) -> Result<Reply, Problem>,
) -> WireResponse {
    let request = Request::decode(wire);
    let client_request_id = request.header("x-request-id").ok().flatten();
    let context = Context::begin(component, client_request_id);
    let allow = allow(request.path());
    let outcome = if is_allowed(allow, &request.method) {
        handler(&context, &request).await
    } else {
        Err(Problem::method_not_allowed(allow))
    };
    let (reply, problem) = match outcome {
        Ok(reply) => (reply, None),
        Err(problem) => (
            Reply::from_problem(&problem, context.request_id()),
            Some(problem),
        ),
    };
    if reply.status >= 500 || context.elapsed() >= SLOW {
        let level = if reply.status >= 500 { "error" } else { "warn" };
        context.log(
            level,
            &format!("{} answered {}", request.path, reply.status),
        );
    }
    encode(context, reply, problem.as_ref())
}

fn method_name(method: &Method) -> &str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
        Method::Options => "OPTIONS",
        Method::Connect => "CONNECT",
        Method::Trace => "TRACE",
        Method::Other(name) => name,
    }
}

fn is_allowed(allow: &str, method: &Method) -> bool {
    allow
        .split(", ")
        .any(|allowed| allowed == method_name(method))
}

fn encode(context: Context, reply: Reply, problem: Option<&Problem>) -> WireResponse {
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let micros = context.elapsed().as_micros();
    let mut headers = vec![
        header("content-type", reply.content_type),
        header("cache-control", reply.cache_control),
        header("x-request-id", context.request_id()),
        header(
            "x-response-time",
            &format!("{}.{:03}ms", micros / 1_000, micros % 1_000),
        ),
        header("x-db-queries", &context.db_queries().to_string()),
        header("x-cache", context.cache_status().as_str()),
    ];
    if reply.rest.is_none() {
        headers.push(header("content-length", &reply.body.len().to_string()));
    }
    for (name, value) in &reply.headers {
        headers.push(header(name, value));
    }
    if reply.status == 401 {
        headers.push(header("www-authenticate", "Bearer"));
    }
    if let Some(allow) = problem.and_then(|problem| problem.allow) {
        headers.push(header("allow", allow));
    }
    if let Some(secs) = problem.and_then(|problem| problem.retry_after_secs) {
        headers.push(header("retry-after", &secs.to_string()));
    }
    let headers = WireFields::from_list(&headers).unwrap_or_else(|error| {
        // Every name is a literal and every value ASCII, so this does not
        // happen; a response without headers is still a response.
        context.log(
            "error",
            &format!("the response headers were refused: {error:?}"),
        );
        WireFields::new()
    });
    let (mut writer, body) = wit_stream::new();
    // What an answer ends with whose task is gone: one with a length is whole when
    // it has that many bytes, any other is not.
    let unfinished: fn() -> pieces::End = match reply.rest {
        None => || Ok(None),
        Some(_) => || Err(ErrorCode::InternalError(None)),
    };
    let (end_writer, end) = wit_future::new(unfinished);
    let (response, _sent) = WireResponse::new(headers, Some(body), end);
    // The status is one of ours, all of them valid.
    let _ = response.set_status_code(reply.status);
    spawn(async move {
        let end = match reply.rest {
            None => {
                // What a client that went away did not take is nobody's any more.
                let _ = writer.write_all(reply.body).await;
                Ok(None)
            }
            Some(rest) => pieces::write(&context, &mut writer, reply.body, rest).await,
        };
        drop(writer);
        let _ = end_writer.write(end).await;
    });
    response
}
