//! `GET /api/v1/accounts/export`: the accounts as a CSV file.

mod handler;
mod operations;
mod queries;

shared::component! {
    streamed operations::EXPORT => handler::export,
}
