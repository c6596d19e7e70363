//! A best-price guarantee: the usage is priced under each of several built-in
//! models, and the customer pays the lowest of the prices.

use serde::Deserialize;
use shared::money::Currency;
use shared::rating::{
    Billing, Charge, ExactAmount, Line, MAX_CUSTOM_STEPS, MAX_STEP_TEXT_CHARS, Model, Number, Usage,
};

/// Most models that are compared: more than anybody offers side by side.
const MAX_MODELS: usize = 10;

/// The steps of the cheapest model that a line has room for: one is the comparison.
const MAX_MODEL_STEPS: usize = MAX_CUSTOM_STEPS - 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    models: Vec<Model>,
}

/// The lowest price.
#[derive(Debug)]
pub struct Lowest {
    pub amount: ExactAmount,
    pub quantity: Option<Number>,
    pub unit_price: Option<Number>,
    /// Sentences, and what each adds.
    pub steps: Vec<(String, String)>,
}

/// Prices `usage` under each model of `parameters`. Of two equal prices the first
/// one counts.
pub fn price(
    name: &str,
    currency: Currency,
    parameters: &str,
    usage: &Usage,
) -> Result<Lowest, String> {
    let parameters: Parameters = serde_json::from_str(parameters)
        .map_err(|error| format!("The parameters must be {{\"models\": [...]}}: {error}."))?;
    let count = parameters.models.len();
    if !(1..=MAX_MODELS).contains(&count) {
        return Err(format!(
            "There must be 1 to {MAX_MODELS} models, and not {count}."
        ));
    }
    let mut prices = Vec::with_capacity(count);
    for (index, model) in parameters.models.into_iter().enumerate() {
        let kind = kind(&model)?;
        let line = line(name, model, currency, usage)
            .map_err(|fault| format!("models[{index}], {kind}: {fault}"))?;
        prices.push((kind, line));
    }
    let lowest = prices
        .iter()
        .enumerate()
        .min_by_key(|(_, (_, line))| line.exact_amount)
        .map(|(index, _)| index)
        .unwrap_or_default();
    let comparison = comparison(&prices, lowest);
    let (_, line) = prices.swap_remove(lowest);
    Ok(Lowest {
        amount: line.exact_amount,
        quantity: line.quantity,
        unit_price: line.unit_price,
        steps: steps(&line, comparison)?,
    })
}

/// The name by which a plan knows a model.
fn kind(model: &Model) -> Result<&'static str, String> {
    Ok(match model {
        Model::Flat { .. } => "flat",
        Model::PerUnit { .. } => "per_unit",
        Model::Graduated { .. } => "graduated",
        Model::Volume { .. } => "volume",
        Model::Package { .. } => "package",
        Model::Percentage(_) => "percentage",
        Model::GraduatedPercentage { .. } => "graduated_percentage",
        Model::Dynamic {} => "dynamic",
        Model::Matrix(_) => "matrix",
        Model::TimeOfUse(_) => "time_of_use",
        Model::Custom { .. } => {
            return Err("A custom model cannot be one of the models.".to_owned());
        }
    })
}

fn line(name: &str, model: Model, currency: Currency, usage: &Usage) -> Result<Line, String> {
    let is_flat = matches!(model, Model::Flat { .. });
    let charge = Charge {
        code: "charge".to_owned(),
        name: name.to_owned(),
        metric: (!is_flat).then(|| "usage".to_owned()),
        model,
        billing: Billing::default(),
        rounding: Default::default(),
        included_units: Number::ZERO,
        minimum: None,
        maximum: None,
    };
    if let Some(violation) = charge.check(currency).first() {
        return Err(format!("{} {}.", violation.field, violation.message));
    }
    // A flat price is the same whatever was used.
    let usage = if is_flat { &Usage::Nothing } else { usage };
    let line = charge.explain(currency, usage);
    line.map_err(|error| format!("{}.", error.reason))
}

