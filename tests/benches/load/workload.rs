//! Requests, rendered before anything is measured.

/// Digits of the number that makes a request unique within a run.
const NUMBER_DIGITS: usize = 16;

/// Rendered requests, sent in turn.
#[derive(Debug)]
pub struct Workload {
    /// At least one.
    pub requests: Vec<Template>,
}

/// A request that is the same each time, but for a number.
#[derive(Debug)]
pub struct Template {
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

    /// Whether its requests have Idempotency-Keys, and can be sent again.
    pub fn is_idempotent(&self) -> bool {
        let mut requests = self.requests.iter();
        requests.all(|template| template.number_at.is_some())
    }

    /// The first line of a request, for messages.
    pub fn request_line(&self) -> String {
        let bytes = self.requests.first().map_or(&[][..], |first| &first.bytes);
        let line = bytes.split(|byte| *byte == b'\r').next();
        String::from_utf8_lossy(line.unwrap_or_default()).into_owned()
    }
}

impl Template {
    /// A GET.
    pub fn get(target: &str, token: Option<&str>) -> Self {
        let authorization = token.map_or_else(String::new, authorization);
        Self {
            bytes: format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n{authorization}\r\n")
                .into_bytes(),
            number_at: None,
        }
    }

    /// A POST.
    pub fn post(target: &str, token: Option<&str>, content_type: &str, body: &str) -> Self {
        Self::with_body("POST", target, token, content_type, body)
    }

    /// A PUT of JSON.
    pub fn put(target: &str, token: &str, body: &str) -> Self {
        Self::with_body("PUT", target, Some(token), "application/json", body)
    }

    fn with_body(
        method: &str,
        target: &str,
        token: Option<&str>,
        content_type: &str,
        body: &str,
    ) -> Self {
        let authorization = token.map_or_else(String::new, authorization);
        let bytes = format!(
            "{method} {target} HTTP/1.1\r\nhost: localhost\r\n{authorization}\
             content-type: {content_type}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        Self {
            bytes: bytes.into_bytes(),
            number_at: None,
        }
    }

    /// A POST of JSON with an Idempotency-Key: `run` and the request's number.
    pub fn post_idempotent(target: &str, token: &str, run: u64, body: &str) -> Self {
        let before = format!(
            "POST {target} HTTP/1.1\r\nhost: localhost\r\n{}content-type: application/json\r\n\
             content-length: {}\r\nidempotency-key: {run:016x}-",
            authorization(token),
            body.len()
        );
        let number_at = before.len();
        let number = "0".repeat(NUMBER_DIGITS);
        Self {
            bytes: format!("{before}{number}\r\n\r\n{body}").into_bytes(),
            number_at: Some(number_at),
        }
    }

    /// The request as it is sent, with the number zero.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn authorization(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}
