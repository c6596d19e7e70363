//! From the usage of the interface to that of the rating engine.

use shared::rating::{CellUsage, HourUsage, Number, Usage, Weekday};

use crate::bindings::exports::turnpike::pricing::model as wire;

pub fn read(usage: &wire::Usage) -> Result<Usage, String> {
    Ok(match usage {
        wire::Usage::Nothing => Usage::Nothing,
        wire::Usage::Quantity(quantity) => Usage::Quantity(number(quantity)?),
        wire::Usage::Events(amounts) => {
            let amounts = amounts.iter().map(|amount| number(amount));
            Usage::Events(amounts.collect::<Result<_, _>>()?)
        }
        wire::Usage::Cells(cells) => {
            let cell = |cell: &wire::Cell| {
                Ok(CellUsage {
                    values: cell.values.clone(),
                    quantity: number(&cell.quantity)?,
                })
            };
            Usage::Cells(cells.iter().map(cell).collect::<Result<_, String>>()?)
        }
        wire::Usage::Hours(hours) => {
            let hour = |hour: &wire::Hour| {
                Ok(HourUsage {
                    month: hour.month,
                    weekday: weekday(hour.weekday),
                    hour: hour.hour_of_day,
                    quantity: number(&hour.quantity)?,
                })
            };
            Usage::Hours(hours.iter().map(hour).collect::<Result<_, String>>()?)
        }
    })
}

fn number(text: &str) -> Result<Number, String> {
    Number::parse(text).map_err(|error| format!("The usage has {text:?}: {error}"))
}

const fn weekday(weekday: wire::Weekday) -> Weekday {
    match weekday {
        wire::Weekday::Monday => Weekday::Monday,
        wire::Weekday::Tuesday => Weekday::Tuesday,
        wire::Weekday::Wednesday => Weekday::Wednesday,
        wire::Weekday::Thursday => Weekday::Thursday,
        wire::Weekday::Friday => Weekday::Friday,
        wire::Weekday::Saturday => Weekday::Saturday,
        wire::Weekday::Sunday => Weekday::Sunday,
    }
}
