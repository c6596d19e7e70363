//! `GET /metrics`: what the database keeps of what the application does, in the text format of
//! OpenMetrics.
//!
//! The local host shows the same on a listener of its own, beside what it counts itself. Under Spin
//! nothing outlives an instance, so this is all there is.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::READ => handler::read,
}
