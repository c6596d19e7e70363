//! `POST /api/v1/usage/events`: stores events of usage, each once.

mod batch;
mod cloud_event;
mod event;
mod handler;
mod operations;
mod properties;
mod queries;

shared::component! {
    operations::INGEST => handler::ingest,
}
