//! `POST /api/v1/pricing/estimate`: what some usage would cost, line by line.

mod answer;
mod custom_models;
mod exchange;
mod handler;
mod kept_plans;
mod queries;

shared::component!("pricing-estimate", "POST", handler::estimate);
