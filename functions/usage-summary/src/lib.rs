//! `GET /api/v1/usage/summary`: what a meter counted in each hour, day or month.

mod buckets;
mod canonical;
mod handler;
mod operations;
mod queries;

shared::component! {
    operations::SUMMARY => handler::summary,
}
