//! Pages of a list: `?limit=&cursor=`, with an opaque cursor.
//!
//! A cursor says after which item a page begins. It is good for the list that gave it, asked
//! for by the same user in the same organization with the same parameters apart from `limit`:
//! it carries a code over all of these, under a key of the database's. The key comes with the
//! rows, so that no statement is spent on it. So a page is read from the database first, and it
//! is given out if the cursor was right: [`Page::open`] is the only way to the rows.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

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
const CURSOR_VERSION: u8 = 3;

/// Bytes of the code: half of what HMAC-SHA256 gives, which RFC 2104, section 5, allows.
const CODE_BYTES: usize = 16;

/// Most bytes of a place: two names of 64 characters, each of which is at most 6 bytes of
/// JSON (an escaped one), are 768 bytes, and with a date, quotes and brackets 800.
const MAX_PLACE_BYTES: usize = 800;

/// Shortest and longest cursor in characters: a version, a code and a place in base64.
pub const CURSOR_CHARS: (usize, usize) = (
    base64_chars(1 + CODE_BYTES + 1),
    base64_chars(1 + CODE_BYTES + MAX_PLACE_BYTES),
);

const fn base64_chars(bytes: usize) -> usize {
    (bytes * 8).div_ceil(6)
}

/// Where an item stands in its list, as a cursor has it.
pub trait Place: Sized {
    /// The place in at most 800 bytes.
    fn to_bytes(&self) -> Vec<u8>;

    /// Reads what [`Place::to_bytes`] wrote; `None` for anything else.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// Positions come from the database and increase with time.
impl Place for i64 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

/// A cursor as clients see it. One that a request gives has the right form, and may still be
/// of another list: [`Page::open`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    code: [u8; CODE_BYTES],
    place: Vec<u8>,
}

impl Cursor {
    /// The cursor as text.
    pub fn encode(&self) -> String {
        let mut bytes = vec![CURSOR_VERSION];
        bytes.extend(self.code);
        bytes.extend(&self.place);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a text of the right form; `None` for anything else.
    pub fn decode(text: &str) -> Option<Self> {
        let (_, longest) = CURSOR_CHARS;
        if text.len() > longest {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (&CURSOR_VERSION, rest) = bytes.split_first()? else {
            return None;
        };
        let (code, place) = rest.split_first_chunk()?;
        (!place.is_empty()).then(|| Self {
            code: *code,
            place: place.to_vec(),
        })
    }

    /// The place that it names, whether it is ours or not.
    pub fn place<P: Place>(&self) -> Option<P> {
        P::from_bytes(&self.place)
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encode())
    }
}

/// What a cursor belongs to: a list of somebody's, asked for by some parameters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListScope([u8; 32]);

impl ListScope {
    /// The list that is answered at `path`, of `owner`, by the parameters `filter`: names
    /// with values, in any order.
    pub fn new<'a>(
        path: &str,
        owner: &[u8],
        filter: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut filter: Vec<_> = filter.into_iter().collect();
        filter.sort_unstable();
        let mut hasher = Sha256::new();
        let texts = filter.into_iter().flat_map(|(name, value)| [name, value]);
        let texts = [path].into_iter().chain(texts).map(str::as_bytes);
        for part in [owner].into_iter().chain(texts) {
            // Each after its length, so that no two lists of parts are one text.
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            hasher.update(length.to_be_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }
}

/// The secret under which a deployment's cursors have their codes.
#[derive(Clone)]
pub struct CursorKey([u8; 32]);

impl CursorKey {
    /// The key with these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn code_of(&self, scope: ListScope, place: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0)
            .expect("HMAC takes a key of any length (RFC 2104, section 2)");
        mac.update(&scope.0);
        mac.update(place);
        mac
    }

    fn cursor(&self, scope: ListScope, place: Vec<u8>) -> Cursor {
        let whole = self.code_of(scope, &place).finalize().into_bytes();
        let mut code = [0; CODE_BYTES];
        code.copy_from_slice(&whole[..CODE_BYTES]);
        Cursor { code, place }
    }

    fn has_made(&self, cursor: &Cursor, scope: ListScope) -> bool {
        let code = self.code_of(scope, &cursor.place);
        code.verify_truncated_left(&cursor.code).is_ok()
    }
}

impl fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CursorKey")
    }
}

