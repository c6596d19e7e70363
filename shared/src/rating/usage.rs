//! What was used, in the detail that prices need.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::Reason;
use super::number::Number;
use super::time_of_use::{DAY_HOURS, Weekday, YEAR_MONTHS};
#[cfg(not(target_arch = "wasm32"))]
use crate::http::input::Whole;
use crate::http::input::{Input, Invalid, Reader};

/// Most events, cells or hours of one usage. A million events take 16 MB and a few
/// hundredths of a second. A larger usage is rated in parts, and
/// [`super::Line::beyond`] makes the line for the rest.
pub const MAX_USAGE_ROWS: usize = 1_000_000;

/// The usage of one charge, of the kind that its model prices: `"nothing"`, or an object
/// with one member.
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(crate::schemars::JsonSchema),
    schemars(crate = "crate::schemars", rename = "ChargeUsage", deny_unknown_fields)
)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Usage {
    /// No usage, as for a flat charge. For any other model it is zero of what the model
    /// prices, and the first tier's flat fee is still due.
    #[default]
    Nothing,
    /// A number of units, for models with one quantity.
    Quantity(Number),
    /// The amounts of events in the order in which they came, for percentages and for
    /// amounts that the events themselves carry.
    Events(Vec<Number>),
    /// Units by the values of the matrix's dimensions.
    Cells(Vec<CellUsage>),
    /// Units by local hour.
    Hours(Vec<HourUsage>),
}

/// Units with one value for each dimension of a matrix.
#[shared::body]
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellUsage {
    /// The values, in the order of the dimensions.
    pub values: Vec<String>,
    /// The quantity.
    pub quantity: Number,
}

/// Units of one hour, or of all equal hours together, in the customer's local time.
#[shared::body]
#[derive(Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HourUsage {
    /// 1 to 12.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "Whole<1, 12>"))]
    pub month: u8,
    /// The day of the hour itself.
    pub weekday: Weekday,
    /// 0 to 23: the hour that begins then.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "Whole<0, 23>"))]
    pub hour: u8,
    /// The quantity.
    pub quantity: Number,
}

/// The names of the kinds, in the order of [`Usage`].
const KINDS: [&str; 5] = ["nothing", "quantity", "events", "cells", "hours"];

impl Input for Usage {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let object = match value {
            Value::String(kind) if kind == "nothing" => return Some(Self::Nothing),
            Value::String(_) => {
                reader.refuse_name(&KINDS);
                return None;
            }
            Value::Object(object) => object,
            _ => {
                let message = "must be \"nothing\" or an object";
                reader.refuse(Invalid::new("wrong_type", message));
                return None;
            }
        };
        let mut members = object.keys();
        let (Some(kind), None) = (members.next(), members.next()) else {
            let message = format!("must have just one of {}", KINDS[1..].join(", "));
            reader.refuse(Invalid::new("invalid", message));
            return None;
        };
        match kind.as_str() {
            "quantity" => reader.field(object, kind).map(Self::Quantity),
            "events" => reader.field(object, kind).map(Self::Events),
            "cells" => reader.field(object, kind).map(Self::Cells),
            "hours" => reader.field(object, kind).map(Self::Hours),
            _ => {
                reader.refuse_name(&KINDS[1..]);
                None
            }
        }
    }
}

impl Usage {
    /// Whether a custom model can be asked about it. Such a model takes every kind of
    /// usage.
    pub(super) fn check(&self) -> Result<(), Reason> {
        match self {
            Self::Nothing | Self::Quantity(_) => Ok(()),
            Self::Events(events) => within_limit(events).map(|_| ()),
            Self::Cells(cells) => within_limit(cells).map(|_| ()),
            Self::Hours(hours) => {
                let are_hours = within_limit(hours)?
                    .iter()
                    .all(|hour| (1..=YEAR_MONTHS).contains(&hour.month) && hour.hour < DAY_HOURS);
                are_hours.then_some(()).ok_or(Reason::NoSuchHour)
            }
        }
    }

