//! `/api/v1/accounts/{id}/spend`: what the open periods of an account's subscriptions have cost so
//! far, and what they will come to.

mod facts;
mod handler;
mod operations;
mod queries;
mod spend;

shared::component! {
    operations::READ => handler::read,
}