/// What the database answers of a page, with the key of its cursors. A [`Page`] opens it.
#[derive(Debug)]
pub struct Listed<A> {
    answer: A,
    key: CursorKey,
}

impl<A> Listed<A> {
    /// An answer with the key that came with it.
    pub const fn new(answer: A, key: CursorKey) -> Self {
        Self { answer, key }
    }
}

/// Which page a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<P = i64> {
    /// Items wanted, 1 to [`MAX_LIMIT`].
    pub limit: u32,
    /// Start after this place; from the first item when absent. Not to be trusted before
    /// the page is opened, and harmless: it chooses among what the caller may read.
    pub after: Option<P>,
    cursor: Option<Cursor>,
    scope: ListScope,
}

impl<P: Place> Page<P> {
    /// The page of a query's `limit`, which is [`DEFAULT_LIMIT`] when absent, and `cursor`.
    ///
    /// # Errors
    /// 400 when the cursor names no place of this list.
    pub fn new(
        scope: ListScope,
        limit: Option<PageLimit>,
        cursor: Option<&Cursor>,
    ) -> Result<Self, Problem> {
        let limit = limit.and_then(|limit| u32::try_from(limit.0).ok());
        let place = |cursor: &Cursor| cursor.place().ok_or_else(invalid_cursor);
        Ok(Self {
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            after: cursor.map(place).transpose()?,
            cursor: cursor.cloned(),
            scope,
        })
    }

    /// What the database answered, if the cursor of this page is one that the list gave.
    ///
    /// # Errors
    /// 400 when it is not.
    pub fn open<A>(&self, listed: Listed<A>) -> Result<(A, CursorKey), Problem> {
        let Listed { answer, key } = listed;
        match &self.cursor {
            Some(cursor) if !key.has_made(cursor, self.scope) => Err(invalid_cursor()),
            _ => Ok((answer, key)),
        }
    }

    /// The items of the page, and the cursor of the next one, from rows of which there
    /// is one more than the page holds when another follows.
    ///
    /// # Errors
    /// Those of [`Page::open`].
    pub fn cut<T>(
        &self,
        listed: Listed<Vec<T>>,
        place: impl Fn(&T) -> P,
    ) -> Result<(Vec<T>, Option<Cursor>), Problem> {
        let (rows, key) = self.open(listed)?;
        Ok(self.cut_opened(&key, rows, place))
    }

    /// As [`Page::cut`], for rows that were opened as a part of something else.
    pub fn cut_opened<T>(
        &self,
        key: &CursorKey,
        mut rows: Vec<T>,
        place: impl Fn(&T) -> P,
    ) -> (Vec<T>, Option<Cursor>) {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| has_more);
        let next = last.map(|row| key.cursor(self.scope, place(row).to_bytes()));
        (rows, next)
    }
}

/// A 400 for a `cursor` that no page of this list gave.
pub fn invalid_cursor() -> Problem {
    Problem::invalid_parameter("cursor", "invalid", NOT_OF_THIS_LIST)
}

