//! The command line.

use clap::Parser;

use crate::load::arguments::CommonArguments;

/// Most connections that sign in at once: as many as a host hashes at once by default.
const MAX_LOGIN_CONNECTIONS: i64 = 64;

/// Measures introspection, sign-in beside bare Argon2id, and whether a sign-in tells which emails
/// are known.
#[derive(Debug, Parser)]
#[command(name = "auth")]
pub struct Arguments {
    /// Connections that ask for introspection, one request after another
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub connections: u16,
    /// Connections that sign in, one row for each number
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', default_value = "1,4,16",
          value_parser = clap::value_parser!(u16).range(1..=MAX_LOGIN_CONNECTIONS))]
    pub login_connections: Vec<u16>,
    /// Also measures Argon2id with OWASP's other parameters
    #[arg(long)]
    pub parameters: bool,
    #[command(flatten)]
    pub common: CommonArguments,
}
