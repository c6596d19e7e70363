//! A custom pricing model for power: a price for each kilowatt hour, and one for
//! each kilowatt of the hour with the highest usage.
//!
//! Usage is in hours, each with its kilowatt hours. The parameters of the charge are
//! `{"energy_price": "0.12", "demand_price": "9.50"}`.

mod demand;

mod bindings {
    wit_bindgen::generate!({ path: "../../../wit/pricing", world: "pricing-model" });
}

use bindings::exports::turnpike::pricing::model::{Failure, Guest, Line, Request, Step, Usage};
use demand::{Part, Tariff};

/// What the host calls.
pub struct Component;

impl Guest for Component {
    fn price(request: Request) -> Result<Vec<Line>, Failure> {
        price(&request).map_err(|message| Failure { message })
    }
}

#[cfg(target_arch = "wasm32")]
bindings::export!(Component with_types_in bindings);

fn price(request: &Request) -> Result<Vec<Line>, String> {
    let tariff = Tariff::read(&request.parameters)?;
    let hours: Vec<&str> = match &request.usage {
        Usage::Nothing => Vec::new(),
        Usage::Hours(hours) => hours.iter().map(|hour| &*hour.quantity).collect(),
        _ => return Err("The usage must be in hours.".to_owned()),
    };
    let line = |(name, unit, part): (&str, &str, Part)| Line {
        description: format!("{}: {name}", request.name)
            .chars()
            .take(200)
            .collect(),
        quantity: Some(part.quantity.to_string()),
        unit_price: Some(part.unit_price.to_string()),
        amount: part.amount.to_string(),
        steps: vec![Step {
            text: format!(
                "{} {unit} × {} = {}",
                part.quantity, part.unit_price, part.amount
            ),
            amount: part.amount.to_string(),
        }],
    };
    let (energy, demand) = tariff.price(&hours)?;
    Ok([("energy", "kWh", energy), ("demand", "kW", demand)]
        .map(line)
        .into())
}
