//! Decimals inside the JSON that the database returns. They travel as strings, because
//! a JSON parser on the way would turn numbers into floats.

use std::borrow::Cow;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, de::Error};

/// A NUMERIC that was written as text. Every digit is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecimalText(pub Decimal);

impl<'de> Deserialize<'de> for DecimalText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Decimal::from_str_exact(&text)
            .map(Self)
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_decimals_in_strings_are_read() {
        let table = [
            (r#""98.750000000""#, Some("98.750000000")),
            (
                r#""-999999999999999999.999999999""#,
                Some("-999999999999999999.999999999"),
            ),
            ("98.75", None),
            (r#""""#, None),
            (r#""NaN""#, None),
            (r#""0.12345678901234567890123456789""#, None),
        ];
        for (json, expected) in table {
            let got = serde_json::from_str::<DecimalText>(json)
                .ok()
                .map(|d| d.0.to_string());
            assert_eq!(got.as_deref(), expected, "{json}");
        }
    }
}
