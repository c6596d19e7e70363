use serde::Deserialize;
use shared::entitlements::{EntitlementSubject, EntitlementType, FeatureName};
use shared::http::context::Context;
use shared::http::pagination::{Listed, Page};
use shared::http::problem::Problem;
use shared::ids::{EntitlementId, OrganizationId};
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{
    ENTITLEMENT_ENDED, ENTITLEMENT_EXISTS, ENTITLEMENT_LIMIT, ENTITLEMENT_NOT_METERED, Entitlement,
    EntitlementChange, EntitlementReset, EntitlementShown, NewEntitlement,
};

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
    pub subject: Option<EntitlementSubject>,
    pub feature: Option<FeatureName>,
}

/// An entitlement and its position in the list.
#[derive(Debug, Deserialize)]
pub struct Row {
    pub sequence: i64,
    pub entitlement: Entitlement,
}

fn refuse(refused: &Refused) -> Option<Problem> {
    let invalid = |field: &'static str, code, message: &'static str| {
        Problem::invalid_field(field, code, message)
    };
    Some(match refused.code.as_str() {
        "not_found" => not_found(),
        "organization_required" => invalid(
            "organization_id",
            "required",
            "is required without a subject: the organization that is given the feature",
        ),
        "organization_unknown" => invalid(
            "organization_id",
            "unknown",
            "must be the id of an organization",
        ),
        "meter_unknown" => invalid(
            "meter",
            "unknown",
            "must be a meter of the organization that is not archived",
        ),
        "meter_unsupported" => invalid(
            "meter",
            "unsupported",
            "must be a meter that counts or sums up",
        ),
        "expires_too_early" => invalid("expires_at", "too_early", "must be later than now"),
        "entitlement_exists" => ENTITLEMENT_EXISTS
            .because("A subject has one entitlement to a feature. Change it, or revoke it first."),
        "entitlement_limit" => ENTITLEMENT_LIMIT.because(format!(
            "At most {MAX_CURRENT} are current. Revoke one that is not needed."
        )),
        "entitlement_ended" => ENTITLEMENT_ENDED.because(
            "It was revoked, or another one was given after it expired. Nothing was changed.",
        ),
        "entitlement_not_metered" => ENTITLEMENT_NOT_METERED
            .because("A boolean entitlement has no limit, and nothing to reset."),
        _ => return None,
    })
}

/// 404: there is no such entitlement.
pub fn not_found() -> Problem {
    Problem::not_found("The organization has no entitlement with this id.")
}

/// The entitlements of the page, and one more if there is one.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    filter: Filter,
    page: &Page,
) -> Result<Listed<Vec<Row>>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        filter.organization_id.map(|id| id.as_uuid()).into(),
        filter.subject.map(String::from).into(),
        filter.feature.map(String::from).into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.unwrap_or(i64::MAX).into(),
    ];
    let sql = "SELECT entitlements_list($1, $2, $3, $4, $5, $6)::text, cursor_key()";
    db::list(context, sql, &parameters, refuse).await
}

pub async fn read(
    context: &Context,
    digest: TokenDigest,
    place: Place,
) -> Result<EntitlementShown, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        place.organization_id.map(|id| id.as_uuid()).into(),
        place.id.as_uuid().into(),
    ];
    let sql = "SELECT entitlement_read($1, $2, $3)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn create(
    context: &Context,
    digest: TokenDigest,
    id: EntitlementId,
    new: NewEntitlement,
) -> Result<EntitlementShown, Problem> {
    let (r#type, is_soft) = match new.r#type {
        EntitlementType::Boolean => ("boolean", None),
        EntitlementType::Metered => ("metered", Some(new.is_soft.unwrap_or_default())),
    };
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        new.organization_id.map(|id| id.as_uuid()).into(),
        new.subject.map(String::from).into(),
        String::from(new.feature).into(),
        r#type.to_owned().into(),
        new.meter.map(String::from).into(),
        new.limit.map(|limit| limit.0).into(),
        new.period.map(|period| period.name().to_owned()).into(),
        is_soft.into(),
        new.expires_at.map(|moment| moment.0).into(),
        MAX_CURRENT.into(),
    ];
    let sql = "SELECT entitlement_create($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
                                         $11::timestamp AT TIME ZONE 'UTC', $12)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn change(
    context: &Context,
    digest: TokenDigest,
    place: Place,
    change: EntitlementChange,
) -> Result<EntitlementShown, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        place.organization_id.map(|id| id.as_uuid()).into(),
        place.id.as_uuid().into(),
        change.limit.map(|limit| limit.0).into(),
        change.is_soft.into(),
        change.expires_at.is_given().into(),
        change.expires_at.set().map(|moment| moment.0).into(),
    ];
    let sql =
        "SELECT entitlement_change($1, $2, $3, $4, $5, $6, $7::timestamp AT TIME ZONE 'UTC')::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn revoke(
    context: &Context,
    digest: TokenDigest,
    place: Place,
) -> Result<EntitlementShown, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        place.organization_id.map(|id| id.as_uuid()).into(),
        place.id.as_uuid().into(),
    ];
    let sql = "SELECT entitlement_revoke($1, $2, $3)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn reset(
    context: &Context,
    digest: TokenDigest,
    place: Place,
    key: String,
) -> Result<EntitlementReset, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        place.organization_id.map(|id| id.as_uuid()).into(),
        place.id.as_uuid().into(),
        key.into(),
    ];
    let sql = "SELECT entitlement_reset($1, $2, $3, $4)::text";
    db::call(context, sql, &parameters, refuse).await
}
