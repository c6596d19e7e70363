//! Running one statement.

use futures::TryStreamExt as _;
use tokio_postgres::error::DbError;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::parameters::SqlParameter;
use super::pool::{AddressPool, Checkout};
use super::values::{convert_row, convert_type, size_bytes};
use crate::imports::bindings::spin::postgres::postgres::{
    Column, DbError as WitDbError, DbValue, Error, ParameterValue, QueryError,
};
use crate::imports::key_value::store::MAX_RESULT_BYTES;

/// What a query gave.
pub(super) struct Answer {
    /// Empty when there are no rows, as in Spin.
    pub(super) columns: Vec<Column>,
    /// All rows up to the end or the error.
    pub(super) rows: Vec<Vec<DbValue>>,
    /// How the rows ended.
    pub(super) outcome: Result<(), Error>,
}

/// Runs a statement that returns rows.
///
/// # Errors
/// Whatever fails before the server starts to execute: the connection, the parameters, the
/// statement's text. Later errors are the answer's outcome.
pub(super) async fn query(
    pool: &AddressPool,
    statement: &str,
    parameters: &[ParameterValue],
) -> Result<Answer, Error> {
    check_statement(statement)?;
    let parameters = SqlParameter::convert_all(parameters)
        .map_err(|error| Error::BadParameter(format!("{error:#}")))?;
    let mut retry = Retry::default();
    loop {
        let (mut checkout, prepared) = prepare(pool, statement, &mut retry).await?;
        let Some(client) = checkout.client() else {
            return Err(lost());
        };
        let stream = match client.query_raw(&prepared, references(&parameters)).await {
            Ok(stream) => stream,
            Err(error) => {
                if forget_stale(&mut checkout, statement, &prepared, &error, &mut retry) {
                    continue;
                }
                return Err(query_failed(&error));
            }
        };
        let mut stream = std::pin::pin!(stream);
        let mut columns = Vec::new();
        let mut rows = Vec::new();
        let mut result_bytes = size_of::<Answer>();
        let outcome = loop {
            let row = match stream.try_next().await {
                Ok(Some(row)) => row,
                Ok(None) => break Ok(()),
                Err(error) => break Err(query_failed(&error)),
            };
            if rows.is_empty() {
                columns = name_columns(&row);
            }
            match convert_row(&row) {
                Ok(values) => {
                    result_bytes += values.iter().map(size_bytes).sum::<usize>();
                    if result_bytes > MAX_RESULT_BYTES {
                        break Err(failed_with(format!(
                            "query result exceeds limit of {MAX_RESULT_BYTES} bytes"
                        )));
                    }
                    rows.push(values);
                }
                Err(error) => break Err(failed_with(format!("{error:#}"))),
            }
        };
        // Rows that were not read are still on their way; the connection goes back after them.
        if outcome.is_ok() || is_database_error(&outcome) {
            checkout.finished();
        }
        return Ok(Answer {
            columns,
            rows,
            outcome,
        });
    }
}

/// Runs a statement for its effect; the number of rows it changed.
///
/// # Errors
/// As [`query`], and whatever fails while it executes.
pub(super) async fn execute(
    pool: &AddressPool,
    statement: &str,
    parameters: &[ParameterValue],
) -> Result<u64, Error> {
    check_statement(statement)?;
    let parameters = SqlParameter::convert_all(parameters)
        .map_err(|error| Error::ValueConversionFailed(format!("{error:#}")))?;
    let mut retry = Retry::default();
    loop {
        let (mut checkout, prepared) = prepare(pool, statement, &mut retry).await?;
        let Some(client) = checkout.client() else {
            return Err(lost());
        };
        match client.execute_raw(&prepared, references(&parameters)).await {
            Ok(count) => {
                checkout.finished();
                return Ok(count);
            }
            Err(error) => {
                if forget_stale(&mut checkout, statement, &prepared, &error, &mut retry) {
                    continue;
                }
                return Err(query_failed(&error));
            }
        }
    }
}

/// What has been tried a second time already: each at most once, and only what certainly had no
/// effect.
#[derive(Default)]
struct Retry {
    connection: bool,
    statement: bool,
}

/// A connection with `statement` prepared on it, marked as busy.
async fn prepare(
    pool: &AddressPool,
    statement: &str,
    retry: &mut Retry,
) -> Result<(Checkout, Statement), Error> {
    loop {
        let mut checkout = pool.connect().await?;
        checkout.started();
        let Some(client) = checkout.client() else {
            return Err(lost());
        };
        let prepared = client.prepare_cached(statement).await;
        let closed = client.is_closed();
        match prepared {
            Ok(prepared) if !closed => return Ok((checkout, prepared)),
            // Preparing executes nothing, so a connection found dead here, as all are after the
            // server restarted, can be replaced.
            Ok(_) | Err(_) if closed && !retry.connection => {
                retry.connection = true;
                checkout.discard();
            }
            Ok(_) => {
                checkout.discard();
                return Err(lost());
            }
            Err(error) => {
                checkout.finished();
                return Err(query_failed(&error));
            }
        }
    }
}

