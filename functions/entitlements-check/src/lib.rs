//! `GET /api/v1/entitlements/check`: whether a feature may be used now.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::CHECK => handler::check,
}
