//! The measured routes as a native service would have them: axum, a deadpool of connections with
//! cached statements, and moka as the cache.
//!
//! It does the same visible work as the components. The same token check, fields, SQL functions,
//! session settings, JSON and headers, by way of `shared` wherever that is pure. Left out is what
//! no measured request reaches: retries after a lost connection or a lost race for a key. Its
//! cache is the plain one of a single process: keyed by token, and invalidated by that token.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use moka::sync::Cache;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared::credits::place::CreditPlace;
use shared::credits::{self, Description, Transaction, UsageName};
use shared::http::input::{self, PositiveAmount};
use shared::http::pagination::{Cursor, CursorKey, ListScope, Listed, Page, PageLimit};
use shared::http::problem::{self, Problem};
use shared::ids::{CreditTransactionId, UserId};
use shared::money::{Currency, Money};
use shared::token::{self, PresentedToken, TokenDigest, TokenKind};
use tokio_postgres::NoTls;
use tokio_postgres::types::ToSql;

use super::fixtures::{now_millis, random};
use super::native_billing::{self, Plans};
use super::native_introspection::{self, Introspections};
use super::native_summary::{self, Summaries};

/// As many connections as the wasm host has by default.
const POOL_CONNECTIONS: usize = 32;

/// As the components: how long a request waits for Postgres.
const ANSWER_DEADLINE: Duration = Duration::from_millis(1_800);

/// As the components: the largest body, the longest key, and how long a balance is cached.
const MAX_BODY_BYTES: usize = 64 * 1024;
const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;
const BALANCE_TTL: Duration = Duration::from_secs(60);

/// Balances kept at most: about 300 bytes each, 30 MB in all.
const MAX_CACHED_BALANCES: u64 = 100_000;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_RESPONSE_TIME: HeaderName = HeaderName::from_static("x-response-time");
const X_DB_QUERIES: HeaderName = HeaderName::from_static("x-db-queries");
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

/// The service's state.
pub(super) struct Service {
    pool: Pool,
    balances: Cache<(TokenDigest, Currency), CachedBalance>,
    pub(super) introspections: Introspections,
    pub(super) summaries: Summaries,
    pub(super) plans: Plans,
    /// Tells this process's request ids from another's, and one from the next.
    instance: u64,
    requests: AtomicU64,
}

#[derive(Clone)]
struct CachedBalance {
    json: Bytes,
    valid_until_millis: u64,
}

/// Serves on a free port of the loopback address until `end` is ready.
///
/// # Errors
/// It cannot listen, or the database's address cannot be read.
pub async fn serve<E>(
    db_url: &str,
    listening: impl FnOnce(SocketAddr),
    end: impl Future<Output = E> + Send + 'static,
) -> Result<()> {
    let mut config: tokio_postgres::Config = db_url.parse()?;
    config.connect_timeout(Duration::from_secs(1));
    let manager = Manager::from_config(
        config,
        NoTls,
        ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        },
    );
    let pool = Pool::builder(manager)
        .max_size(POOL_CONNECTIONS)
        .runtime(Runtime::Tokio1)
        .build()?;
    let service = Arc::new(Service {
        pool,
        balances: Cache::builder()
            .max_capacity(MAX_CACHED_BALANCES)
            .time_to_live(BALANCE_TTL)
            .build(),
        introspections: Introspections::new(),
        summaries: Summaries::new(),
        plans: Plans::new(),
        instance: u64::from_be_bytes(random()?),
        requests: AtomicU64::new(0),
    });
    let routes = Router::new()
        .route("/api/v1/health", get(health))
        .route("/api/v1/credits/balance", get(balance))
        .route("/api/v1/credits/transactions", get(transactions))
        .route("/api/v1/credits/consume", post(consume))
        .route("/api/v1/auth/introspect", post(introspect))
        .route("/api/v1/usage/summary", get(usage_summary))
        .route("/api/v1/entitlements/check", get(check_entitlement))
        .route("/api/v1/pricing/estimate", post(estimate))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(service);
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    listening(listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // Without it a response is late, not wrong.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, routes)
        .with_graceful_shutdown(async {
            end.await;
        })
        .await
        .context("the native baseline cannot serve")
}

