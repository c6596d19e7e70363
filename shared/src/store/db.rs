//! Postgres through the host's connector: one connection kept open for the life
//! of the instance, one statement per request, every wait bounded.
//!
//! Three facts about the host shape this module. A component never opens a
//! transaction, because the pool would hand one left open to a stranger; a
//! business transaction is one SQL function. The result of a statement is read
//! to its end before anyone is told, because the end is what says that it was
//! committed. And a statement whose connection was lost may or may not have
//! taken effect, so every statement of ours is safe to send twice.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures::future::{Either, select};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use spin_sdk::pg::{Connection, DbValue, Error as SdkError, ParameterValue, PgError, QueryError};
use spin_sdk::{time, variables};

use crate::http::context::Context;
use crate::http::pagination::{CursorKey, Listed};
use crate::http::problem::Problem;
use crate::store::timeouts::STATEMENT_TIMEOUT_MILLIS;
use crate::store::together;

pub use spin_sdk::pg::ParameterValue as Parameter;

/// How long a request waits for Postgres before it answers 503. Below two
/// seconds with what the rest of a request needs.
const ANSWER_DEADLINE_MILLIS: u32 = 1_800;

/// The same as a duration.
pub(super) const ANSWER_DEADLINE: Duration = Duration::from_millis(ANSWER_DEADLINE_MILLIS as u64);

/// Attempts at one statement, the first included. With the pauses below the
/// last begins after about 20 + 40 + 80 + 160 + 320 = 620 milliseconds.
const MAX_ATTEMPTS: u32 = 6;

/// The pause before the second attempt; it doubles for each one after.
const FIRST_PAUSE_MILLIS: u64 = 20;

/// How often a request looks whether another one has opened the connection. To
/// open one takes a few milliseconds.
const OPENING_POLL: Duration = Duration::from_millis(1);

/// The latest moment at which a statement can still commit, counted from when
/// its request began: the deadline for sending it, plus the server's timeout.
pub const COMMIT_WINDOW_MILLIS: u64 = (ANSWER_DEADLINE_MILLIS + STATEMENT_TIMEOUT_MILLIS) as u64;

thread_local! {
    static CONNECTION: RefCell<Option<Rc<Connection>>> = const { RefCell::new(None) };
    /// Set while a connection is being opened, so that the requests that an
    /// instance begins with open one and not one each.
    static IS_OPENING: Cell<bool> = const { Cell::new(false) };
    static JITTER: Cell<u64> = const { Cell::new(0x9e37_79b9_7f4a_7c15) };
}

/// What a failed attempt means for the next one.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// The connection is gone or was refused: another may do better.
    Connection(String),
    /// The database asks to try again: a deadlock, or a lost race for an idempotency key.
    Conflict(String),
    /// Waited too long for a row that another statement holds.
    Locked,
    /// The server gave up on the statement.
    TimedOut,
    /// Not sent: requests before it for the same account take all of its time, and so much more.
    Crowded { beyond: Duration },
    /// The text cannot be stored.
    InvalidText,
    /// Anything else: a fault of ours.
    Fault(String),
}

/// A statement's refusal: its code, and the facts that the problem tells.
#[derive(Debug, Deserialize)]
pub struct Refused {
    /// The code. The SQL function gives it as `refusal`.
    #[serde(rename = "refusal")]
    pub code: String,
    #[serde(flatten)]
    facts: serde_json::Map<String, serde_json::Value>,
}

impl Refused {
    /// A fact of the refusal, if the statement gave it.
    pub fn fact<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(self.facts.get(name)?.clone()).ok()
    }

    /// The problem that any statement may refuse with.
    fn common_problem(&self) -> Option<Problem> {
        Some(match self.code.as_str() {
            "unauthenticated" => Problem::unauthenticated(),
            "forbidden" => Problem::forbidden(&self.fact::<String>("permission")?),
            "session_required" => Problem::session_required(),
            "recent_login_required" => Problem::recent_login_required(),
            "idempotency_key_reused" => Problem::idempotency_key_reused(),
            "not_found" => Problem::not_found(NOTHING_WITH_THIS_ID),
            _ => return None,
        })
    }
}

/// What a 404 says where the path names something.
pub const NOTHING_WITH_THIS_ID: &str = "Your credential's organization has nothing with this id.";

/// For statements that refuse with nothing but the common refusals.
pub const fn no_refusal_of_its_own(_: &Refused) -> Option<Problem> {
    None
}

