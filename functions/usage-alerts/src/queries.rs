use serde::Deserialize;
use shared::http::context::Context;
use shared::http::input::PositiveQuantity;
use shared::http::pagination::{Listed, Page};
use shared::http::problem::Problem;
use shared::ids::UsageAlertId;
use shared::mail;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{
    NewUsageAlert, USAGE_ALERT_LIMIT, UsageAlert, UsageAlertFiring, UsageAlertShown,
};

/// Most alerts that are active. A batch adds to the total of each one that looks at
/// something of it: at some 60 microseconds, 3 ms of the 25 that a batch of 1,000
/// events takes.
const MAX_ACTIVE: i32 = 50;

/// An alert and its position in the list.
#[derive(Debug, Deserialize)]
pub struct AlertRow {
    pub sequence: i64,
    pub alert: UsageAlert,
}

/// A firing and its position in the list.
#[derive(Debug, Deserialize)]
pub struct FiringRow {
    pub sequence: i64,
    pub firing: UsageAlertFiring,
}

fn refuse(refused: &Refused) -> Option<Problem> {
    let invalid_meter =
        |code, message: &'static str| Problem::invalid_field("meter", code, message);
    Some(match refused.code.as_str() {
        "not_found" => not_found(),
        "meter_unknown" => invalid_meter("unknown", "is not a meter of the organization"),
        "meter_not_additive" => invalid_meter(
            "not_additive",
            "must be a meter whose aggregation is count or sum",
        ),
        "meter_archived" => invalid_meter("archived", "is archived and counts no more"),
        "usage_alert_limit" => USAGE_ALERT_LIMIT.because(format!(
            "At most {MAX_ACTIVE} are active. Archive one that is not needed."
        )),
        _ => return mail::refuse(refused),
    })
}

/// 404: there is no such alert.
pub fn not_found() -> Problem {
    Problem::not_found("The organization has no alert with this id.")
}

pub async fn create(
    context: &Context,
    digest: TokenDigest,
    id: UsageAlertId,
    new: NewUsageAlert,
) -> Result<UsageAlertShown, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        String::from(new.name).into(),
        String::from(new.meter).into(),
        new.subject.map(String::from).into(),
        new.period.name().to_owned().into(),
        decimals(&new.thresholds).into(),
        new.email.map(|email| email.as_str().to_owned()).into(),
        MAX_ACTIVE.into(),
        mail::MAX_PER_EMAIL_PER_HOUR.into(),
    ];
    let sql = "SELECT usage_alert_create($1, $2, $3, $4, $5, $6, $7::text[]::numeric[], $8, $9, $10)::text";
    db::call(context, sql, &parameters, refuse).await
}

/// Plain decimals with every digit.
fn decimals(quantities: &[PositiveQuantity]) -> Vec<String> {
    let texts = quantities.iter().map(|quantity| quantity.0.to_string());
    texts.collect()
}

pub async fn read(
    context: &Context,
    digest: TokenDigest,
    id: UsageAlertId,
) -> Result<UsageAlertShown, Problem> {
    let parameters = [digest.0.to_vec().into(), id.as_uuid().into()];
    let sql = "SELECT usage_alert_read($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn archive(
    context: &Context,
    digest: TokenDigest,
    id: UsageAlertId,
) -> Result<UsageAlertShown, Problem> {
    let parameters = [digest.0.to_vec().into(), id.as_uuid().into()];
    let sql = "SELECT usage_alert_archive($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

/// The rows of the page, and one more if there is one.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    page: &Page,
) -> Result<Listed<Vec<AlertRow>>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.unwrap_or(i64::MAX).into(),
    ];
    let sql = "SELECT usage_alerts_list($1, $2, $3)::text, cursor_key()";
    db::list(context, sql, &parameters, refuse).await
}

/// What fired, of one alert or of all: the rows of the page, and one more if there is
/// one.
pub async fn firings(
    context: &Context,
    digest: TokenDigest,
    of: Option<UsageAlertId>,
    page: &Page,
) -> Result<Listed<Vec<FiringRow>>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        of.map(|id| id.as_uuid()).into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.unwrap_or(i64::MAX).into(),
    ];
    let sql = "SELECT usage_alert_firings_list($1, $2, $3, $4)::text, cursor_key()";
    db::list(context, sql, &parameters, refuse).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input;

    use super::*;

    #[test]
    fn thresholds_keep_every_digit() {
        let texts = ["0.000000001", "1.50", "999999999999.999999999"];
        let body =
            json!({"name": "Budget", "meter": "tokens", "period": "day", "thresholds": texts});
        let new: NewUsageAlert = input::value(&body).expect("the body is right");
        assert_eq!(decimals(&new.thresholds), texts);
    }

    #[test]
    fn refusals() {
        let table = [
            (json!({"refusal": "not_found"}), 404, "not_found", None),
            (
                json!({"refusal": "meter_unknown"}),
                422,
                "invalid_fields",
                Some("unknown"),
            ),
            (
                json!({"refusal": "meter_not_additive"}),
                422,
                "invalid_fields",
                Some("not_additive"),
            ),
            (
                json!({"refusal": "meter_archived"}),
                422,
                "invalid_fields",
                Some("archived"),
            ),
            (
                json!({"refusal": "usage_alert_limit"}),
                409,
                "usage_alert_limit",
                None,
            ),
            (
                json!({"refusal": "too_many_requests", "retry_after_secs": 5}),
                429,
                "too_many_requests",
                None,
            ),
        ];
        for (answer, status, code, of_meter) in table {
            let refused: Refused =
                serde_json::from_value(answer.clone()).expect("the table holds refusals");
            let problem = refuse(&refused).expect("it is a refusal of these statements");
            assert_eq!((problem.status, problem.code), (status, code), "{answer}");
            let error = problem.errors.first();
            assert_eq!(error.map(|error| error.code), of_meter, "{answer}");
            assert!(error.is_none_or(|error| error.field == "meter"), "{answer}");
        }
    }
}