async fn health(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    #[derive(Serialize)]
    struct Live {
        status: &'static str,
        version: &'static str,
    }
    let live = Live {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    };
    Call::begin(&service, &headers).finish(Ok(Json(live).into_response()))
}

async fn balance(State(service): State<Arc<Service>>, headers: HeaderMap, uri: Uri) -> Response {
    let mut call = Call::begin(&service, &headers);
    let outcome = service.balance(&mut call, &headers, &uri).await;
    call.finish(outcome)
}

async fn transactions(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let mut call = Call::begin(&service, &headers);
    let outcome = service.transactions(&mut call, &headers, &uri).await;
    call.finish(outcome)
}

async fn consume(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Response {
    let mut call = Call::begin(&service, &headers);
    let outcome = service.consume(&mut call, &headers, &uri, &body).await;
    call.finish(outcome)
}

async fn introspect(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut call = Call::begin(&service, &headers);
    let outcome = native_introspection::introspect(&service, &mut call, &headers, &body).await;
    call.finish(outcome)
}

async fn usage_summary(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let mut call = Call::begin(&service, &headers);
    let outcome = native_summary::summary(&service, &mut call, &headers, &uri).await;
    call.finish(outcome)
}

async fn check_entitlement(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let mut call = Call::begin(&service, &headers);
    let outcome = native_billing::check(&service, &mut call, &headers, &uri).await;
    call.finish(outcome)
}

async fn estimate(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut call = Call::begin(&service, &headers);
    let outcome = native_billing::estimate(&service, &mut call, &headers, &body).await;
    call.finish(outcome)
}

/// What has been granted, spent and held, as `credits_balance` answers it.
#[derive(Deserialize)]
struct FoundBalance {
    token_expires_millis: u64,
    balance: Balance,
}

#[derive(Serialize, Deserialize)]
struct Balance {
    user_id: UserId,
    available: Money,
    held: Money,
    total: Money,
    pending: Money,
}

#[derive(Serialize)]
struct TransactionsOutput {
    transactions: Vec<Transaction>,
    next_cursor: Option<Cursor>,
}

#[derive(Deserialize)]
struct Row {
    at_micros: i64,
    transaction: Transaction,
}

#[shared::body]
struct Spend {
    amount: PositiveAmount,
    currency: Currency,
    description: Option<Description>,
    service: Option<UsageName>,
    model: Option<UsageName>,
}

#[derive(Serialize, Deserialize)]
struct Consumed {
    transaction: Transaction,
}

/// A statement's refusal, with the facts that the problems of these routes tell.
#[derive(Deserialize)]
struct Refused {
    refusal: String,
    permission: Option<String>,
    available: Option<Money>,
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let permission = refused.permission.unwrap_or_default();
        match (refused.refusal.as_str(), refused.available) {
            ("unauthenticated", _) => Self::unauthenticated(),
            ("forbidden", _) => Self::forbidden(&permission),
            ("idempotency_key_reused", _) => Self::idempotency_key_reused(),
            ("too_many_usage_names", _) => credits::too_many_usage_names(),
            ("insufficient_credits", Some(available)) => credits::insufficient(available),
            _ => Self::internal(),
        }
    }
}

impl Service {
    async fn balance(
        &self,
        call: &mut Call,
        headers: &HeaderMap,
        uri: &Uri,
    ) -> Result<Response, Problem> {
        let token = access_token(headers)?;
        let currency = currency(uri)?;
        let key = (token.digest, currency);
        let cached = self.balances.get(&key);
        if let Some(cached) = cached.filter(|cached| now_millis() < cached.valid_until_millis) {
            call.cache = "hit";
            return Ok(json_bytes(cached.json));
        }
        call.cache = "miss";
        let found: FoundBalance = self
            .ask(
                call,
                "SELECT credits_balance($1, $2)::text",
                &[&token.digest.0.as_slice(), &currency.code()],
            )
            .await?;
        let json =
            Bytes::from(serde_json::to_vec(&found.balance).map_err(|_| Problem::internal())?);
        let cached = CachedBalance {
            json: json.clone(),
            valid_until_millis: found.token_expires_millis,
        };
        self.balances.insert(key, cached);
        Ok(json_bytes(json))
    }

