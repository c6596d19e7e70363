//! `POST /api/v1/pricing/estimate`: what some usage would cost, line by line.

mod answer;
mod handler;
mod queries;

shared::component!("pricing-estimate", "POST", handler::estimate);
