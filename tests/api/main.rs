//! The whole application, through the host and the same `.wasm` files that are deployed. One
//! module for each component, and one for each promise that no single component can keep.
#![allow(
    clippy::disallowed_methods,
    reason = "the tests watch a real system, whose clocks are real too"
)]

// One for each component of spin.toml; `coverage` fails when one is missing.
mod accounts;
mod accounts_bulk;
mod accounts_export;
mod accounts_import;
mod accounts_spend;
mod analytics_platform;
mod analytics_revenue_trends;
mod audit_log;
mod auth_api_keys;
mod auth_email;
mod auth_introspect;
mod auth_jwks;
mod auth_login;
mod auth_logout;
mod auth_me;
mod auth_organization;
mod auth_password;
mod auth_password_forgot;
mod auth_password_reset;
mod auth_reauthenticate;
mod auth_refresh;
mod auth_sessions;
mod auth_signing_keys;
mod auth_signup;
mod auth_token;
mod auth_totp;
mod cache;
mod cache_entries;
mod cache_warmings;
mod credit_pool;
mod credit_pool_allocations;
mod credit_pool_consume;
mod credits_balance;
mod credits_consume;
mod credits_grants;
mod credits_holds;
mod credits_refunds;
mod credits_transactions;
mod credits_transactions_export;
mod credits_usage_summary;
mod entitlements;
mod entitlements_check;
mod health;
mod invitations_accept;
mod meters;
mod metrics;
mod not_found;
mod notices;
mod openapi;
mod organization_billing_members;
mod organization_invitations;
mod organization_members;
mod organization_roles;
mod organization_subscription;
mod organizations;
mod outbox_deliveries;
mod outbox_messages;
mod pending;
mod permissions;
mod plan_versions;
mod plans;
mod pricing_custom;
mod pricing_estimate;
mod pricing_model;
mod retention_purges;
mod subscriptions;
mod usage_alerts;
mod usage_averages;
mod usage_closed_periods;
mod usage_events;
mod usage_summary;
mod usage_upkeep;
mod users;

// What the components' modules share.
mod authenticator;
mod dated_ledger;
mod metering;
mod refusals;
mod together;

// The scenario of load and its runner, which the benchmarks have.
#[path = "../benches/load"]
#[allow(
    dead_code,
    clippy::float_arithmetic,
    reason = "the benchmarks use more of it; latencies and rates are not money"
)]
mod load {
    pub mod comparison;
    pub mod figures;
    pub mod fixtures;
    pub mod generator;
    pub mod machine;
    pub mod other_work;
    pub mod response;
    pub mod table;
    pub mod workload;
}
#[path = "../benches/personas"]
#[allow(
    dead_code,
    clippy::float_arithmetic,
    reason = "the benchmark uses more of it; latencies and rates are not money"
)]
mod personas {
    pub mod accounts;
    pub mod bottleneck;
    pub mod measure;
    pub mod placeholders;
    pub mod processes;
    pub mod report;
    pub mod runner;
    pub mod scenario;
    pub mod watch;
}

mod audit_verify;
mod auth_without_organization;
mod authorization_matrix;
mod browser_rules;
mod cache_faults;
mod chaining;
mod coverage;
mod crash;
mod cursors;
mod deadlocks;
mod demo;
mod deployment;
mod entitlement_periods;
mod expiry;
mod explain;
mod freshness;
mod handler_exports;
mod hash_leases;
mod introspected_jwts;
mod lists_in_all_currencies;
mod load_scenario;
mod local_days;
mod lockout;
mod moments;
mod monitoring;
mod names;
mod outages_under_load;
mod parallel_spending;
mod postgres_outage;
mod random_operations;
mod read_only;
mod redis;
mod request_headers;
mod request_log;
mod resident_memory;
mod schema_checker;
mod shutdown;
mod spends_together;
mod subscription_periods;
mod takeover;
mod tenancy;
mod time_zones;
mod traces;
mod usage_alert_firings;
mod usage_equality;
mod usage_levels;
mod usage_storage;
mod usage_together;
mod wire_format;
