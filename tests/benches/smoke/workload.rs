//! What is measured: the routes, and the requests that are sent to each.

use crate::fixtures::Fixtures;

/// Digits of the number that makes an Idempotency-Key unique within a run.
const NUMBER_DIGITS: usize = 16;

/// What every consumption takes. The fixtures hold enough for weeks of it.
pub const CONSUMED_AMOUNT: &str = "0.01";

/// One row of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Liveness: asks nothing of any dependency.
    Health,
    /// A balance that is in the cache.
    CachedBalance,
    /// One page of one transaction, which is never cached.
    IndexedRead,
    /// Consumptions that all queue for one account.
    ConsumeHot,
    /// Consumptions spread over many accounts.
    ConsumeSpread,
}

impl Scenario {
    /// All rows, in the report's order.
    pub const ALL: [Self; 5] = [
        Self::Health,
        Self::CachedBalance,
        Self::IndexedRead,
        Self::ConsumeHot,
        Self::ConsumeSpread,
    ];

    /// The row's name; also what a baseline is matched by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Health => "GET health",
            Self::CachedBalance => "GET credits/balance, cached",
            Self::IndexedRead => "GET credits/transactions?limit=1",
            Self::ConsumeHot => "POST credits/consume, one account",
            Self::ConsumeSpread => "POST credits/consume, 1,000 accounts",
        }
    }

    /// Whether its requests write to the ledger.
    pub const fn consumes(self) -> bool {
        matches!(self, Self::ConsumeHot | Self::ConsumeSpread)
    }

    /// The share of responses that must come from the cache, in percent: otherwise the row does
    /// not measure what its name says. Entries expire after a minute, so not quite all do.
    pub const fn expected_hits_percent(self) -> std::ops::RangeInclusive<u64> {
        match self {
            Self::CachedBalance => 99..=100,
            _ => 0..=0,
        }
    }

    /// The requests to send, as users of `fixtures`.
    pub fn workload(self, fixtures: &Fixtures, run: u64) -> Workload {
        let requests = match self {
            Self::Health => vec![get("/api/v1/health", None)],
            Self::CachedBalance => vec![get(
                "/api/v1/credits/balance?currency=USD",
                Some(&fixtures.reader),
            )],
            Self::IndexedRead => vec![get(
                "/api/v1/credits/transactions?limit=1",
                Some(&fixtures.reader),
            )],
            Self::ConsumeHot => vec![consume(&fixtures.hot, run)],
            Self::ConsumeSpread => fixtures
                .spread
                .iter()
                .map(|token| consume(token, run))
                .collect(),
        };
        Workload { requests }
    }
}

/// Rendered requests, sent in turn.
#[derive(Debug)]
pub struct Workload {
    requests: Vec<Template>,
}

#[derive(Debug)]
struct Template {
    bytes: Vec<u8>,
    /// Where the number goes that makes the request unique.
    number_at: Option<usize>,
}

impl Workload {
    /// Writes the request with this number into `buffer`. Consecutive numbers take consecutive
    /// accounts, so that requests in flight never meet unless there is only one account.
    pub fn render(&self, number: u64, buffer: &mut Vec<u8>) {
        let count = self.requests.len() as u64;
        let index = usize::try_from(number % count.max(1)).unwrap_or(0);
        buffer.clear();
        let Some(template) = self.requests.get(index) else {
            return;
        };
        buffer.extend_from_slice(&template.bytes);
        if let Some(start) = template.number_at {
            let mut rest = number;
            for digit in buffer[start..start + NUMBER_DIGITS].iter_mut().rev() {
                *digit = b"0123456789abcdef"[(rest % 16) as usize];
                rest /= 16;
            }
        }
    }

    /// The first line of a request, for messages.
    pub fn request_line(&self) -> String {
        let bytes = self.requests.first().map_or(&[][..], |first| &first.bytes);
        let line = bytes.split(|byte| *byte == b'\r').next();
        String::from_utf8_lossy(line.unwrap_or_default()).into_owned()
    }
}

fn get(target: &str, token: Option<&str>) -> Template {
    let authorization = token.map_or_else(String::new, |token| {
        format!("authorization: Bearer {token}\r\n")
    });
    Template {
        bytes: format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n{authorization}\r\n")
            .into_bytes(),
        number_at: None,
    }
}

fn consume(token: &str, run: u64) -> Template {
    let body = format!(
        r#"{{"amount":"{CONSUMED_AMOUNT}","currency":"USD","description":"one call of the model"}}"#
    );
    let before = format!(
        "POST /api/v1/credits/consume HTTP/1.1\r\nhost: localhost\r\n\
         authorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nidempotency-key: {run:016x}-",
        body.len()
    );
    let number_at = before.len();
    let number = "0".repeat(NUMBER_DIGITS);
    Template {
        bytes: format!("{before}{number}\r\n\r\n{body}").into_bytes(),
        number_at: Some(number_at),
    }
}