    async fn transactions(
        &self,
        call: &mut Call,
        headers: &HeaderMap,
        uri: &Uri,
    ) -> Result<Response, Problem> {
        let token = access_token(headers)?;
        let currency = currency(uri)?;
        let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let PageQuery { limit, cursor } = input::query(query)?;
        let filter = [("currency", currency.code())];
        let scope = ListScope::new(uri.path(), token.owner.as_uuid().as_bytes(), filter);
        let page = Page::new(scope, limit, cursor.as_ref())?;
        let limit = i32::try_from(page.limit).unwrap_or(i32::MAX);
        let rows: Vec<Row> = self
            .ask(
                call,
                "SELECT credits_transactions($1, $2, $3, NULL, NULL, NULL,
                                             $4::timestamp AT TIME ZONE 'UTC', $5, $6)::text",
                &[
                    &token.digest.0.as_slice(),
                    &currency.code(),
                    &limit,
                    &page.after.and_then(|place: CreditPlace| place.at_utc()),
                    &page.after.map(|place| place.currency_code()),
                    &page.after.map(|place| place.id()),
                ],
            )
            .await?;
        let rows = Listed::new(rows, CURSOR_KEY);
        let (rows, next_cursor) = page.cut(rows, |row| {
            let Transaction { amount, id, .. } = &row.transaction;
            CreditPlace::new(row.at_micros, amount.currency(), id.as_uuid())
        })?;
        let output = TransactionsOutput {
            transactions: rows.into_iter().map(|row| row.transaction).collect(),
            next_cursor,
        };
        Ok(Json(output).into_response())
    }

    async fn consume(
        &self,
        call: &mut Call,
        headers: &HeaderMap,
        uri: &Uri,
        body: &Bytes,
    ) -> Result<Response, Problem> {
        let token = access_token(headers)?;
        let is_json = header(headers, header::CONTENT_TYPE)
            .and_then(|value| value.split(';').next())
            .is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"));
        if !is_json {
            return Err(
                problem::UNSUPPORTED_MEDIA_TYPE.because("Send the body as application/json.")
            );
        }
        let spend: Spend = input::json(body)?;
        let (key, request_digest) = idempotency(headers, uri, body)?;
        let id = random().map_err(|_| Problem::internal())?;
        let id = CreditTransactionId::new(now_millis(), &id);
        let currency = spend.currency;
        let consumed: Result<Consumed, Problem> = self
            .ask(
                call,
                "SELECT credits_consume($1, $2, $3, $4, $5, $6, $7, $8, $9)::text",
                &[
                    &token.digest.0.as_slice(),
                    &key,
                    &request_digest.as_slice(),
                    &id.as_uuid(),
                    &currency.code(),
                    &spend.amount.0,
                    &spend.description.as_deref().unwrap_or_default(),
                    &spend.service.as_deref(),
                    &spend.model.as_deref(),
                ],
            )
            .await;
        // Before the answer, so that no read that begins after it finds the old balance.
        self.balances.invalidate(&(token.digest, currency));
        Ok((StatusCode::CREATED, Json(consumed?)).into_response())
    }

    /// Calls an SQL function that answers with one JSON document: what was asked for, or a
    /// refusal.
    pub(super) async fn ask<A: DeserializeOwned>(
        &self,
        call: &mut Call,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<A, Problem> {
        call.db_queries += 1;
        let work = async {
            let client = self.pool.get().await?;
            let statement = client.prepare_cached(sql).await?;
            let row = client.query_one(&statement, parameters).await?;
            let json: &str = row.try_get(0)?;
            if is_refusal(json) {
                return anyhow::Ok(Err(serde_json::from_str::<Refused>(json)?));
            }
            Ok(Ok(serde_json::from_str(json)?))
        };
        match tokio::time::timeout(ANSWER_DEADLINE, work).await {
            Ok(Ok(answer)) => Ok(answer?),
            Ok(Err(error)) => {
                eprintln!("{sql}: {error:#}");
                Err(Problem::unavailable("Postgres"))
            }
            Err(_) => Err(Problem::unavailable("Postgres")),
        }
    }
}