/// Calls an SQL function that answers with one JSON document: what was asked for, or
/// `{"refusal": code}` with facts beside it.
///
/// `refuse` knows the codes that are the statement's own. The common ones are known
/// here: no valid credential, no permission, an API key where a session is needed,
/// too old a login, an Idempotency-Key of another request, nothing with this id.
///
/// # Errors
/// - What the statement refuses with.
/// - 503 if Postgres does not answer within two seconds, or refuses
///   connections for as long. Whether the statement took effect is unknown.
/// - 409 if a row or key that the statement needs stays locked.
/// - 422 if a text has characters that Postgres cannot store.
/// - 500 for anything unexpected; the log says what.
pub async fn call<A: DeserializeOwned>(
    context: &Context,
    sql: &'static str,
    parameters: &[ParameterValue],
    refuse: impl FnOnce(&Refused) -> Option<Problem>,
) -> Result<A, Problem> {
    let answer = call_text(context, sql, parameters).await?;
    understand(context, sql, &answer, refuse)
}

/// Calls an SQL function as [`call`], together with other requests that change the same account.
///
/// The first statement is for one request. While it is under way, those that come for the account
/// wait, and are then sent as the second, which takes an array for each parameter and answers with
/// an array of documents. An audited operation cannot be sent like that, because who asks is said
/// once for each statement.
///
/// # Errors
/// As [`call`], and 503 at once when those that wait already take all the time that there is.
pub async fn call_together<A: DeserializeOwned>(
    context: &Context,
    sql: [&'static str; 2],
    account: &str,
    parameters: Vec<ParameterValue>,
    refuse: impl FnOnce(&Refused) -> Option<Problem>,
) -> Result<A, Problem> {
    debug_assert!(context.asker().audited().is_none(), "{} is audited", sql[0]);
    let answer = together::answer(context, sql, account, parameters)
        .await
        .map_err(|failure| problem(context, sql[0], failure))?;
    understand(context, sql[0], &answer, refuse)
}

/// What a document says: what was asked for, or a refusal.
fn understand<A: DeserializeOwned>(
    context: &Context,
    sql: &'static str,
    answer: &str,
    refuse: impl FnOnce(&Refused) -> Option<Problem>,
) -> Result<A, Problem> {
    if is_replayed(answer) {
        context.set_replayed();
    }
    if is_refusal(answer) {
        let refused: Refused = decode(context, sql, answer)?;
        let problem = refuse(&refused).or_else(|| refused.common_problem());
        return Err(problem.unwrap_or_else(|| {
            let code = &refused.code;
            context.log(
                "error",
                &format!("{sql} refused with {code}, which is not known"),
            );
            Problem::internal()
        }));
    }
    decode(context, sql, answer)
}

/// Calls an SQL function that answers with a page of a list, as [`call`], and the function
/// `cursor_key` beside it: `SELECT plans_list($1, $2, $3)::text, cursor_key()`.
///
/// # Errors
/// As [`call`].
pub async fn list<A: DeserializeOwned>(
    context: &Context,
    sql: &'static str,
    parameters: &[ParameterValue],
    refuse: impl FnOnce(&Refused) -> Option<Problem>,
) -> Result<Listed<A>, Problem> {
    let mut row = call_row(context, sql, parameters).await?;
    let key = match row.pop() {
        Some(DbValue::Binary(key)) => <[u8; 32]>::try_from(key).ok().map(CursorKey::new),
        _ => None,
    };
    let (Some(DbValue::Str(answer)), Some(key), true) = (row.pop(), key, row.is_empty()) else {
        context.log(
            "error",
            &format!("{sql} returned something else than one JSON text and a key"),
        );
        return Err(Problem::internal());
    };
    let answer = understand(context, sql, &answer, refuse)?;
    Ok(Listed::new(answer, key))
}

/// Whether a document begins as a refusal does, however its tokens are spaced.
fn is_refusal(answer: &str) -> bool {
    let members = answer.trim_start().strip_prefix('{').map(str::trim_start);
    members.is_some_and(|members| members.starts_with("\"refusal\""))
}

/// Whether a document ends as the SQL function `as_replayed` has it end. No text in it can: its
/// quotes are escaped.
fn is_replayed(answer: &str) -> bool {
    answer.trim_end().ends_with(REPLAYED)
}

/// The end of an answer that was given before.
const REPLAYED: &str = r#", "replayed": true}"#;

fn decode<A: DeserializeOwned>(
    context: &Context,
    sql: &'static str,
    answer: &str,
) -> Result<A, Problem> {
    serde_json::from_str(answer).map_err(|error| {
        context.log(
            "error",
            &format!("{sql} returned a document that is not understood: {error}"),
        );
        Problem::internal()
    })
}

/// The JSON document that a statement answers with.
async fn call_text(
    context: &Context,
    sql: &'static str,
    parameters: &[ParameterValue],
) -> Result<String, Problem> {
    let mut row = call_row(context, sql, parameters).await?;
    match row.pop() {
        Some(DbValue::Str(answer)) if row.is_empty() => Ok(answer),
        _ => {
            context.log(
                "error",
                &format!("{sql} returned something else than one JSON text"),
            );
            Err(Problem::internal())
        }
    }
}

/// Runs a statement and returns its first row; an empty one if it has none.
///
/// # Errors
/// As [`call`].
pub async fn call_row(
    context: &Context,
    sql: &'static str,
    parameters: &[ParameterValue],
) -> Result<Vec<DbValue>, Problem> {
    let audited = audited(context, sql, parameters);
    let (statement, parameters) = match &audited {
        Some((statement, parameters)) => (statement.as_str(), parameters.as_slice()),
        None => (sql, parameters),
    };
    run(context, statement, parameters, ANSWER_DEADLINE)
        .await
        .map_err(|failure| problem(context, sql, failure))
}

/// What became of a statement that no request waits for.
pub(super) enum Aside {
    /// Its first row.
    Done(Vec<DbValue>),
    /// It took no effect.
    NotSent,
    /// Nobody knows.
    Unknown,
}

/// Sends a statement once that is no part of a request: it is not counted, and nobody is told if
/// it fails. Whether Postgres is away is for requests to find out.
pub(super) async fn call_aside(
    within: Duration,
    sql: &str,
    parameters: &[ParameterValue],
) -> Aside {
    let opened = std::pin::pin!(connection());
    let Either::Left((Ok(connection), _)) =
        select(opened, std::pin::pin!(time::sleep(within))).await
    else {
        return Aside::NotSent;
    };
    let reading = std::pin::pin!(first_row(&connection, sql, parameters));
    match select(reading, std::pin::pin!(time::sleep(within))).await {
        Either::Left((Ok(row), _)) => Aside::Done(row),
        // Postgres refused it, and has undone what it did.
        Either::Left((Err(SdkError::PgError(PgError::QueryFailed(QueryError::DbError(_)))), _)) => {
            Aside::NotSent
        }
        Either::Left((Err(_), _)) | Either::Right(_) => {
            forget_connection(Some(&connection));
            Aside::Unknown
        }
    }
}

/// Runs a statement, if need be several times, until it succeeds or the time is up.
pub(super) async fn run(
    context: &Context,
    sql: &str,
    parameters: &[ParameterValue],
    within: Duration,
) -> Result<Vec<DbValue>, Failure> {
    let attempts = std::pin::pin!(attempt_repeatedly(context, sql, parameters));
    let deadline = std::pin::pin!(time::sleep(within));
    match select(attempts, deadline).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => {
            forget_connection(None);
            Err(Failure::Connection(
                "no answer before the deadline".to_owned(),
            ))
        }
    }
}

