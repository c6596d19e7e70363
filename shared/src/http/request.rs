//! A request as a handler reads it.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures::future::{Either, select};
use sha2::{Digest, Sha256};
use spin_sdk::variables;

use crate::http::asker::Asker;
use crate::http::client_address::{ClientAddress, TrustedProxies};
use crate::http::context::Context;
use crate::http::entity_tag;
use crate::http::gzip;
use crate::http::input::{self, Input};
use crate::http::operation::{self, Operation};
use crate::http::pagination::{Cursor, ListScope, Page, PageLimit};
use crate::http::plain;
use crate::http::problem::{self, Problem};
use crate::http::wire::{Method, WireRequest, method_name, method_named, read_body};
use crate::token::{self, PresentedToken, TokenDigest, TokenKind};

/// Most bytes of a body that a route reads: ten times the largest one that these
/// routes have a use for, 500 characters of description at 12 bytes each when
/// every one is escaped as a surrogate pair.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest Idempotency-Key.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;

/// Longest Authorization header that is looked at. Ours have 102 bytes.
const MAX_AUTHORIZATION_BYTES: usize = 1024;

/// The cookie that carries a browser's access token. The prefix makes the browser
/// insist on Secure, on path `/` and on no domain (RFC 6265bis, section 4.1.3.2).
pub const ACCESS_COOKIE: &str = "__Host-turnpike_access";

/// The cookie that carries a browser's refresh token.
pub const REFRESH_COOKIE: &str = "__Host-turnpike_refresh";

/// A decoded request. A body that came by `wasi:http` stays with the host until it is asked for.
pub struct Request {
    method: Method,
    path: String,
    query: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    authority: OnceCell<Option<String>>,
    body: RefCell<Body>,
    operation: Cell<Option<&'static Operation>>,
    api_key: Cell<Option<TokenDigest>>,
    asker: Rc<Asker>,
    client_address: OnceCell<ClientAddress>,
}

/// Where a body is.
enum Body {
    /// With the host.
    Held(WireRequest),
    /// Here.
    Whole(Vec<u8>),
    /// With the handler, which asked for it.
    Taken,
}

/// An Idempotency-Key and the digest of the request that it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The key, as sent.
    pub key: String,
    /// SHA-256 over method, path and body.
    pub request_digest: [u8; 32],
}

thread_local! {
    /// The proxies, after the variable was read once.
    static TRUSTED_PROXIES: RefCell<Option<Rc<TrustedProxies>>> = const { RefCell::new(None) };
}

/// The proxies that the variable `trusted_proxies` names.
async fn trusted_proxies(context: &Context) -> Result<Rc<TrustedProxies>, Problem> {
    if let Some(proxies) = TRUSTED_PROXIES.with_borrow(Clone::clone) {
        return Ok(proxies);
    }
    let fail = |reason: String| {
        context.log("error", &format!("the variable trusted_proxies {reason}"));
        Problem::internal()
    };
    let text = variables::get("trusted_proxies")
        .await
        .map_err(|error| fail(format!("cannot be read: {error}")))?;
    let proxies: TrustedProxies = text
        .parse()
        .map_err(|_| fail(format!("is {text:?}, neither a number nor networks")))?;
    let proxies = Rc::new(proxies);
    TRUSTED_PROXIES.set(Some(Rc::clone(&proxies)));
    Ok(proxies)
}

impl Request {
    /// A request that came by `wasi:http`.
    pub fn from_wire(wire: WireRequest) -> Self {
        Self::new(
            wire.get_method(),
            wire.get_path_with_query().unwrap_or_default(),
            wire.get_headers().copy_all(),
            OnceCell::new(),
            Body::Held(wire),
        )
    }

    /// A request that came whole.
    pub fn from_plain(plain: plain::Request) -> Self {
        Self::new(
            method_named(plain.method),
            plain.path_with_query,
            plain.headers,
            OnceCell::from(plain.authority),
            Body::Whole(plain.body),
        )
    }

