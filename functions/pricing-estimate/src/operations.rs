use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use shared::http::input::{Input, Reader, Text, Whole};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::problem;
use shared::money::{Currency, Money, Rounding};
#[cfg(not(target_arch = "wasm32"))]
use shared::rating::ChargeCode;
use shared::rating::plan_terms::{
    MAX_PLAN_CODE_CHARS, MAX_PLAN_VERSIONS, PlanCode, PlanName, PlanTerms,
};
use shared::rating::{ExactAmount, Number, Phase, PricingFailure, Step, Usage};

/// What is to be priced, by a version of a plan or by prices of the request's own.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(shared::schemars::JsonSchema),
    schemars(crate = "shared::schemars", untagged)
)]
pub enum EstimateRequest {
    Version(VersionToEstimate),
    Terms(TermsToEstimate),
}

/// Usage to price by a version of a plan.
#[shared::body]
pub struct VersionToEstimate {
    pub plan: NamedVersion,
    /// By the codes of the charges. A charge without usage is rated for none.
    pub usage: Option<BTreeMap<String, Usage>>,
    /// In a trial, which the plan must have, what it covers is credited and nothing is
    /// committed. Paid when absent.
    pub phase: Option<Phase>,
}

/// A version of a plan.
#[shared::body]
pub struct NamedVersion {
    /// The code of the plan.
    pub code: Text<1, MAX_PLAN_CODE_CHARS>,
    /// The newest one when absent.
    pub version: Option<Whole<1, { MAX_PLAN_VERSIONS as i64 }>>,
}

/// Usage to price by prices of the request's own.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(shared::schemars::JsonSchema),
    schemars(
        crate = "shared::schemars",
        deny_unknown_fields,
        transform = names_no_plan
    )
)]
pub struct TermsToEstimate {
    #[cfg_attr(not(target_arch = "wasm32"), schemars(flatten))]
    pub terms: PlanTerms,
    /// By the codes of the charges. A charge without usage is rated for none.
    pub usage: Option<BTreeMap<String, Usage>>,
    /// In a trial, which the plan must have, what it covers is credited and nothing is
    /// committed. Paid when absent.
    pub phase: Option<Phase>,
}

/// Describes that `plan` may be null beside prices.
#[cfg(not(target_arch = "wasm32"))]
fn names_no_plan(schema: &mut shared::schemars::Schema) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        let null = serde_json::json!({"type": "null"});
        properties.insert("plan".to_owned(), null);
    }
}

impl Input for EstimateRequest {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let names_plan = value.get("plan").is_some_and(|plan| !plan.is_null());
        if names_plan {
            Input::read(value, reader).map(Self::Version)
        } else {
            Input::read(value, reader).map(Self::Terms)
        }
    }
}

impl Input for TermsToEstimate {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let object = reader.object(value)?;
        let mut terms = object.clone();
        for name in ["plan", "usage", "phase"] {
            terms.remove(name);
        }
        let terms = PlanTerms::read(&Value::Object(terms), reader);
        let usage = reader.field(object, "usage");
        let phase = reader.field(object, "phase");
        Some(Self {
            terms: terms?,
            usage: usage?,
            phase: phase?,
        })
    }
}

/// What the usage costs, line by line.
#[shared::answer]
pub struct Estimate {
    /// The version that was rated; null for prices of the request.
    pub plan: Option<EstimatedVersion>,
    pub currency: Currency,
    /// The charges in their order, then the adjustments. There are no adjustments when a charge
    /// has no line.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1, max = 292)))]
    pub lines: Vec<EstimateItem>,
    /// Null when a charge has no line.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "Option<shared::http::input::SignedMoney>")
    )]
    pub total: Option<Money>,
}

/// The version that was rated.
#[shared::answer]
pub struct EstimatedVersion {
    pub code: PlanCode,
    pub name: PlanName,
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "shared::rating::plan_terms::VersionNumber")
    )]
    pub version: i32,
}

/// A line, or a charge without one.
#[shared::answer(untagged)]
pub enum EstimateItem {
    Line(EstimateLine),
    Unpriced(UnpricedCharge),
}

