use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::MeterId;
use shared::metering::MeterName;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{METER_EXISTS, METER_LIMIT, MeterList, MeterShown, NewMeter};

/// Most meters that count.
const MAX_ACTIVE: i32 = 50;

/// Most meters that count events of one type: each keeps something of each event. A batch of
/// 1,000 events of as many subjects, for 20 meters with ten filters of four names each, takes
/// 0.65 of the 1.5 seconds that a statement has.
const MAX_OF_TYPE: i32 = 20;

/// Most meters with those that are archived, which a list shows too.
const MAX_EVER: i32 = 200;

fn refuse(refused: &Refused) -> Option<Problem> {
    Some(match refused.code.as_str() {
        "not_found" => not_found(),
        "meter_exists" => METER_EXISTS
            .because("A name is used once, by an archived meter too. Choose another one."),
        "meter_limit" => METER_LIMIT.because(format!(
            "At most {MAX_ACTIVE} meters count, {MAX_OF_TYPE} of them events of one type, and {MAX_EVER} can be made. Archive one that is not needed."
        )),
        _ => return None,
    })
}

/// 404: there is no such meter.
pub fn not_found() -> Problem {
    Problem::not_found("The organization has no meter with this name.")
}

pub async fn list(context: &Context, digest: TokenDigest) -> Result<MeterList, Problem> {
    let parameters = [digest.0.to_vec().into()];
    db::call(
        context,
        "SELECT meters_list($1)::text",
        &parameters,
        db::no_refusal_of_its_own,
    )
    .await
}

pub async fn read(
    context: &Context,
    digest: TokenDigest,
    slug: MeterName,
) -> Result<MeterShown, Problem> {
    let parameters = [digest.0.to_vec().into(), String::from(slug).into()];
    let sql = "SELECT meter_read($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn create(
    context: &Context,
    digest: TokenDigest,
    id: MeterId,
    new: NewMeter,
) -> Result<MeterShown, Problem> {
    let filters = new.filters.map(|filters| filters.0).unwrap_or_default();
    let filters = serde_json::to_string(&filters).map_err(|_| Problem::internal())?;
    let group_by = new.group_by.map(|paths| paths.0).unwrap_or_default();
    let group_by: Vec<String> = group_by.into_iter().map(Into::into).collect();
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        String::from(new.slug).into(),
        String::from(new.event_type).into(),
        new.aggregation.name().to_owned().into(),
        new.value_property.map(String::from).into(),
        group_by.into(),
        filters.into(),
        MAX_ACTIVE.into(),
        MAX_OF_TYPE.into(),
        MAX_EVER.into(),
    ];
    let sql = "SELECT meter_create($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn archive(
    context: &Context,
    digest: TokenDigest,
    slug: MeterName,
) -> Result<MeterShown, Problem> {
    let parameters = [digest.0.to_vec().into(), String::from(slug).into()];
    let sql = "SELECT meter_archive($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}
