//! The arithmetic of the demand charge.

use rust_decimal::Decimal;
use serde_json::Value;

/// Most digits of a price after the point. A quantity has 21 digits and a price
/// below 1,000 has 7 then, so that their product fits a decimal's 28 exactly.
const MAX_PRICE_DECIMALS: u32 = 4;

/// The lowest price that is too high.
const PRICE_LIMIT: Decimal = Decimal::ONE_THOUSAND;

/// The lowest quantity that is too large.
const QUANTITY_LIMIT: i64 = 10_i64.pow(12);

/// The prices of a charge.
pub struct Tariff {
    energy_price: Decimal,
    demand_price: Decimal,
}

/// A quantity at a price.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    pub quantity: Decimal,
    pub unit_price: Decimal,
    pub amount: Decimal,
}

impl Part {
    fn of(quantity: Decimal, unit_price: Decimal) -> Self {
        Self {
            quantity: quantity.normalize(),
            unit_price: unit_price.normalize(),
            amount: (quantity * unit_price).normalize(),
        }
    }
}

impl Tariff {
    /// The prices in the text of a JSON object.
    pub fn read(parameters: &str) -> Result<Self, String> {
        let parameters: Value =
            serde_json::from_str(parameters).map_err(|error| error.to_string())?;
        let price = |name: &str| {
            let text = parameters[name].as_str().unwrap_or_default();
            Decimal::from_str_exact(text)
                .ok()
                .filter(|price| (Decimal::ZERO..PRICE_LIMIT).contains(price))
                .filter(|price| price.normalize().scale() <= MAX_PRICE_DECIMALS)
                .ok_or_else(|| {
                    format!(
                        "The parameter {name} must be a price as a string, such as \"0.12\": \
                         below {PRICE_LIMIT}, with at most {MAX_PRICE_DECIMALS} digits after the point."
                    )
                })
        };
        Ok(Self {
            energy_price: price("energy_price")?,
            demand_price: price("demand_price")?,
        })
    }

    /// What the kilowatt hours of these hours cost: all of them, and the highest.
    pub fn price(&self, hours: &[&str]) -> Result<(Part, Part), String> {
        let (mut all, mut highest) = (Decimal::ZERO, Decimal::ZERO);
        for hour in hours {
            let hour = Decimal::from_str_exact(hour).map_err(|error| error.to_string())?;
            all += hour;
            highest = highest.max(hour);
            if all >= Decimal::from(QUANTITY_LIMIT) {
                return Err("The hours have too many kilowatt hours together.".to_owned());
            }
        }
        let energy = Part::of(all, self.energy_price);
        let demand = Part::of(highest, self.demand_price);
        Ok((energy, demand))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hours, and the amounts for energy and demand or what is wrong.
    type Row<'a> = (&'a [&'a str], Result<[&'a str; 2], &'a str>);

    #[test]
    fn energy_and_the_highest_hour() {
        let tariff = r#"{"energy_price": "0.12", "demand_price": "9.50"}"#;
        let largest = "999999999999.999999999";
        let table: [Row<'_>; 5] = [
            (&[], Ok(["0", "0"])),
            (&["40", "62.5"], Ok(["12.3", "593.75"])),
            (&["0.001", "0.001"], Ok(["0.00024", "0.0095"])),
            (
                &[largest],
                Ok(["119999999999.99999999988", "9499999999999.9999999905"]),
            ),
            (&[largest, "1"], Err("The hours have too many")),
        ];
        for (hours, expected) in table {
            let priced = Tariff::read(tariff).and_then(|tariff| tariff.price(hours));
            match (priced, expected) {
                (Ok((energy, demand)), Ok(expected)) => {
                    let amounts = [energy.amount.to_string(), demand.amount.to_string()];
                    assert_eq!(amounts, expected, "{hours:?}");
                }
                (Err(fault), Err(expected)) => assert!(fault.starts_with(expected), "{fault}"),
                (priced, _) => panic!("{hours:?}: {priced:?}"),
            }
        }
    }

    #[test]
    fn prices_are_exact_and_in_strings() {
        for (price, is_right) in [
            (r#""0.12""#, true),
            (r#""999.9999""#, true),
            (r#""0""#, true),
            (r#""1000""#, false),
            (r#""0.00001""#, false),
            (r#""-1""#, false),
            (r#""1e3""#, false),
            ("0.12", false),
            ("null", false),
        ] {
            let parameters = format!(r#"{{"energy_price": {price}, "demand_price": "1"}}"#);
            assert_eq!(Tariff::read(&parameters).is_ok(), is_right, "{price}");
        }
    }
}
