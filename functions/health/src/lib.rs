//! `GET /api/v1/health`: the process serves; `GET /api/v1/health/ready`: so do
//! Postgres and, when there is one, the cache.

mod handler;
mod operations;

shared::component! {
    operations::LIVE => handler::live,
    operations::READY => handler::ready,
}
