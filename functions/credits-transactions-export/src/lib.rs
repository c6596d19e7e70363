//! `GET /api/v1/credits/transactions/export`: the caller's ledger as a CSV file.

mod csv;
mod handler;
mod operations;
mod queries;

shared::component! {
    streamed operations::EXPORT => handler::export,
}
