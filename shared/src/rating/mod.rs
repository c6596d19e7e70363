//! Rating: from what was used to what is owed, line by line.
//!
//! A [`Charge`] says how one thing is priced, [`Usage`] how much of it there
//! was, and [`Charge::rate`] makes the invoice [`Line`] of the two. A [`Plan`]
//! is a list of charges with what holds for all of them together: a minimum
//! commitment, a maximum spend, included units, a trial.
//!
//! Everything is pure: no clock, no float, no I/O. So the component that invoices a
//! plan and the page that previews it run the same code. Amounts are exact until
//! [`ExactAmount::round`] rounds a line to the minor unit by the charge's policy, once.
//! What is too large to be exact is an error that names the charge. No input makes it
//! panic.
//!
//! ```
//! use shared::money::Currency;
//! use shared::rating::{Charge, Number, Usage};
//!
//! let charge: Charge = serde_json::from_str(r#"{
//!     "code": "tokens", "name": "Tokens", "metric": "tokens",
//!     "model": {"type": "graduated", "tiers": [
//!         {"up_to": "10", "unit_price": "10", "flat_fee": "2"},
//!         {"unit_price": "5", "flat_fee": "3"}
//!     ]}
//! }"#)?;
//! assert!(charge.check(Currency::USD).is_empty());
//! let line = charge.explain(Currency::USD, &Usage::Quantity(Number::parse("12")?))?;
//! assert_eq!(line.amount.to_string(), "115.00 USD");
//! assert_eq!(line.steps[1].to_string(), "tier 2, above 10: 2 × 5 + 3 = 13");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod charge;
mod check;
mod custom;
mod error;
mod exact_amount;
mod line;
mod matrix;
mod model;
mod number;
mod percentage;
mod plan;
pub mod plan_terms;
mod price;
mod step;
mod tiers;
mod time_of_use;
mod usage;

#[cfg(test)]
mod tests;

#[cfg(not(target_arch = "wasm32"))]
pub use charge::ChargeCode;
pub use charge::{Billing, Charge};
pub use check::{
    MAX_CELL_VALUE_CHARS, MAX_CELLS, MAX_CHARGES, MAX_CODE_BYTES, MAX_DIMENSIONS,
    MAX_INCLUDED_METRICS, MAX_NAME_CHARS, MAX_TIERS, MAX_TRIAL_DAYS, MAX_VIOLATIONS, MAX_WINDOWS,
};
pub use custom::{
    CustomPrices, MAX_CUSTOM_CHARGES, MAX_CUSTOM_LINES, MAX_CUSTOM_STEPS, MAX_FAILURE_CHARS,
    MAX_PARAMETERS_BYTES, MAX_PARAMETERS_DEPTH, MAX_STEP_TEXT_CHARS, Outcome, Parameters,
    PricedLine, PricedStep, PricingFailure, PricingFailureCode, PricingReply, PricingRequest,
    UnpricedCharge, check_priced_lines,
};
pub use error::{RatingError, Reason};
pub use exact_amount::{EXACT_DECIMALS, ExactAmount};
pub use line::{Item, Line, Rated};
pub use matrix::{Cell, Matrix};
pub use model::Model;
pub use number::{MAX_PERCENT_DECIMALS, Number, NumberError, Percent};
pub use percentage::Percentage;
pub use plan::{IncludedUnits, Phase, Plan, Trial, TrialCover};
pub use step::Step;
pub use tiers::{RateTier, Tier};
pub use time_of_use::{Hours, TimeOfUse, Weekday, Window};
pub use usage::{CellUsage, HourUsage, MAX_USAGE_ROWS, Usage};
