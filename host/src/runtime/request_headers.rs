//! The request's authority and the headers Spin adds to it.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::{BufMut as _, BytesMut};
use http::header::{CONNECTION, HOST};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::manifest::allowed_hosts::CHAINING_SUFFIX;
use crate::manifest::routes::{Route, RouteMatch};

const SPIN_PATH_INFO: HeaderName = HeaderName::from_static("spin-path-info");
const SPIN_FULL_URL: HeaderName = HeaderName::from_static("spin-full-url");
const SPIN_MATCHED_ROUTE: HeaderName = HeaderName::from_static("spin-matched-route");
const SPIN_BASE_PATH: HeaderName = HeaderName::from_static("spin-base-path");
const SPIN_RAW_COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-raw-component-route");
const SPIN_COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-component-route");
const SPIN_CLIENT_ADDR: HeaderName = HeaderName::from_static("spin-client-addr");

/// How many headers are added to a request without parameters.
const ADDED_HEADERS: usize = 7;

/// Header values that are the same for every request of a route.
pub(crate) struct RouteHeaders {
    matched: HeaderValue,
    raw: HeaderValue,
    raw_or_prefix: HeaderValue,
    /// `spin-path-match-<name>`, in the order of the route's parameters.
    parameters: Vec<HeaderName>,
}

impl RouteHeaders {
    /// # Errors
    /// The route has characters that no header can carry.
    pub(crate) fn new(route: &Route) -> Result<Self, http::Error> {
        let parameters = route.parameters().map(|name| {
            let name = name.to_ascii_lowercase().replace('_', "-");
            HeaderName::try_from(format!("spin-path-match-{name}"))
        });
        Ok(Self {
            matched: HeaderValue::from_str(&route.matched)?,
            raw: HeaderValue::from_str(&route.raw)?,
            raw_or_prefix: HeaderValue::from_str(route.raw_or_prefix())?,
            parameters: parameters.collect::<Result<_, _>>()?,
        })
    }
}

/// Why a request is answered 400 without asking a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadRequest {
    /// A header's value is not UTF-8, and components read headers as text.
    HeaderNotUtf8,
    /// There is no usable host (RFC 9112, section 3.2).
    Host,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The client broke off in the middle of the body.
    BodyCut,
}

/// What stays the same on one connection.
pub(crate) struct ClientHeaders {
    address: HeaderValue,
    /// The host of the last request, parsed: it hardly ever changes on a connection.
    last_host: Option<(HeaderValue, Authority)>,
    /// What `spin-full-url` has instead of the host.
    shown_host: Option<Authority>,
}

impl ClientHeaders {
    pub(crate) fn new(client: SocketAddr) -> Self {
        let text = client.to_string();
        Self {
            // An address has only digits, letters, dots, colons and brackets.
            address: HeaderValue::from_str(&text)
                .unwrap_or_else(|_| HeaderValue::from_static("unknown")),
            last_host: None,
            shown_host: None,
        }
    }

    /// For requests of another component: they come from no address and name no host, as in Spin.
    pub(crate) fn chained() -> Self {
        let mut headers = Self::new(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        headers.shown_host = Some(Authority::from_static("localhost"));
        headers
    }

    /// Makes the request's address absolute and adds Spin's headers after the client's own.
    ///
    /// # Errors
    /// The request cannot be handed to a component.
    pub(crate) fn prepare(
        &mut self,
        uri: &mut Uri,
        headers: &mut HeaderMap,
        found: &RouteMatch<'_>,
        route: &RouteHeaders,
    ) -> Result<(), BadRequest> {
        // Both concern this connection only; a name of Spin's internal network is not a client's
        // to use.
        headers.remove(CONNECTION);
        if headers
            .get(HOST)
            .is_some_and(|host| is_service_chaining(host.as_bytes()))
        {
            headers.remove(HOST);
        }
        let utf8 = |value: &HeaderValue| {
            value.as_bytes().is_ascii() || std::str::from_utf8(value.as_bytes()).is_ok()
        };
        if !headers.values().all(utf8) {
            return Err(BadRequest::HeaderNotUtf8);
        }
        let authority = self.authority(uri, headers)?;
        let path_info =
            HeaderValue::from_str(&found.path_info).map_err(|_| BadRequest::HeaderNotUtf8)?;
        let shown = self.shown_host.as_ref().unwrap_or(&authority);
        let full_url = full_url(shown, uri);
        headers.reserve(ADDED_HEADERS + route.parameters.len());
        headers.append(SPIN_PATH_INFO, path_info);
        headers.append(SPIN_FULL_URL, full_url.ok_or(BadRequest::HeaderNotUtf8)?);
        headers.append(SPIN_MATCHED_ROUTE, route.matched.clone());
        headers.append(SPIN_BASE_PATH, HeaderValue::from_static("/"));
        headers.append(SPIN_RAW_COMPONENT_ROUTE, route.raw.clone());
        headers.append(SPIN_COMPONENT_ROUTE, route.raw_or_prefix.clone());
        headers.append(SPIN_CLIENT_ADDR, self.address.clone());
        for (name, value) in route.parameters.iter().zip(&found.captures) {
            let value = HeaderValue::from_str(value).map_err(|_| BadRequest::HeaderNotUtf8)?;
            headers.append(name, value);
        }
        let mut parts = std::mem::take(uri).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(authority);
        *uri = Uri::from_parts(parts).map_err(|_| BadRequest::Host)?;
        Ok(())
    }

    /// The host the client asked for: its `host` header and, when the request line has one too,
    /// the same there.
    fn authority(&mut self, uri: &Uri, headers: &HeaderMap) -> Result<Authority, BadRequest> {
        let Some(host) = headers.get(HOST) else {
            return uri.authority().cloned().ok_or(BadRequest::Host);
        };
        let authority = match &self.last_host {
            Some((last, authority)) if last == host => authority.clone(),
            _ => {
                let authority =
                    Authority::try_from(host.as_bytes()).map_err(|_| BadRequest::Host)?;
                self.last_host = Some((host.clone(), authority.clone()));
                authority
            }
        };
        match uri.authority() {
            Some(other) if *other != authority => Err(BadRequest::Host),
            _ => Ok(authority),
        }
    }
}

fn full_url(authority: &Authority, uri: &Uri) -> Option<HeaderValue> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut url = BytesMut::with_capacity("http://".len() + authority.as_str().len() + path.len());
    url.put_slice(b"http://");
    url.put_slice(authority.as_str().as_bytes());
    url.put_slice(path.as_bytes());
    HeaderValue::from_maybe_shared(url.freeze()).ok()
}

