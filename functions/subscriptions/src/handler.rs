//! A decision takes two statements. The first reads what decides: the terms of the plan, and what
//! only the database knows, the clocks of the account's zone. Prices are rated here, between the
//! two. The second writes what was decided if nothing has changed meanwhile, and else gives what
//! decides now, so that it is decided anew.

use shared::http::context::Context;
use shared::http::pagination::Page;
use shared::http::problem::Problem;
use shared::http::{Idempotency, Reply, Request};
use shared::ids::{BillingAccountId, SubscriptionId};
use shared::store::cache;
use shared::store::cache_key::Scope;
use shared::token::TokenDigest;

use crate::facts::Facts;
use crate::operations::{
    Adjustment, AdjustmentPage, AdvanceResult, Changed, PageQuery, SUBSCRIPTION_BEHIND,
    SubscriptionPage, SubscriptionVersion, SubscriptionVersionPage, SubscriptionsQuery, TestClock,
    TestClockResult,
};
use crate::queries::{self, Advance, Asked, Begun, SubscriptionPlace};
use crate::rules::{self, Decision};
use crate::subscription::{
    Action, Cancellation, NewSubscription, Pause, Subscription, SubscriptionChange,
};

/// How often something is decided anew, because others have changed the subscription meanwhile or
/// because time has done more than one decision takes in.
const MAX_ROUNDS: usize = 6;

/// How often the job looks for subscriptions in one request.
const MAX_JOB_ROUNDS: usize = 10;

/// For how long the job begins another round.
const JOB_MILLIS: u64 = 1_000;

/// After how many lines the others are left to another statement, which has a second and a half.
const MAX_JOB_LINES: usize = 2_000;

/// How often the subscriptions of an account are advanced by one request.
const MAX_CLOCK_ROUNDS: usize = 3;

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let query: SubscriptionsQuery = request.query()?;
    let scope = request.list_scope::<SubscriptionsQuery>(&token);
    let page = Page::new(scope, query.limit, query.cursor.as_ref())?;
    let listed = queries::list(context, token.digest, query, &page).await?;
    let place = |subscription: &Subscription| SubscriptionPlace(subscription.id);
    let (subscriptions, next_cursor) = page.cut(listed, place)?;
    let listed = SubscriptionPage {
        subscriptions,
        next_cursor,
    };
    Reply::json(200, &listed)
}

pub async fn read(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", queries::not_found)?;
    let subscription = queries::read(context, token.digest, id).await?;
    let version = subscription.version;
    Ok(Reply::json(200, &subscription)?.with_entity_tag(version))
}

pub async fn adjustments(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", queries::not_found)?;
    let query: PageQuery = request.query()?;
    let page = request.page::<PageQuery>(&token, query.limit, query.cursor.as_ref())?;
    let listed = queries::adjustments(context, token.digest, id, &page).await?;
    let (adjustments, next_cursor) = page.cut(listed, Adjustment::place)?;
    let listed = AdjustmentPage {
        adjustments,
        next_cursor,
    };
    Reply::json(200, &listed)
}

pub async fn changes(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", queries::not_found)?;
    let query: PageQuery = request.query()?;
    let page = request.page::<PageQuery>(&token, query.limit, query.cursor.as_ref())?;
    let listed = queries::versions(context, token.digest, id, &page).await?;
    let (changes, next_cursor) = page.cut(listed, SubscriptionVersion::place)?;
    let listed = SubscriptionVersionPage {
        changes,
        next_cursor,
    };
    Reply::json(200, &listed)
}

pub async fn create(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (new, body) = request.json::<NewSubscription>().await?;
    let idempotency = request.idempotency(&body)?;
    let begun = create_begin(context, token.digest, Some(&idempotency), new).await?;
    let changed = match begun {
        Begun::Done(changed) => *changed,
        Begun::Facts(facts) => {
            let Decision::Done(steps, changed) = rules::create(&facts)? else {
                return Err(started_too_early());
            };
            // The account takes its currency from the first.
            let scopes = [Scope::Account(facts.subscription.account_id)];
            let write = queries::create_write(
                context,
                token.digest,
                &idempotency,
                &facts,
                &steps,
                &changed,
            );
            cache::during_write(context, &scopes, write).await?
        }
    };
    reply(201, &changed)
}

