//! What one request knows of the world: its id, the time, randomness, and what
//! it has cost so far.
//!
//! The clock and the random source are read here and nowhere else, so that a
//! handler's rule takes both as values and can be tested with any.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::http::asker::Asker;
use crate::http::problem::Problem;

/// Longest `X-Request-ID` that is taken over from the client.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// How the cache took part in a response; sent as `X-Cache`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheStatus {
    /// Served from the cache.
    Hit,
    /// Looked for, not found, and read from Postgres.
    Miss,
    /// Not asked, or not able to answer.
    Bypass,
}

impl CacheStatus {
    /// The header's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

/// One request's context.
#[derive(Debug)]
pub struct Context {
    component: &'static str,
    request_id: String,
    started: Instant,
    now_millis: OnceCell<u64>,
    db_queries: Cell<u32>,
    cache_status: Cell<CacheStatus>,
    is_replayed: Cell<bool>,
    asker: Rc<Asker>,
}

thread_local! {
    /// Sixteen hexadecimal digits that tell this instance's requests from
    /// every other's, drawn once, and a counter that tells them apart.
    static INSTANCE: (String, Cell<u64>) = {
        let mut bytes = [0u8; 8];
        // Without randomness the ids of two instances may coincide, which
        // spoils a log line and nothing else.
        let _ = getrandom::fill(&mut bytes);
        (format!("{:016x}", u64::from_be_bytes(bytes)), Cell::new(0))
    };
}

thread_local! {
    /// When a request of this instance began, from which all of them count.
    static INSTANCE_BEGAN: OnceCell<Instant> = const { OnceCell::new() };
}

fn next_request_id() -> String {
    INSTANCE.with(|(instance, counter)| {
        counter.set(counter.get().wrapping_add(1));
        format!("req_{instance}{:06x}", counter.get())
    })
}

fn is_usable_request_id(id: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !id.is_empty() && id.len() <= MAX_REQUEST_ID_BYTES && id.bytes().all(allowed)
}

impl Context {
    /// A context that begins now. The client's request id is kept if it is
    /// harmless to repeat in a header and a log. `asker` learns who asks while the request
    /// is read.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock"
    )]
    pub(crate) fn begin(
        component: &'static str,
        client_request_id: Option<&str>,
        asker: Rc<Asker>,
    ) -> Self {
        Self {
            component,
            request_id: client_request_id
                .filter(|id| is_usable_request_id(id))
                .map_or_else(next_request_id, str::to_owned),
            started: Instant::now(),
            now_millis: OnceCell::new(),
            db_queries: Cell::new(0),
            cache_status: Cell::new(CacheStatus::Bypass),
            is_replayed: Cell::new(false),
            asker,
        }
    }

    /// Who asks.
    pub(crate) fn asker(&self) -> &Asker {
        &self.asker
    }

    /// The component that handles the request.
    pub const fn component(&self) -> &'static str {
        self.component
    }

    /// The id under which the request is logged.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Milliseconds since 1970 on this machine's clock, the same for the whole
    /// request. Fit for expiry and ids; times that are stored come from Postgres.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock"
    )]
    pub fn now_millis(&self) -> u64 {
        *self.now_millis.get_or_init(|| {
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
            u64::try_from(since_epoch.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
        })
    }

    /// Time since the request began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Time since a moment that all requests of the instance count from.
    pub(crate) fn instance_time(&self) -> Duration {
        INSTANCE_BEGAN.with(|began| began.get_or_init(|| self.started).elapsed())
    }

    /// `N` bytes from the host's cryptographic source.
    ///
    /// # Errors
    /// A 500 if the host has none, which no supported host lacks.
    pub fn random<const N: usize>(&self) -> Result<[u8; N], Problem> {
        let mut bytes = [0u8; N];
        getrandom::fill(&mut bytes).map_err(|error| {
            self.log("error", &format!("no randomness: {error}"));
            Problem::internal()
        })?;
        Ok(bytes)
    }

    /// Counts a statement sent to Postgres.
    pub(crate) fn count_db_query(&self) {
        self.db_queries.set(self.db_queries.get() + 1);
    }

    /// Statements sent to Postgres so far.
    pub fn db_queries(&self) -> u32 {
        self.db_queries.get()
    }

    /// Notes how the cache took part.
    pub(crate) fn set_cache_status(&self, status: CacheStatus) {
        self.cache_status.set(status);
    }

    /// How the cache took part.
    pub fn cache_status(&self) -> CacheStatus {
        self.cache_status.get()
    }

    /// Notes that the answer is that to an earlier request with the same Idempotency-Key.
    pub(crate) fn set_replayed(&self) {
        self.is_replayed.set(true);
    }

    /// Whether the answer is that to an earlier request; sent as `Idempotent-Replayed`.
    pub fn is_replayed(&self) -> bool {
        self.is_replayed.get()
    }

    /// Writes one line of JSON to the component's log.
    pub fn log(&self, level: &str, message: &str) {
        let line = serde_json::json!({
            "level": level,
            "component": self.component,
            "request_id": self.request_id,
            "elapsed_ms": u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX),
            "message": message,
        });
        eprintln!("{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_name_its_request_with_harmless_characters() {
        let long = "a".repeat(MAX_REQUEST_ID_BYTES + 1);
        let table = [
            ("abc-123_x.y", true),
            ("", false),
            ("a b", false),
            ("a\r\nset-cookie: x", false),
            ("\"quoted\"", false),
            (&long, false),
        ];
        for (id, kept) in table {
            let context = Context::begin("test", Some(id), Rc::default());
            assert_eq!(context.request_id() == id, kept, "{id:?}");
        }
    }

    #[test]
    fn requests_have_ids_of_their_own() {
        let begin = || Context::begin("test", None, Rc::default());
        let (a, b) = (begin(), begin());
        assert_ne!(a.request_id(), b.request_id());
    }
}
