//! Billing: what the routes under an organization's billing share, subscriptions, and
//! the figures of the whole platform.

pub mod account;
pub mod account_batch;
pub mod account_table;
pub mod analytics;
pub mod org_billing;
pub mod revenue_place;
pub mod subscription;
