//! Where a page of transactions or grants starts. A list has all currencies of its owner, each of
//! which is numbered by itself, so that no one number says where an entry stands.

use chrono::{DateTime, Datelike, NaiveDateTime};
use uuid::Uuid;

use crate::http::pagination::Place;
use crate::http::time::YEARS;
use crate::money::Currency;

/// The place after an entry of a list that is newest first, and of one moment in the order of the
/// currencies. The entry itself says where it stands among those of its currency and moment: what
/// falls due keeps its id when it is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditPlace {
    at_micros: i64,
    currency: Currency,
    id: Uuid,
}

impl CreditPlace {
    /// The place after the entry with this id, which came to pass so many microseconds after 1970
    /// began.
    pub const fn new(at_micros: i64, currency: Currency, id: Uuid) -> Self {
        Self {
            at_micros,
            currency,
            id,
        }
    }

    /// When the entry came to pass, in UTC; `None` outside of the years that a moment can have.
    pub fn at_utc(&self) -> Option<NaiveDateTime> {
        let time = DateTime::from_timestamp_micros(self.at_micros)?.naive_utc();
        YEARS.contains(&time.year()).then_some(time)
    }

    /// The code of the entry's currency.
    pub fn currency_code(&self) -> String {
        self.currency.code().to_owned()
    }

    /// The entry's id.
    pub const fn id(&self) -> Uuid {
        self.id
    }
}

/// The time, the code of the currency and the id, one after the other.
impl Place for CreditPlace {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.at_micros.to_be_bytes().to_vec();
        bytes.extend(self.currency.code().as_bytes());
        bytes.extend(self.id.as_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (at_micros, rest) = bytes.split_first_chunk()?;
        let (currency, id) = rest.split_first_chunk::<3>()?;
        let place = Self {
            at_micros: i64::from_be_bytes(*at_micros),
            currency: Currency::parse(std::str::from_utf8(currency).ok()?).ok()?,
            id: Uuid::from_slice(id).ok()?,
        };
        place.at_utc().is_some().then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> i64 {
        let time: DateTime<chrono::Utc> = text.parse().expect("this is a time");
        time.timestamp_micros()
    }

    #[test]
    fn places_round_trip() {
        let table = [
            ("0001-01-01T00:00:00Z", Currency::EUR, Uuid::nil()),
            ("1969-12-31T23:59:59.999999Z", Currency::JPY, Uuid::max()),
            ("2026-11-21T09:30:00.123456Z", Currency::USD, Uuid::nil()),
            ("9999-12-31T23:59:59.999999Z", Currency::USD, Uuid::max()),
        ];
        for (text, currency, id) in table {
            let place = CreditPlace::new(micros(text), currency, id);
            assert_eq!(CreditPlace::from_bytes(&place.to_bytes()), Some(place));
            let shown = place.at_utc().map(|time| time.and_utc().timestamp_micros());
            assert_eq!(shown, Some(micros(text)), "{text}");
            assert_eq!(
                (place.currency_code(), place.id()),
                (currency.to_string(), id)
            );
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        let written = |at_micros: i64, currency: &str, id: usize| {
            let mut bytes = at_micros.to_be_bytes().to_vec();
            bytes.extend(currency.as_bytes());
            bytes.resize(bytes.len() + id, 7);
            bytes
        };
        assert!(CreditPlace::from_bytes(&written(0, "USD", 16)).is_some());
        let table = [
            vec![],
            // A number, as other lists have it.
            0_i64.to_be_bytes().to_vec(),
            written(0, "USD", 15),
            written(0, "USD", 17),
            written(0, "usd", 16),
            written(0, "XXX", 16),
            written(0, "\0\0\0", 16),
            written(0, "\u{e4}a", 16),
            written(micros("0001-01-01T00:00:00Z") - 1, "USD", 16),
            written(micros("9999-12-31T23:59:59.999999Z") + 1, "USD", 16),
            written(i64::MIN, "USD", 16),
            written(i64::MAX, "USD", 16),
        ];
        for bytes in table {
            assert_eq!(CreditPlace::from_bytes(&bytes), None, "{bytes:?}");
        }
    }
}
