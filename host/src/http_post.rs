//! What the host itself sends to somebody else's server: a text that is posted to an address.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect as _};

use crate::postgres_tls::RustlsConnector;

/// An address of HTTP, by TLS or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostAddress {
    pub(crate) is_encrypted: bool,
    pub(crate) authority: Authority,
    pub(crate) target: PathAndQuery,
}

/// The text is no address that something can be posted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidAddress;

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write https://host/path, without a user in it")
    }
}

impl std::error::Error for InvalidAddress {}

impl FromStr for PostAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let address: Uri = text.parse().map_err(|_| InvalidAddress)?;
        let parts = address.into_parts();
        let scheme = parts.scheme.ok_or(InvalidAddress)?;
        let is_encrypted = scheme == Scheme::HTTPS;
        let authority = parts.authority.ok_or(InvalidAddress)?;
        let is_right = (is_encrypted || scheme == Scheme::HTTP)
            && !authority.as_str().contains('@')
            && !authority.host().is_empty();
        is_right
            .then(|| Self {
                is_encrypted,
                authority,
                target: parts
                    .path_and_query
                    .unwrap_or_else(|| PathAndQuery::from_static("/")),
            })
            .ok_or(InvalidAddress)
    }
}

impl PostAddress {
    /// Posts a text of this media type, for as long as it takes.
    ///
    /// # Errors
    /// The server cannot be reached, or does not answer with a 2xx.
    pub(crate) async fn post(&self, media_type: &'static str, text: String) -> Result<()> {
        let host = self.authority.host().trim_matches(['[', ']']);
        let default_port = if self.is_encrypted { 443 } else { 80 };
        let port = self.authority.port_u16().unwrap_or(default_port);
        let stream = TcpStream::connect((host, port))
            .await
            .context("it cannot be reached")?;
        let request = Request::post(self.target.as_str())
            .header(HOST, self.authority.as_str())
            .header(CONTENT_TYPE, media_type)
            .body(Full::new(Bytes::from(text)))?;
        if self.is_encrypted {
            let mut connector = RustlsConnector::new(None)?;
            let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut connector, host)?;
            let stream = tls.connect(stream).await.context("no TLS with it")?;
            send(stream, request).await
        } else {
            send(stream, request).await
        }
    }
}

/// Sends a request, which must be answered with a 2xx.
async fn send<S>(stream: S, request: Request<Full<Bytes>>) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await;
    connection.abort();
    let status = response.context("it did not answer")?.status();
    ensure!(status.is_success(), "it answered {status}");
    Ok(())
}
