//! Outbound HTTP: only to the component's allowed hosts, which may be other components.

use std::sync::Arc;

use http::{HeaderName, Request, Response, header};
use http_body_util::BodyExt as _;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, default_send_request};

use crate::imports::instance::ComponentContext;
use crate::runtime::chaining;

/// Checks each request of a component against its stanza.
pub(crate) struct OutboundHttp(pub(crate) Arc<ComponentContext>);

type Completion = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for OutboundHttp {
    // The default builds a filter for each header it is asked about.
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        is_connection_header(name)
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Completion,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Completion), Error>> + Send> {
        let uri = request.uri();
        let allowed = uri.host().is_some_and(|host| {
            let scheme = uri.scheme_str().unwrap_or("https");
            self.0.allowed_hosts.allows(scheme, host, uri.port_u16())
        });
        if !allowed {
            self.0.services.log.line(
                &self.0.id,
                &format!(
                    "a request to {} was denied: add its host to allowed_outbound_hosts",
                    uri.authority().map_or("a relative address", |a| a.as_str()),
                ),
            );
            return Box::new(async { Err(Error::HttpRequestDenied) });
        }
        if let Some(id) = chaining::target(uri).map(str::to_owned) {
            let services = Arc::clone(&self.0.services);
            let caller = Arc::clone(&self.0.id);
            return Box::new(async move {
                let chained = services
                    .chained
                    .get()
                    .ok_or(Error::DestinationUnavailable)?;
                let answered = chained.answer(&id, request, &services.log).await;
                let response = answered.inspect_err(|error| {
                    let line = format!("a request to the component {id} failed: {error:?}");
                    services.log.line(&caller, &line);
                })?;
                Ok((response, Box::new(async { Ok(()) }) as Completion))
            });
        }
        Box::new(async move {
            let (response, io) = default_send_request(request, options).await?;
            Ok((
                response.map(|body| body.boxed_unsync()),
                Box::new(io) as Completion,
            ))
        })
    }
}

/// The rule for a request's headers on their way to a component, which needs no component.
pub(crate) struct InboundHeaders;

impl WasiHttpHooks for InboundHeaders {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        is_connection_header(name)
    }
}

/// Headers that concern one connection and so never cross between a component and the network.
pub(crate) fn is_connection_header(name: &HeaderName) -> bool {
    // Standard names compare as small integers, the three others by their text.
    *name == header::HOST
        || *name == header::CONNECTION
        || *name == header::TRANSFER_ENCODING
        || *name == header::UPGRADE
        || *name == header::PROXY_AUTHENTICATE
        || *name == header::PROXY_AUTHORIZATION
        || matches!(
            name.as_str(),
            "keep-alive" | "proxy-connection" | "http2-settings"
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS;

    #[test]
    fn the_same_headers_are_kept_back_as_by_default() {
        for name in &DEFAULT_FORBIDDEN_HEADERS {
            assert!(is_connection_header(name), "{name} must be kept back");
        }
        for name in [
            "authorization",
            "content-length",
            "x-request-id",
            "spin-client-addr",
        ] {
            assert!(
                !is_connection_header(&HeaderName::from_static(name)),
                "{name} must reach the component"
            );
        }
    }
}
