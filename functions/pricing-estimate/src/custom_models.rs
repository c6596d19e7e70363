//! Custom models are asked in an instance of their own, because one that breaks
//! takes the instance with it that called it.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use shared::http::context::Context;
use shared::rating::{
    CustomPrices, Plan, PricedLine, PricingFailure, PricingReply, PricingRequest, RatingError,
    Usage,
};

use crate::exchange;

/// Where `spin.toml` has the component that asks the model.
const PRICING_CUSTOM: &str = "pricing-custom.spin.internal";

/// How long a model may take for one charge: the second that the host gives it,
/// and half of one for what is around it.
const MODEL_TIME_LIMIT: Duration = Duration::from_millis(1_500);

/// How long the models of all charges of an estimate may take together.
const ESTIMATE_TIME_LIMIT: Duration = Duration::from_secs(3);

/// How often a charge is tried. Another request's model can take the instance down
/// that was to answer this one; a model that breaks by itself does so again.
const MAX_ATTEMPTS: usize = 2;

/// Has every charge of the plan priced that has a custom model, one after the other.
///
/// # Errors
/// The usage cannot be that of such a charge; no model was asked then.
pub async fn price(
    context: &Context,
    plan: &Plan,
    usage: &BTreeMap<String, Usage>,
) -> Result<CustomPrices, RatingError> {
    let mut requests = Vec::new();
    for charge in &plan.charges {
        let used = usage.get(&charge.code).unwrap_or(&Usage::Nothing);
        requests.extend(charge.pricing_request(plan.currency, used)?);
    }
    let deadline = context.elapsed() + ESTIMATE_TIME_LIMIT;
    let mut prices = CustomPrices::new();
    for request in requests {
        let left = deadline.saturating_sub(context.elapsed());
        let priced = ask_within(context, &request, left.min(MODEL_TIME_LIMIT)).await;
        if let Err(failure) = &priced {
            let message = &failure.message;
            context.log("warn", &format!("charge {}: {message}", request.charge));
        }
        prices.insert(request.charge.into_owned(), priced);
    }
    Ok(prices)
}

async fn ask_within(
    context: &Context,
    request: &PricingRequest<'_>,
    patience: Duration,
) -> Result<Vec<PricedLine>, PricingFailure> {
    if patience.is_zero() {
        return Err(PricingFailure::timed_out());
    }
    // Plain data always serializes.
    let body = serde_json::to_vec(request).map_err(|_| PricingFailure::failed())?;
    let asked = pin!(ask(context, body));
    let timeout = pin!(spin_sdk::time::sleep(patience));
    match select(asked, timeout).await {
        Either::Left((Ok(PricingReply::Lines(lines)), _)) => Ok(lines),
        Either::Left((Ok(PricingReply::Error(failure)), _)) => Err(failure),
        Either::Left((Err(reason), _)) => {
            context.log("warn", &reason);
            Err(PricingFailure::failed())
        }
        Either::Right(_) => Err(PricingFailure::timed_out()),
    }
}

/// The reply, or for the log why there is none.
async fn ask(context: &Context, body: Vec<u8>) -> Result<PricingReply, String> {
    let mut reason = String::new();
    for _ in 0..MAX_ATTEMPTS {
        match ask_once(context, body.clone()).await {
            Ok(reply) => return Ok(reply),
            Err(error) => reason = error,
        }
    }
    Err(reason)
}

async fn ask_once(context: &Context, body: Vec<u8>) -> Result<PricingReply, String> {
    let answer = exchange::post(PRICING_CUSTOM, context.request_id(), body).await?;
    match answer {
        (200, body) => serde_json::from_slice(&body)
            .map_err(|error| format!("{PRICING_CUSTOM} answered what is no reply: {error}")),
        (status, _) => Err(format!("{PRICING_CUSTOM} answered {status}")),
    }
}
