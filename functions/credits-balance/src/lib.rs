//! `GET /api/v1/credits/balance`: what the caller can spend.

mod handler;
mod queries;

shared::component!("credits-balance", "GET", handler::balance);