/// After an error of the first answer: whether the statement was merely prepared for tables that
/// have changed since, so that it did not run and can be prepared again.
fn forget_stale(
    checkout: &mut Checkout,
    statement: &str,
    prepared: &Statement,
    error: &tokio_postgres::Error,
    retry: &mut Retry,
) -> bool {
    let Some(database_error) = error.as_db_error() else {
        // A parameter that does not fit fails before anything is sent.
        if checkout.client().is_some_and(|client| !client.is_closed()) {
            checkout.finished();
        }
        return false;
    };
    checkout.finished();
    let stale = match database_error.code().code() {
        // invalid_sql_statement_name: something between us and the server forgot it.
        "26000" => true,
        // feature_not_supported, with the one message that concerns prepared statements.
        "0A000" => database_error.message().starts_with("cached plan"),
        _ => false,
    };
    if !stale || retry.statement {
        return false;
    }
    retry.statement = true;
    if let Some(client) = checkout.client() {
        client.statement_cache.remove(statement, prepared.params());
        client.statement_cache.remove(statement, &[]);
    }
    true
}

fn references<'a>(
    parameters: &'a [SqlParameter<'a>],
) -> impl ExactSizeIterator<Item = &'a (dyn ToSql + Sync)> {
    parameters
        .iter()
        .map(|parameter| parameter as &(dyn ToSql + Sync))
}

fn name_columns(row: &Row) -> Vec<Column> {
    row.columns()
        .iter()
        .map(|column| Column {
            name: column.name().to_owned(),
            data_type: convert_type(column.type_()),
        })
        .collect()
}

/// Refuses what would change a shared connection for whoever gets it next. In Spin such a
/// statement leaks into another component's transaction; here it fails where it is written.
fn check_statement(statement: &str) -> Result<(), Error> {
    const STATEFUL: [&str; 15] = [
        "BEGIN",
        "START",
        "COMMIT",
        "END",
        "ROLLBACK",
        "ABORT",
        "SAVEPOINT",
        "RELEASE",
        "SET",
        "RESET",
        "DISCARD",
        "LISTEN",
        "UNLISTEN",
        "PREPARE",
        "DEALLOCATE",
    ];
    let start = statement.trim_start();
    let word = start
        .find(|c: char| !c.is_ascii_alphabetic())
        .map_or(start, |end| &start[..end]);
    if STATEFUL
        .iter()
        .any(|known| known.eq_ignore_ascii_case(word))
    {
        return Err(Error::Other(format!(
            "{} would outlive its statement on a connection that others use: put the whole \
             transaction into one statement or one SQL function",
            word.to_ascii_uppercase()
        )));
    }
    Ok(())
}

fn lost() -> Error {
    Error::ConnectionFailed("the connection was lost before the statement was sent".to_owned())
}

fn failed_with(text: String) -> Error {
    Error::QueryFailed(QueryError::Text(text))
}

fn is_database_error(outcome: &Result<(), Error>) -> bool {
    matches!(outcome, Err(Error::QueryFailed(QueryError::DbError(_))))
}

fn query_failed(error: &tokio_postgres::Error) -> Error {
    let as_text = format!("{error:?}");
    Error::QueryFailed(match error.as_db_error() {
        None => QueryError::Text(as_text),
        Some(error) => QueryError::DbError(WitDbError {
            as_text,
            severity: error.severity().to_owned(),
            code: error.code().code().to_owned(),
            message: error.message().to_owned(),
            detail: error.detail().map(str::to_owned),
            extras: extras(error),
        }),
    })
}

/// What else the server said, under the names Spin gives it.
fn extras(error: &DbError) -> Vec<(String, String)> {
    let line = error.line().map(|line| line.to_string());
    [
        ("column", error.column()),
        ("constraint", error.constraint()),
        ("routine", error.routine()),
        ("hint", error.hint()),
        ("table", error.table()),
        ("datatype", error.datatype()),
        ("schema", error.schema()),
        ("file", error.file()),
        ("line", line.as_deref()),
        ("where_", error.where_()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_outlive_themselves_are_refused() {
        for (statement, refused) in [
            ("SELECT 1", false),
            ("  select begin_at from t", false),
            ("UPDATE t SET a = 1", false),
            ("INSERT INTO t VALUES (1)", false),
            ("WITH x AS (SELECT 1) SELECT * FROM x", false),
            ("settle()", false),
            ("", false),
            ("BEGIN", true),
            ("begin;", true),
            ("\n  Start Transaction", true),
            ("COMMIT", true),
            ("SET search_path = x", true),
            ("listen channel", true),
        ] {
            assert_eq!(
                check_statement(statement).is_err(),
                refused,
                "{statement:?} must {}be refused",
                if refused { "" } else { "not " }
            );
        }
    }
}
