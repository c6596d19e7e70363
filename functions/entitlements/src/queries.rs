use chrono::NaiveDateTime;
use serde::Deserialize;
use shared::http::context::Context;
use shared::http::pagination::Page;
use shared::http::problem::Problem;
use shared::ids::{EntitlementId, OrganizationId};
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{self, Entitlement};
use crate::terms::{Change, Input};

/// Most entitlements of an organization that are current: five features of each of
/// 20,000 customers. At some 500 bytes with the entries of five indexes that is 50 MB.
const MAX_CURRENT: i32 = 100_000;

/// Which entitlement a request is about.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Another organization than the credential's.
    pub organization_id: Option<OrganizationId>,
    pub id: EntitlementId,
}

/// Which entitlements a list has.
#[derive(Debug)]
pub struct Filter {
    /// Another organization than the credential's.
    pub organization_id: Option<OrganizationId>,
    pub subject: Option<String>,
    pub feature: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Listed {
        entitlements: Vec<Entitlement>,
    },
    Found {
        entitlement: Entitlement,
    },
    Created {
        entitlement: Entitlement,
    },
    Saved {
        entitlement: Entitlement,
    },
    Revoked {
        entitlement: Entitlement,
    },
    Reset {
        entitlement: Entitlement,
        used_before: String,
    },
    OrganizationRequired,
    OrganizationUnknown,
    MeterUnknown,
    MeterUnsupported,
    ExpiresTooEarly,
    EntitlementExists,
    EntitlementLimit,
    Ended,
    NotMetered,
    NotFound,
    GrantRequired,
    Unauthenticated,
    Forbidden,
}

impl Answer {
    /// The problem that this answer stands for, when it is none of those that the
    /// statement gives on success, to whoever needs `permission`.
    fn into_problem(self, permission: &str) -> Problem {
        let invalid = |field: &'static str, code: &'static str, message: &'static str| {
            Problem::invalid_field(field, code, message)
        };
        match self {
            Self::OrganizationRequired => invalid(
                "organization_id",
                "required",
                "is required without a subject: the organization that is given the feature",
            ),
            Self::OrganizationUnknown => invalid(
                "organization_id",
                "unknown",
                "must be the id of an organization",
            ),
            Self::MeterUnknown => invalid(
                "meter",
                "unknown",
                "must be a meter of the organization that is not archived",
            ),
            Self::MeterUnsupported => invalid(
                "meter",
                "unsupported",
                "must be a meter that counts or sums up",
            ),
            Self::ExpiresTooEarly => invalid("expires_at", "too_early", "must be later than now"),
            Self::EntitlementExists => handler::entitlement_exists(),
            Self::EntitlementLimit => handler::entitlement_limit(MAX_CURRENT),
            Self::Ended => handler::ended(),
            Self::NotMetered => handler::not_metered(),
            Self::NotFound => handler::not_found(),
            Self::GrantRequired => Problem::forbidden("entitlements:grant"),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::Forbidden => Problem::forbidden(permission),
            Self::Listed { .. }
            | Self::Found { .. }
            | Self::Created { .. }
            | Self::Saved { .. }
            | Self::Revoked { .. }
            | Self::Reset { .. } => Problem::internal(),
        }
    }
}

/// The entitlements of the page, and one more if there is one.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    filter: &Filter,
    page: Page,
) -> Result<Vec<Entitlement>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        filter.organization_id.map(|id| id.as_uuid()).into(),
        filter.subject.clone().into(),
        filter.feature.clone().into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.map_or(i64::MAX, |cursor| cursor.0).into(),
    ];
    let sql = "SELECT entitlements_list($1, $2, $3, $4, $5, $6)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Listed { entitlements } => Ok(entitlements),
        other => Err(other.into_problem("entitlements:read")),
    }
}

pub async fn read(
    context: &Context,
    digest: TokenDigest,
    place: Place,
) -> Result<Entitlement, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        place.organization_id.map(|id| id.as_uuid()).into(),
        place.id.as_uuid().into(),
    ];
    let sql = "SELECT entitlement_read($1, $2, $3)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Found { entitlement } => Ok(entitlement),
        other => Err(other.into_problem("entitlements:read")),
    }
}

pub async fn create(
    context: &Context,
    digest: TokenDigest,
    id: EntitlementId,
    input: &Input,
) -> Result<Entitlement, Problem> {
    let metered = input.metered.as_ref();
    let type_ = if metered.is_some() {
        "metered"
    } else {
        "boolean"
    };
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        input.organization_id.map(|id| id.as_uuid()).into(),
        input.subject.clone().into(),
        input.feature.clone().into(),
        type_.to_owned().into(),
        metered.map(|metered| metered.meter.clone()).into(),
        metered.map(|metered| metered.limit).into(),
        metered.map(|metered| metered.period.to_owned()).into(),
        metered.map(|metered| metered.is_soft).into(),
        input.expires_at.into(),
        MAX_CURRENT.into(),
    ];
    let sql = "SELECT entitlement_create($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
                                         $11::timestamp AT TIME ZONE 'UTC', $12)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Created { entitlement } => Ok(entitlement),
        other => Err(other.into_problem("entitlements:manage")),
    }
}

pub async fn change(
    context: &Context,
    digest: TokenDigest,
    place: Place,
    change: &Change,
) -> Result<Entitlement, Problem> {
    let expires_at: Option<NaiveDateTime> = change.expires_at.flatten();
    let parameters = [
        digest.0.to_vec().into(),
        place.organization_id.map(|id| id.as_uuid()).into(),
        place.id.as_uuid().into(),
        change.limit.into(),
        change.is_soft.into(),
        change.expires_at.is_some().into(),
        expires_at.into(),
    ];
    let sql =
        "SELECT entitlement_change($1, $2, $3, $4, $5, $6, $7::timestamp AT TIME ZONE 'UTC')::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Saved { entitlement } => Ok(entitlement),
        other => Err(other.into_problem("entitlements:manage")),
    }
}

pub async fn revoke(
    context: &Context,
    digest: TokenDigest,
    place: Place,
) -> Result<Entitlement, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        place.organization_id.map(|id| id.as_uuid()).into(),
        place.id.as_uuid().into(),
    ];
    let sql = "SELECT entitlement_revoke($1, $2, $3)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Revoked { entitlement } => Ok(entitlement),
        other => Err(other.into_problem("entitlements:manage")),
    }
}

/// The entitlement, and what had been used of it.
pub async fn reset(
    context: &Context,
    digest: TokenDigest,
    place: Place,
    key: &str,
) -> Result<(Entitlement, String), Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        place.organization_id.map(|id| id.as_uuid()).into(),
        place.id.as_uuid().into(),
        key.to_owned().into(),
    ];
    let sql = "SELECT entitlement_reset($1, $2, $3, $4)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Reset {
            entitlement,
            used_before,
        } => Ok((entitlement, used_before)),
        other => Err(other.into_problem("entitlements:manage")),
    }
}
