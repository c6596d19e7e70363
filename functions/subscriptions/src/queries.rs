use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared::http::Idempotency;
use shared::http::context::Context;
use shared::http::input::Change;
use shared::http::pagination::{Listed, Page, Place};
use shared::http::problem::Problem;
use shared::ids::{BillingAccountId, SubscriptionId};
use shared::money::Currency;
use shared::store::db::{self, Parameter, Refused};
use shared::token::TokenDigest;
use uuid::Uuid;

use crate::facts::Facts;
use crate::operations::{
    ACCOUNT_CLOSED, ACCOUNT_NOT_IN_TEST_MODE, Adjustment, Changed, SUBSCRIPTION_LIMIT,
    SubscriptionVersion, SubscriptionsQuery, TRIAL_USED,
};
use crate::rules::Step;
use crate::subscription::{Action, NewSubscription, Subscription, SubscriptionTime};

/// Most subscriptions that one call of the job advances.
pub const MAX_ADVANCED: i32 = 50;

/// What a statement answers that decides, or writes what was decided.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Begun {
    /// What decides.
    Facts(Box<Facts>),
    /// What was answered, now or to an earlier request with the key.
    Done(Box<Changed>),
}

/// What somebody asks of a subscription, and how it is told from other requests.
pub struct Asked<'a> {
    pub id: SubscriptionId,
    /// Without one it is a preview.
    pub idempotency: Option<&'a Idempotency>,
    pub action: &'a Action,
}

impl Asked<'_> {
    /// The first parameters of the two statements of a decision.
    fn parameters(&self, digest: TokenDigest) -> [Parameter; 7] {
        let [key, request_digest] = key_of(self.idempotency);
        let (plan, version) = self.action.requested();
        [
            digest.0.to_vec().into(),
            key,
            request_digest,
            self.id.as_uuid().into(),
            plan.into(),
            version.into(),
            time(self.action.at()),
        ]
    }
}

/// Subscriptions of which something is due.
#[derive(Deserialize)]
pub struct DueFacts {
    pub due: Vec<Facts>,
}

/// What time has done to a subscription.
#[derive(Serialize)]
pub struct Advance {
    pub id: SubscriptionId,
    /// The version that was read.
    pub version: u64,
    pub steps: Vec<Step>,
    /// Whether the steps could not be worked out.
    pub has_failed: bool,
}

/// Of how many something was written.
#[derive(Deserialize)]
pub struct Advanced {
    pub advanced: u32,
}

/// Where a subscription stands in a list. Its id is later than those of older ones.
pub struct SubscriptionPlace(pub SubscriptionId);

impl Place for SubscriptionPlace {
    fn to_bytes(&self) -> Vec<u8> {
        self.0.as_uuid().as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let id = Uuid::from_slice(bytes).ok()?;
        Some(Self(SubscriptionId::from_uuid(id)))
    }
}

/// 404: there is no such subscription that the caller may see.
pub fn not_found() -> Problem {
    Problem::not_found("There is no subscription with this id.")
}

/// 404: there is no such account.
pub fn account_not_found() -> Problem {
    Problem::not_found("There is no account with this id.")
}

fn refuse(refused: &Refused) -> Option<Problem> {
    Some(match refused.code.as_str() {
        "not_found" => not_found(),
        "account_not_found" => account_not_found(),
        "account_closed" => {
            ACCOUNT_CLOSED.because("A closed account gets no subscription. Reopen it first.")
        }
        "account_currency" => {
            let currency: Currency = refused.fact("currency")?;
            let message = format!("must be a plan in {currency}, the currency of the account");
            Problem::invalid_field("plan", "mismatch", message)
        }
        "account_not_in_test_mode" => ACCOUNT_NOT_IN_TEST_MODE
            .because("Only an account that was made with is_test has a clock of its own."),
        "test_clock_goes_forward" => {
            let at: String = refused.fact("test_clock_at")?;
            let message = format!("must not be earlier than {at}, which the clock shows");
            Problem::invalid_field("to", "too_early", message)
        }
        "plan_unknown" => Problem::invalid_field("plan", "unknown", "is no plan"),
        "plan_archived" => {
            Problem::invalid_field("plan", "not_allowed", "is a plan that is archived")
        }
        "plan_version_unknown" => match refused.fact("is_given")? {
            true => Problem::invalid_field("plan_version", "unknown", "is no version of the plan"),
            false => Problem::invalid_field("plan", "not_allowed", "is a plan without a version"),
        },
        "subscription_limit" => {
            SUBSCRIPTION_LIMIT.because("It has 100 that have not ended. Cancel one first.")
        }
        "trial_used" => TRIAL_USED
            .because("The account has had a trial of this plan. Send trial_days 0 for none."),
        _ => return None,
    })
}

