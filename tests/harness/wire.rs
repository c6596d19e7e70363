//! A bare connection, for what no HTTP client agrees to send.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long the host may stay silent before it is taken to have nothing more to say.
const SILENCE: Duration = Duration::from_secs(60);

/// A connection to the host.
pub struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// A response as read from a [`Wire`].
#[derive(Debug)]
pub struct WireResponse {
    /// The status.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// The body, as long as content-length says.
    pub body: String,
}

impl Wire {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address)
            .await
            .unwrap_or_else(|error| panic!("{address} does not accept connections: {error}"));
        stream
            .set_nodelay(true)
            .unwrap_or_else(|error| panic!("cannot set TCP_NODELAY: {error}"));
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// Sends bytes as they are. What the host no longer wants to read is lost, as on any wire.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Says that nothing more will be sent.
    pub async fn finish_writing(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// The next response; `None` when the host closes the connection instead.
    pub async fn read(&mut self) -> Option<WireResponse> {
        self.read_within(SILENCE).await
    }

    /// The next response of a host that may think for so long.
    pub async fn read_within(&mut self, silence: Duration) -> Option<WireResponse> {
        loop {
            if let Some(response) = self.take_response() {
                return Some(response);
            }
            let mut chunk = [0; 4096];
            let read = tokio::time::timeout(silence, self.stream.read(&mut chunk));
            match read.await {
                Ok(Ok(count)) if count > 0 => self.unread.extend_from_slice(&chunk[..count]),
                Ok(_) => return None,
                Err(_) => panic!(
                    "the host neither answered nor closed the connection for {silence:?}; so far it \
                     said {:?}",
                    String::from_utf8_lossy(&self.unread)
                ),
            }
        }
    }

    /// All that the host sends until it closes the connection.
    pub async fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.unread);
        match tokio::time::timeout(SILENCE, self.stream.read_to_end(&mut bytes)).await {
            Ok(_) => bytes,
            Err(_) => panic!("the host did not close the connection for {SILENCE:?}"),
        }
    }

    fn take_response(&mut self) -> Option<WireResponse> {
        let head_end = self
            .unread
            .windows(4)
            .position(|bytes| bytes == b"\r\n\r\n")?
            + 4;
        let head = String::from_utf8_lossy(&self.unread[..head_end]).into_owned();
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, value)| value.trim().parse().unwrap_or(0));
        let body = self.unread.get(head_end..head_end + length)?;
        let body = String::from_utf8_lossy(body).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        self.unread.drain(..head_end + length);
        Some(WireResponse { status, head, body })
    }
}
