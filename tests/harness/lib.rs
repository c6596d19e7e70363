//! What the integration tests stand on: a migrated database and a host of its own for every
//! test, a client that holds each response against the API's description, and the people who
//! use the API.
#![allow(
    clippy::disallowed_methods,
    reason = "the tests watch a real system, whose clocks are real too"
)]

pub mod api;
mod books;
pub mod conformity;
pub mod database;
pub mod description;
pub mod environment;
pub mod explain;
pub mod host;
pub mod openmetrics;
pub mod personas;
pub mod pools;
pub mod quickest;
pub mod race;
pub mod random;
pub mod redis_server;
pub mod response;
mod schema;
pub mod times;
pub mod wire;

pub use api::{Api, Call};
pub use environment::{Environment, environment};
pub use host::{Reuse, Settings, TestHost, run};
pub use personas::User;
pub use quickest::Quickest;
pub use race::Race;
pub use random::Random;
pub use response::Response;

/// Makes tests of the module's functions `async fn name(host: &TestHost)`. A module may use it more
/// than once:
///
/// - `api_tests![a, b]`: each on a host and a database of its own, which nobody else sees.
/// - `api_tests![fresh_too: c]`: the same, and once more with a fresh instance for each request
///   (`c::fresh`). For tests of what an instance keeps from one request to the next, and could
///   therefore answer with when it should not: cached answers and credentials, the rest that it
///   gives a store that failed, connections to Postgres and statements on them, plans that it has
///   read, the counter in its request ids, and races for any of these. Everything else runs the
///   same code in either, and runs once.
#[macro_export]
macro_rules! api_tests {
    [fresh_too: $($name:ident),+ $(,)?] => {
        $(mod $name {
            #[test]
            fn pooled() {
                $crate::run($crate::Settings::pooled(), super::$name);
            }

            #[test]
            fn fresh() {
                $crate::run($crate::Settings::fresh(), super::$name);
            }
        })+
    };
    [$($name:ident),+ $(,)?] => {
        $(mod $name {
            #[test]
            fn pooled() {
                $crate::run($crate::Settings::pooled(), super::$name);
            }
        })+
    };
}
