//! The HTTP/1.1 server: from a connection to a component and back.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use shared::http::problem::{self, Problem};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use wasmtime_wasi_http::Error;

use crate::log_sink::LogSink;
use crate::manifest::routes::{Routes, WELL_KNOWN_PREFIX};
use crate::metrics::ComponentMetrics;
use crate::runtime::dispatcher::Dispatcher;
use crate::runtime::handler::RequestBody;
use crate::runtime::observation::{Observation, Observer};
use crate::runtime::request_headers::{BadRequest, ClientHeaders, RouteHeaders};
use crate::runtime::response_body::{ResponseBody, WHOLE_BODY_BYTES, read_whole};

/// How long a client may take to send a request's head: on a slow link a full head of 400 KiB
/// needs some seconds, and whoever takes longer only holds a connection.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a client may take to send a body that is read before its component is asked: as long
/// as the components themselves wait for a longer one.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections the system may keep waiting for us to accept them.
const LISTEN_BACKLOG: u32 = 1024;

/// How long to pause after the system could not give us a connection, most likely for want of
/// file descriptors: retrying at once would only use the processor up.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long, and for how many bytes, the rest of what is not HTTP is read after its refusal. The
/// system resets a connection that is closed with bytes unread, and a client then loses the
/// refusal, which is on its way. A second is enough for a client that sends a body of a megabyte
/// without waiting.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_LINGER_BYTES: usize = 1024 * 1024;

/// The routing table with what its routes lead to.
pub(crate) struct Router {
    pub(crate) routes: Routes,
    /// By a route's index.
    pub(crate) targets: Vec<Option<Target>>,
    pub(crate) log: LogSink,
    pub(crate) observer: Observer,
}

/// What one route leads to.
pub(crate) struct Target {
    pub(crate) component_id: Arc<str>,
    /// The route as the manifest has it.
    pub(crate) route: Arc<str>,
    pub(crate) metrics: ComponentMetrics,
    pub(crate) headers: RouteHeaders,
    pub(crate) component: Dispatcher,
}

/// Starts to listen.
///
/// # Errors
/// The address is in use or not ours.
pub(crate) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        tokio::net::TcpSocket::new_v4()?
    } else {
        tokio::net::TcpSocket::new_v6()?
    };
    // A restart must not wait for the connections of the last run to be forgotten. On Windows
    // the option would let two servers share the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(LISTEN_BACKLOG)
}

/// Accepts connections until `stop` is set; the tasks that serve those left are returned.
pub(crate) async fn accept(
    listener: TcpListener,
    router: Arc<Router>,
    mut stop: watch::Receiver<bool>,
) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => {
                    let router = Arc::clone(&router);
                    connections.spawn(serve(stream, client, router, stop.clone()));
                }
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = stopped(&mut stop) => return connections,
        }
    }
}

/// Waits until the host is told to stop, or is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The error says that there is nobody left to tell us, which comes to the same.
    drop(stop.wait_for(|stop| *stop).await);
}

async fn serve(
    stream: TcpStream,
    client: SocketAddr,
    router: Arc<Router>,
    mut stop: watch::Receiver<bool>,
) {
    // Without this a response in two parts waits for the client's delayed acknowledgement, 40 ms.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("cannot set TCP_NODELAY: {error}");
    }
    let client = std::sync::Mutex::new(ClientHeaders::new(client));
    let service = service_fn(|request| Box::pin(answer(&router, &client, request)));
    // Answers are not held back until all requests that have arrived are read (hyper's
    // pipeline_flush): when one of them cannot be read, hyper drops what it holds back, its own
    // refusal and the answers to the requests before.
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    // Without the shutdown, which the rest of a malformed request may have to be read for.
    let ended = tokio::select! {
        ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => ended,
        () = stopped(&mut stop) => {
            Pin::new(&mut connection).graceful_shutdown();
            poll_fn(|cx| connection.poll_without_shutdown(cx)).await
        }
    };
    let mut stream = connection.into_parts().io.into_inner();
    // Fails for a client that has gone away, whom nothing more can be told.
    let _ = stream.shutdown().await;
    if let Err(error) = ended {
        // Clients go away all the time; that is not the server's failure.
        tracing::debug!("a connection ended early: {error}");
        if error.is_parse() {
            let _ = tokio::time::timeout(LINGER_TIMEOUT, read_the_rest(&mut stream)).await;
        }
    }
}

/// Reads what a client still sends, and drops it.
async fn read_the_rest(stream: &mut TcpStream) {
    let mut dropped = [0; 4096];
    let mut total_bytes = 0;
    while let Ok(read_bytes) = stream.read(&mut dropped).await {
        total_bytes += read_bytes;
        if read_bytes == 0 || total_bytes > MAX_LINGER_BYTES {
            return;
        }
    }
}

async fn answer(
    router: &Router,
    client: &std::sync::Mutex<ClientHeaders>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let mut observation = router.observer.begin(request.method(), request.headers());
    let response = respond(router, client, request, &mut observation).await;
    observation.end(&response);
    Ok(response)
}

