//! Runs the components: compiles them, leads requests to their instances, and answers over HTTP.

pub(crate) mod app;
pub(crate) mod chaining;
mod dependencies;
mod dispatcher;
mod engine;
pub(crate) mod handler;
pub(crate) mod host;
pub(crate) mod lifecycle;
mod observation;
mod request_headers;
mod response_body;
mod scrape;
mod server;
pub(crate) mod worker;
