//! `POST /api/v1/outbox/deliveries`: sends the mail that is waiting.

mod handler;
mod mailer;
mod queries;

shared::component!("outbox-deliveries", "POST", handler::deliver);
