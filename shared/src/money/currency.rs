//! Currencies and their minor units, from ISO 4217.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The currency of a request that names none.
pub const DEFAULT_CURRENCY: &str = "USD";

/// Every active code of ISO 4217 list one that has a minor unit, with the exponent of
/// that unit. The list is as amended to number 180 (the lev left on 1 January 2026).
/// Metals, bond units, the testing code and other codes that the list marks "N.A." are
/// absent, because an amount of them cannot be rounded.
///
/// In ascending order, because lookups use binary search.
#[rustfmt::skip]
const CURRENCIES: [(&str, u8); 165] = [
    ("AED", 2), ("AFN", 2), ("ALL", 2), ("AMD", 2), ("AOA", 2), ("ARS", 2), ("AUD", 2), ("AWG", 2),
    ("AZN", 2), ("BAM", 2), ("BBD", 2), ("BDT", 2), ("BHD", 3), ("BIF", 0), ("BMD", 2), ("BND", 2),
    ("BOB", 2), ("BOV", 2), ("BRL", 2), ("BSD", 2), ("BTN", 2), ("BWP", 2), ("BYN", 2), ("BZD", 2),
    ("CAD", 2), ("CDF", 2), ("CHE", 2), ("CHF", 2), ("CHW", 2), ("CLF", 4), ("CLP", 0), ("CNY", 2),
    ("COP", 2), ("COU", 2), ("CRC", 2), ("CUP", 2), ("CVE", 2), ("CZK", 2), ("DJF", 0), ("DKK", 2),
    ("DOP", 2), ("DZD", 2), ("EGP", 2), ("ERN", 2), ("ETB", 2), ("EUR", 2), ("FJD", 2), ("FKP", 2),
    ("GBP", 2), ("GEL", 2), ("GHS", 2), ("GIP", 2), ("GMD", 2), ("GNF", 0), ("GTQ", 2), ("GYD", 2),
    ("HKD", 2), ("HNL", 2), ("HTG", 2), ("HUF", 2), ("IDR", 2), ("ILS", 2), ("INR", 2), ("IQD", 3),
    ("IRR", 2), ("ISK", 0), ("JMD", 2), ("JOD", 3), ("JPY", 0), ("KES", 2), ("KGS", 2), ("KHR", 2),
    ("KMF", 0), ("KPW", 2), ("KRW", 0), ("KWD", 3), ("KYD", 2), ("KZT", 2), ("LAK", 2), ("LBP", 2),
    ("LKR", 2), ("LRD", 2), ("LSL", 2), ("LYD", 3), ("MAD", 2), ("MDL", 2), ("MGA", 2), ("MKD", 2),
    ("MMK", 2), ("MNT", 2), ("MOP", 2), ("MRU", 2), ("MUR", 2), ("MVR", 2), ("MWK", 2), ("MXN", 2),
    ("MXV", 2), ("MYR", 2), ("MZN", 2), ("NAD", 2), ("NGN", 2), ("NIO", 2), ("NOK", 2), ("NPR", 2),
    ("NZD", 2), ("OMR", 3), ("PAB", 2), ("PEN", 2), ("PGK", 2), ("PHP", 2), ("PKR", 2), ("PLN", 2),
    ("PYG", 0), ("QAR", 2), ("RON", 2), ("RSD", 2), ("RUB", 2), ("RWF", 0), ("SAR", 2), ("SBD", 2),
    ("SCR", 2), ("SDG", 2), ("SEK", 2), ("SGD", 2), ("SHP", 2), ("SLE", 2), ("SOS", 2), ("SRD", 2),
    ("SSP", 2), ("STN", 2), ("SVC", 2), ("SYP", 2), ("SZL", 2), ("THB", 2), ("TJS", 2), ("TMT", 2),
    ("TND", 3), ("TOP", 2), ("TRY", 2), ("TTD", 2), ("TWD", 2), ("TZS", 2), ("UAH", 2), ("UGX", 0),
    ("USD", 2), ("USN", 2), ("UYI", 0), ("UYU", 2), ("UYW", 4), ("UZS", 2), ("VED", 2), ("VES", 2),
    ("VND", 0), ("VUV", 0), ("WST", 2), ("XAD", 2), ("XAF", 0), ("XCD", 2), ("XCG", 2), ("XOF", 0),
    ("XPF", 0), ("YER", 2), ("ZAR", 2), ("ZMW", 2), ("ZWG", 2),
];

/// A currency or funds code of ISO 4217 that has a minor unit.
///
/// Ordered by code. In JSON it is the code as a string.
//
// Holds the place in the table instead of the letters. So a value always has an
// exponent, and finding it costs one indexed load.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(u8);

const _: () = assert!(
    CURRENCIES.len() <= u8::MAX as usize + 1,
    "a currency is its place in the table, as a u8"
);

impl Currency {
    /// The euro.
    pub const EUR: Self = Self::known("EUR");
    /// The Japanese yen, which has no minor unit.
    pub const JPY: Self = Self::known("JPY");
    /// The United States dollar.
    pub const USD: Self = Self::known("USD");

