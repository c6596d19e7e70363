//! `GET /metrics` on a listener of its own, which no proxy leads to by accident.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use shared::metrics::{END, MEDIA_TYPE, STORED_FIGURES_SQL, StoredFigures, write_stored};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::imports::instance::Services;
use crate::imports::postgres::AddressPool;
use crate::metrics::{Observed, ProcessFigures};
use crate::runtime::server::ACCEPT_PAUSE;

/// The path, as Prometheus asks for it unless told otherwise.
const PATH: &str = "/metrics";

/// How long Postgres may take for its part. Without it the rest is shown: metrics are looked at when
/// something does not work.
const POSTGRES_PATIENCE: Duration = Duration::from_secs(1);

/// Connections at once: a few readers keep one each.
const MAX_CONNECTIONS: usize = 16;

/// How long a reader may take to send a request's head, or stay silent between two requests.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(120);

/// What the metrics are made of when they are read.
pub(crate) struct Scrape {
    services: Arc<Services>,
    /// The connection that the database's part is read by; `None` where the application has none.
    postgres: Option<AddressPool>,
}

impl Scrape {
    /// # Errors
    /// The address of the database is malformed.
    pub(crate) fn new(services: Arc<Services>, database_url: Option<&str>) -> Result<Self> {
        let postgres = database_url
            .map(|url| AddressPool::for_host(url, POSTGRES_PATIENCE))
            .transpose()?;
        Ok(Self { services, postgres })
    }

    /// All metrics, in the text format of OpenMetrics.
    pub(crate) async fn text(&self) -> String {
        let is_postgres_up = self.is_postgres_up().await;
        let stored = if is_postgres_up {
            self.stored().await
        } else {
            None
        };
        let observed = Observed {
            pool: self.services.postgres.figures(),
            is_postgres_up,
            process: ProcessFigures::read(),
        };
        let mut text = self.services.metrics.to_text(&observed);
        if let Some(figures) = stored {
            write_stored(&figures, &mut text);
        }
        text.push_str(END);
        text
    }

    /// Whether the database answers at all. Figures that take too long are another matter.
    async fn is_postgres_up(&self) -> bool {
        let Some(pool) = &self.postgres else {
            return false;
        };
        let answer = pool.read_text("SELECT ''", POSTGRES_PATIENCE).await;
        answer.is_ok()
    }

    /// What the database keeps, if it answers in time.
    async fn stored(&self) -> Option<StoredFigures> {
        let pool = self.postgres.as_ref()?;
        let read = async {
            let text = pool
                .read_text(STORED_FIGURES_SQL, POSTGRES_PATIENCE)
                .await?;
            Ok::<_, anyhow::Error>(serde_json::from_str(&text)?)
        };
        read.await
            .inspect_err(|error| tracing::debug!("the metrics lack what Postgres keeps: {error:#}"))
            .ok()
    }
}

/// Answers on `listener` until `stop` is set.
pub(crate) async fn serve(
    listener: TcpListener,
    scrape: Arc<Scrape>,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Dropped with the listener, which ends them.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Whoever comes when all places are taken finds the connection closed.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let scrape = Arc::clone(&scrape);
        connections.spawn(async move {
            let service = service_fn(|request| answer(&scrape, request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_READ_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            // Readers go away as they like.
            let _ = connection.await;
            drop(place);
        });
    }
}

async fn answer(
    scrape: &Scrape,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    if request.uri().path() != PATH {
        *response.status_mut() = StatusCode::NOT_FOUND;
    } else if request.method() != Method::GET {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static("GET"));
    } else {
        *response.body_mut() = Full::from(scrape.text().await);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    }
    Ok(response)
}
