//! Which trace and which span something is part of.

use std::fmt;

use http::HeaderMap;

use super::TRACEPARENT;

/// A span's place, as the header `traceparent` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
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
        let [version] = hex(fields.next()?)?;
        let (trace_id, span_id) = (hex(fields.next()?)?, hex(fields.next()?)?);
        let [flags] = hex(fields.next()?)?;
        let has_more = fields.next().is_some();
        let is_right = version != 0xff
            && !(version == 0 && has_more)
            && trace_id != [0; 16]
            && span_id != [0; 8];
        is_right.then_some(Self {
            trace_id,
            span_id,
            is_sampled: flags & 1 == 1,
        })
    }

    /// The first span of a new trace.
    pub(super) fn root() -> Self {
        Self {
            trace_id: random(),
            span_id: random(),
            is_sampled: true,
        }
    }

    /// A new span of the same trace.
    pub(super) fn child(self) -> Self {
        Self {
            span_id: random(),
            ..self
        }
    }

    /// The trace's id in hexadecimal digits.
    pub(crate) fn trace_id_text(self) -> String {
        text(&self.trace_id)
    }

    /// The span's id in hexadecimal digits.
    pub(super) fn span_id_text(self) -> String {
        text(&self.span_id)
    }
}

impl fmt::Display for SpanContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.is_sampled);
        let (trace, span) = (self.trace_id_text(), self.span_id_text());
        write!(f, "00-{trace}-{span}-{flags:02x}")
    }
}

/// An id, which nobody needs to be unable to guess.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Without randomness ids coincide, and traces are mixed up.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes from their lower-case hexadecimal digits, which must be as many as they need.
fn hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if digits.len() != 2 * N || !digits.bytes().all(is_digit) {
        return None;
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
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
