//! `GET /api/v1/credits/transactions/export`: the caller's ledger as a CSV file.

mod csv;
mod handler;
mod queries;

shared::component!("credits-transactions-export", "GET", handler::export);
