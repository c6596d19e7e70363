//! `GET /api/v1/audit-log`: what happened in the caller's organization, newest first.

mod handler;
mod queries;

shared::component!("audit-log", "GET", handler::list);