    fn new(
        method: Method,
        target: String,
        headers: Vec<(String, Vec<u8>)>,
        authority: OnceCell<Option<String>>,
        body: Body,
    ) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
            None => (target, None),
        };
        Self {
            method,
            path,
            query,
            headers,
            authority,
            body: RefCell::new(body),
            operation: Cell::new(None),
            api_key: Cell::new(None),
            asker: Rc::default(),
            client_address: OnceCell::new(),
        }
    }

    /// Who asks, as far as it was found out.
    pub(crate) fn asker(&self) -> &Rc<Asker> {
        &self.asker
    }

    /// The operation that answers, once it was found.
    pub(crate) fn operation(&self) -> Option<&'static Operation> {
        self.operation.get()
    }

    /// The id of the operation that answers this request, which is noted for its path
    /// parameters.
    ///
    /// # Errors
    /// 404 or 405 when there is none.
    pub fn find_operation(
        &self,
        operations: &'static [Operation],
    ) -> Result<&'static str, Problem> {
        let operation = operation::find(operations, method_name(&self.method), &self.path)?;
        self.operation.set(Some(operation));
        Ok(operation.id)
    }

    /// Checks the method of a route that has no operations.
    ///
    /// # Errors
    /// 405 when it is none of `allow`, which reads as the `Allow` header will.
    pub fn require_method(&self, allow: &'static str) -> Result<(), Problem> {
        let method = method_name(&self.method);
        if allow.split(", ").any(|allowed| allowed == method) {
            return Ok(());
        }
        Err(Problem::method_not_allowed(allow))
    }

    /// What the path has where the operation's path has `{name}`.
    fn segment(&self, name: &str) -> Result<&str, Problem> {
        let operation = self.operation.get();
        let segment = operation.and_then(|operation| operation.segment(&self.path, name));
        segment.ok_or_else(Problem::internal)
    }

    /// The id or name that the path has where the operation's path has `{name}`.
    ///
    /// # Errors
    /// `not_found` when it can be nobody's.
    pub fn named<T: Input>(&self, name: &str, not_found: fn() -> Problem) -> Result<T, Problem> {
        input::text(self.segment(name)?).map_err(|_| not_found())
    }

    /// The value that the path has where the operation's path has `{name}`.
    ///
    /// # Errors
    /// A 400 that names the parameter.
    pub fn path_parameter<T: Input>(&self, name: &'static str) -> Result<T, Problem> {
        input::text(self.segment(name)?)
            .map_err(|invalid| Problem::invalid_parameter(name, invalid.code, invalid.message))
    }

    /// The parameters of the query, read into one type.
    ///
    /// # Errors
    /// A 400 that names every wrong, missing and repeated parameter.
    pub fn query<T: Input>(&self) -> Result<T, Problem> {
        let query = self.query.as_deref().unwrap_or_default();
        input::query(form_urlencoded::parse(query.as_bytes()))
    }

    /// What the cursors of this list belong to: the path, the token's organization and owner,
    /// and the parameters that `T` has, apart from `limit` and `cursor`.
    pub fn list_scope<T: Input>(&self, token: &PresentedToken) -> ListScope {
        let query = self.query.as_deref().unwrap_or_default();
        let given: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        let filter = given.iter().filter(|(name, _)| {
            T::PARAMETERS.contains(&&**name) && !matches!(&**name, "limit" | "cursor")
        });
        let filter = filter.map(|(name, value)| (&**name, &**value));
        self.list_scope_by(token, filter)
    }

    /// As [`Request::list_scope`], for a list that says itself what its filter is.
    pub fn list_scope_by<'a>(
        &self,
        token: &PresentedToken,
        filter: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> ListScope {
        let (organization, owner) = (token.organization.as_uuid(), token.owner.as_uuid());
        let whose = [organization.into_bytes(), owner.into_bytes()].concat();
        ListScope::new(&self.path, &whose, filter)
    }

    /// The page of this list that the parameters of `T` ask for, of which `limit` and
    /// `cursor` are two.
    ///
    /// # Errors
    /// 400 when the cursor names no place of this list.
    pub fn page<T: Input>(
        &self,
        token: &PresentedToken,
        limit: Option<PageLimit>,
        cursor: Option<&Cursor>,
    ) -> Result<Page, Problem> {
        Page::new(self.list_scope::<T>(token), limit, cursor)
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

    fn header_values(&self, name: &str) -> impl DoubleEndedIterator<Item = &[u8]> {
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
        let token = token::parse(TokenKind::Access, token)
            .or_else(|| token::parse(TokenKind::ApiKey, token))
            .ok_or_else(Problem::unauthenticated)?;
        if token.kind == TokenKind::ApiKey {
            self.api_key.set(Some(token.digest));
        }
        self.asker.note_credential(token.digest);
        Ok(token)
    }

    /// The API key that the handler asked for and was given, whether it is a good one or not.
    pub(crate) fn api_key(&self) -> Option<TokenDigest> {
        self.api_key.get()
    }

    /// The value of the cookie `name`. Whether a page of ours led the browser to send it
    /// is the caller's to ask, see [`Request::cookie_token`].
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.header_values("cookie")
            .filter_map(|header| std::str::from_utf8(header).ok())
            .flat_map(|header| header.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(candidate, value)| (candidate == name).then_some(value))
    }

    /// The token of kind `kind` in the cookie `name`.
    ///
    /// # Errors
    /// As [`Request::access_token`].
    pub fn cookie_token(&self, name: &str, kind: TokenKind) -> Result<PresentedToken, Problem> {
        let value = self.cookie(name).ok_or_else(Problem::unauthenticated)?;
        let token = token::parse(kind, value).ok_or_else(Problem::unauthenticated)?;
        if !matches!(self.method, Method::Get) && !self.is_same_origin()? {
            return Err(problem::CROSS_SITE_REQUEST.because(
                "Send the request from the same origin, or with an Authorization header.",
            ));
        }
        if kind == TokenKind::Access {
            self.asker.note_credential(token.digest);
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
        let host = self.authority().unwrap_or_default();
        Ok(!host.is_empty() && origin.split_once("://").is_some_and(|(_, of)| of == host))
    }

    /// The host that was asked for, with its port.
    fn authority(&self) -> Option<&str> {
        let authority = self.authority.get_or_init(|| match &*self.body.borrow() {
            Body::Held(wire) => wire.get_authority(),
            Body::Whole(_) | Body::Taken => None,
        });
        authority.as_deref()
    }

    /// The address of the client, behind the proxies that the variable `trusted_proxies`
    /// names. The peer is the last `spin-client-addr`, because a client can send one of
    /// its own before it.
    ///
    /// # Errors
    /// A 500 when the variable is missing or says nothing that can be understood.
    pub async fn client_address(&self, context: &Context) -> Result<ClientAddress, Problem> {
        if let Some(address) = self.client_address.get() {
            return Ok(*address);
        }
        let proxies = trusted_proxies(context).await?;
        let peer = self.header_values("spin-client-addr").last();
        let peer = std::str::from_utf8(peer.unwrap_or_default()).unwrap_or_default();
        let address = proxies.client(peer, self.header_values("x-forwarded-for"));
        Ok(*self.client_address.get_or_init(|| address))
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

    /// The body, up to `max_bytes`, for a route that has a use for larger ones. The bound
    /// holds for what is sent and for what it inflates to.
    ///
    /// # Errors
    /// 415 when it is encoded other than with gzip, 413 when it is larger, 408 when it does
    /// not arrive in time, 400 when it breaks off or is no gzip.
    pub async fn body_within(&self, max_bytes: usize) -> Result<Vec<u8>, Problem> {
        let is_gzip = self.is_gzip()?;
        let body = self.sent_body(max_bytes).await?;
        if is_gzip {
            return gzip::inflate(&body, max_bytes);
        }
        Ok(body)
    }

    /// Whether the body is encoded with gzip, by either of its names (RFC 9110, section
    /// 8.4.1.3).
    fn is_gzip(&self) -> Result<bool, Problem> {
        let encoding = self.header("content-encoding")?.unwrap_or_default();
        let is = |name: &str| encoding.eq_ignore_ascii_case(name);
        match encoding {
            _ if is("gzip") || is("x-gzip") => Ok(true),
            _ if is("") || is("identity") => Ok(false),
            _ => Err(Problem::unsupported_content_encoding()),
        }
    }

    /// The body as it is sent.
    async fn sent_body(&self, max_bytes: usize) -> Result<Vec<u8>, Problem> {
        // It is the host's to say, which forgets it with the body.
        self.authority();
        let wire = match self.body.replace(Body::Taken) {
            Body::Held(wire) => wire,
            Body::Whole(body) if body.len() > max_bytes => {
                return Err(Problem::body_too_large(max_bytes));
            }
            Body::Whole(body) => return Ok(body),
            Body::Taken => return Ok(Vec::new()),
        };
        let read = std::pin::pin!(read_body(wire, self.content_length(), max_bytes));
        let timeout = std::pin::pin!(spin_sdk::time::sleep(BODY_TIMEOUT));
        match select(read, timeout).await {
            Either::Left((body, _)) => body,
            Either::Right(_) => Err(problem::BODY_TIMEOUT.because(format!(
                "A body must arrive within {} seconds.",
                BODY_TIMEOUT.as_secs()
            ))),
        }
    }

    /// A JSON body, read into one type, and its bytes.
    ///
    /// # Errors
    /// 415 for another content type, 400 for malformed JSON, 422 that names every
    /// wrong, missing, unknown and repeated field, and what [`Request::body`] refuses.
    pub async fn json<T: Input>(&self) -> Result<(T, Vec<u8>), Problem> {
        self.json_within(MAX_BODY_BYTES).await
    }

    /// As [`Request::json`], for an operation that has a use for larger bodies.
    ///
    /// # Errors
    /// Those of [`Request::json`].
    pub async fn json_within<T: Input>(&self, max_bytes: usize) -> Result<(T, Vec<u8>), Problem> {
        self.require_media_type("application/json")?;
        let body = self.body_within(max_bytes).await?;
        Ok((input::json(&body)?, body))
    }

    /// A JSON merge patch (RFC 7396), read into one type: one that tells what is absent from
    /// what is null. It may come as plain JSON too.
    ///
    /// # Errors
    /// Those of [`Request::json`].
    pub async fn merge_patch<T: Input>(&self) -> Result<T, Problem> {
        const PATCH: &str = "application/merge-patch+json";
        if !self.media_type()?.eq_ignore_ascii_case("application/json") {
            self.require_media_type(PATCH)?;
        }
        input::json(&self.body().await?)
    }

    /// The version that `If-Match` wants the resource to have; `None` when any will do.
    ///
    /// # Errors
    /// 400 when the header is repeated, or is no entity tag of ours.
    pub fn if_match(&self) -> Result<Option<i64>, Problem> {
        let header = self.header(entity_tag::IF_MATCH)?;
        header.map_or(Ok(None), entity_tag::wanted_version)
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
