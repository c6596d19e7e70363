//! The secrets that components read from their variables.

use crate::context::Context;
use crate::problem::Problem;
use spin_sdk::variables;

/// The password pepper: a secret that the database does not hold, so that a
/// stolen database alone cannot be guessed against. Empty when none is set.
///
/// # Errors
/// A 500 when the host does not give the variable, which spin.toml declares.
pub async fn password_pepper(context: &Context) -> Result<Vec<u8>, Problem> {
    read(context, "password_pepper").await
}

async fn read(context: &Context, name: &'static str) -> Result<Vec<u8>, Problem> {
    variables::get(name)
        .await
        .map(String::into_bytes)
        .map_err(|error| {
            context.log(
                "error",
                &format!("the variable {name} cannot be read: {error}"),
            );
            Problem::internal()
        })
}
