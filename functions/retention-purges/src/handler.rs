//! A job that a scheduler calls. Each round is a statement and a transaction of its own, so that
//! no row is held for long, and the request ends before anybody gives it up.

use std::time::Duration;

use shared::auth::jwt;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

use crate::operations::{MAX_ROUNDS, PurgeStatus, Purged, RowsDeleted};
use crate::queries;

/// For how long another round is begun.
const ROUNDS_BEGIN_WITHIN: Duration = Duration::from_secs(1);

/// Rows of each table that the first round deletes at most. A table that was never purged is on the
/// disk, where a thousand may take longer than a statement may.
const FIRST_ROWS: i32 = 100;

/// The most rows of each table in one round.
const MAX_ROWS: i32 = 1_000;

/// A round that took less is followed by one of twice as many rows.
const FAST_ROUND: Duration = Duration::from_millis(200);

pub async fn purge(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    // Drawn once, so that all rounds together publish one key at most.
    let new_kid = jwt::key_id(&context.random()?);
    let mut purged = Purged {
        status: PurgeStatus::Done,
        deleted: RowsDeleted::default(),
        is_complete: false,
        signing_key: None,
    };
    let mut max_rows = FIRST_ROWS;
    for _ in 0..MAX_ROUNDS {
        let began = context.elapsed();
        let round = queries::purge_round(context, token.digest, new_kid.clone(), max_rows).await?;
        if context.elapsed().saturating_sub(began) < FAST_ROUND {
            max_rows = (2 * max_rows).min(MAX_ROWS);
        }
        purged.status = round.status;
        purged.deleted.add(&round.deleted);
        purged.is_complete = round.is_complete;
        purged.signing_key = purged.signing_key.or(round.signing_key);
        if purged.is_complete
            || round.status == PurgeStatus::AlreadyRunning
            || context.elapsed() >= ROUNDS_BEGIN_WITHIN
        {
            break;
        }
    }
    Reply::json(200, &purged)
}