    pub(super) fn require_nothing(&self) -> Result<(), Reason> {
        match self {
            Self::Nothing => Ok(()),
            _ => Err(Reason::UsageOfAnotherKind),
        }
    }

    pub(super) fn quantity(&self) -> Result<Number, Reason> {
        match self {
            Self::Nothing => Ok(Number::ZERO),
            Self::Quantity(quantity) => Ok(*quantity),
            _ => Err(Reason::UsageOfAnotherKind),
        }
    }

    pub(super) fn events(&self) -> Result<&[Number], Reason> {
        match self {
            Self::Nothing => Ok(&[]),
            Self::Events(events) => within_limit(events),
            _ => Err(Reason::UsageOfAnotherKind),
        }
    }

    pub(super) fn cells(&self) -> Result<&[CellUsage], Reason> {
        match self {
            Self::Nothing => Ok(&[]),
            Self::Cells(cells) => within_limit(cells),
            _ => Err(Reason::UsageOfAnotherKind),
        }
    }

    pub(super) fn hours(&self) -> Result<&[HourUsage], Reason> {
        match self {
            Self::Nothing => Ok(&[]),
            Self::Hours(hours) => within_limit(hours),
            _ => Err(Reason::UsageOfAnotherKind),
        }
    }
}

fn within_limit<T>(rows: &[T]) -> Result<&[T], Reason> {
    if rows.len() > MAX_USAGE_ROWS {
        Err(Reason::TooMuchUsage)
    } else {
        Ok(rows)
    }
}

/// The sum of quantities, or of amounts.
pub(super) fn total(numbers: impl IntoIterator<Item = Number>) -> Result<Number, Reason> {
    numbers
        .into_iter()
        .try_fold(Number::ZERO, Number::checked_add)
        .ok_or(Reason::QuantityTooLarge)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::input;

    #[test]
    fn usage_is_read_by_its_kind() {
        let table = [
            (json!("nothing"), Ok(())),
            (json!({"quantity": "1.5"}), Ok(())),
            (json!({"events": []}), Ok(())),
            (json!(null), Err(("usage", "wrong_type"))),
            (json!(1), Err(("usage", "wrong_type"))),
            (json!("quantity"), Err(("usage", "invalid"))),
            (json!({"nothing": null}), Err(("usage", "invalid"))),
            (json!({"units": "1"}), Err(("usage", "invalid"))),
            (json!({}), Err(("usage", "invalid"))),
            (
                json!({"quantity": "1", "events": []}),
                Err(("usage", "invalid")),
            ),
            (
                json!({"quantity": 1}),
                Err(("usage.quantity", "wrong_type")),
            ),
            (
                json!({"quantity": "-1"}),
                Err(("usage.quantity", "negative")),
            ),
            (
                json!({"quantity": "-0"}),
                Err(("usage.quantity", "amount_not_plain_decimal")),
            ),
            (json!({"events": {}}), Err(("usage.events", "wrong_type"))),
            (
                json!({"events": ["1", "x"]}),
                Err(("usage.events[1]", "amount_not_plain_decimal")),
            ),
            (
                json!({"cells": [{"values": ["eu"]}]}),
                Err(("usage.cells[0].quantity", "required")),
            ),
            (
                json!({"hours": [{"month": 256, "weekday": "monday", "hour": 0, "quantity": "1"}]}),
                Err(("usage.hours[0].month", "out_of_range")),
            ),
        ];
        for (value, expected) in table {
            let got = input::value_at::<Usage>(&value, "usage");
            if let Ok(usage) = &got {
                assert_eq!(json!(usage), value, "it is written as it is read");
            }
            let got = match &got {
                Ok(_) => Ok(()),
                Err(errors) => Err((&*errors[0].field, errors[0].code)),
            };
            assert_eq!(got, expected, "{value}");
        }
    }
}