    /// Reads an alphabetic code: exactly three upper-case ASCII letters.
    ///
    /// # Errors
    ///
    /// [`CurrencyError::Malformed`] for another shape, lower case included, and
    /// [`CurrencyError::Unknown`] for a code that is not on the active list or
    /// has no minor unit.
    pub fn parse(code: &str) -> Result<Self, CurrencyError> {
        if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(CurrencyError::Malformed);
        }
        CURRENCIES
            .binary_search_by(|(known, _)| known.cmp(&code))
            .ok()
            .and_then(|place| u8::try_from(place).ok())
            .map(Self)
            .ok_or(CurrencyError::Unknown)
    }

    /// The alphabetic code.
    pub const fn code(self) -> &'static str {
        CURRENCIES[self.0 as usize].0
    }

    /// How many decimals the minor unit has: 2 for cents, 0 for yen, 3 for fils.
    pub const fn exponent(self) -> u32 {
        CURRENCIES[self.0 as usize].1 as u32
    }

    /// Every currency, in the order of the codes.
    pub fn all() -> impl Iterator<Item = Self> {
        (0_u8..).take(CURRENCIES.len()).map(Self)
    }

    /// Looks up a code for a constant. A mistyped code fails the build.
    const fn known(code: &str) -> Self {
        let code = code.as_bytes();
        let mut place = 0;
        while place < CURRENCIES.len() {
            let other = CURRENCIES[place].0.as_bytes();
            if code[0] == other[0] && code[1] == other[1] && code[2] == other[2] {
                return Self(place as u8);
            }
            place += 1;
        }
        panic!("the code is not in the table")
    }
}

/// The currency of a request that names none.
impl Default for Currency {
    fn default() -> Self {
        Self::USD
    }
}

impl FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(code: &str) -> Result<Self, CurrencyError> {
        Self::parse(code)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CodeVisitor;

        impl de::Visitor<'_> for CodeVisitor {
            type Value = Currency;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a currency code such as \"USD\"")
            }

            fn visit_str<E: de::Error>(self, code: &str) -> Result<Currency, E> {
                Currency::parse(code).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(CodeVisitor)
    }
}

/// Why a text is not a [`Currency`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CurrencyError {
    /// It is not three upper-case letters.
    Malformed,
    /// It is three upper-case letters that name no active currency with a
    /// minor unit.
    Unknown,
}

impl CurrencyError {
    /// The stable code, for the `code` of a field error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "currency_malformed",
            Self::Unknown => "currency_unknown",
        }
    }
}

impl fmt::Display for CurrencyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "A currency must be exactly three upper-case letters, such as USD.",
            Self::Unknown => "A currency must be an active ISO 4217 code that has a minor unit.",
        })
    }
}

impl Error for CurrencyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_code_is_found() {
        for pair in CURRENCIES.windows(2) {
            assert!(
                pair[0].0 < pair[1].0,
                "put {} before {} in CURRENCIES: lookup bisects",
                pair[1].0,
                pair[0].0
            );
        }
        for currency in Currency::all() {
            assert_eq!(
                Currency::parse(currency.code()),
                Ok(currency),
                "every code in CURRENCIES must parse"
            );
        }
        assert_eq!(Currency::all().count(), CURRENCIES.len());
    }

    /// All exponents other than 2. An amendment that changes one must change this row
    /// too.
    #[test]
    fn exponents_are_those_of_the_standard() {
        let unusual: [(u32, &[&str]); 3] = [
            (
                0,
                &[
                    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX",
                    "UYI", "VND", "VUV", "XAF", "XOF", "XPF",
                ],
            ),
            (3, &["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"]),
            (4, &["CLF", "UYW"]),
        ];
        for currency in Currency::all() {
            let expected = unusual
                .iter()
                .find(|(_, codes)| codes.contains(&currency.code()))
                .map_or(2, |(exponent, _)| *exponent);
            assert_eq!(
                currency.exponent(),
                expected,
                "{currency}: correct CURRENCIES or this table"
            );
        }
    }

    #[test]
    fn anything_but_an_active_code_with_a_minor_unit_is_refused() {
        let check = |code: &str, expected: CurrencyError| {
            assert_eq!(
                Currency::parse(code),
                Err(expected),
                "{code:?}: fix Currency::parse or this row"
            );
        };
        for (expected, codes) in [
            (
                CurrencyError::Malformed,
                &[
                    "", "US", "USDX", "usd", "Usd", " USD", "US ", "U$D", "840", "ÄB", "€",
                ][..],
            ),
            (
                CurrencyError::Unknown,
                &[
                    // No minor unit: metals, bond units, drawing rights, testing, none.
                    "XAU", "XAG", "XPT", "XPD", "XBA", "XBB", "XBC", "XBD", "XDR", "XSU", "XUA",
                    "XTS", "XXX", // Withdrawn.
                    "BGN", "HRK", "ANG", "CUC", "SLL", "ZWL", "DEM", // Never assigned.
                    "AAA", "ZZZ", "BTC",
                ],
            ),
        ] {
            for code in codes {
                check(code, expected);
            }
        }
        assert_ne!(
            CurrencyError::Malformed.code(),
            CurrencyError::Unknown.code()
        );
    }
}
