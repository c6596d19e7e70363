//! Batches of a thousand events, of which one in ten was sent before.

use std::fmt::Write as _;

/// Events of a batch.
pub const EVENTS_PER_BATCH: u64 = 1_000;
/// Of those, the ones that nobody sent before.
pub const FRESH_PER_BATCH: u64 = 900;
/// How many batches ago the others were sent: more than are on their way at once, so
/// that no batch waits for another one's keys.
const REPEATED_AFTER_BATCHES: u64 = 128;
/// Digits of an event's number.
const NUMBER_DIGITS: usize = 16;
/// Customers that the events are of.
const SUBJECTS: u64 = 100;
/// Models that the usage is grouped by.
const MODELS: u64 = 4;

/// What an event says, but for its id.
#[derive(Debug, Clone, Copy)]
pub struct Content {
    /// The number of the customer.
    pub subject: u64,
    /// The number of the model.
    pub model: u64,
    /// What was used.
    pub tokens: u64,
}

/// The content of the event in this place of every batch.
pub const fn content(place: u64) -> Content {
    Content {
        subject: place % SUBJECTS,
        model: place % MODELS,
        tokens: place * 37 % 4_096,
    }
}

/// The number of the event in this place of this batch.
pub const fn number(batch: u64, place: u64) -> u64 {
    if place < FRESH_PER_BATCH {
        batch * FRESH_PER_BATCH + place
    } else {
        // The first ones of an earlier batch, or of this one when there is none.
        batch.saturating_sub(REPEATED_AFTER_BATCHES) * FRESH_PER_BATCH + place - FRESH_PER_BATCH
    }
}

/// A batch as it is sent, whose numbers are written over for each.
pub struct Template {
    bytes: Vec<u8>,
    numbers_at: Vec<usize>,
}

impl Template {
    /// The request of the holder of a token, with ids that no other run has.
    pub fn new(token: &str, run: u64) -> Self {
        let mut body = "[".to_owned();
        let mut numbers_at = Vec::new();
        for place in 0..EVENTS_PER_BATCH {
            let separator = if place == 0 { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = write!(body, "{separator}{{\"id\":\"{run:016x}-");
            numbers_at.push(body.len());
            let Content {
                subject,
                model,
                tokens,
            } = content(place);
            let _ = write!(
                body,
                "{}\",\"type\":\"completion\",\"subject\":\"cus_{subject}\",\
                 \"properties\":{{\"tokens\":{tokens},\"model\":\"model-{model}\"}}}}",
                "0".repeat(NUMBER_DIGITS)
            );
        }
        body.push(']');
        let head = format!(
            "POST /api/v1/usage/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        for at in &mut numbers_at {
            *at += head.len();
        }
        Self {
            bytes: (head + body.as_str()).into_bytes(),
            numbers_at,
        }
    }

    /// Writes the batch with this number.
    pub fn render(&mut self, batch: u64) -> &[u8] {
        for (place, at) in (0_u64..).zip(&self.numbers_at) {
            let mut rest = number(batch, place);
            for digit in self.bytes[*at..*at + NUMBER_DIGITS].iter_mut().rev() {
                *digit = b"0123456789abcdef"[(rest % 16) as usize];
                rest /= 16;
            }
        }
        &self.bytes
    }
}