pub async fn preview_new(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (new, _) = request.json::<NewSubscription>().await?;
    let begun = create_begin(context, token.digest, None, new).await?;
    let Begun::Facts(facts) = begun else {
        return Err(Problem::internal());
    };
    let Decision::Done(_, changed) = rules::create(&facts)? else {
        return Err(started_too_early());
    };
    Reply::json(200, &changed)
}

async fn create_begin(
    context: &Context,
    digest: TokenDigest,
    idempotency: Option<&Idempotency>,
    new: NewSubscription,
) -> Result<Begun, Problem> {
    // Its organization, whose slot the id ends with, is known to the statement.
    let id = SubscriptionId::new(context.now_millis(), &context.random()?);
    queries::create_begin(context, digest, idempotency, id, new).await
}

fn started_too_early() -> Problem {
    let message = "is more than 13 periods ago";
    Problem::invalid_field("starts_at", "too_early", message)
}

pub async fn change(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", queries::not_found)?;
    let (change, body) = request.json::<SubscriptionChange>().await?;
    act(
        context,
        request,
        token.digest,
        id,
        Action::Change(change),
        &body,
    )
    .await
}

pub async fn cancel(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", queries::not_found)?;
    let (cancellation, body) = request.json::<Cancellation>().await?;
    let action = Action::Cancel(cancellation);
    act(context, request, token.digest, id, action, &body).await
}

pub async fn pause(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", queries::not_found)?;
    let (pause, body) = request.json::<Pause>().await?;
    act(
        context,
        request,
        token.digest,
        id,
        Action::Pause(pause),
        &body,
    )
    .await
}

pub async fn resume(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", queries::not_found)?;
    act(context, request, token.digest, id, Action::Resume, &[]).await
}

pub async fn unpause(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", queries::not_found)?;
    act(context, request, token.digest, id, Action::Unpause, &[]).await
}

/// Does what is asked of a subscription.
async fn act(
    context: &Context,
    request: &Request,
    digest: TokenDigest,
    id: SubscriptionId,
    action: Action,
    body: &[u8],
) -> Result<Reply, Problem> {
    let idempotency = request.idempotency(body)?;
    let wanted = request.if_match()?;
    let asked = Asked {
        id,
        idempotency: Some(&idempotency),
        action: &action,
    };
    let mut begun = queries::begin(context, digest, &asked).await?;
    for _ in 0..MAX_ROUNDS {
        let facts = match begun {
            Begun::Done(changed) => return reply(200, &changed),
            Begun::Facts(facts) => facts,
        };
        let version = facts.subscription.version;
        require_version(&facts, wanted)?;
        begun = match rules::decide(&facts, &action)? {
            // It is as far as it goes, and the next round takes in what is left.
            Decision::Behind(steps) => {
                queries::write(context, digest, &asked, version, &steps, None).await?
            }
            Decision::Done(steps, changed) => {
                let answer = Some(&*changed);
                queries::write(context, digest, &asked, version, &steps, answer).await?
            }
        };
    }
    match begun {
        Begun::Done(changed) => reply(200, &changed),
        Begun::Facts(_) => Err(Problem::in_flight()),
    }
}

/// Refuses another version than the one that `If-Match` wants.
fn require_version(facts: &Facts, wanted: Option<i64>) -> Result<(), Problem> {
    let version = facts.subscription.version;
    match wanted {
        Some(wanted) if u64::try_from(wanted) != Ok(version) => {
            Err(Problem::version_conflict(version))
        }
        _ => Ok(()),
    }
}

