//! The operations of metering, entitlements, plans and prices.

use http::Method;

use serde_json::json;

use crate::authorization_matrix::row::{Body, Named, Row, row};

/// The largest body of the terms of a plan.
const MAX_TERMS_BYTES: usize = 256 * 1024;

/// The largest body of events: 5 KiB for each of a thousand.
const MAX_EVENTS_BYTES: usize = 1_000 * 5 * 1_024;

/// Events of usage, and what counts them.
pub(in crate::authorization_matrix) fn metering_rows() -> Vec<Row> {
    let reads = Some("usage:read");
    let manages = Some("meters:manage");
    let row_of_meter = |method, permission| {
        row(method, "/api/v1/meters/:slug", Body::None, permission).names(Named::Meter)
    };
    let manages_alerts = Some("usage_alerts:manage");
    let row_of_alert = |method, rest, permission| {
        let route = match rest {
            "" => "/api/v1/usage/alerts/:id",
            _ => "/api/v1/usage/alerts/:id/firings",
        };
        row(method, route, Body::None, permission).names(Named::UsageAlert)
    };
    let closes = |method, body| {
        let permission = Some("usage:close");
        row(method, "/api/v1/usage/closed-periods/:id", body, permission)
            .names(Named::Organization)
            .owner(403)
    };
    vec![
        row(
            Method::POST,
            "/api/v1/usage/events",
            Body::UsageEvent,
            Some("usage:write"),
        )
        .up_to(MAX_EVENTS_BYTES)
        .reads_more_than_json(),
        row(Method::GET, "/api/v1/meters", Body::None, reads),
        row(Method::POST, "/api/v1/meters", Body::Meter, manages).creates(),
        row_of_meter(Method::GET, reads),
        row_of_meter(Method::DELETE, manages),
        row(Method::GET, "/api/v1/usage/alerts", Body::None, reads),
        row(
            Method::POST,
            "/api/v1/usage/alerts",
            Body::UsageAlert,
            manages_alerts,
        )
        .creates(),
        row_of_alert(Method::GET, "", reads),
        row_of_alert(Method::DELETE, "", manages_alerts),
        row_of_alert(Method::GET, "/firings", reads),
        row(
            Method::GET,
            "/api/v1/usage/alert-firings",
            Body::None,
            reads,
        ),
        row(Method::GET, "/api/v1/usage/summary", Body::None, reads).names(Named::Meter),
        row(
            Method::POST,
            "/api/v1/usage/upkeep",
            Body::None,
            Some("usage:upkeep"),
        )
        .owner(403),
        closes(Method::GET, Body::None),
        closes(Method::PUT, Body::UsageClosing),
    ]
}

/// Which features may be used.
pub(in crate::authorization_matrix) fn entitlement_rows() -> Vec<Row> {
    let reads = Some("entitlements:read");
    let manages = Some("entitlements:manage");
    let collection = "/api/v1/entitlements";
    let of_entitlement = |method, body, permission| {
        row(method, "/api/v1/entitlements/:id", body, permission).names(Named::Entitlement)
    };
    vec![
        row(Method::GET, collection, Body::None, reads),
        row(Method::POST, collection, Body::Entitlement, manages).creates(),
        of_entitlement(Method::GET, Body::None, reads),
        of_entitlement(Method::PATCH, Body::EntitlementChange, manages),
        of_entitlement(Method::DELETE, Body::None, manages),
        row(
            Method::POST,
            "/api/v1/entitlements/:id/reset",
            Body::Keyed,
            manages,
        )
        .names(Named::Entitlement),
        row(
            Method::GET,
            "/api/v1/entitlements/check",
            Body::Feature,
            reads,
        ),
    ]
}

/// The catalog of plans, and what they would cost.
pub(in crate::authorization_matrix) fn plan_rows() -> Vec<Row> {
    let reads = Some("plans:read");
    let manages = Some("plans:manage");
    let plans = "/api/v1/plans";
    let plan = "/api/v1/plans/:code";
    let versions = "/api/v1/plans/:code/versions";
    let version = "/api/v1/plans/:code/versions/:version";
    let of_plan =
        |method, route, body, permission| row(method, route, body, permission).names(Named::Plan);
    vec![
        row(Method::GET, plans, Body::None, reads),
        row(Method::POST, plans, Body::Plan, manages)
            .creates()
            .owner(403),
        of_plan(Method::GET, plan, Body::None, reads),
        of_plan(Method::PATCH, plan, Body::PlanChange, manages).owner(403),
        of_plan(Method::GET, versions, Body::None, reads),
        of_plan(Method::POST, versions, Body::PlanTerms, manages)
            .creates()
            .owner(403)
            .up_to(MAX_TERMS_BYTES),
        of_plan(Method::GET, version, Body::None, reads),
        row(
            Method::POST,
            "/api/v1/pricing/estimate",
            Body::Estimate,
            reads,
        )
        .reads(json!({
            "currency": "USD", "usage": {}, "phase": "paid",
            "charges": [{"code": "base", "name": "Base", "model": {"type": "flat", "amount": "1"}}],
        }))
        .up_to(MAX_TERMS_BYTES),
        row(
            Method::POST,
            "/api/v1/pricing/estimate",
            Body::EstimateOfPlan,
            reads,
        )
        .up_to(MAX_TERMS_BYTES),
    ]
}
