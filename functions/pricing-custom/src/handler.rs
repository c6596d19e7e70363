//! A model is asked once for each request. What it returns is checked here, so
//! that whoever reads the answer can take the lines for lines.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::rating::plan_terms::MAX_TERMS_BYTES;
use shared::rating::{MAX_PARAMETERS_BYTES, PricingFailure, PricingReply, PricingRequest};
use spin_sdk::wasip3::wit_bindgen::{backpressure_dec, backpressure_inc};

use crate::bindings::turnpike::pricing::model;
use crate::{lines, wire};

/// Most bytes of a request: the usage of one charge, which came in a body of
/// [`MAX_TERMS_BYTES`], and its parameters, name and code.
const MAX_REQUEST_BYTES: usize = MAX_TERMS_BYTES + 2 * MAX_PARAMETERS_BYTES;

/// As long as it lives the host leads no other request to this instance: one that
/// breaks would take the others with it.
struct Alone;

impl Alone {
    fn begin() -> Self {
        backpressure_inc();
        Self
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        backpressure_dec();
    }
}

pub async fn price(_: &Context, request: &Request) -> Result<Reply, Problem> {
    let _alone = Alone::begin();
    let body = request.body_within(MAX_REQUEST_BYTES).await?;
    let request: PricingRequest<'_> = serde_json::from_slice(&body)
        .map_err(|error| Problem::malformed_body(format!("This is no charge: {error}.")))?;
    Reply::json(200, &ask(&request, model::price))
}

/// What `model` makes of the request.
fn ask(
    request: &PricingRequest<'_>,
    model: impl FnOnce(&model::Request) -> Result<Vec<model::Line>, model::Failure>,
) -> PricingReply {
    match model(&wire::request(request)) {
        Ok(returned) => match lines::read(returned, request.currency) {
            Ok(lines) => PricingReply::Lines(lines),
            Err(fault) => PricingReply::Error(PricingFailure::invalid(&format!(
                "The pricing model returned what is no invoice line: {fault}."
            ))),
        },
        Err(failure) => PricingReply::Error(PricingFailure::refused(&failure.message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn line(amount: &str) -> model::Line {
        model::Line {
            description: "Power".to_owned(),
            quantity: None,
            unit_price: None,
            amount: amount.to_owned(),
            steps: Vec::new(),
        }
    }

    fn asked(
        model: impl FnOnce(&model::Request) -> Result<Vec<model::Line>, model::Failure>,
    ) -> Value {
        let request = json!({
            "charge": "power", "name": "Power", "currency": "USD",
            "parameters": {"b": 1, "a": "0.5"},
            "usage": {"hours": [{"month": 1, "weekday": "friday", "hour": 23, "quantity": "1.50"}]},
        });
        let request = serde_json::from_value(request).expect("the table has requests");
        serde_json::to_value(ask(&request, model)).expect("replies are JSON")
    }

    #[test]
    fn a_model_is_told_everything() {
        let reply = asked(|request| {
            assert_eq!(
                (&*request.charge, &*request.name, &*request.currency),
                ("power", "Power", "USD")
            );
            assert_eq!(request.parameters, r#"{"a":"0.5","b":1}"#);
            let model::Usage::Hours(hours) = &request.usage else {
                panic!("the usage is hours");
            };
            let hour = &hours[0];
            assert_eq!(
                (hour.month, hour.hour_of_day, &*hour.quantity),
                (1, 23, "1.5")
            );
            assert!(matches!(hour.weekday, model::Weekday::Friday));
            Ok(vec![line("1.005")])
        });
        assert_eq!(
            reply,
            json!({"lines": [{"description": "Power", "exact_amount": "1.005"}]})
        );
    }

    #[test]
    fn failures_are_told_apart() {
        let refuse = |message: &str| {
            let message = message.to_owned();
            asked(move |_| Err(model::Failure { message }))
        };
        let long = "x".repeat(600);
        let table = [
            (refuse("no\r\nprice\u{7f}"), "model_refused", "noprice"),
            (
                refuse(""),
                "model_refused",
                "The pricing model gave no reason.",
            ),
            (refuse(&long), "model_refused", &long[..500]),
            (
                asked(|_| Ok(Vec::new())),
                "model_invalid",
                "The pricing model returned what is no invoice line: there must be 1 to 20 lines, and not 0.",
            ),
            (
                asked(|_| Ok(vec![line("1"), line("-1")])),
                "model_invalid",
                "The pricing model returned what is no invoice line: lines[1].amount must not be below zero.",
            ),
        ];
        for (reply, code, message) in table {
            assert_eq!(reply, json!({"error": {"code": code, "message": message}}));
        }
    }
}
