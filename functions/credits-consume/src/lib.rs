//! `POST /api/v1/credits/consume`: spends the caller's credits.

mod handler;
mod queries;

shared::component!("credits-consume", "POST", handler::consume);
