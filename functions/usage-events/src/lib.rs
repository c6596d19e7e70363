//! `POST /api/v1/usage/events`: stores events of usage, each once.

mod answer;
mod batch;
mod cloud_event;
mod event;
mod handler;
mod inflate;
mod properties;
mod queries;

shared::component!("usage-events", "POST", handler::ingest);