/// `the lowest of graduated 115, volume 120 and flat 200: graduated`.
fn comparison(prices: &[(&'static str, Line)], lowest: usize) -> String {
    let mut text = "the lowest of ".to_owned();
    for (index, (kind, line)) in prices.iter().enumerate() {
        if index > 0 {
            text.push_str(if index + 1 == prices.len() {
                " and "
            } else {
                ", "
            });
        }
        text.push_str(&format!("{kind} {}", line.exact_amount));
    }
    let chosen = prices.get(lowest).map(|(kind, _)| *kind);
    text.push_str(&format!(": {}", chosen.unwrap_or_default()));
    text
}

/// The steps of the model that was chosen, and the comparison, which adds nothing.
/// Of a model with more steps than a line has the last ones are one.
fn steps(line: &Line, comparison: String) -> Result<Vec<(String, String)>, String> {
    let whole = if line.steps.len() > MAX_MODEL_STEPS {
        MAX_MODEL_STEPS - 1
    } else {
        line.steps.len()
    };
    let (shown, folded) = line.steps.split_at(whole);
    let mut steps: Vec<_> = shown
        .iter()
        .map(|step| (cut(&step.to_string()), step.subtotal().to_string()))
        .collect();
    if !folded.is_empty() {
        let sum = folded
            .iter()
            .try_fold(ExactAmount::ZERO, |sum, step| sum.plus(step.subtotal()))
            .map_err(|reason| reason.to_string())?;
        steps.push((format!("{} more: {sum}", folded.len()), sum.to_string()));
    }
    steps.push((cut(&comparison), ExactAmount::ZERO.to_string()));
    Ok(steps)
}

/// The values of a matrix and ten amounts of 18 decimals can make a sentence longer
/// than a step is, and the former can have control characters.
fn cut(text: &str) -> String {
    let shown = text.chars().filter(|c| !c.is_control());
    shown.take(MAX_STEP_TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn lowest(models: &Value, usage: &Value) -> Result<Lowest, String> {
        let usage: Usage = serde_json::from_value(usage.clone()).expect("the table has usage");
        let parameters = json!({"models": models}).to_string();
        price("Tokens", Currency::USD, &parameters, &usage)
    }

    #[test]
    fn the_lowest_counts() {
        let per_unit = json!({"type": "per_unit", "unit_price": "1"});
        let volume = json!({"type": "volume", "tiers": [
            {"up_to": "100", "unit_price": "2"}, {"unit_price": "0.5"}
        ]});
        let flat = json!({"type": "flat", "amount": "70"});
        let all = json!([per_unit, volume, flat]);
        let table = [
            (
                &all,
                json!({"quantity": "10"}),
                "10",
                "the lowest of per_unit 10, volume 20 and flat 70: per_unit",
            ),
            (
                &all,
                json!({"quantity": "120"}),
                "60",
                "the lowest of per_unit 120, volume 60 and flat 70: volume",
            ),
            (
                &all,
                json!({"quantity": "1000"}),
                "70",
                "the lowest of per_unit 1000, volume 500 and flat 70: flat",
            ),
            (
                &all,
                json!({"quantity": "70"}),
                "70",
                "the lowest of per_unit 70, volume 140 and flat 70: per_unit",
            ),
            (
                &all,
                json!("nothing"),
                "0",
                "the lowest of per_unit 0, volume 0 and flat 70: per_unit",
            ),
            (
                &json!([flat]),
                json!({"events": ["1"]}),
                "70",
                "the lowest of flat 70: flat",
            ),
            (
                &json!([{"type": "dynamic"}, {"type": "percentage", "rate_percent": "50", "fixed_fee": "1"}]),
                json!({"events": ["4", "6"]}),
                "7",
                "the lowest of dynamic 10 and percentage 7: percentage",
            ),
        ];
        for (models, usage, amount, comparison) in table {
            let lowest = lowest(models, &usage).expect("the table has prices");
            assert_eq!(lowest.amount.to_string(), amount, "{usage}");
            let last = lowest
                .steps
                .last()
                .map(|(text, amount)| (text.as_str(), amount.as_str()));
            assert_eq!(last, Some((comparison, "0")), "{usage}");
        }
    }

    #[test]
    fn steps_sum_to_the_amount_and_are_so_many() {
        let tiers = |count: u32| -> Value {
            let mut tiers: Vec<Value> = (1..count)
                .map(|tier| json!({"up_to": tier.to_string(), "unit_price": "0.5"}))
                .collect();
            tiers.push(json!({"unit_price": "0.25"}));
            json!([{"type": "graduated", "tiers": tiers}])
        };
        for (count, expected) in [(1, 2), (98, 99), (99, 100), (100, 100)] {
            let lowest =
                lowest(&tiers(count), &json!({"quantity": "200"})).expect("it has a price");
            assert_eq!(lowest.steps.len(), expected, "{count} tiers");
            let sum = lowest
                .steps
                .iter()
                .try_fold(ExactAmount::ZERO, |sum, (_, amount)| {
                    ExactAmount::parse(amount)
                        .map(|amount| sum.plus(amount).expect("they are small"))
                });
            assert_eq!(sum, Ok(lowest.amount), "{count} tiers");
        }
    }

    #[test]
    fn a_comparison_is_no_longer_than_a_step() {
        let model =
            json!({"type": "graduated_percentage", "tiers": [{"rate_percent": "2.9000001"}]});
        let usage = json!({"events": ["99999999999.123456789"]});
        let lowest = lowest(&json!(vec![model; 10]), &usage).expect("it has a price");
        let last = lowest.steps.last().map(|(text, _)| text.chars().count());
        assert_eq!(last, Some(MAX_STEP_TEXT_CHARS));
    }

    #[test]
    fn what_cannot_be_priced_is_said() {
        let usage = json!({"quantity": "2"});
        let per_unit = json!({"type": "per_unit", "unit_price": "1"});
        let table = [
            (json!([]), "There must be 1 to 10 models, and not 0."),
            (
                json!(vec![per_unit; 11]),
                "There must be 1 to 10 models, and not 11.",
            ),
            (
                json!([{"type": "custom"}]),
                "A custom model cannot be one of the models.",
            ),
            (
                json!([{"type": "package", "package_size": "0", "package_price": "1"}]),
                "models[0], package: model.package_size must be greater than zero.",
            ),
            (
                json!([{"type": "flat", "amount": "9.995"}]),
                "models[0], flat: model.amount must have at most 2 digits after the point.",
            ),
            (
                json!([{"type": "dynamic"}]),
                "models[0], dynamic: the usage is of another kind than the model prices.",
            ),
            (
                json!([{"type": "per_unit", "unit_price": "999999999999"}]),
                "models[0], per_unit: the amount is too large to be exact.",
            ),
        ];
        for (models, expected) in table {
            let refused = lowest(&models, &usage).expect_err("the table has mistakes");
            assert_eq!(refused, expected, "{models}");
        }
        for parameters in [
            "{}",
            "[]",
            r#"{"models": 1}"#,
            r#"{"models": [{"type": "linear"}]}"#,
        ] {
            let refused = price("Tokens", Currency::USD, parameters, &Usage::Nothing);
            let refused = refused.expect_err("the table has mistakes");
            assert!(refused.starts_with("The parameters must be"), "{refused}");
        }
    }
}
