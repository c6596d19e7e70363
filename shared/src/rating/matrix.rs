//! Prices by the values of several dimensions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[cfg(not(target_arch = "wasm32"))]
use super::check::{MAX_CELL_VALUE_CHARS, MAX_CELLS, MAX_DIMENSIONS};
use super::error::Reason;
use super::exact_amount::ExactAmount;
use super::number::Number;
use super::step::{Step, Trace};
use super::usage::CellUsage;
#[cfg(not(target_arch = "wasm32"))]
use crate::http::input::{List, Text};

/// A table of prices by the values of its dimensions.
#[shared::body]
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matrix {
    /// The names of the dimensions, such as `region` and `model`.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "List<Text<1, MAX_CELL_VALUE_CHARS>, 1, MAX_DIMENSIONS>")
    )]
    pub dimensions: Vec<String>,
    /// The prices.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "List<Cell, 0, MAX_CELLS>")
    )]
    pub cells: Vec<Cell>,
    /// The price of a unit that has no cell. If it is absent, such usage is an error
    /// and not free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_unit_price: Option<Number>,
}

/// The price for one combination of values.
#[shared::body]
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename = "PriceCell"))]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// One value for each dimension, in their order.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "List<Text<1, MAX_CELL_VALUE_CHARS>, 1, MAX_DIMENSIONS>")
    )]
    pub values: Vec<String>,
    /// The price of a unit.
    pub unit_price: Number,
}

impl Matrix {
    pub(super) fn price(
        &self,
        usage: &[CellUsage],
        trace: &mut impl Trace,
    ) -> Result<ExactAmount, Reason> {
        // Reversed, so that of cells with the same values the first one counts.
        let prices: BTreeMap<&[String], Number> = self
            .cells
            .iter()
            .rev()
            .map(|cell| (cell.values.as_slice(), cell.unit_price))
            .collect();
        let mut amount = ExactAmount::ZERO;
        for CellUsage { values, quantity } in usage {
            if values.len() != self.dimensions.len() {
                return Err(Reason::NoSuchCell);
            }
            let cell = prices.get(values.as_slice()).copied();
            let unit_price = cell.or(self.default_unit_price).ok_or(Reason::NoSuchCell)?;
            let subtotal = ExactAmount::product(*quantity, unit_price)?;
            amount = amount.plus(subtotal)?;
            trace.step(|| Step::Cell {
                values: values.clone(),
                by_default: cell.is_none(),
                quantity: *quantity,
                unit_price,
                subtotal,
            });
        }
        Ok(amount)
    }
}
