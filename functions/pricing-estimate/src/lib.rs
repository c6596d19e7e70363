//! `POST /api/v1/pricing/estimate`: what some usage would cost, line by line.

mod answer;
mod custom_models;
mod exchange;
mod handler;
mod kept_plans;
mod operations;
mod queries;

shared::component! {
    operations::ESTIMATE => handler::estimate,
}
