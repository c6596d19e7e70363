//! `GET /api/v1/credits/usage/summary`: what the caller has spent, by day, service
//! and model.

mod grouping;
mod handler;
mod queries;

shared::component!("credits-usage-summary", "GET", handler::summary);