/// What a failed statement is answered with.
fn problem(context: &Context, sql: &str, failure: Failure) -> Problem {
    match failure {
        Failure::Connection(reason) | Failure::Conflict(reason) => {
            context.log("error", &format!("postgres is unavailable: {reason}"));
            Problem::unavailable("Postgres")
        }
        Failure::TimedOut => {
            context.log("error", &format!("{sql} exceeded the statement timeout"));
            Problem::unavailable("Postgres")
        }
        Failure::Locked => Problem::in_flight(),
        Failure::Crowded { beyond } => {
            let reason = "requests before it for the same account take all of its time";
            context.log("warn", &format!("{sql} was not sent: {reason}"));
            let whole_secs = u32::try_from(beyond.as_secs()).unwrap_or(u32::MAX);
            Problem::crowded(whole_secs.saturating_add(1))
        }
        Failure::InvalidText => Problem::invalid_field(
            "",
            "invalid_character",
            "a text contains characters that cannot be stored",
        ),
        Failure::Fault(reason) => {
            context.log("error", &format!("{sql} failed: {reason}"));
            Problem::internal()
        }
    }
}

/// The statement of an operation that is audited, which also says who asks: the function
/// `audit_asker` is called first, and events that the statement appends repeat what it was
/// given. `None` for any other operation, whose statements stay as they are.
///
/// A statement of ours calls one function and has no `FROM` of its own.
fn audited(
    context: &Context,
    sql: &str,
    parameters: &[ParameterValue],
) -> Option<(String, Vec<ParameterValue>)> {
    let (address, credential) = context.asker().audited()?;
    let (first, second) = (parameters.len() + 1, parameters.len() + 2);
    let statement = format!("{sql} FROM audit_asker(${first}, ${second})");
    let credential = credential.map(|digest| digest.0.to_vec());
    let mut parameters = parameters.to_vec();
    parameters.extend([address.to_owned().into(), credential.into()]);
    Some((statement, parameters))
}

