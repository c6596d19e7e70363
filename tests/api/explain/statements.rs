//! The statements that are explained. `explain_digest(5)` is the access token of session 5, which is
//! the user's with many of everything.

mod accounts;
mod auth;
mod credits;
mod organizations;
mod plans;
mod platform;
mod retention;
mod subscriptions;
mod usage;

/// A statement, what its answer must contain so that it did what its name says, and the indexes
/// that must be read beside those of `BY_ACCESS_TOKEN` where the statement has an access token.
pub struct Row {
    pub name: &'static str,
    pub sql: &'static str,
    pub answer: &'static str,
    pub indexes: &'static [&'static str],
}

/// Every statement.
pub fn all() -> impl Iterator<Item = &'static Row> {
    let domains: [&'static [Row]; 9] = [
        &accounts::ROWS,
        &auth::ROWS,
        &credits::ROWS,
        &organizations::ROWS,
        &plans::ROWS,
        &platform::ROWS,
        &retention::ROWS,
        &subscriptions::ROWS,
        &usage::ROWS,
    ];
    domains.into_iter().flatten()
}
