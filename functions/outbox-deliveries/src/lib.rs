//! `POST /api/v1/outbox/deliveries`: sends the mail that is waiting.

mod handler;
mod mailer;
mod operations;
mod queries;

shared::component! {
    operations::DELIVER => handler::deliver,
}