/// Whether a document begins as a refusal does, however its tokens are spaced.
fn is_refusal(json: &str) -> bool {
    let members = json.trim_start().strip_prefix('{').map(str::trim_start);
    members.is_some_and(|members| members.starts_with("\"refusal\""))
}

/// What one request has cost so far.
pub(super) struct Call {
    started: Instant,
    request_id: String,
    db_queries: u32,
    pub(super) cache: &'static str,
}

impl Call {
    fn begin(service: &Service, headers: &HeaderMap) -> Self {
        let harmless = |id: &&str| {
            (1..=128).contains(&id.len())
                && id
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        let request_id = match header(headers, X_REQUEST_ID).filter(harmless) {
            Some(id) => id.to_owned(),
            None => {
                let number = service.requests.fetch_add(1, Ordering::Relaxed);
                format!("req_{:016x}{number:06x}", service.instance)
            }
        };
        Self {
            started: Instant::now(),
            request_id,
            db_queries: 0,
            cache: "bypass",
        }
    }

    /// The response with the headers that every response carries; hyper adds the length.
    fn finish(self, outcome: Result<Response, Problem>) -> Response {
        let mut response = outcome.unwrap_or_else(|problem| {
            let status = StatusCode::from_u16(problem.status);
            let content_type = [(header::CONTENT_TYPE, problem::CONTENT_TYPE)];
            let document = problem.to_json(&self.request_id);
            let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, content_type, document).into_response()
        });
        let micros = self.started.elapsed().as_micros();
        let response_time = format!("{}.{:03}ms", micros / 1_000, micros % 1_000);
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CACHE, HeaderValue::from_static(self.cache));
        headers.insert(X_DB_QUERIES, HeaderValue::from(self.db_queries));
        for (name, text) in [
            (X_REQUEST_ID, self.request_id),
            (X_RESPONSE_TIME, response_time),
        ] {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        }
        response
    }
}

pub(super) fn json_bytes(json: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

pub(super) fn header(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

pub(super) fn access_token(headers: &HeaderMap) -> Result<PresentedToken, Problem> {
    header(headers, header::AUTHORIZATION)
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .and_then(|(_, token)| token::parse(TokenKind::Access, token.trim_start()))
        .ok_or_else(Problem::unauthenticated)
}

pub(super) fn query_parameter(uri: &Uri, name: &str) -> Option<String> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .find(|(candidate, _)| candidate == name)
        .map(|(_, value)| value.into_owned())
}

/// Makes the codes of cursors as costly as they are in the components, where the key is read with
/// the rows.
const CURSOR_KEY: CursorKey = CursorKey::new([0; 32]);

/// Which page of a list is asked for.
#[shared::body(query)]
struct PageQuery {
    limit: Option<PageLimit>,
    cursor: Option<Cursor>,
}

fn currency(uri: &Uri) -> Result<Currency, Problem> {
    let Some(text) = query_parameter(uri, "currency") else {
        return Ok(Currency::default());
    };
    Currency::parse(&text)
        .map_err(|error| Problem::invalid_parameter("currency", "invalid", error.to_string()))
}

/// The Idempotency-Key, and the digest of the request that it came with.
fn idempotency<'h>(
    headers: &'h HeaderMap,
    uri: &Uri,
    body: &[u8],
) -> Result<(&'h str, [u8; 32]), Problem> {
    let key = header(headers, HeaderName::from_static("idempotency-key")).unwrap_or_default();
    let is_valid = (1..=MAX_IDEMPOTENCY_KEY_BYTES).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_valid {
        return Err(Problem::invalid_parameter(
            "idempotency-key",
            "invalid",
            format!("must have 1 to {MAX_IDEMPOTENCY_KEY_BYTES} visible ASCII characters"),
        ));
    }
    let mut hasher = Sha256::new();
    hasher.update(uri.path().as_bytes());
    hasher.update([0]);
    hasher.update(body);
    Ok((key, hasher.finalize().into()))
}
