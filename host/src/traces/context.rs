//! Which trace and which span something is part of.

use std::fmt;

use http::HeaderMap;

use super::TRACEPARENT;

/// A span's place, as the header `traceparent` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanContext {
    trace_id: u128,
    span_id: u64,
    /// Whether the trace is recorded, which whoever began it has decided.
    pub(crate) is_sampled: bool,
}

impl SpanContext {
    /// The one that the headers name, if they name one rightly.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        Self::parse(headers.get(TRACEPARENT)?.to_str().ok()?)
    }

    /// Reads `00-<trace>-<span>-<flags>`. Later versions may have more, of which these are a part.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('-');
        let mut next = |digits| hex(fields.next()?, digits);
        let (version, trace_id) = (next(2)?, next(32)?);
        let (span_id, flags) = (next(16)?, next(2)?);
        let has_more = fields.next().is_some();
        let is_right =
            version != 0xff && !(version == 0 && has_more) && trace_id != 0 && span_id != 0;
        is_right.then_some(Self {
            trace_id,
            span_id: u64::try_from(span_id).ok()?,
            is_sampled: flags & 1 == 1,
        })
    }

    /// The first span of a new trace.
    pub(super) fn root() -> Self {
        Self {
            trace_id: u128::from_ne_bytes(random()),
            span_id: u64::from_ne_bytes(random()),
            is_sampled: true,
        }
    }

    /// A new span of the same trace.
    pub(super) fn child(self) -> Self {
        Self {
            span_id: u64::from_ne_bytes(random()),
            ..self
        }
    }

    /// The trace's id in hexadecimal digits.
    pub(crate) fn trace_id_text(self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// The span's id in hexadecimal digits.
    pub(super) fn span_id_text(self) -> String {
        format!("{:016x}", self.span_id)
    }
}

impl fmt::Display for SpanContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.is_sampled);
        let (trace, span) = (self.trace_id, self.span_id);
        write!(f, "00-{trace:032x}-{span:016x}-{flags:02x}")
    }
}

/// An id, which nobody needs to be unable to guess.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Without randomness ids coincide, and traces are mixed up.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

/// A number from its lower-case hexadecimal digits, which must be so many.
fn hex(digits: &str, count: usize) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let are_right = digits.len() == count && digits.bytes().all(is_digit);
    are_right
        .then(|| u128::from_str_radix(digits, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_read_and_written() {
        const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        const SPAN: &str = "00f067aa0ba902b7";
        for (text, is_read) in [
            (format!("00-{TRACE}-{SPAN}-01"), true),
            (format!("00-{TRACE}-{SPAN}-00"), true),
            (format!("cc-{TRACE}-{SPAN}-01-more"), true),
            (format!("00-{TRACE}-{SPAN}-01-more"), false),
            (format!("ff-{TRACE}-{SPAN}-01"), false),
            (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), false),
            (format!("00-{}-{SPAN}-01", "0".repeat(32)), false),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), false),
            (format!("00-{TRACE}0-{SPAN}-01"), false),
            (format!("00-{TRACE}-{SPAN}"), false),
            ("00".to_owned(), false),
            (String::new(), false),
        ] {
            let read = SpanContext::parse(&text);
            assert_eq!(read.is_some(), is_read, "{text}");
            if let Some(context) = read.filter(|_| text.starts_with("00")) {
                assert_eq!(context.to_string(), text);
                let child = context.child();
                assert_eq!(child.trace_id_text(), TRACE);
                assert_ne!(child.span_id_text(), SPAN);
                assert_eq!(child.is_sampled, context.is_sampled);
            }
        }
    }
}
