//! `turnpike`: builds, migrates and serves the whole application with one command.

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("turnpike: no thread can be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(turnpike_host::cli::run());
    // A component that is being compiled keeps no one who wants to end.
    runtime.shutdown_background();
    code
}
