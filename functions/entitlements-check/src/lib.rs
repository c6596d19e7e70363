//! `GET /api/v1/entitlements/check`: whether a feature may be used now.

mod handler;
mod queries;

shared::component!("entitlements-check", "GET", handler::check);
