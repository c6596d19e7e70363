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
pub mod host;
pub mod personas;
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

/// Defines tests that talk to a host of their own, each of them twice: with instances that are
/// reused as in production, and with a fresh instance for every request. The results are
/// `name::pooled` and `name::fresh`.
#[macro_export]
macro_rules! api_tests {
    ($($(#[$attribute:meta])* async fn $name:ident($host:ident: &TestHost) $body:block)+) => {
        $($(#[$attribute])* mod $name {
            #[allow(unused_imports, reason = "not every test uses all of its module's imports")]
            use super::*;

            async fn test($host: &$crate::TestHost) $body

            #[test]
            fn pooled() {
                $crate::run($crate::Settings::pooled(), async |host: &$crate::TestHost| test(host).await);
            }

            #[test]
            fn fresh() {
                $crate::run($crate::Settings::fresh(), async |host: &$crate::TestHost| test(host).await);
            }
        })+
    };
}
