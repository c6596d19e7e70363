//! `GET /api/v1/cache/stats` and `GET /api/v1/cache/health`: how the cache does, and whether it
//! answers.

mod handler;
mod operations;
mod queries;
mod stats;

shared::component! {
    operations::STATS => handler::stats,
    operations::HEALTH => handler::health,
}