async fn respond<'a>(
    router: &'a Router,
    client: &std::sync::Mutex<ClientHeaders>,
    request: Request<Incoming>,
    observation: &mut Observation<'a>,
) -> Response<ResponseBody> {
    let (mut head, body) = request.into_parts();
    // Before anything else, because a proxy before this host may have taken the other one.
    if head.headers.get_all(HOST).iter().nth(1).is_some() {
        return refuse(BadRequest::Host);
    }
    let path = head.uri.path();
    if let Some(well_known) = path.strip_prefix(WELL_KNOWN_PREFIX) {
        return match well_known {
            "health" => whole(StatusCode::OK, Bytes::from_static(b"OK")),
            _ => whole(StatusCode::NOT_FOUND, Bytes::new()),
        };
    }
    // The address is changed below while the match still refers to its path, so both share it:
    // cloning an address counts a reference.
    let uri = head.uri.clone();
    let Some(found) = router.routes.find(uri.path()) else {
        return whole(StatusCode::NOT_FOUND, Bytes::new());
    };
    let Some(Some(target)) = router.targets.get(found.route.index) else {
        return whole(StatusCode::NOT_FOUND, Bytes::new());
    };
    observation.found(target);
    let prepared = client
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .prepare(&mut head.uri, &mut head.headers, &found, &target.headers);
    if let Err(bad) = prepared {
        return refuse(bad);
    }
    let body = match tokio::time::timeout(BODY_TIMEOUT, take_request_body(body)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => {
            tracing::debug!("a request's body did not arrive: {error}");
            return refuse(BadRequest::BodyCut);
        }
        Err(_) => return refuse(BadRequest::BodyTimeout),
    };
    observation.component_begins(&mut head);
    let request = Request::from_parts(head, body);
    let response = target.component.answer(request).await;
    response.unwrap_or_else(|error| {
        router.log.text(
            &target.component_id,
            &format!("a request failed: {error:#}"),
        );
        whole(StatusCode::INTERNAL_SERVER_ERROR, Bytes::new())
    })
}

/// The request's body in the form components get it; a short one is read first.
async fn take_request_body(body: Incoming) -> Result<RequestBody, hyper::Error> {
    if body.is_end_stream() {
        return Ok(RequestBody::Whole(Bytes::new()));
    }
    match body.size_hint().exact() {
        Some(length) if length <= WHOLE_BODY_BYTES => {
            Ok(RequestBody::Whole(read_whole(body, length).await?))
        }
        _ => Ok(RequestBody::Streamed(
            body.map_err(Error::from).boxed_unsync(),
        )),
    }
}

fn whole(status: StatusCode, body: Bytes) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Whole(Some(body)));
    *response.status_mut() = status;
    response
}

shared::refusals! {
    /// A header that no component can be given.
    INVALID_HEADER = 400 "invalid_header", "The request has an invalid header",
        "a header's value is not UTF-8.";
    /// No host, or several.
    INVALID_HOST = 400 "invalid_host", "The request has an invalid host",
        "the request needs one valid Host header.";
}