/// The key and the digest of a request, both null for a preview.
fn key_of(idempotency: Option<&Idempotency>) -> [Parameter; 2] {
    let key = idempotency.map(|idempotency| idempotency.key.clone());
    let digest = idempotency.map(|idempotency| idempotency.request_digest.to_vec());
    [key.into(), digest.into()]
}

/// A moment, which the statement reads as UTC.
fn time(at: Option<SubscriptionTime>) -> Parameter {
    at.map(|at| at.0).into()
}

pub async fn read(
    context: &Context,
    digest: TokenDigest,
    id: SubscriptionId,
) -> Result<Subscription, Problem> {
    let parameters = [digest.0.to_vec().into(), id.as_uuid().into()];
    let sql = "SELECT subscription_read($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

/// The subscriptions of the page, and one more if there is one.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    query: SubscriptionsQuery,
    page: &Page<SubscriptionPlace>,
) -> Result<Listed<Vec<Subscription>>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        query.account_id.map(|id| id.as_uuid()).into(),
        query.plan.map(String::from).into(),
        query.status.map(|status| status.as_str().to_owned()).into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.as_ref().map(|place| place.0.as_uuid()).into(),
    ];
    let sql = "SELECT subscriptions_list($1, $2, $3, $4, $5, $6)::text, cursor_key()";
    db::list(context, sql, &parameters, refuse).await
}

/// The versions of the page, and one more if there is one.
pub async fn versions(
    context: &Context,
    digest: TokenDigest,
    id: SubscriptionId,
    page: &Page,
) -> Result<Listed<Vec<SubscriptionVersion>>, Problem> {
    let parameters = parameters_of_page(digest, id, page);
    let sql = "SELECT subscription_versions_list($1, $2, $3, $4)::text, cursor_key()";
    db::list(context, sql, &parameters, refuse).await
}

/// The lines of the page, and one more if there is one.
pub async fn adjustments(
    context: &Context,
    digest: TokenDigest,
    id: SubscriptionId,
    page: &Page,
) -> Result<Listed<Vec<Adjustment>>, Problem> {
    let parameters = parameters_of_page(digest, id, page);
    let sql = "SELECT subscription_adjustments_list($1, $2, $3, $4)::text, cursor_key()";
    db::list(context, sql, &parameters, refuse).await
}

fn parameters_of_page(digest: TokenDigest, id: SubscriptionId, page: &Page) -> [Parameter; 4] {
    [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.unwrap_or(i64::MAX).into(),
    ]
}

/// What decides about what somebody asks.
pub async fn begin(
    context: &Context,
    digest: TokenDigest,
    asked: &Asked<'_>,
) -> Result<Begun, Problem> {
    let parameters = asked.parameters(digest);
    let sql = "SELECT subscription_begin($1, $2, $3, $4, $5, $6,
                                         $7::timestamp AT TIME ZONE 'UTC')::text";
    db::call(context, sql, &parameters, refuse).await
}

/// Writes steps that were decided by `version`, and the answer if they are all.
pub async fn write(
    context: &Context,
    digest: TokenDigest,
    asked: &Asked<'_>,
    version: u64,
    steps: &[Step],
    answer: Option<&Changed>,
) -> Result<Begun, Problem> {
    let mut parameters = asked.parameters(digest).to_vec();
    parameters.extend([
        i64::try_from(version).unwrap_or(i64::MAX).into(),
        json(&steps)?.into(),
        answer.map(json).transpose()?.into(),
    ]);
    let sql = "SELECT subscription_write($1, $2, $3, $4, $5, $6,
                                         $7::timestamp AT TIME ZONE 'UTC', $8, $9, $10)::text";
    db::call(context, sql, &parameters, refuse).await
}