async fn attempt_repeatedly(
    context: &Context,
    sql: &str,
    parameters: &[ParameterValue],
) -> Result<Vec<DbValue>, Failure> {
    let mut pause_millis = FIRST_PAUSE_MILLIS;
    let mut attempt_number = 1;
    loop {
        match attempt(context, sql, parameters).await {
            Err(Failure::Connection(reason) | Failure::Conflict(reason))
                if attempt_number < MAX_ATTEMPTS =>
            {
                context.log("info", &format!("a statement is sent again: {reason}"));
            }
            done => return done,
        }
        attempt_number += 1;
        time::sleep(Duration::from_millis(jittered(pause_millis))).await;
        pause_millis *= 2;
    }
}

async fn attempt(
    context: &Context,
    sql: &str,
    parameters: &[ParameterValue],
) -> Result<Vec<DbValue>, Failure> {
    let connection = connection().await?;
    context.count_db_query();
    let outcome = first_row(&connection, sql, parameters).await;
    outcome.map_err(|error| {
        let failure = classify(error);
        if matches!(failure, Failure::Connection(_)) {
            forget_connection(Some(&connection));
        }
        failure
    })
}

async fn first_row(
    connection: &Connection,
    sql: &str,
    parameters: &[ParameterValue],
) -> Result<Vec<DbValue>, SdkError> {
    let mut result = connection.query(sql, parameters).await?;
    let mut first = None;
    // Reading on to the end is what makes a 2xx mean committed.
    while let Some(row) = result.rows().next().await {
        first.get_or_insert(row);
    }
    result.result().await?;
    Ok(first.unwrap_or_default())
}

fn classify(error: SdkError) -> Failure {
    let error = match error {
        SdkError::PgError(error) => error,
        other => return Failure::Fault(format!("{other:?}")),
    };
    match error {
        PgError::ConnectionFailed(reason) => Failure::Connection(reason),
        PgError::QueryFailed(QueryError::Text(text)) => {
            // The driver's own words for a connection that ended.
            if ["Closed", "closed", "Io", "UnexpectedMessage"]
                .iter()
                .any(|word| text.contains(word))
            {
                Failure::Connection(text)
            } else {
                Failure::Fault(text)
            }
        }
        PgError::QueryFailed(QueryError::DbError(error)) => {
            let reason = format!("{} {}", error.code, error.message);
            match error.code.as_str() {
                // Shutting down, starting up, idle too long, or a primary no more.
                "57P01" | "57P02" | "57P03" | "57P05" | "25006" => Failure::Connection(reason),
                // Connection exceptions, and out of connections, memory or disk.
                code if code.starts_with("08") || code.starts_with("53") => {
                    Failure::Connection(reason)
                }
                "40001" | "40P01" => Failure::Conflict(reason),
                "55P03" => Failure::Locked,
                "57014" => Failure::TimedOut,
                "22021" | "22P05" => Failure::InvalidText,
                _ => Failure::Fault(reason),
            }
        }
        other => Failure::Fault(format!("{other:?}")),
    }
}

async fn connection() -> Result<Rc<Connection>, Failure> {
    let kept = || CONNECTION.with_borrow(Clone::clone);
    if let Some(connection) = kept() {
        return Ok(connection);
    }
    // Requests of one instance are tasks of their own, and a task may not wake
    // another: whoever waits here looks again, and does not take a lock.
    while IS_OPENING.get() {
        time::sleep(OPENING_POLL).await;
        if let Some(connection) = kept() {
            return Ok(connection);
        }
    }
    let _opening = Opening::begin();
    let url = variables::get("db_url")
        .await
        .map_err(|error| Failure::Fault(format!("the variable db_url cannot be read: {error}")))?;
    let opened = Connection::open(with_connect_timeout(&url))
        .await
        .map(Rc::new)
        .map_err(classify)?;
    CONNECTION.set(Some(Rc::clone(&opened)));
    Ok(opened)
}

/// Marks that a connection is being opened, until it is dropped.
struct Opening;

