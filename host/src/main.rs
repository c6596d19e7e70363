//! `turnpike`: builds, migrates and serves the whole application with one command.

mod cli;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    cli::run().await
}
