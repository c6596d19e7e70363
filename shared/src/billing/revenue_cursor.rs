//! Where a page of organizations starts. They are listed by what they bring, so that
//! their places are no numbers of the database, as they are in other lists.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rust_decimal::Decimal;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::http::input::{FromText, Invalid};
use crate::ids::OrganizationId;

/// Tells cursors of this layout from others: the first byte of the encoding.
const CURSOR_VERSION: u8 = 2;

/// A version, a decimal and a UUID.
const CURSOR_BYTES: usize = 1 + 16 + 16;

/// The place after an organization: its monthly recurring revenue, and among
/// equals its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevenueCursor {
    /// The monthly recurring revenue.
    pub mrr: Decimal,
    /// The organization.
    pub organization_id: OrganizationId,
}

impl RevenueCursor {
    /// The cursor as clients see it.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(CURSOR_BYTES);
        bytes.push(CURSOR_VERSION);
        bytes.extend(self.mrr.serialize());
        bytes.extend(self.organization_id.as_uuid().as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor that [`RevenueCursor::encode`] wrote; `None` for anything else.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes: [u8; CURSOR_BYTES] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (mrr, organization_id) = bytes[1..].split_at(16);
        let cursor = Self {
            mrr: Decimal::deserialize(mrr.try_into().ok()?),
            organization_id: OrganizationId::from_uuid(Uuid::from_slice(organization_id).ok()?),
        };
        let is_ours = cursor.encode() == text && cursor.mrr >= Decimal::ZERO;
        is_ours.then_some(cursor)
    }
}

impl FromText for RevenueCursor {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        let message = "must be a next_cursor from an earlier page of this list";
        Self::decode(text).ok_or_else(|| Invalid::new("invalid", message))
    }
}

impl Serialize for RevenueCursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encode())
    }
}

crate::describe!(RevenueCursor as "RevenueCursor", {
    "type": "string", "pattern": "^A[g-v][A-Za-z0-9_-]{42}$", "minLength": 44, "maxLength": 44,
    "description": "The next_cursor of an earlier page of the list; the first page when absent.",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip() {
        for mrr in ["0", "0.000000000", "12.5", "999999999999999999.999999999"] {
            let cursor = RevenueCursor {
                mrr: mrr.parse().expect("the table holds decimals"),
                organization_id: OrganizationId::new(7, &[3; crate::ids::RANDOM_BYTES]),
            };
            let text = cursor.encode();
            assert_eq!(text.len(), 44, "{mrr}");
            assert_eq!(RevenueCursor::decode(&text), Some(cursor), "{mrr}");
        }
    }

    #[test]
    fn what_no_page_gave_is_refused() {
        let written = |version: u8, flags: [u8; 4]| {
            let mut bytes = vec![version];
            bytes.extend(flags);
            bytes.extend([0; 28]);
            URL_SAFE_NO_PAD.encode(bytes)
        };
        let table = [
            String::new(),
            "AQAAAAAAAAAH".to_owned(),
            "not base64!".to_owned(),
            written(1, [0; 4]),
            // A scale beyond what a decimal has.
            written(2, [0, 0, 255, 0]),
            format!("{}=", written(2, [0; 4])),
            format!("{}A", written(2, [0; 4])),
        ];
        assert!(RevenueCursor::decode(&written(2, [0; 4])).is_some());
        for text in table {
            assert_eq!(RevenueCursor::decode(&text), None, "{text:?}");
        }
        let negative = RevenueCursor {
            mrr: Decimal::NEGATIVE_ONE,
            organization_id: OrganizationId::new(7, &[3; crate::ids::RANDOM_BYTES]),
        };
        assert_eq!(RevenueCursor::decode(&negative.encode()), None);
    }
}
