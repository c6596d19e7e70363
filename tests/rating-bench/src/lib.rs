//! What is rated to measure rating: the same charges natively and in wasm.

use serde_json::{Value, json};
use shared::money::Currency;
use shared::rating::{Charge, ExactAmount, Number, RatingError, Reason, Usage};

/// How many tiers the measured charge has.
pub const TIERS: u32 = 10;

/// Quantities above the last bound: every tier is priced, and no quantity takes
/// longer.
const QUANTITIES: [&str; 8] = [
    "9000.5",
    "9500",
    "10000.25",
    "12345",
    "99999.999999999",
    "123456.789",
    "1000000",
    "5000000.5",
];

/// Why nothing was measured.
#[derive(Debug)]
pub enum BenchError {
    /// The charge cannot be read.
    Charge(serde_json::Error),
    /// A line cannot be made.
    Rating(RatingError),
    /// The lines have no sum.
    Total(Reason),
}

impl std::fmt::Display for BenchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Charge(error) => error.fmt(f),
            Self::Rating(error) => error.fmt(f),
            Self::Total(reason) => reason.fmt(f),
        }
    }
}

impl std::error::Error for BenchError {}

/// A charge with this model.
///
/// # Errors
/// The model is none.
pub fn charge(model: &Value) -> Result<Charge, BenchError> {
    serde_json::from_value(json!({
        "code": "tokens", "name": "Input tokens", "metric": "input_tokens", "model": model,
    }))
    .map_err(BenchError::Charge)
}

/// The graduated charge with [`TIERS`] tiers of 1,000 units, each with a fee.
///
/// # Errors
/// Never: the model is one.
pub fn graduated() -> Result<Charge, BenchError> {
    let tiers: Vec<Value> = (1..=TIERS)
        .map(|tier| {
            let up_to = (tier < TIERS).then(|| (tier * 1_000).to_string());
            json!({"up_to": up_to, "unit_price": format!("0.0{}", 21 - tier), "flat_fee": "0.5"})
        })
        .collect();
    charge(&json!({"type": "graduated", "tiers": tiers}))
}

/// The quantities that are rated in turn.
pub fn quantities() -> Vec<Usage> {
    QUANTITIES
        .iter()
        .filter_map(|text| Number::parse(text).ok())
        .map(Usage::Quantity)
        .collect()
}

/// Which lines are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Amounts alone.
    Rated,
    /// With their steps.
    Explained,
}

impl Detail {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Rated, Self::Explained];

    /// The name by which the component is asked for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rated => "rated",
            Self::Explained => "explained",
        }
    }
}

/// Makes so many lines and sums them, so that none can be left out.
///
/// # Errors
/// A line cannot be made.
pub fn rate_lines(
    charge: &Charge,
    usages: &[Usage],
    detail: Detail,
    lines: u32,
) -> Result<ExactAmount, BenchError> {
    let mut total = ExactAmount::ZERO;
    for (usage, _) in usages.iter().cycle().zip(0..lines) {
        let line = match detail {
            Detail::Rated => charge.rate(Currency::USD, usage),
            Detail::Explained => charge.explain(Currency::USD, usage),
        };
        let line = line.map_err(BenchError::Rating)?;
        total = total.plus(line.exact_amount).map_err(BenchError::Total)?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_details_come_to_the_same() {
        let charge = graduated().expect("the model is one");
        assert_eq!(charge.check(Currency::USD), []);
        let usages = quantities();
        assert_eq!(usages.len(), QUANTITIES.len());
        let [rated, explained] = Detail::ALL.map(|detail| {
            rate_lines(&charge, &usages, detail, 8).expect("every quantity can be rated")
        });
        assert_eq!(rated, explained);
        assert!(rated > ExactAmount::ZERO);
    }
}
