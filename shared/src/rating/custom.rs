//! Custom models: a component of the operator's own makes the lines, and the
//! engine rounds them and counts them in.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::check::MAX_NAME_CHARS;
use super::exact_amount::ExactAmount;
use super::line::{Item, Line};
use super::number::Number;
use super::usage::Usage;
use crate::money::{Currency, Rounding};

/// Most bytes of a custom model's parameters, as JSON: a table of 100 rows of 80 bytes.
pub const MAX_PARAMETERS_BYTES: usize = 8 * 1024;

/// How deep such parameters nest, the object itself included. Whoever reads them within
/// something else has a few more levels then, and a JSON parser ends at 127.
pub const MAX_PARAMETERS_DEPTH: usize = 16;

/// Most charges of a plan that have a custom model. Each is a call of up to 1.5
/// seconds, so ten bound what an estimate asks for.
pub const MAX_CUSTOM_CHARGES: usize = 10;

/// Most lines of a charge that has a custom model: a plan has 200 of them at most.
pub const MAX_CUSTOM_LINES: usize = 20;

/// Most steps of such a line, as of one with tiers.
pub const MAX_CUSTOM_STEPS: usize = 100;

/// Most characters of a step: 20 lines of 100 steps are 4 MB at most, 4 bytes each.
pub const MAX_STEP_TEXT_CHARS: usize = 500;

/// Most characters of what a model says about its failure.
pub const MAX_FAILURE_CHARS: usize = 500;

/// The parameters of a custom model: a JSON object whose numbers are whole, so
/// that no amount passes through a float. Decimals are strings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Parameters(Map<String, Value>);

impl Parameters {
    /// The object as JSON, which is how a model reads it.
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

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Plain::deserialize(deserializer)?.0 {
            Value::Object(object) => Ok(Self(object)),
            _ => Err(D::Error::invalid_type(
                serde::de::Unexpected::Other("another value"),
                &"an object",
            )),
        }
    }
}

/// A value without fractions, and without NUL, which Postgres does not store.
struct Plain(Value);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor).map(Self)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value whose numbers are whole; write a fraction as a string")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, is_true: bool) -> Result<Value, E> {
        Ok(Value::Bool(is_true))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        without_nul(text.to_owned()).map(Value::String)
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        without_nul(text).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(Plain(element)) = access.next_element()? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Plain(value))) = access.next_entry::<String, _>()? {
            object.insert(without_nul(name)?, value);
        }
        Ok(Value::Object(object))
    }
}

fn without_nul<E: Error>(text: String) -> Result<String, E> {
    if text.contains('\0') {
        return Err(E::custom("must not contain NUL"));
    }
    Ok(text)
}

/// What a custom model is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricingRequest<'a> {
    /// The code of the charge.
    pub charge: Cow<'a, str>,
    /// What it is called.
    pub name: Cow<'a, str>,
    /// The currency of the amounts.
    pub currency: Currency,
    /// What the plan says about the price.
    pub parameters: Cow<'a, Parameters>,
    /// What was used.
    pub usage: Cow<'a, Usage>,
}

/// What became of such a request. In JSON `{"lines":[…]}` or `{"error":{…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PricingReply {
    /// The lines, which [`check_priced_lines`] passes.
    Lines(Vec<PricedLine>),
    /// Why there are none.
    Error(PricingFailure),
}

/// A line as a custom model made it, before it is rounded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricedLine {
    /// Its words on the invoice.
    pub description: String,
    /// How much there was, where one number says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Number>,
    /// The price of a unit, where all had the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Number>,
    /// What is due: zero or above.
    pub exact_amount: ExactAmount,
    /// How it came about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<PricedStep>,
}

/// A step toward such a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricedStep {
    /// A sentence for the customer.
    pub text: String,
    /// What it adds to the line.
    pub subtotal: ExactAmount,
}

/// That a custom model made no lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricingFailure {
    /// What happened, for programs.
    pub code: PricingFailureCode,
    /// What happened, in words.
    pub message: String,
}

/// How a custom model can fail. In JSON `model_refused` and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PricingFailureCode {
    /// It said that it cannot price this.
    #[serde(rename = "model_refused")]
    Refused,
    /// It returned lines that are none.
    #[serde(rename = "model_invalid")]
    Invalid,
    /// It broke.
    #[serde(rename = "model_failed")]
    Failed,
    /// It did not answer in time.
    #[serde(rename = "model_timed_out")]
    TimedOut,
}

impl PricingFailure {
    /// What a model said itself, on one line and no longer than is passed on.
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
            .filter(|c| !c.is_control())
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

/// What the custom models of a plan made, by the codes of their charges.
pub type CustomPrices = BTreeMap<String, Result<Vec<PricedLine>, PricingFailure>>;

/// A charge without lines, because its custom model failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpricedCharge {
    /// The charge.
    pub item: Item,
    /// What its line would be called.
    pub description: String,
    /// Why it has none.
    pub failure: PricingFailure,
}

/// What a plan comes to, as far as its custom models made prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every charge has its lines.
    Rated(super::Rated),
    /// Some charges have none. So nothing that depends on all of them is known:
    /// no commitment, no spend limit, no trial and no total.
    Unpriced(Vec<Result<Line, UnpricedCharge>>),
}

/// Whether these can be the lines of a charge in `currency`.
///
/// # Errors
///
/// What is wrong, by its place: `lines[0].steps[2].text`.
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

/// The most that the line can be rounded to.
fn check_line(line: &PricedLine, currency: Currency) -> Result<ExactAmount, String> {
    check_text(&line.description, MAX_NAME_CHARS)
        .map_err(|fault| format!("description {fault}"))?;
    if line.exact_amount < ExactAmount::ZERO {
        return Err("amount must not be below zero".to_owned());
    }
    // By whichever policy it is rounded later.
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
    if count == 0 || count > most || text.chars().any(char::is_control) {
        return Err(format!(
            "must be 1 to {most} characters, none of them a control character"
        ));
    }
    Ok(())
}