fn is_service_chaining(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else {
        return false;
    };
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.ends_with(CHAINING_SUFFIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::routes::Routes;
    use anyhow::{Context as _, Result};

    const ROUTE: &str = "/foo/:user_id/...";

    fn prepare(target: &str, client: &[(&str, &[u8])]) -> Result<Result<HeaderMap, BadRequest>> {
        let mut uri: Uri = target.parse()?;
        let mut headers = HeaderMap::new();
        for (name, value) in client {
            headers.append(
                HeaderName::try_from(*name)?,
                HeaderValue::from_bytes(value)?,
            );
        }
        let routes = Routes::build([(ROUTE, "c", 0)])?;
        let path = uri.path().to_owned();
        let found = routes.find(&path).context("the path must match")?;
        let route = RouteHeaders::new(found.route)?;
        let mut connection = ClientHeaders::new("127.0.0.1:8777".parse()?);
        let outcome = connection.prepare(&mut uri, &mut headers, &found, &route);
        Ok(outcome.map(|()| headers))
    }

    #[test]
    fn spins_headers_follow_the_clients() -> Result<()> {
        let client: [(&str, &[u8]); 4] = [
            ("host", b"example.com"),
            ("connection", b"close"),
            ("spin-client-addr", b"forged"),
            ("accept", b"*/*"),
        ];
        let headers = prepare("/foo/42/bar?q=1", &client)?
            .map_err(|bad| anyhow::anyhow!("refused: {bad:?}"))?;
        for (name, expected) in [
            ("spin-path-info", vec!["/bar"]),
            ("spin-full-url", vec!["http://example.com/foo/42/bar?q=1"]),
            ("spin-matched-route", vec![ROUTE]),
            ("spin-base-path", vec!["/"]),
            ("spin-raw-component-route", vec![ROUTE]),
            ("spin-component-route", vec!["/foo/:user_id"]),
            ("spin-client-addr", vec!["forged", "127.0.0.1:8777"]),
            ("spin-path-match-user-id", vec!["42"]),
            ("accept", vec!["*/*"]),
            ("connection", vec![]),
        ] {
            let values: Vec<_> = headers.get_all(name).iter().collect();
            assert_eq!(values, expected, "{name}");
        }
        Ok(())
    }

    #[test]
    fn what_no_component_can_read_is_refused() -> Result<()> {
        let host: (&str, &[u8]) = ("host", b"h");
        for (target, client, expected) in [
            ("/foo/1", vec![host], Ok(())),
            ("http://h/foo/1", vec![host], Ok(())),
            ("http://h/foo/1", vec![], Ok(())),
            ("/foo/1", vec![host, ("x", "é".as_bytes())], Ok(())),
            (
                "/foo/1",
                vec![host, ("x", b"\xff")],
                Err(BadRequest::HeaderNotUtf8),
            ),
            ("/foo/1", vec![], Err(BadRequest::Host)),
            ("http://other/foo/1", vec![host], Err(BadRequest::Host)),
            ("/foo/1", vec![("host", b"a b")], Err(BadRequest::Host)),
            (
                "/foo/1",
                vec![("host", b"x.spin.internal:80")],
                Err(BadRequest::Host),
            ),
        ] {
            let outcome = prepare(target, &client)?.map(drop);
            assert_eq!(outcome, expected, "{target} with {client:?}");
        }
        Ok(())
    }
}
