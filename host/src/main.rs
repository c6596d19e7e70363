//! `turnpike`: builds, migrates and serves the whole application with one command.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    turnpike_host::cli::run().await
}
