//! `GET /api/v1/credits/transactions`: the caller's ledger, newest first.

mod handler;
mod queries;

shared::component!("credits-transactions", "GET", handler::list);
