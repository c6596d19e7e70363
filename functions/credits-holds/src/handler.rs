//! A hold is for what costs an amount that is known only afterwards: reserve what
//! it may cost, do it, capture what it did cost.

use serde::Serialize;
use serde_json::Value;
use shared::credits::{self, Hold, Transaction, UsageNames};
use shared::http::context::Context;
use shared::http::fields::{self, Fields, Invalid};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::{CreditHoldId, CreditTransactionId};
use shared::money::{Currency, Money};
use shared::store::cache;
use shared::store::cache_key::Scope;
use shared::token::PresentedToken;

use crate::queries;

/// Longest life of a hold in seconds: a day.
const MAX_TTL_SECS: i32 = 24 * 60 * 60;
/// How long a hold lives when the caller does not say: a quarter of an hour.
const DEFAULT_TTL_SECS: i32 = 15 * 60;

const COLLECTION: &str = "/api/v1/credits/holds";

/// A hold, as asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Input {
    pub money: Money,
    pub description: String,
    pub names: UsageNames,
    pub ttl_secs: i32,
}

#[derive(Serialize)]
struct Held {
    hold: Hold,
    transaction: Transaction,
}

#[derive(Serialize)]
struct Settled {
    hold: Hold,
    /// What the settlement came to: a capture, a release, and a spend of what
    /// exceeded the hold, as far as there was any.
    transactions: Vec<Transaction>,
}

#[derive(Serialize)]
struct Shown {
    hold: Hold,
}

/// Why nothing was held or settled.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    HoldNotFound,
    HoldNotOpen { state: String },
    TooManyOpenHolds,
    TooManyUsageNames,
    InsufficientCredits { available: Money },
    CurrencyMismatch(Currency),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::HoldNotFound => Self::not_found("You have no hold with this id."),
            Refusal::HoldNotOpen { state } => Self::new(
                409,
                "hold_not_open",
                "The hold is not open any more",
                format!("The hold is {state}; nothing was changed."),
            ),
            Refusal::TooManyOpenHolds => Self::new(
                409,
                "too_many_open_holds",
                "The account has too many open holds",
                "Nothing was held. Capture or release a hold, or wait until one expires.",
            ),
            Refusal::TooManyUsageNames => credits::too_many_usage_names(),
            Refusal::InsufficientCredits { available } => credits::insufficient(available),
            Refusal::CurrencyMismatch(currency) => credits::currency_mismatch(currency),
        }
    }
}

fn ttl_secs(value: &Value) -> Result<i32, Invalid> {
    let secs = fields::whole_number(value, 1..=i64::from(MAX_TTL_SECS))?;
    // It is no more than MAX_TTL_SECS, so it fits.
    Ok(i32::try_from(secs).unwrap_or(MAX_TTL_SECS))
}

fn read_hold(mut fields: Fields) -> Result<Input, Problem> {
    let money = fields::positive_money(&mut fields);
    let description = fields.optional("description", credits::description);
    let names = UsageNames::read(&mut fields);
    let ttl_secs = fields.optional("ttl_secs", ttl_secs);
    fields.finish(|| {
        Some(Input {
            money: money?,
            description: description?.unwrap_or_default(),
            names: names?,
            ttl_secs: ttl_secs?.unwrap_or(DEFAULT_TTL_SECS),
        })
    })
}

fn read_capture(mut fields: Fields) -> Result<Money, Problem> {
    let money = fields::positive_money(&mut fields);
    fields.finish(|| money)
}

/// What the path names. An id is read only after the caller's token.
#[derive(Debug, PartialEq, Eq)]
enum Target<'a> {
    Collection,
    Hold(&'a str),
    Capture(&'a str),
    Release(&'a str),
}

fn target(path: &str) -> Target<'_> {
    let rest = path.strip_prefix(COLLECTION).unwrap_or_default();
    let Some(rest) = rest.strip_prefix('/') else {
        return Target::Collection;
    };
    if let Some(id) = rest.strip_suffix("/capture") {
        Target::Capture(id)
    } else if let Some(id) = rest.strip_suffix("/release") {
        Target::Release(id)
    } else {
        Target::Hold(rest)
    }
}

/// The methods of a path.
pub fn allow(path: &str) -> &'static str {
    match target(path) {
        Target::Collection | Target::Capture(_) | Target::Release(_) => "POST",
        Target::Hold(_) => "GET",
    }
}

pub async fn holds(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = |text: &str| text.parse().map_err(|_| Refusal::HoldNotFound);
    match target(request.path()) {
        Target::Collection => hold(context, request, token).await,
        Target::Hold(text) => show(context, token, id(text)?).await,
        Target::Capture(text) => capture(context, request, token, id(text)?).await,
        Target::Release(text) => release(context, request, token, id(text)?).await,
    }
}

