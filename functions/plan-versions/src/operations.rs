use serde_json::Value;
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::pagination::{Cursor, PageLimit};
use shared::http::time::Time;
use shared::ids::UserId;
#[cfg(not(target_arch = "wasm32"))]
use shared::rating::plan_terms::PlanTerms;
use shared::rating::plan_terms::{NewPlanTerms, PlanCode, VersionNumber};

/// A version as it is listed.
#[shared::answer(read)]
pub struct PlanVersionSummary {
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "VersionNumber"))]
    pub version: i32,
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 100)))]
    pub charge_count: u32,
    pub created_at: Time,
    /// Who made it; null unless the caller may manage plans.
    pub created_by: Option<UserId>,
}

/// A version with its terms. It never changes.
#[shared::answer(read)]
pub struct PlanVersion {
    pub plan: PlanCode,
    #[serde(flatten)]
    pub summary: PlanVersionSummary,
    /// As they are stored.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "PlanTerms"))]
    pub terms: Value,
}

#[shared::answer]
pub struct PlanVersionPage {
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(max = 100)))]
    pub versions: Vec<PlanVersionSummary>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<Cursor>,
}

#[shared::body(query)]
pub struct PlanVersionsQuery {
    /// Items in a page.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 50)))]
    pub limit: Option<PageLimit>,
    pub cursor: Option<Cursor>,
}

shared::refusals! {
    PLAN_ARCHIVED = 409 "plan_archived", "The plan is archived",
        "an archived plan gets no new version.";
    VERSION_LIMIT = 409 "version_limit", "The plan has as many versions as it can",
        "the plan has 1,000 versions.";
}

pub const LIST: Operation = Operation::new(
    "plan-versions-list",
    Verb::Get,
    "/api/v1/plans/{code}/versions",
    Access::Permission("plans:read"),
)
.tag("plans")
.summary("List the versions of a plan")
.details("Newest first, without their terms.")
.path_parameter::<PlanCode>("code")
.query::<PlanVersionsQuery>()
.answers(&[
    Answer::json::<PlanVersionPage>(
        200,
        "A page of versions.",
        r#"{"versions": [{"version": 2, "charge_count": 2, "created_at": "2026-11-21T10:00:00.123456Z", "created_by": null}], "next_cursor": null}"#,
    ),
]);

pub const CREATE: Operation = Operation::new(
    "plan-versions-create",
    Verb::Post,
    "/api/v1/plans/{code}/versions",
    Access::Permission("plans:manage"),
)
.audited()
.tag("plans")
.summary("Add a version to a plan")
.details("The version gets the next number and never changes. Terms that are the same as those of the newest version make none, so repeating it is harmless and it takes no Idempotency-Key. Mistakes are named by their places, such as charges[2].model.tiers[1].up_to.")
.path_parameter::<PlanCode>("code")
.body::<NewPlanTerms>(
    r#"{"currency": "USD", "charges": [{"code": "base", "name": "Base fee", "billing": "advance", "model": {"type": "flat", "amount": "49"}}, {"code": "tokens", "name": "Tokens", "metric": "tokens", "model": {"type": "graduated", "tiers": [{"up_to": "1000", "unit_price": "0.02"}, {"unit_price": "0.015"}]}}], "trial": {"days": 14, "covers": "advance_charges"}}"#,
)
.answers(&[
    Answer::json::<PlanVersion>(
        200,
        "The newest version, which has these terms.",
        r#"{"plan": "team", "version": 2, "charge_count": 2, "created_at": "2026-11-21T10:00:00.123456Z", "created_by": null, "terms": {"currency": "USD", "charges": [{"code": "base", "name": "Base fee", "model": {"type": "flat", "amount": "49"}, "billing": "advance", "rounding": "half_even"}, {"code": "tokens", "name": "Tokens", "metric": "tokens", "model": {"type": "graduated", "tiers": [{"up_to": "1000", "unit_price": "0.02"}, {"unit_price": "0.015"}]}, "billing": "arrears", "rounding": "half_even"}], "trial": {"days": 14, "covers": "advance_charges"}}}"#,
    ),
    Answer::json::<PlanVersion>(
        201,
        "The new version.",
        r#"{"plan": "team", "version": 2, "charge_count": 2, "created_at": "2026-11-21T10:00:00.123456Z", "created_by": null, "terms": {"currency": "USD", "charges": [{"code": "base", "name": "Base fee", "model": {"type": "flat", "amount": "49"}, "billing": "advance", "rounding": "half_even"}, {"code": "tokens", "name": "Tokens", "metric": "tokens", "model": {"type": "graduated", "tiers": [{"up_to": "1000", "unit_price": "0.02"}, {"unit_price": "0.015"}]}, "billing": "arrears", "rounding": "half_even"}], "trial": {"days": 14, "covers": "advance_charges"}}}"#,
    ),
])
.refuses(&[&PLAN_ARCHIVED, &VERSION_LIMIT]);

pub const READ: Operation = Operation::new(
    "plan-versions-read",
    Verb::Get,
    "/api/v1/plans/{code}/versions/{version}",
    Access::Permission("plans:read"),
)
.tag("plans")
.summary("Show a version of a plan")
.path_parameter::<PlanCode>("code")
.path_parameter::<VersionNumber>("version")
.answers(&[
    Answer::json::<PlanVersion>(
        200,
        "The version.",
        r#"{"plan": "team", "version": 2, "charge_count": 2, "created_at": "2026-11-21T10:00:00.123456Z", "created_by": null, "terms": {"currency": "USD", "charges": [{"code": "base", "name": "Base fee", "model": {"type": "flat", "amount": "49"}, "billing": "advance", "rounding": "half_even"}, {"code": "tokens", "name": "Tokens", "metric": "tokens", "model": {"type": "graduated", "tiers": [{"up_to": "1000", "unit_price": "0.02"}, {"unit_price": "0.015"}]}, "billing": "arrears", "rounding": "half_even"}], "trial": {"days": 14, "covers": "advance_charges"}}}"#,
    ),
]);