impl Opening {
    fn begin() -> Self {
        IS_OPENING.set(true);
        Self
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        IS_OPENING.set(false);
    }
}

/// Forgets the kept connection, or only this one if it is the kept one.
fn forget_connection(only: Option<&Rc<Connection>>) {
    CONNECTION.with_borrow_mut(|kept| {
        let matches = |kept: &Rc<Connection>| only.is_none_or(|only| Rc::ptr_eq(kept, only));
        if kept.as_ref().is_some_and(matches) {
            *kept = None;
        }
    });
}

/// The address with a bound on how long a connection attempt takes, unless it has one or
/// settings of its own. All other timeouts are the role's: a pooler in front of Postgres
/// may refuse them here.
fn with_connect_timeout(url: &str) -> String {
    if url.contains("options=")
        || url.contains("connect_timeout=")
        || !(url.starts_with("postgres://") || url.starts_with("postgresql://"))
    {
        return url.to_owned();
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}connect_timeout=1")
}

/// `millis`, give or take half, so that callers refused together do not come
/// back together. A generator of this quality (xorshift64) is enough for that.
fn jittered(millis: u64) -> u64 {
    JITTER.with(|state| {
        let mut x = state.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        state.set(x);
        millis / 2 + x % millis.max(1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_on_connecting_is_added_once_and_only_where_it_fits() {
        let table = [
            ("postgres://u:p@h/d", "postgres://u:p@h/d?connect_timeout=1"),
            (
                "postgresql://h/d?sslmode=require",
                "postgresql://h/d?sslmode=require&connect_timeout=1",
            ),
            (
                "postgres://h/d?connect_timeout=3",
                "postgres://h/d?connect_timeout=3",
            ),
            (
                "postgres://h/d?options=-c%20x%3D1",
                "postgres://h/d?options=-c%20x%3D1",
            ),
            ("host=h dbname=d", "host=h dbname=d"),
        ];
        for (url, expected) in table {
            assert_eq!(with_connect_timeout(url), expected);
        }
    }

    #[test]
    fn refusals_are_told_from_answers() {
        let table = [
            (r#"{"refusal":"forbidden","permission":"a:b"}"#, true),
            (r#" { "refusal" : "forbidden" }"#, true),
            (r#"{"refusals":[]}"#, false),
            (r#"{"code":1,"refusal":"x"}"#, false),
            (r#"["refusal"]"#, false),
            ("null", false),
        ];
        for (answer, expected) in table {
            assert_eq!(is_refusal(answer), expected, "{answer}");
        }
    }

    #[test]
    fn common_refusals_have_their_problems() {
        let table = [
            (r#"{"refusal":"unauthenticated"}"#, Some(401)),
            (r#"{"refusal":"forbidden","permission":"a:b"}"#, Some(403)),
            (r#"{"refusal":"forbidden"}"#, None),
            (r#"{"refusal":"session_required"}"#, Some(403)),
            (r#"{"refusal":"recent_login_required"}"#, Some(403)),
            (r#"{"refusal":"idempotency_key_reused"}"#, Some(422)),
            (r#"{"refusal":"not_found"}"#, Some(404)),
            (r#"{"refusal":"role_in_use"}"#, None),
        ];
        for (answer, expected) in table {
            let refused: Refused = serde_json::from_str(answer).expect("the table holds refusals");
            let status = refused.common_problem().map(|problem| problem.status);
            assert_eq!(status, expected, "{answer}");
        }
    }

    #[test]
    fn answers_that_were_given_before_are_told_from_new_ones() {
        let table = [
            (r#"{"transaction": {}, "replayed": true}"#, true),
            (
                r#"{"refusal": "insufficient_credits", "replayed": true}"#,
                true,
            ),
            (r#"{"transaction": {}}"#, false),
            (r#"{"description": "\", \"replayed\": true}"}"#, false),
            (
                r#"{"transaction": {"description": "a", "replayed": true}}"#,
                false,
            ),
        ];
        for (answer, expected) in table {
            assert_eq!(is_replayed(answer), expected, "{answer}");
        }
        let replayed = r#"{"refusal":"forbidden","permission":"a:b", "replayed": true}"#;
        assert!(is_refusal(replayed), "a refusal can be given again too");
    }

    #[test]
    fn pauses_stay_within_half_of_what_was_asked() {
        for _ in 0..1_000 {
            let pause = jittered(100);
            assert!(
                (50..150).contains(&pause),
                "{pause} is not 100 give or take half"
            );
        }
    }
}
