//! The client: builds a request, sends it, and holds the answer against the rules that every
//! answer must follow.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use turnpike_host::CapturedLog;

use crate::conformity;
use crate::description::Description;
use crate::response::Response;

/// How long a connection without requests is used again: for less than the 15 s after which a host
/// ends it, or a request might be sent just then and be lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a request may take before the test gives up on it. No bound of the API is near, and
/// a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a request is repeated that asks for it.
const SETTLE_PATIENCE: Duration = Duration::from_secs(120);

/// The pause before a request is repeated. `Retry-After` counts in seconds, which tests have not.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// A running host, as a client sees it.
#[derive(Clone)]
pub struct Api {
    address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    description: Arc<Description>,
    log: Option<CapturedLog>,
}

/// A request that is being built.
#[derive(Clone)]
pub struct Call {
    api: Api,
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Bytes,
    is_checked: bool,
}

impl Api {
    /// The host at `address`.
    pub fn new(
        address: SocketAddr,
        description: Arc<Description>,
        log: Option<CapturedLog>,
    ) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            address,
            client: Client::builder(TokioExecutor::new())
                .pool_idle_timeout(IDLE_TIMEOUT)
                .build(connector),
            description,
            log,
        }
    }

    /// Where the host listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A request with any method.
    pub fn call(&self, method: Method, target: impl Into<String>) -> Call {
        Call {
            api: self.clone(),
            method,
            target: target.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            is_checked: true,
        }
    }

    /// A GET.
    pub fn get(&self, target: impl Into<String>) -> Call {
        self.call(Method::GET, target)
    }

    /// A POST.
    pub fn post(&self, target: impl Into<String>) -> Call {
        self.call(Method::POST, target)
    }

    /// A PUT.
    pub fn put(&self, target: impl Into<String>) -> Call {
        self.call(Method::PUT, target)
    }

    /// A PATCH.
    pub fn patch(&self, target: impl Into<String>) -> Call {
        self.call(Method::PATCH, target)
    }

    /// A DELETE.
    pub fn delete(&self, target: impl Into<String>) -> Call {
        self.call(Method::DELETE, target)
    }
}

impl Call {
    /// The same request to another host.
    pub fn sent_to(mut self, api: &Api) -> Self {
        self.api = api.clone();
        self
    }

    /// Adds a header, beside any of the same name.
    pub fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        match HeaderValue::from_bytes(value) {
            Ok(value) => self.headers.append(HeaderName::from_static(name), value),
            Err(error) => panic!("{name}: {value:?} cannot be sent by this client: {error}"),
        };
        self
    }

    /// `Authorization: Bearer`.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Says who the client behind a proxy is, to a host that trusts one proxy.
    pub fn client(self, address: &str) -> Self {
        self.header("x-forwarded-for", address)
    }

    /// `Idempotency-Key`.
    pub fn idempotency_key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// A JSON body with its content type.
    pub fn json(self, value: &Value) -> Self {
        self.json_text(value.to_string())
    }

    /// A body that claims to be JSON.
    pub fn json_text(self, text: impl Into<Bytes>) -> Self {
        self.header("content-type", "application/json").body(text)
    }

    /// A form body with its content type.
    pub fn form(self, text: &str) -> Self {
        self.header("content-type", "application/x-www-form-urlencoded")
            .body(text.to_owned())
    }

    /// A body without a content type.
    pub fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        self.body = bytes.into();
        self
    }

    /// The path and query.
    pub fn path(&self) -> String {
        self.target.clone()
    }

    /// Does not hold the response against the rules: for answers of the host itself, which are
    /// Spin's and not ours.
    pub fn unchecked(mut self) -> Self {
        self.is_checked = false;
        self
    }

    /// Sends the request, which must be answered, and sends it again for as long as the answer is
    /// that the machine is too busy for the deadlines of Postgres. No test that is about something
    /// else should fail because of that.
    pub async fn send(&self) -> Response {
        self.repeat_while(Response::is_from_a_busy_machine).await
    }

    /// Sends the request once, which must be answered: for tests of what is answered without
    /// Postgres.
    pub async fn send_once(&self) -> Response {
        match self.try_send().await {
            Ok(response) => response,
            Err(error) => panic!(
                "{} {} was not answered: {error:#}. Does the host still run?",
                self.method, self.target
            ),
        }
    }

    /// Sends the request.
    ///
    /// # Errors
    /// When the connection ends before the answer does, or nothing comes for two minutes.
    ///
    /// # Panics
    /// When the answer breaks the rules.
    pub async fn try_send(&self) -> Result<Response> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(format!("http://{}{}", self.api.address, self.target))
            .body(Full::new(self.body.clone()))
            .context("the request cannot be built")?;
        request.headers_mut().extend(self.headers.clone());
        let began = Instant::now();
        let exchange = async {
            let response = self.api.client.request(request).await?;
            let (head, body) = response.into_parts();
            Ok::<_, anyhow::Error>((head, body.collect().await?.to_bytes()))
        };
        let (head, body) = tokio::time::timeout(PATIENCE, exchange)
            .await
            .context("nothing came for two minutes")??;
        let response = Response {
            method: self.method.clone(),
            target: self.target.clone(),
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.to_vec(),
            elapsed: began.elapsed(),
            log: self.api.log.clone(),
        };
        if self.is_checked {
            conformity::check(&response, &self.api.description);
        }
        Ok(response)
    }

    /// Sends the request again for as long as the answer asks for that, as a client should. A
    /// request for money needs an Idempotency-Key for it.
    pub async fn settle(&self) -> Response {
        self.repeat_while(Response::asks_for_retry).await
    }

    async fn repeat_while(&self, is_worth_another: impl Fn(&Response) -> bool) -> Response {
        let began = Instant::now();
        loop {
            let response = self.send_once().await;
            if !is_worth_another(&response) {
                return response;
            }
            if began.elapsed() > SETTLE_PATIENCE {
                response.fail("the API still asks for another attempt after two minutes");
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}
