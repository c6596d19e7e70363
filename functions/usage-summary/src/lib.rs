//! `GET /api/v1/usage/summary`: what a meter counted in each hour, day or month.

mod buckets;
mod handler;
mod parameters;
mod queries;

shared::component!("usage-summary", "GET", handler::summary);
