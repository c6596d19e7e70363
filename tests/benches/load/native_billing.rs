//! `GET /api/v1/entitlements/check` and `POST /api/v1/pricing/estimate` as a native service would
//! have them: the same SQL functions and the same rating engine, with plans kept by their version.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::http::problem::Problem;
use shared::money::{Currency, Money, Rounding};
use shared::rating::plan_terms::PlanTerms;
use shared::rating::{ExactAmount, Item, Line, Number, Phase, Plan, Step, Usage};

use super::native_baseline::{Call, Service, access_token, query_parameter};

/// As the component: plans kept at most.
const MAX_KEPT_PLANS: u64 = 256;

/// A plan and the id of its version.
#[derive(Clone)]
struct Kept {
    version_id: String,
    plan: Arc<Plan>,
}

/// The plans that were read, by their code.
pub(super) struct Plans(Cache<String, Kept>);

impl Plans {
    pub(super) fn new() -> Self {
        Self(Cache::new(MAX_KEPT_PLANS))
    }
}

/// What is known of an entitlement; what there is nothing of is null.
#[derive(Serialize, Deserialize)]
struct Verdict {
    feature: String,
    subject: Option<String>,
    has_access: bool,
    reason: Option<String>,
    r#type: Option<String>,
    limit: Option<String>,
    used: Option<String>,
    remaining: Option<String>,
    overage: Option<String>,
    period_started_at: Option<String>,
    resets_at: Option<String>,
}

pub(super) async fn check(
    service: &Service,
    call: &mut Call,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<Response, Problem> {
    let token = access_token(headers)?;
    let feature = query_parameter(uri, "feature")
        .ok_or_else(|| Problem::invalid_parameter("feature", "required", "is required"))?;
    let subject = query_parameter(uri, "subject");
    let verdict: Verdict = service
        .ask(
            call,
            "SELECT entitlement_check($1, $2, $3, NULL)::text",
            &[&token.digest.0.as_slice(), &feature, &subject],
        )
        .await?;
    Ok(Json(verdict).into_response())
}

#[derive(Deserialize)]
struct Input {
    plan: NamedPlan,
    usage: BTreeMap<String, Usage>,
}

#[derive(Deserialize)]
struct NamedPlan {
    code: String,
}

#[derive(Deserialize)]
struct FoundPlan {
    plan_name: String,
    version: i32,
    version_id: String,
    terms: Option<Value>,
}

#[derive(Serialize)]
struct Estimate<'a> {
    plan: Rateable<'a>,
    currency: Currency,
    lines: Vec<ShownLine<'a>>,
    total: Money,
}

#[derive(Serialize)]
struct Rateable<'a> {
    code: &'a str,
    name: &'a str,
    version: i32,
}

#[derive(Serialize)]
struct ShownLine<'a> {
    #[serde(flatten)]
    item: &'a Item,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_price: Option<Number>,
    exact_amount: ExactAmount,
    rounding: Rounding,
    amount: Money,
    steps: Vec<ShownStep<'a>>,
}

#[derive(Serialize)]
struct ShownStep<'a> {
    #[serde(flatten)]
    step: &'a Step,
    text: String,
}

impl<'a> ShownLine<'a> {
    fn of(line: &'a Line) -> Self {
        Self {
            item: &line.item,
            description: &line.description,
            quantity: line.quantity,
            unit_price: line.unit_price,
            exact_amount: line.exact_amount,
            rounding: line.rounding,
            amount: line.amount,
            steps: line
                .steps
                .iter()
                .map(|step| ShownStep {
                    step,
                    text: step.to_string(),
                })
                .collect(),
        }
    }
}

pub(super) async fn estimate(
    service: &Service,
    call: &mut Call,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response, Problem> {
    let token = access_token(headers)?;
    let input: Input = serde_json::from_slice(body)
        .map_err(|error| Problem::malformed_body(format!("The body is not one: {error}.")))?;
    let code = input.plan.code;
    let known = service.plans.0.get(&code);
    let known_id = known.as_ref().map_or("", |kept| kept.version_id.as_str());
    let FoundPlan {
        plan_name,
        version,
        version_id,
        terms,
    } = service
        .ask(
            call,
            "SELECT pricing_estimate_read($1, $2, NULL, $3)::text",
            &[&token.digest.0.as_slice(), &code, &known_id],
        )
        .await?;
    let plan = match (terms, known) {
        (Some(terms), _) => {
            let plan = Arc::new(PlanTerms::stored(&terms)?.into_plan(&code, &plan_name));
            let kept = Kept {
                version_id,
                plan: Arc::clone(&plan),
            };
            service.plans.0.insert(code.clone(), kept);
            plan
        }
        (None, Some(known)) => known.plan,
        (None, None) => return Err(Problem::internal()),
    };
    let rated = plan
        .explain(&input.usage, Phase::Paid)
        .map_err(|error| Problem::malformed_body(error.to_string()))?;
    let estimate = Estimate {
        plan: Rateable {
            code: &code,
            name: &plan_name,
            version,
        },
        currency: plan.currency,
        lines: rated.lines.iter().map(ShownLine::of).collect(),
        total: rated.total,
    };
    Ok(Json(estimate).into_response())
}