pub async fn preview(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", queries::not_found)?;
    let (action, _) = request.json::<Action>().await?;
    let asked = Asked {
        id,
        idempotency: None,
        action: &action,
    };
    let Begun::Facts(facts) = queries::begin(context, token.digest, &asked).await? else {
        return Err(Problem::internal());
    };
    require_version(&facts, request.if_match()?)?;
    let Decision::Done(_, changed) = rules::decide(&facts, &action)? else {
        return Err(behind());
    };
    Reply::json(200, &changed)
}

fn behind() -> Problem {
    Problem {
        retry_after_secs: Some(1),
        ..SUBSCRIPTION_BEHIND.because(
            "Time has done more to it than one preview takes in. POST /api/v1/subscriptions/advance catches up.",
        )
    }
}

/// What is answered to a change, whose version is the `ETag`.
fn reply(status: u16, changed: &Changed) -> Result<Reply, Problem> {
    Ok(Reply::json(status, changed)?.with_entity_tag(changed.subscription.version))
}

pub async fn advance(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let began_millis = context.now_millis();
    let mut result = AdvanceResult::default();
    for _ in 0..MAX_JOB_ROUNDS {
        let facts = queries::due(context, token.digest).await?;
        let round = advance_all(context, token.digest, facts.due).await?;
        result.advanced += round.advanced;
        result.failed += round.failed;
        result.is_complete = round.is_complete;
        let is_late = context.now_millis() >= began_millis + JOB_MILLIS;
        if round.is_complete || round.advanced == 0 || is_late {
            break;
        }
    }
    Reply::json(200, &result)
}

/// Advances subscriptions, each as far as its facts go.
async fn advance_all(
    context: &Context,
    digest: TokenDigest,
    due: Vec<Facts>,
) -> Result<AdvanceResult, Problem> {
    let mut is_complete = i32::try_from(due.len()).is_ok_and(|count| count < queries::MAX_ADVANCED);
    let mut failed = 0;
    let mut advances = Vec::new();
    let mut lines = 0;
    for facts in due {
        if lines > MAX_JOB_LINES {
            is_complete = false;
            break;
        }
        let id = facts.subscription.id;
        let version = facts.subscription.version;
        let (steps, has_failed) = match rules::advance(&facts) {
            Ok((steps, is_all)) => {
                is_complete &= is_all;
                (steps, false)
            }
            // It stops no other.
            Err(problem) => {
                let message = format!("{id} cannot be advanced: {}", problem.detail);
                context.log("error", &message);
                failed += 1;
                (Vec::new(), true)
            }
        };
        lines += steps.iter().map(|step| step.lines.len()).sum::<usize>();
        advances.push(Advance {
            id,
            version,
            steps,
            has_failed,
        });
    }
    if advances.is_empty() {
        return Ok(AdvanceResult {
            advanced: 0,
            failed,
            is_complete,
        });
    }
    let written = queries::advance(context, digest, &advances).await?;
    // What somebody else was changing is left to the next call.
    let is_all = advances.len() == (written.advanced + failed) as usize;
    Ok(AdvanceResult {
        advanced: written.advanced,
        failed,
        is_complete: is_complete && is_all,
    })
}

pub async fn test_clock(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let account_id: BillingAccountId = request.named("id", queries::account_not_found)?;
    let (clock, _) = request.json::<TestClock>().await?;
    let to = clock.to;
    let mut result = TestClockResult {
        account_id,
        test_clock_at: to.to_time(),
        advanced: 0,
        failed: 0,
        is_complete: false,
    };
    for _ in 0..MAX_CLOCK_ROUNDS {
        let set = queries::set_test_clock(context, token.digest, account_id, to);
        let facts = cache::during_write(context, &[Scope::Account(account_id)], set).await?;
        let advanced = advance_all(context, token.digest, facts.due).await?;
        result.advanced += advanced.advanced;
        result.failed = advanced.failed;
        result.is_complete = advanced.is_complete;
        if result.is_complete || advanced.advanced == 0 {
            break;
        }
    }
    Reply::json(200, &result)
}
