//! Pages of a list: `?limit=&cursor=`, with an opaque cursor.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, Serializer};

use crate::http::input::Whole;
use crate::http::problem::Problem;

/// Items in a page when the client does not say.
pub const DEFAULT_LIMIT: u32 = 50;

/// Most items in a page. At about 300 bytes an item a full page is 30 KB, which
/// one response still carries in a single write.
pub const MAX_LIMIT: u32 = 100;

/// The `limit` of a query.
pub type PageLimit = Whole<1, { MAX_LIMIT as i64 }>;

/// Tells cursors of this layout from others: the first byte of the encoding.
const CURSOR_VERSION: u8 = 1;

/// Where a page starts: after the item whose position this is. Positions come
/// from the database and increase with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub i64);

impl Cursor {
    /// The cursor as clients see it.
    pub fn encode(self) -> String {
        let mut bytes = [0u8; 9];
        bytes[0] = CURSOR_VERSION;
        bytes[1..].copy_from_slice(&self.0.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor that [`Cursor::encode`] wrote; `None` for anything else.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes: [u8; 9] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (&CURSOR_VERSION, position) = bytes.split_first()? else {
            return None;
        };
        Some(Self(i64::from_be_bytes(position.try_into().ok()?)))
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encode())
    }
}

/// Which page a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Items wanted, 1 to [`MAX_LIMIT`].
    pub limit: u32,
    /// Start after this item; from the newest when absent.
    pub after: Option<Cursor>,
}

impl Page {
    /// The page of a query's `limit`, which is [`DEFAULT_LIMIT`] when absent, and
    /// `cursor`.
    pub fn new(limit: Option<PageLimit>, cursor: Option<Cursor>) -> Self {
        let limit = limit.and_then(|limit| u32::try_from(limit.0).ok());
        Self {
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            after: cursor,
        }
    }

    /// The items of the page, and the cursor of the next one, from rows of which there
    /// is one more than the page holds when another follows.
    pub fn cut<T>(
        self,
        mut rows: Vec<T>,
        position: impl Fn(&T) -> i64,
    ) -> (Vec<T>, Option<Cursor>) {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().map(|row| Cursor(position(row)));
        (rows, last.filter(|_| has_more))
    }
}

/// A 400 for a `cursor` that no response of ours gave.
pub fn invalid_cursor() -> Problem {
    Problem::invalid_parameter(
        "cursor",
        "invalid",
        "must be a next_cursor from an earlier page of this list",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::input;

    #[test]
    fn cursors_round_trip() {
        for position in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(
                Cursor::decode(&Cursor(position).encode()),
                Some(Cursor(position))
            );
        }
    }

    #[test]
    fn a_page_has_a_next_one_when_there_is_a_row_more() {
        let page = Page::new(Some(Whole(2)), None);
        let table = [
            (vec![], (vec![], None)),
            (vec![9, 8], (vec![9, 8], None)),
            (vec![9, 8, 7], (vec![9, 8], Some(Cursor(8)))),
        ];
        for (rows, expected) in table {
            assert_eq!(page.cut(rows.clone(), |row| *row), expected, "{rows:?}");
        }
        let default = Page::new(None, Some(Cursor(7)));
        assert_eq!(
            (default.limit, default.after),
            (DEFAULT_LIMIT, Some(Cursor(7)))
        );
    }

    #[test]
    fn parameters() {
        let limit = |text: &str| input::text::<PageLimit>(text).map(|limit| limit.0);
        let cursor = |text: &str| input::text::<Cursor>(text).map(|cursor| cursor.0);
        let written = Cursor(7).encode();
        let table = [
            (limit("1"), Some(1)),
            (limit("100"), Some(100)),
            (limit("0"), None),
            (limit("101"), None),
            (limit("-1"), None),
            (limit("+1"), None),
            (limit(""), None),
            (limit("ten"), None),
            (limit("4294967297"), None),
            (cursor(&written), Some(7)),
            (cursor(""), None),
            (cursor("AQ"), None),
            (cursor("not base64!"), None),
            (cursor("AgAAAAAAAAAH"), None),
        ];
        for (index, (got, expected)) in table.into_iter().enumerate() {
            assert_eq!(got.ok(), expected, "row {index}");
        }
    }
}