/// What decides about a new subscription: the facts of its draft, with what was asked for.
pub async fn create_begin(
    context: &Context,
    digest: TokenDigest,
    idempotency: Option<&Idempotency>,
    id: SubscriptionId,
    new: NewSubscription,
) -> Result<Begun, Problem> {
    let [key, request_digest] = key_of(idempotency);
    let billing = new.billing.as_ref();
    let count = billing.and_then(|billing| billing.count.as_ref());
    let anchor_day = billing.and_then(|billing| billing.anchor_day.as_ref());
    let alignment = billing
        .and_then(|billing| billing.alignment)
        .unwrap_or_default();
    let small = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
    let parameters = [
        digest.0.to_vec().into(),
        key,
        request_digest,
        id.as_uuid().into(),
        new.account_id.as_uuid().into(),
        String::from(new.plan).into(),
        new.plan_version.map(|version| small(version.0)).into(),
        time(new.starts_at),
        new.trial_days.map(|days| small(days.0)).into(),
        billing
            .map(|billing| billing.unit.as_str().to_owned())
            .into(),
        count.map_or(1, |count| small(count.0)).into(),
        alignment.as_str().to_owned().into(),
        anchor_day.map(|day| small(day.0)).into(),
    ];
    let sql = "SELECT subscription_create_begin($1, $2, $3, $4, $5, $6, $7,
                                                $8::timestamp AT TIME ZONE 'UTC', $9, $10, $11, $12, $13)::text";
    let begun: Begun = db::call(context, sql, &parameters, refuse).await?;
    let Begun::Facts(mut facts) = begun else {
        return Ok(begun);
    };
    let draft = &mut facts.subscription;
    // There are at most a million, so the number fits.
    draft.quantity = new
        .quantity
        .map_or(1, |quantity| u32::try_from(quantity.0).unwrap_or(u32::MAX));
    draft.proration = new.proration.unwrap_or_default();
    let overrides = new
        .price_overrides
        .map(|overrides| overrides.0)
        .unwrap_or_default();
    draft.price_overrides = overrides.into_iter().map(Into::into).collect();
    let metadata = new.metadata.map(|metadata| metadata.0).unwrap_or_default();
    let given = metadata.into_iter().filter_map(|(key, value)| match value {
        Change::Set(value) => Some((key, value)),
        Change::Keep | Change::Clear => None,
    });
    draft.metadata = given.collect::<BTreeMap<_, _>>();
    Ok(Begun::Facts(facts))
}

/// Makes the subscription that was decided about.
pub async fn create_write(
    context: &Context,
    digest: TokenDigest,
    idempotency: &Idempotency,
    facts: &Facts,
    steps: &[Step],
    answer: &Changed,
) -> Result<Changed, Problem> {
    let [key, request_digest] = key_of(Some(idempotency));
    let parameters = [
        digest.0.to_vec().into(),
        key,
        request_digest,
        facts.subscription.account_id.as_uuid().into(),
        facts.anchor_at.clone().into(),
        json(&steps)?.into(),
        json(answer)?.into(),
    ];
    let sql = "SELECT subscription_create_write($1, $2, $3, $4, $5, $6, $7)::text";
    db::call(context, sql, &parameters, refuse).await
}

/// The subscriptions that have waited longest for something that time does.
pub async fn due(context: &Context, digest: TokenDigest) -> Result<DueFacts, Problem> {
    let parameters = [digest.0.to_vec().into(), MAX_ADVANCED.into()];
    let sql = "SELECT subscriptions_due($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

/// Writes what time has done.
pub async fn advance(
    context: &Context,
    digest: TokenDigest,
    advances: &[Advance],
) -> Result<Advanced, Problem> {
    let parameters = [digest.0.to_vec().into(), json(&advances)?.into()];
    let sql = "SELECT subscriptions_advance_write($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

/// Moves the clock of an account in test mode, and gives what is due of its subscriptions.
pub async fn set_test_clock(
    context: &Context,
    digest: TokenDigest,
    account_id: BillingAccountId,
    to: SubscriptionTime,
) -> Result<DueFacts, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        account_id.as_uuid().into(),
        time(Some(to)),
        MAX_ADVANCED.into(),
    ];
    let sql = "SELECT account_test_clock_set($1, $2, $3::timestamp AT TIME ZONE 'UTC', $4)::text";
    db::call(context, sql, &parameters, refuse).await
}

fn json(value: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(|_| Problem::internal())
}
