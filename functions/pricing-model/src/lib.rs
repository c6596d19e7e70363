//! The default custom pricing model. Another component that exports the same
//! interface takes its place by one path in `spin.toml`.

mod lowest_of;
mod usage;

mod bindings {
    wit_bindgen::generate!({ path: "../../wit/pricing", world: "pricing-model" });
}

use bindings::exports::turnpike::pricing::model::{Failure, Guest, Line, Request, Step};
use shared::money::Currency;

/// What the host calls.
pub struct Component;

impl Guest for Component {
    fn price(request: Request) -> Result<Vec<Line>, Failure> {
        price(&request).map_err(|message| Failure { message })
    }
}

// The names of a component's exports are not names that a native linker takes, and
// a native build is only ever for the unit tests.
#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code)]
mod export {
    use crate::{Component, bindings};

    bindings::export!(Component with_types_in bindings);
}

fn price(request: &Request) -> Result<Vec<Line>, String> {
    let currency = Currency::parse(&request.currency).map_err(|error| error.to_string())?;
    let usage = usage::read(&request.usage)?;
    let lowest = lowest_of::price(&request.name, currency, &request.parameters, &usage)?;
    let step = |(text, amount): (String, String)| Step { text, amount };
    Ok(vec![Line {
        description: request.name.clone(),
        quantity: lowest.quantity.map(|quantity| quantity.to_string()),
        unit_price: lowest.unit_price.map(|price| price.to_string()),
        amount: lowest.amount.to_string(),
        steps: lowest.steps.into_iter().map(step).collect(),
    }])
}
