//! `GET /api/v1/dev/outbox`: the newest mail, on a developer's machine only.

mod handler;
mod queries;

// The methods of the component not-found, so that the path is nowhere else a
// path of its own.
shared::component!(
    "outbox-messages",
    "GET, POST, PUT, PATCH, DELETE",
    handler::outbox
);
