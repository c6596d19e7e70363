//! Prices by hour of day, day of week and month, as for energy.

use std::fmt;

use serde::{Deserialize, Serialize};

#[cfg(not(target_arch = "wasm32"))]
use super::check::{MAX_CELL_VALUE_CHARS, MAX_WINDOWS};
use super::error::Reason;
use super::exact_amount::ExactAmount;
use super::number::Number;
use super::step::{Step, Trace};
use super::usage::HourUsage;
#[cfg(not(target_arch = "wasm32"))]
use crate::http::input::{List, Text, Whole};

/// Hours of a day.
pub(super) const DAY_HOURS: u8 = 24;

/// Months of a year.
pub(super) const YEAR_MONTHS: u8 = 12;

/// Windows of time, each with a price, and a price for the rest of the year.
#[shared::body]
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeOfUse {
    /// The windows. No two of them have an hour in common.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "List<Window, 1, MAX_WINDOWS>")
    )]
    pub windows: Vec<Window>,
    /// The price of a unit outside the windows. It may be absent only if the windows
    /// cover everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_unit_price: Option<Number>,
}

/// Some hours of some days in some months: those for which all three match.
#[shared::body]
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename = "PriceWindow"))]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The name of the window on an invoice, such as `peak`.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "Text<1, MAX_CELL_VALUE_CHARS>")
    )]
    pub name: String,
    /// The hours; all hours if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// The days; all days if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "List<Weekday, 0, 7>"))]
    pub weekdays: Vec<Weekday>,
    /// The months of the season, 1 to 12; all months if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "List<Whole<1, 12>, 0, 12>")
    )]
    pub months: Vec<u8>,
    /// The price of a unit.
    pub unit_price: Number,
}

/// Hours of a day. From 22 to 6 means the last two and the first six hours of each day,
/// not a night from one day to the next.
#[shared::body]
#[derive(Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename = "HoursOfDay"))]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// The first hour, 0 to 23.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "Whole<0, 23>"))]
    pub from: u8,
    /// The hour at which they end, exclusive, 1 to 24.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "Whole<1, 24>"))]
    pub to: u8,
}

/// A day of the week.
#[shared::body]
#[derive(Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    /// Every day, Monday first.
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];
}

impl fmt::Display for Weekday {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Hours {
    /// Whether they name at least one hour of the day and nothing else.
    pub(super) const fn are_of_a_day(self) -> bool {
        self.from < DAY_HOURS && self.to >= 1 && self.to <= DAY_HOURS && self.from != self.to
    }

    const fn contain(self, hour: u8) -> bool {
        if self.from < self.to {
            self.from <= hour && hour < self.to
        } else {
            self.from <= hour || hour < self.to
        }
    }
}

/// A [`Window`] as three sets of bits. Two windows have an hour in common exactly when
/// all three sets overlap.
#[derive(Clone, Copy)]
pub(super) struct Mask {
    hours: u32,
    weekdays: u32,
    months: u32,
}

impl Mask {
    pub(super) fn of(window: &Window) -> Self {
        let bits = |numbers: &mut dyn Iterator<Item = u8>| {
            numbers.fold(0_u32, |set, number| {
                // An hour, day or month that does not exist is in no set.
                set | 1_u32.checked_shl(u32::from(number)).unwrap_or(0)
            })
        };
        let hours = window.hours.unwrap_or(Hours {
            from: 0,
            to: DAY_HOURS,
        });
        let weekdays: &[Weekday] = if window.weekdays.is_empty() {
            &Weekday::ALL
        } else {
            &window.weekdays
        };
        let months = if window.months.is_empty() {
            bits(&mut (1..=YEAR_MONTHS))
        } else {
            bits(&mut window.months.iter().copied())
        };
        Self {
            hours: bits(&mut (0..DAY_HOURS).filter(|hour| hours.contain(*hour))),
            weekdays: bits(&mut weekdays.iter().map(|day| *day as u8)),
            months,
        }
    }

    pub(super) const fn of_hour(month: u8, weekday: Weekday, hour: u8) -> Option<Self> {
        if month == 0 || month > YEAR_MONTHS || hour >= DAY_HOURS {
            return None;
        }
        Some(Self {
            hours: 1 << hour,
            weekdays: 1 << weekday as u8,
            months: 1 << month,
        })
    }

    pub(super) const fn meets(self, other: Self) -> bool {
        self.hours & other.hours != 0
            && self.weekdays & other.weekdays != 0
            && self.months & other.months != 0
    }
}

impl TimeOfUse {
    pub(super) fn price(
        &self,
        usage: &[HourUsage],
        trace: &mut impl Trace,
    ) -> Result<ExactAmount, Reason> {
        let masks: Vec<Mask> = self.windows.iter().map(Mask::of).collect();
        // The last quantity lies in no window.
        let mut quantities = vec![Number::ZERO; masks.len() + 1];
        for row in usage {
            let hour = Mask::of_hour(row.month, row.weekday, row.hour).ok_or(Reason::NoSuchHour)?;
            let place = masks
                .iter()
                .position(|mask| mask.meets(hour))
                .unwrap_or(masks.len());
            quantities[place] = quantities[place]
                .checked_add(row.quantity)
                .ok_or(Reason::QuantityTooLarge)?;
        }
        let mut amount = ExactAmount::ZERO;
        let windows = self.windows.iter().map(Some).chain([None]);
        for (window, quantity) in windows.zip(quantities) {
            if quantity.is_zero() {
                continue;
            }
            let unit_price = window
                .map(|window| window.unit_price)
                .or(self.fallback_unit_price)
                .ok_or(Reason::UncheckedCharge)?;
            let subtotal = ExactAmount::product(quantity, unit_price)?;
            amount = amount.plus(subtotal)?;
            trace.step(|| Step::Window {
                window: window.map(|window| window.name.clone()),
                quantity,
                unit_price,
                subtotal,
            });
        }
        Ok(amount)
    }
}
