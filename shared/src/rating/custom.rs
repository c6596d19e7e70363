//! Custom models: a component of the operator's own makes the lines. The engine rounds
//! them and includes them in the plan.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::check::MAX_NAME_CHARS;
use super::exact_amount::ExactAmount;
use super::line::{Item, Line};
use super::number::Number;
use super::usage::Usage;
#[cfg(not(target_arch = "wasm32"))]
use crate::http::input::Text;
use crate::http::input::{self, Input, Invalid, Reader};
use crate::money::{Currency, Rounding};
use crate::text::layout;

/// Most bytes of a custom model's parameters, as JSON: a table of 100 rows of 80 bytes.
pub const MAX_PARAMETERS_BYTES: usize = 8 * 1024;

/// How deep such parameters nest, the object itself included. A JSON parser stops at
/// 127 levels, and a reader may have the parameters inside something else.
pub const MAX_PARAMETERS_DEPTH: usize = 16;

/// Most charges of a plan with a custom model. Each is a call of up to 1.5 seconds, so
/// ten limit what an estimate asks for.
pub const MAX_CUSTOM_CHARGES: usize = 10;

/// Most lines of a charge with a custom model. A plan has at most 200 of them.
pub const MAX_CUSTOM_LINES: usize = 20;

/// Most steps of such a line, as of a line with tiers.
pub const MAX_CUSTOM_STEPS: usize = 100;

/// Most characters of a step: 20 lines of 100 steps are 4 MB at most, 4 bytes each.
pub const MAX_STEP_TEXT_CHARS: usize = 500;

/// Most characters of a model's message about its failure.
pub const MAX_FAILURE_CHARS: usize = 500;

/// The parameters of a custom model: a JSON object with whole numbers only, so that no
/// amount passes through a float. Decimals are strings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Parameters(Map<String, Value>);

impl Parameters {
    /// The object as JSON, as a model reads it.
    pub fn to_json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    /// Whether they nest deeper than [`MAX_PARAMETERS_DEPTH`].
    pub(super) fn are_too_deep(&self) -> bool {
        let most = MAX_PARAMETERS_DEPTH - 1;
        self.0.values().any(|value| is_deeper(value, most))
    }
}

fn is_deeper(value: &Value, most: usize) -> bool {
    let inner = |value: &Value| is_deeper(value, most - 1);
    match value {
        Value::Array(elements) => most == 0 || elements.iter().any(inner),
        Value::Object(members) => most == 0 || members.values().any(inner),
        _ => false,
    }
}

impl Input for Parameters {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let object = reader.object(value)?;
        plain_object(object, reader).map(Self)
    }
}

/// By the rules of [`Input`], so that no other object can be a model's parameters.
impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        input::value_at(&value, "parameters").map_err(|errors| {
            let named = errors.iter().map(|e| format!("{} {}", e.field, e.message));
            D::Error::custom(named.collect::<Vec<_>>().join("; "))
        })
    }
}

crate::describe!(Parameters as "PricingParameters", {
    "type": "object",
    "description": "What a custom model is told beside the usage: at most 8,192 bytes of JSON, 16 deep. Numbers are whole; decimals are strings.",
    "examples": [{"models": [{"type": "flat", "amount": "10"}]}],
});

/// The value, if it has no fractions and no NUL, which Postgres does not store.
fn plain(value: &Value, reader: &mut Reader) -> Option<Value> {
    match value {
        Value::Null | Value::Bool(_) => Some(value.clone()),
        Value::Number(number) if number.is_f64() => {
            let message = "must be whole; write a fraction as a string";
            reader.refuse(Invalid::new("wrong_type", message));
            None
        }
        Value::Number(_) => Some(value.clone()),
        Value::String(text) => plain_text(text, reader).map(Value::String),
        Value::Array(elements) => {
            let read: Vec<Option<Value>> = elements
                .iter()
                .enumerate()
                .map(|(index, element)| {
                    reader.within_element(index, |reader| plain(element, reader))
                })
                .collect();
            let read: Option<Vec<Value>> = read.into_iter().collect();
            read.map(Value::Array)
        }
        Value::Object(object) => plain_object(object, reader).map(Value::Object),
    }
}

fn plain_object(object: &Map<String, Value>, reader: &mut Reader) -> Option<Map<String, Value>> {
    let read: Vec<Option<(String, Value)>> = object
        .iter()
        .map(|(name, value)| {
            let name = plain_text(name, reader)?;
            let value = reader.within(&name, |reader| plain(value, reader))?;
            Some((name, value))
        })
        .collect();
    read.into_iter().collect()
}

fn plain_text(text: &str, reader: &mut Reader) -> Option<String> {
    if text.contains('\0') {
        reader.refuse(Invalid::new("invalid_character", "must not contain NUL"));
        return None;
    }
    Some(text.to_owned())
}

/// The question to a custom model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricingRequest<'a> {
    /// The code of the charge.
    pub charge: Cow<'a, str>,
    /// The name of the charge.
    pub name: Cow<'a, str>,
    /// The currency of the amounts.
    pub currency: Currency,
    /// The parameters in the plan.
    pub parameters: Cow<'a, Parameters>,
    /// What was used.
    pub usage: Cow<'a, Usage>,
}

/// The answer to such a question. In JSON `{"lines":[…]}` or `{"error":{…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PricingReply {
    /// The lines. [`check_priced_lines`] accepts them.
    Lines(Vec<PricedLine>),
    /// Why there are no lines.
    Error(PricingFailure),
}