/// The answer to a request that no component can be asked to answer: the same problem document,
/// with the same headers, that a component would give.
fn refuse(bad: BadRequest) -> Response<ResponseBody> {
    /// Tells the refused requests of this process apart in a report.
    static REFUSED: AtomicU64 = AtomicU64::new(0);
    let problem = match bad {
        BadRequest::HeaderNotUtf8 => INVALID_HEADER.because("A header's value is not UTF-8."),
        BadRequest::Host => INVALID_HOST.because("The request needs one valid Host header."),
        BadRequest::BodyTimeout => problem::BODY_TIMEOUT.because(format!(
            "A body must arrive within {} seconds.",
            BODY_TIMEOUT.as_secs()
        )),
        BadRequest::BodyCut => Problem::malformed_body("The body broke off."),
    };
    let request_id = format!("req_host{:06x}", REFUSED.fetch_add(1, Ordering::Relaxed));
    let body = Bytes::from(problem.to_json(&request_id));
    let length = body.len();
    let mut response = whole(StatusCode::BAD_REQUEST, body);
    if let Ok(status) = StatusCode::from_u16(problem.status) {
        *response.status_mut() = status;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    for (name, value) in [
        (CONTENT_TYPE, problem::CONTENT_TYPE),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-response-time"), "0.000ms"),
        (HeaderName::from_static("x-db-queries"), "0"),
        (HeaderName::from_static("x-cache"), "bypass"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(request_id) = HeaderValue::from_str(&request_id) {
        headers.insert(HeaderName::from_static("x-request-id"), request_id);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::traces::Traces;

    /// The statuses of the answers to these bytes, and whether the connection was closed in order.
    async fn exchange(address: SocketAddr, bytes: &[u8]) -> std::io::Result<Vec<u16>> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(bytes).await?;
        let mut answered = Vec::new();
        // Ends with an error where the system resets the connection.
        stream.read_to_end(&mut answered).await?;
        let text = String::from_utf8_lossy(&answered).into_owned();
        let statuses = text
            .split("HTTP/1.1 ")
            .filter_map(|answer| answer.get(..3)?.parse().ok());
        Ok(statuses.collect())
    }

    #[tokio::test]
    async fn what_is_not_http_is_refused_with_an_answer() -> anyhow::Result<()> {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = listener.local_addr()?;
        let router = Router {
            routes: Routes::build([])?,
            targets: Vec::new(),
            log: LogSink::capture().0,
            observer: Observer::new(Arc::new(Metrics::new()), Traces::default(), None),
        };
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, Arc::new(router), stopped));
        let health = |headers: &str| {
            format!("GET /.well-known/spin/health HTTP/1.1\r\n{headers}\r\n").into_bytes()
        };
        let last = "host: a\r\nconnection: close\r\n";
        let after_a_good_one = |bytes: &[u8]| [&health("host: a\r\n"), bytes].concat();
        let with_a_long_body = |headers: &str| {
            let head = format!("POST /.well-known/spin/health HTTP/1.1\r\n{headers}\r\n");
            [head.as_bytes(), &[b'x'; 500_000]].concat()
        };
        let long = "a".repeat(1_000_000);
        let bare = |text: &str| text.as_bytes().to_vec();
        let table = [
            (health(last), vec![200]),
            (
                [health("host: a\r\n"), health(last)].concat(),
                vec![200, 200],
            ),
            (bare("nonsense\r\n\r\n"), vec![400]),
            (bare("GET / HTTP/9.9\r\n\r\n"), vec![400]),
            (bare("GET /\0 HTTP/1.1\r\nhost: a\r\n\r\n"), vec![400]),
            (bare("GET /a b HTTP/1.1\r\nhost: a\r\n\r\n"), vec![400]),
            (b"GET /\xff HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(), vec![400]),
            (health("host: a\r\nno colon\r\n"), vec![400]),
            (health("host: a\r\nbad name: 1\r\n"), vec![400]),
            (health("host: a\r\nx\0y: 1\r\n"), vec![400]),
            (health("host: a\r\nx: 1\0\r\n"), vec![400]),
            (health("host: a\r\nx: 1\x01\r\n"), vec![400]),
            (health("host: a\r\nx: 1\x7f\r\n"), vec![400]),
            (health("host: a\r\nx: 1\r2\r\n"), vec![400]),
            (health("host: a\r\nx: 1\r\n 2\r\n"), vec![400]),
            (health("host: a\r\ncontent-length: x\r\n"), vec![400]),
            (health("host: a\r\ncontent-length: -1\r\n"), vec![400]),
            (health("host: a\r\ncontent-length: 2, 2\r\n"), vec![400]),
            (
                with_a_long_body("host: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n"),
                vec![400],
            ),
            (
                with_a_long_body("host: a\r\ntransfer-encoding: gzip\r\n"),
                vec![400],
            ),
            (health(&format!("host: a\r\nx: {long}\r\n")), vec![431]),
            (
                bare(&format!("GET /{long} HTTP/1.1\r\nhost: a\r\n\r\n")),
                vec![431],
            ),
            (health(&"x: 1\r\n".repeat(10_000)), vec![431]),
            // What was answered before stays answered.
            (after_a_good_one(b"nonsense\r\n\r\n"), vec![200, 400]),
            (
                after_a_good_one(&health("host: a\r\nx: 1\0\r\n")),
                vec![200, 400],
            ),
            // No parser refuses two hosts, and whoever is in front may have taken either.
            (health(&format!("host: a\r\n{last}")), vec![400]),
            (health(&format!("host: b\r\n{last}")), vec![400]),
            (
                bare("GET /nowhere HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n"),
                vec![400],
            ),
        ];
        for (bytes, expected) in table {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(100)]).into_owned();
            let got = exchange(address, &bytes).await;
            let got = got.map_err(|error| error.to_string());
            assert_eq!(got, Ok(expected), "{shown:?}");
        }
        stop.send_replace(true);
        let mut connections = accepting.await?;
        while connections.join_next().await.is_some() {}
        Ok(())
    }

    #[test]
    fn a_refusal_is_a_problem_document() -> serde_json::Result<()> {
        for bad in [BadRequest::HeaderNotUtf8, BadRequest::Host] {
            let response = refuse(bad);
            assert_eq!(response.status(), StatusCode::BAD_REQUEST);
            let ResponseBody::Whole(Some(body)) = response.into_body() else {
                panic!("{bad:?}: the body must be there at once");
            };
            let document: serde_json::Value = serde_json::from_slice(&body)?;
            assert_eq!(document["status"], 400, "{bad:?}");
            assert!(document["code"].is_string(), "{bad:?} needs a stable code");
        }
        Ok(())
    }
}
