//! Requests of one component to another of the same application, `http://<id>.spin.internal`.
//!
//! They do not leave the process. The component that is called runs in an instance of its own, so
//! what becomes of that is an answer to the caller and not its end.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::log_sink::LogSink;
use crate::manifest::allowed_hosts::CHAINING_SUFFIX;
use crate::manifest::routes::Routes;
use crate::runtime::dispatcher::WeakDispatcher;
use crate::runtime::handler::RequestBody;
use crate::runtime::request_headers::{ClientHeaders, RouteHeaders};

/// The route that a component sees when another one calls it, whatever its own is.
const ROUTE: &str = "/...";

/// How long a request waits for an instance to take it, unless told otherwise. The caller keeps its own instance
/// meanwhile, and when callers have taken all places each waits for another, until somebody gives
/// up. Only components that call each other in a circle, or in a row of three and for hundreds of
/// requests at once, can get there: see [`LoadedApp`](crate::LoadedApp)'s places.
pub(crate) const DEFAULT_CHAINING_PATIENCE: Duration = Duration::from_secs(10);

/// The components that can be called.
pub(crate) struct Chained {
    components: BTreeMap<String, WeakDispatcher>,
    routes: Routes,
    headers: RouteHeaders,
    patience: Duration,
}

/// The id of the component that a request is for; `None` when it is for another host.
pub(crate) fn target(uri: &Uri) -> Option<&str> {
    uri.host()?
        .strip_suffix(CHAINING_SUFFIX)
        .filter(|id| !id.contains('.'))
}

impl Chained {
    /// # Errors
    /// The route for all is malformed, which would be a mistake in this program.
    pub(crate) fn new(
        components: BTreeMap<String, WeakDispatcher>,
        patience: Duration,
    ) -> Result<Self> {
        let routes = Routes::build([(ROUTE, "", 0)])?;
        let route = routes.iter().next().context("the route is in its table")?;
        Ok(Self {
            headers: RouteHeaders::new(route)?,
            components,
            routes,
            patience,
        })
    }

    /// Has the component `id` answer. That it failed is a response with the status 500 and no
    /// body, as it is for a client.
    ///
    /// # Errors
    /// There is no such component, or it cannot be handed the request.
    pub(crate) async fn answer(
        &self,
        id: &str,
        request: Request<WasiBody>,
        log: &LogSink,
    ) -> Result<Response<WasiBody>, Error> {
        let dispatcher = self
            .components
            .get(id)
            .and_then(WeakDispatcher::upgrade)
            .ok_or(Error::DestinationNotFound)?;
        let request = self.prepare(request)?.map(RequestBody::Streamed);
        Ok(match dispatcher.answer_soon(request, self.patience).await {
            Ok(response) => response.map(|body| body.boxed_unsync()),
            Err(error) => {
                log.text(
                    id,
                    &format!("a request of another component failed: {error:#}"),
                );
                let mut response = Response::new(empty());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        })
    }

    fn prepare(&self, request: Request<WasiBody>) -> Result<Request<WasiBody>, Error> {
        let (mut head, body) = request.into_parts();
        head.headers.remove(header::HOST);
        let uri = head.uri.clone();
        let found = self
            .routes
            .find(uri.path())
            .ok_or(Error::HttpRequestUriInvalid)?;
        ClientHeaders::chained()
            .prepare(&mut head.uri, &mut head.headers, &found, &self.headers)
            .map_err(|_| Error::HttpProtocolError)?;
        Ok(Request::from_parts(head, body))
    }
}

fn empty() -> WasiBody {
    Empty::<Bytes>::new().map_err(Error::from).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_told_from_other_hosts() -> Result<()> {
        for (uri, expected) in [
            ("http://a-b.spin.internal/x", Some("a-b")),
            ("https://a.spin.internal:80/", Some("a")),
            ("http://a.b.spin.internal/", None),
            ("http://spin.internal/", None),
            ("http://a.spin.internal.example/", None),
            ("http://example.com/", None),
            ("/x", None),
        ] {
            assert_eq!(target(&uri.parse()?), expected, "{uri}");
        }
        Ok(())
    }

    #[test]
    fn a_request_arrives_as_in_spin() -> Result<()> {
        let chained = Chained::new(BTreeMap::new(), Duration::from_secs(1))?;
        let request = Request::get("http://a.spin.internal/foo/bar?q=1")
            .header("host", "a.spin.internal")
            .header("spin-client-addr", "forged")
            .body(empty())?;
        let prepared = chained
            .prepare(request)
            .map_err(|error| anyhow::anyhow!("refused: {error:?}"))?;
        assert_eq!(prepared.uri(), "http://a.spin.internal/foo/bar?q=1");
        for (name, expected) in [
            ("host", vec![]),
            ("spin-path-info", vec!["/foo/bar"]),
            ("spin-full-url", vec!["http://localhost/foo/bar?q=1"]),
            ("spin-matched-route", vec!["/..."]),
            ("spin-base-path", vec!["/"]),
            ("spin-raw-component-route", vec!["/..."]),
            ("spin-component-route", vec![""]),
            ("spin-client-addr", vec!["forged", "0.0.0.0:0"]),
        ] {
            let values: Vec<_> = prepared.headers().get_all(name).iter().collect();
            assert_eq!(values, expected, "{name}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_component_that_is_not_there_is_an_error() -> Result<()> {
        let chained = Chained::new(BTreeMap::new(), Duration::from_secs(1))?;
        let request = Request::get("http://a.spin.internal/").body(empty())?;
        let (log, _) = LogSink::capture();
        let answer = chained.answer("a", request, &log).await;
        assert!(
            matches!(answer, Err(Error::DestinationNotFound)),
            "{answer:?}"
        );
        Ok(())
    }
}
