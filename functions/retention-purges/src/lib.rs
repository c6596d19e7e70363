//! `POST /api/v1/retention/purges`: deletes what has lapsed, and rotates the signing key by its
//! age.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::PURGE => handler::purge,
}