/// What is said of a cursor that is not of the list.
pub(crate) const NOT_OF_THIS_LIST: &str =
    "must be a next_cursor from an earlier page of this list, asked for with the same parameters";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::input;

    const KEY: CursorKey = CursorKey::new([7; 32]);

    fn scope(path: &str, owner: &str, filter: &[(&str, &str)]) -> ListScope {
        ListScope::new(path, owner.as_bytes(), filter.iter().copied())
    }

    fn page(limit: i64, cursor: Option<&Cursor>) -> Page {
        let scope = scope("/a", "ada", &[]);
        Page::new(scope, Some(Whole(limit)), cursor).expect("the place is a number")
    }

    fn listed(rows: Vec<i64>) -> Listed<Vec<i64>> {
        Listed::new(rows, KEY)
    }

    #[test]
    fn a_page_has_a_next_one_when_there_is_a_row_more() {
        let table = [
            (vec![], vec![], None),
            (vec![9, 8], vec![9, 8], None),
            (vec![9, 8, 7], vec![9, 8], Some(8)),
        ];
        for (rows, expected, next) in table {
            let (shown, cursor) = page(2, None)
                .cut(listed(rows.clone()), |row| *row)
                .expect("without a cursor there is none to refuse");
            assert_eq!(shown, expected, "{rows:?}");
            let place = cursor.as_ref().map(|cursor| cursor.place());
            assert_eq!(place, next.map(Some), "{rows:?}");
            if let Some(cursor) = cursor {
                let next = page(2, Some(&cursor));
                assert_eq!(next.after, Some(8));
                assert!(next.cut(listed(vec![7]), |row| *row).is_ok());
            }
        }
        let default = Page::<i64>::new(ListScope::default(), None, None);
        assert_eq!(default.map(|page| page.limit), Ok(DEFAULT_LIMIT));
    }

    #[test]
    fn a_cursor_is_good_for_its_list_alone() {
        let filter = [("kind", "grant"), ("currency", "USD")];
        let own = scope("/a", "ada", &filter);
        let cursor = KEY.cursor(own, 8_i64.to_bytes());
        let read = Cursor::decode(&cursor.encode()).expect("it is ours");
        assert_eq!(read, cursor);
        let reversed = [filter[1], filter[0]];
        let others = [
            scope("/b", "ada", &filter),
            scope("/a", "eve", &filter),
            scope("/a", "ada", &filter[..1]),
            scope("/a", "ada", &[]),
            scope("/a", "ada", &[("kind", "grant"), ("currency", "EUR")]),
            // Where one part ends is a part of it.
            scope("/a", "ada", &[("kind", "grantcurrency"), ("", "USD")]),
            scope("/aada", "", &filter),
        ];
        let is_opened = |cursor: &Cursor, scope: ListScope, key: &CursorKey| {
            let page = Page::<i64>::new(scope, None, Some(cursor)).expect("the place is a number");
            page.open(Listed::new((), key.clone())).is_ok()
        };
        assert!(is_opened(&read, own, &KEY));
        assert!(is_opened(&read, scope("/a", "ada", &reversed), &KEY));
        for other in others {
            assert!(!is_opened(&read, other, &KEY), "{other:?}");
        }
        assert!(!is_opened(&read, own, &CursorKey::new([8; 32])));
    }

    #[test]
    fn no_bit_of_a_cursor_can_be_changed() {
        let own = scope("/a", "ada", &[]);
        let bytes = URL_SAFE_NO_PAD.decode(KEY.cursor(own, 8_i64.to_bytes()).encode());
        let bytes = bytes.expect("it is base64");
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let cursor = Cursor::decode(&URL_SAFE_NO_PAD.encode(&changed));
            let is_good = cursor.is_some_and(|cursor| KEY.has_made(&cursor, own));
            assert!(!is_good, "bit {bit} was changed");
        }
    }

    #[test]
    fn parameters() {
        let limit = |text: &str| input::text::<PageLimit>(text).map(|limit| limit.0);
        let cursor = |text: &str| {
            input::text::<Cursor>(text).map(|cursor| cursor.place::<i64>().unwrap_or_default())
        };
        let written = KEY.cursor(ListScope::default(), 7_i64.to_bytes()).encode();
        let longest = vec![CURSOR_VERSION; 1 + CODE_BYTES + MAX_PLACE_BYTES];
        let [longest, too_long] = [longest.clone(), [longest, vec![0]].concat()]
            .map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        assert_eq!(longest.len(), CURSOR_CHARS.1);
        let no_place = URL_SAFE_NO_PAD.encode([CURSOR_VERSION; 1 + CODE_BYTES]);
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
            (cursor(&longest), Some(0)),
            (cursor(&too_long), None),
            (cursor(&no_place), None),
            (cursor(&format!("{written}=")), None),
            (cursor(""), None),
            (cursor("Aw"), None),
            (cursor("not base64!"), None),
            (cursor("AQAAAAAAAAAH"), None),
        ];
        for (index, (got, expected)) in table.into_iter().enumerate() {
            assert_eq!(got.ok(), expected, "row {index}");
        }
        // A place of another kind is refused before the database is asked.
        let cursor = KEY.cursor(ListScope::default(), b"[]".to_vec());
        let refused = Page::<i64>::new(ListScope::default(), None, Some(&cursor));
        assert_eq!(refused.map_err(|problem| problem.status), Err(400));
    }
}