async fn hold(
    context: &Context,
    request: &Request,
    token: PresentedToken,
) -> Result<Reply, Problem> {
    let (fields, body) = request.json_fields().await?;
    let input = read_hold(fields)?;
    let idempotency = request.idempotency(&body)?;
    let transaction_id = CreditTransactionId::new(context.now_millis(), &context.random()?);
    let id = CreditHoldId::new(context.now_millis(), &context.random()?);
    let scopes = [Scope::Credits(token.owner)];
    let write = queries::hold(
        context,
        token.digest,
        &idempotency,
        transaction_id,
        id,
        &input,
    );
    let (hold, transaction) = cache::during_write(context, &scopes, write).await?;
    Reply::json(201, &Held { hold, transaction })
}

async fn show(
    context: &Context,
    token: PresentedToken,
    id: CreditHoldId,
) -> Result<Reply, Problem> {
    let hold = queries::find(context, token.digest, id).await?;
    Reply::json(200, &Shown { hold })
}

async fn capture(
    context: &Context,
    request: &Request,
    token: PresentedToken,
    id: CreditHoldId,
) -> Result<Reply, Problem> {
    let (fields, body) = request.json_fields().await?;
    let money = read_capture(fields)?;
    settle(context, request, token, id, &body, Some(money)).await
}

async fn release(
    context: &Context,
    request: &Request,
    token: PresentedToken,
    id: CreditHoldId,
) -> Result<Reply, Problem> {
    settle(context, request, token, id, &[], None).await
}

async fn settle(
    context: &Context,
    request: &Request,
    token: PresentedToken,
    id: CreditHoldId,
    body: &[u8],
    money: Option<Money>,
) -> Result<Reply, Problem> {
    let idempotency = request.idempotency(body)?;
    let draw = || {
        Ok::<_, Problem>(CreditTransactionId::new(
            context.now_millis(),
            &context.random()?,
        ))
    };
    let ids = queries::SettlementIds {
        capture: draw()?,
        release: draw()?,
        excess: draw()?,
    };
    let scopes = [Scope::Credits(token.owner)];
    let write = queries::settle(context, token.digest, &idempotency, id, money, ids);
    let (hold, transactions) = cache::during_write(context, &scopes, write).await?;
    Reply::json(200, &Settled { hold, transactions })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused<T: std::fmt::Debug>(got: Result<T, Problem>) -> Vec<String> {
        let errors = got.err().map(|problem| problem.errors).unwrap_or_default();
        errors.into_iter().map(|e| e.field.into_owned()).collect()
    }

    #[test]
    fn holds_to_make() {
        let table = [
            (json!({"amount": "1.25", "currency": "USD"}), vec![]),
            (
                json!({"amount": "1", "currency": "USD", "ttl_secs": 1, "description": "job"}),
                vec![],
            ),
            (
                json!({"amount": "1", "currency": "USD", "ttl_secs": 86_400}),
                vec![],
            ),
            (
                json!({"amount": "1", "currency": "USD", "service": "chat", "model": "small"}),
                vec![],
            ),
            (
                json!({"amount": "1", "currency": "USD", "service": 1, "model": "m".repeat(65)}),
                vec!["service", "model"],
            ),
            (json!({}), vec!["amount", "currency"]),
            (
                json!({"amount": "1", "currency": "USD", "ttl_secs": 0}),
                vec!["ttl_secs"],
            ),
            (
                json!({"amount": "1", "currency": "USD", "ttl_secs": 86_401}),
                vec!["ttl_secs"],
            ),
            (
                json!({"amount": "1", "currency": "USD", "ttl_secs": "60"}),
                vec!["ttl_secs"],
            ),
            (
                json!({"amount": "0", "currency": "USD", "expires_at": "x"}),
                vec!["amount", "expires_at"],
            ),
        ];
        for (body, expected) in table {
            let got = refused(Fields::new(body.clone()).and_then(read_hold));
            assert_eq!(got, expected, "{body}");
        }
    }

    #[test]
    fn captures() {
        let table = [
            (json!({"amount": "1.25", "currency": "USD"}), vec![]),
            (json!({}), vec!["amount", "currency"]),
            (json!({"amount": "0", "currency": "USD"}), vec!["amount"]),
            (
                json!({"amount": "1", "currency": "USD", "description": "x", "service": "y"}),
                vec!["description", "service"],
            ),
        ];
        for (body, expected) in table {
            let got = refused(Fields::new(body.clone()).and_then(read_capture));
            assert_eq!(got, expected, "{body}");
        }
    }

    #[test]
    fn paths() {
        let table = [
            ("", Target::Collection, "POST"),
            ("/hld_1", Target::Hold("hld_1"), "GET"),
            ("/hld_1/capture", Target::Capture("hld_1"), "POST"),
            ("/hld_1/release", Target::Release("hld_1"), "POST"),
            ("/", Target::Hold(""), "GET"),
        ];
        for (rest, expected, methods) in table {
            let path = format!("{COLLECTION}{rest}");
            assert_eq!(target(&path), expected, "{path}");
            assert_eq!(allow(&path), methods, "{path}");
        }
    }
}
