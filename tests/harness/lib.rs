//! What the integration tests stand on: a migrated database and a host of its own for every
//! test, a client that holds each response against the API's description, and the people who
//! use the API.
#![allow(
    clippy::disallowed_methods,
    reason = "the tests watch a real system, whose clocks are real too"
)]

pub mod api;
pub mod conformity;
pub mod database;
pub mod description;
pub mod environment;
pub mod explain;
pub mod host;
pub mod personas;
pub mod pools;
pub mod random;
pub mod response;
pub mod schema;
pub mod wire;

pub use api::{Api, Call};
pub use environment::{Environment, environment};
pub use host::{Reuse, Settings, TestHost, run};
pub use personas::User;
pub use random::Random;
pub use response::Response;

/// Runs each of the module's functions `async fn name(host: &TestHost)` as two tests, on hosts
/// of their own: `name::pooled` with instances that are reused as in production, `name::fresh`
/// with a fresh instance for every request.
#[macro_export]
macro_rules! api_tests {
    [$($name:ident),+ $(,)?] => {
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
}