/// What a line is for.
#[shared::answer]
pub enum EstimateLineKind {
    /// A charge of the plan.
    Charge,
    /// The credit of a trial.
    Trial,
    /// The amount missing to the minimum commitment.
    MinimumCommitment,
    /// The amount above the maximum spend.
    MaximumSpend,
}

/// A line of the invoice. A charge with a custom model has 1 to 20 lines.
#[shared::answer]
pub struct EstimateLine {
    pub kind: EstimateLineKind,
    /// The code of the charge. An adjustment has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "ChargeCode"))]
    pub charge: Option<String>,
    pub description: String,
    /// Absent where no one number says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "Number"))]
    pub quantity: Option<Number>,
    /// The price of a unit, where all units had the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "Number"))]
    pub unit_price: Option<Number>,
    /// The amount before it is rounded.
    pub exact_amount: ExactAmount,
    pub rounding: Rounding,
    /// The amount, rounded once to the currency's minor unit.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "shared::http::input::SignedMoney")
    )]
    pub amount: Money,
    pub steps: Vec<EstimateStep>,
}

/// A step that leads to a line.
#[derive(Debug, Clone, Serialize)]
pub struct EstimateStep {
    #[serde(flatten)]
    pub step: Step,
    /// None where the step has a text of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

shared::describe!(EstimateStep as "EstimateStep", {
    "type": "object",
    "description": "A step that leads to a line.",
    "required": ["step", "text"],
    "properties": {
        "step": {
            "type": "string", "pattern": "^[a-z_]+$",
            "description": "What kind of step it is. The other members depend on it.",
        },
        "text": {"type": "string", "description": "The step as a sentence."},
        "subtotal": {
            "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,18})?$",
            "description": "What it adds to the line. Those of a line's steps sum exactly to exact_amount.",
        },
    },
});

/// A charge of which its custom model made no line.
#[shared::answer]
pub struct UnpricedCharge {
    pub kind: UnpricedChargeKind,
    /// The code of the charge.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "ChargeCode"))]
    pub charge: String,
    pub description: String,
    pub error: PricingFailure,
}

#[shared::answer]
pub enum UnpricedChargeKind {
    Charge,
}

pub const ESTIMATE: Operation = Operation::new(
    "pricing-estimate",
    Verb::Post,
    "/api/v1/pricing/estimate",
    Access::Permission("plans:read"),
)
.tag("plans")
.summary("Estimate what usage costs")
.details("Rates a version of a plan, or prices of the request, by the code that invoices, and explains each line step by step. A charge of which its custom model makes no line has an error in its place; the other lines are priced, and there is no total. Nothing is stored. What cannot be rated is named by its place: usage.tokens, or charges[1], whose amount is too large.")
.body::<EstimateRequest>(
    r#"{"plan": {"code": "team"}, "usage": {"tokens": {"quantity": "1200"}}}"#,
)
.answers(&[Answer::json::<Estimate>(
    200,
    "The lines.",
    r#"{"plan": {"code": "team", "name": "Team", "version": 2}, "currency": "USD", "lines": [{"kind": "charge", "charge": "base", "description": "Base fee", "exact_amount": "49", "rounding": "half_even", "amount": {"amount": "49.00", "currency": "USD"}, "steps": [{"step": "flat", "subtotal": "49", "text": "flat: 49"}]}, {"kind": "charge", "charge": "tokens", "description": "Tokens", "quantity": "1200", "exact_amount": "23", "rounding": "half_even", "amount": {"amount": "23.00", "currency": "USD"}, "steps": [{"step": "tier", "tier": 1, "from": "0", "to": "1000", "quantity": "1000", "unit_price": "0.02", "flat_fee": "0", "subtotal": "20", "text": "tier 1, 0 to 1000: 1000 × 0.02 = 20"}, {"step": "tier", "tier": 2, "from": "1000", "to": null, "quantity": "200", "unit_price": "0.015", "flat_fee": "0", "subtotal": "3", "text": "tier 2, above 1000: 200 × 0.015 = 3"}]}], "total": {"amount": "72.00", "currency": "USD"}}"#,
)])
.refuses(&[&problem::NOT_FOUND]);
