//! Where a checkpoint goes: to the standard output, into a file, or to a webhook.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::http_post::{InvalidAddress, PostAddress};

/// How long a webhook may take to say that it has the checkpoint.
const WEBHOOK_PATIENCE: Duration = Duration::from_secs(30);

/// A checkpoint is lines of JSON.
const LINES_OF_JSON: &str = "application/jsonl";

/// Where a checkpoint goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// The standard output.
    Output,
    /// A file that must not exist: an earlier checkpoint is evidence, and is not written over.
    File(PathBuf),
    /// An address that it is posted to.
    Webhook(PostAddress),
}

impl FromStr for Destination {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if text == "-" {
            return Ok(Self::Output);
        }
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        match scheme.map(str::to_ascii_lowercase).as_deref() {
            Some("https" | "http") => text.parse().map(Self::Webhook),
            _ => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

impl Destination {
    /// Hands a checkpoint over.
    ///
    /// # Errors
    /// The file exists or cannot be written, or the webhook did not answer with a 2xx in time.
    pub async fn take(&self, text: String) -> Result<()> {
        match self {
            Self::Output => {
                print!("{text}");
                Ok(())
            }
            Self::File(path) => write_new(path, &text),
            Self::Webhook(webhook) => post(webhook, text).await,
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output => f.write_str("the standard output"),
            Self::File(path) => path.display().fmt(f),
            // Its path may be a secret.
            Self::Webhook(webhook) => webhook.authority.fmt(f),
        }
    }
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    let file = std::fs::File::create_new(path);
    let mut file = file.with_context(|| format!("cannot make the file {}", path.display()))?;
    std::io::Write::write_all(&mut file, text.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write to {}", path.display()))
}

async fn post(webhook: &PostAddress, text: String) -> Result<()> {
    let posted = tokio::time::timeout(WEBHOOK_PATIENCE, webhook.post(LINES_OF_JSON, text)).await;
    posted
        .context("it did not answer in time")
        .flatten()
        .with_context(|| format!("{} has not taken the checkpoint", webhook.authority))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::postgres_cluster::ScratchDirectory;

    #[test]
    fn where_a_checkpoint_goes() {
        for (text, expected) in [
            ("-", Some("the standard output")),
            ("today.jsonl", Some("today.jsonl")),
            ("./-", Some("./-")),
            ("s3://bucket/today", Some("s3://bucket/today")),
            ("https://vault.example/kept?key=1", Some("vault.example")),
            ("HTTPS://vault.example:8443", Some("vault.example:8443")),
            ("http://[::1]:8080/", Some("[::1]:8080")),
            ("https://", None),
            ("https:///path", None),
            ("https://me:secret@vault.example/", None),
            ("https://vault example/", None),
        ] {
            let read = text.parse::<Destination>().ok();
            let shown = read.map(|destination| destination.to_string());
            assert_eq!(shown.as_deref(), expected, "{text:?}");
        }
    }

    #[tokio::test]
    async fn an_earlier_checkpoint_is_not_written_over() {
        let scratch = ScratchDirectory::new();
        let path = scratch.path().join("checkpoint.jsonl");
        let destination = Destination::File(path.clone());
        let first = destination.take("first".to_owned()).await;
        first.expect("there is no such file");
        let second = destination.take("second".to_owned()).await;
        assert!(second.is_err(), "there is one");
        let kept = std::fs::read_to_string(path).expect("it is there");
        assert_eq!(kept, "first");
    }

    /// What a webhook that answers like this is sent, and whether the checkpoint counts as taken.
    async fn posted_to(answer: &str) -> (String, bool) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let webhook = async {
            let (mut stream, _) = listener.accept().await.expect("somebody comes");
            let mut received = Vec::new();
            while !received.ends_with(b"{\"b\":2}\n") {
                let count = stream.read_buf(&mut received).await.expect("it is sent");
                assert!(count > 0, "it ended early");
            }
            let answered = stream.write_all(answer.as_bytes()).await;
            answered.expect("it listens");
            String::from_utf8(received).expect("it is text")
        };
        let destination: Destination = format!("http://{address}/kept?key=1")
            .parse()
            .expect("it is an address");
        let taking = destination.take("{\"a\":1}\n{\"b\":2}\n".to_owned());
        let (received, taken) = tokio::join!(webhook, taking);
        (
            received.replace(&address.to_string(), "ADDRESS"),
            taken.is_ok(),
        )
    }

    #[tokio::test]
    async fn a_webhook_takes_a_checkpoint_with_a_2xx() {
        for (answer, is_taken) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", true),
            (
                "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
                false,
            ),
            ("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", false),
            ("what?\r\n\r\n", false),
            ("", false),
        ] {
            let (received, taken) = posted_to(answer).await;
            assert_eq!(taken, is_taken, "{answer:?}");
            assert_eq!(
                received,
                "POST /kept?key=1 HTTP/1.1\r\nhost: ADDRESS\r\ncontent-type: application/jsonl\r\n\
                 content-length: 16\r\n\r\n{\"a\":1}\n{\"b\":2}\n"
            );
        }
        let nobody: Destination = "http://127.0.0.1:1/".parse().expect("it is an address");
        assert!(nobody.take(String::new()).await.is_err(), "nobody listens");
    }
}
