//! The secrets and settings that components read from their variables.

use std::cell::RefCell;

use spin_sdk::pg::DbValue;
use spin_sdk::variables;

use crate::http::context::Context;
use crate::http::problem::Problem;
use crate::store::db;

thread_local! {
    /// The database's own secret, after it was read once.
    static DEPLOYMENT_SECRET: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// The password pepper. The database does not hold it, so nobody can guess passwords
/// with a stolen database alone. Empty when none is set.
///
/// # Errors
/// A 500 when the host does not supply the variable, which spin.toml declares.
pub async fn password_pepper(context: &Context) -> Result<Vec<u8>, Problem> {
    read(context, "password_pepper")
        .await
        .map(String::into_bytes)
}

/// The secret from which signing keys and one-time code secrets are derived. It is the
/// variable `master_secret` or, when that is empty, a secret that was drawn with the
/// database's tables. In the second case the first request of an instance costs one more
/// statement. Later requests use the remembered secret.
///
/// # Errors
/// A 500 when the host does not supply the variable, and those of [`db::call_row`].
pub async fn master_secret(context: &Context) -> Result<Vec<u8>, Problem> {
    let variable = read(context, "master_secret").await?;
    if !variable.is_empty() {
        return Ok(variable.into_bytes());
    }
    if let Some(secret) = DEPLOYMENT_SECRET.with_borrow(Clone::clone) {
        return Ok(secret);
    }
    let row = db::call_row(context, "SELECT deployment_secret()", &[]).await?;
    match row.into_iter().next() {
        Some(DbValue::Binary(secret)) => {
            DEPLOYMENT_SECRET.set(Some(secret.clone()));
            Ok(secret)
        }
        // What came instead may be the secret as something else, so it is not logged.
        _ => {
            context.log(
                "error",
                "deployment_secret returned something else than bytes",
            );
            Err(Problem::internal())
        }
    }
}

/// Reads a variable of the component's stanza.
///
/// # Errors
/// A 500 when the host does not supply it, which spin.toml declares.
pub async fn read(context: &Context, name: &'static str) -> Result<String, Problem> {
    variables::get(name).await.map_err(|error| {
        context.log(
            "error",
            &format!("the variable {name} cannot be read: {error}"),
        );
        Problem::internal()
    })
}
