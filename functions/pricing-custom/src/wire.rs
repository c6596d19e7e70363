//! From a request in JSON to one of the interface.

use shared::rating::{CellUsage, HourUsage, Number, PricingRequest, Usage, Weekday};

use crate::bindings::turnpike::pricing::model;

pub fn request(request: &PricingRequest<'_>) -> model::Request {
    model::Request {
        charge: request.charge.to_string(),
        name: request.name.to_string(),
        currency: request.currency.code().to_owned(),
        parameters: request.parameters.to_json(),
        usage: usage(&request.usage),
    }
}

fn usage(usage: &Usage) -> model::Usage {
    match usage {
        Usage::Nothing => model::Usage::Nothing,
        Usage::Quantity(quantity) => model::Usage::Quantity(quantity.to_string()),
        Usage::Events(amounts) => {
            model::Usage::Events(amounts.iter().map(Number::to_string).collect())
        }
        Usage::Cells(cells) => {
            let cell = |cell: &CellUsage| model::Cell {
                values: cell.values.clone(),
                quantity: cell.quantity.to_string(),
            };
            model::Usage::Cells(cells.iter().map(cell).collect())
        }
        Usage::Hours(hours) => {
            let hour = |hour: &HourUsage| model::Hour {
                month: hour.month,
                weekday: weekday(hour.weekday),
                hour_of_day: hour.hour,
                quantity: hour.quantity.to_string(),
            };
            model::Usage::Hours(hours.iter().map(hour).collect())
        }
    }
}

const fn weekday(weekday: Weekday) -> model::Weekday {
    match weekday {
        Weekday::Monday => model::Weekday::Monday,
        Weekday::Tuesday => model::Weekday::Tuesday,
        Weekday::Wednesday => model::Weekday::Wednesday,
        Weekday::Thursday => model::Weekday::Thursday,
        Weekday::Friday => model::Weekday::Friday,
        Weekday::Saturday => model::Weekday::Saturday,
        Weekday::Sunday => model::Weekday::Sunday,
    }
}