/// A line of a custom model, before it is rounded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricedLine {
    /// The line's words on the invoice.
    pub description: String,
    /// The quantity, if one number says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Number>,
    /// The price of a unit, if all units had the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Number>,
    /// The amount due: zero or above.
    pub exact_amount: ExactAmount,
    /// The steps that lead to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<PricedStep>,
}

/// A step that leads to such a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricedStep {
    /// A sentence for the customer.
    pub text: String,
    /// What it adds to the line.
    pub subtotal: ExactAmount,
}

/// The failure of a custom model, which made no lines.
#[shared::answer(read)]
#[derive(PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PricingFailure {
    /// The kind of failure, for programs.
    pub code: PricingFailureCode,
    /// The failure in words.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "Text<1, MAX_FAILURE_CHARS>")
    )]
    pub message: String,
}

/// How a custom model can fail.
#[shared::answer(read)]
#[derive(Copy, PartialEq, Eq)]
pub enum PricingFailureCode {
    /// The model said that it cannot price this.
    #[serde(rename = "model_refused")]
    Refused,
    /// The model returned lines that are not valid.
    #[serde(rename = "model_invalid")]
    Invalid,
    /// The model broke.
    #[serde(rename = "model_failed")]
    Failed,
    /// The model did not answer in time.
    #[serde(rename = "model_timed_out")]
    TimedOut,
}

impl PricingFailure {
    /// The model's own message, on one line and cut to the length that is passed on.
    pub fn refused(message: &str) -> Self {
        Self::of(PricingFailureCode::Refused, message)
    }

    /// What is wrong with the lines that a model returned.
    pub fn invalid(message: &str) -> Self {
        Self::of(PricingFailureCode::Invalid, message)
    }

    /// The model broke.
    pub fn failed() -> Self {
        let message = "The pricing model broke off. Whoever runs it finds the reason in the log.";
        Self::of(PricingFailureCode::Failed, message)
    }

    /// The model took too long.
    pub fn timed_out() -> Self {
        Self::of(
            PricingFailureCode::TimedOut,
            "The pricing model did not answer in time.",
        )
    }

    fn of(code: PricingFailureCode, message: &str) -> Self {
        let shown: String = message
            .chars()
            .filter(|c| !layout::is_control(*c))
            .take(MAX_FAILURE_CHARS)
            .collect();
        Self {
            code,
            message: if shown.trim().is_empty() {
                "The pricing model gave no reason.".to_owned()
            } else {
                shown
            },
        }
    }
}

/// The answers of a plan's custom models, by the codes of their charges.
pub type CustomPrices = BTreeMap<String, Result<Vec<PricedLine>, PricingFailure>>;

/// A charge without lines, because its custom model failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpricedCharge {
    /// The charge.
    pub item: Item,
    /// The name that its line would have.
    pub description: String,
    /// Why it has none.
    pub failure: PricingFailure,
}

/// The price of a plan, as far as its custom models made prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every charge has its lines.
    Rated(super::Rated),
    /// Some charges have no lines. So everything that depends on all charges is
    /// unknown: commitment, spend limit, trial and total.
    Unpriced(Vec<Result<Line, UnpricedCharge>>),
}

/// Checks that these can be the lines of a charge in `currency`.
///
/// # Errors
///
/// What is wrong, with its place: `lines[0].steps[2].text`.
pub fn check_priced_lines(lines: &[PricedLine], currency: Currency) -> Result<(), String> {
    if !(1..=MAX_CUSTOM_LINES).contains(&lines.len()) {
        return Err(format!(
            "there must be 1 to {MAX_CUSTOM_LINES} lines, and not {}",
            lines.len()
        ));
    }
    let mut total = ExactAmount::ZERO;
    for (index, line) in lines.iter().enumerate() {
        let amount =
            check_line(line, currency).map_err(|fault| format!("lines[{index}].{fault}"))?;
        total = total.plus(amount).map_err(|reason| reason.to_string())?;
    }
    if total.round(currency, Rounding::Up).is_err() {
        return Err("the amounts must sum to less than 10^12".to_owned());
    }
    Ok(())
}

/// Checks a line, and returns the largest amount that it can be rounded to.
fn check_line(line: &PricedLine, currency: Currency) -> Result<ExactAmount, String> {
    check_text(&line.description, MAX_NAME_CHARS)
        .map_err(|fault| format!("description {fault}"))?;
    if line.exact_amount < ExactAmount::ZERO {
        return Err("amount must not be below zero".to_owned());
    }
    // Any policy may round it later.
    let rounded = line
        .exact_amount
        .round(currency, Rounding::Up)
        .and_then(ExactAmount::from_money)
        .map_err(|_| "amount must be below 10^12".to_owned())?;
    if line.steps.len() > MAX_CUSTOM_STEPS {
        return Err(format!("steps must be at most {MAX_CUSTOM_STEPS}"));
    }
    let mut sum = ExactAmount::ZERO;
    for (index, step) in line.steps.iter().enumerate() {
        check_text(&step.text, MAX_STEP_TEXT_CHARS)
            .map_err(|fault| format!("steps[{index}].text {fault}"))?;
        sum = sum
            .plus(step.subtotal)
            .map_err(|reason| format!("steps[{index}].amount cannot be summed: {reason}"))?;
    }
    if !line.steps.is_empty() && sum != line.exact_amount {
        return Err(format!(
            "amount is {}, and its steps sum to {sum}",
            line.exact_amount
        ));
    }
    Ok(rounded)
}

fn check_text(text: &str, most: usize) -> Result<(), String> {
    let count = text.chars().take(most + 1).count();
    if count == 0 || count > most || text.chars().any(layout::is_control) {
        return Err(format!(
            "must be 1 to {most} characters, none of them a control character"
        ));
    }
    Ok(())
}
