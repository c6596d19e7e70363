use serde::Deserialize;
use shared::auth::lockout::{self, Guess};
use shared::auth::second_factor::{Enrolment, TOTP_NOT_ENABLED};
use shared::http::ClientAddress;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{GuessId, UserId};
use shared::store::db::{self, Parameter, Refused};
use shared::text::email::EmailAddress;
use shared::token::TokenDigest;

use crate::operations::{SecondFactorState, TOTP_ENABLED, TOTP_NOT_ENROLLED, TotpDisabled};

/// Whose second factor it is.
#[derive(Deserialize)]
pub struct User {
    pub user_id: UserId,
    pub email: EmailAddress,
}

/// An enrolment that waits for its first code.
#[derive(Deserialize)]
pub struct Pending {
    pub user_id: UserId,
    pub enrolment: Enrolment,
    subject: String,
}

fn refuse(refused: &Refused) -> Option<Problem> {
    Some(match refused.code.as_str() {
        "totp_enabled" => {
            TOTP_ENABLED.because("Turn it off first, to enrol another authenticator.")
        }
        "totp_not_enrolled" => TOTP_NOT_ENROLLED
            .because("Begin one with POST /api/v1/auth/totp, and confirm it within an hour."),
        "totp_not_enabled" => TOTP_NOT_ENABLED
            .because("Recovery codes stand in for a second factor, and there is none."),
        _ => return lockout::refuse(refused),
    })
}

/// The array of texts in which digests go to the database.
fn digest_array(digests: &[[u8; 32]]) -> Parameter {
    let digests = digests.iter().map(|digest| {
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(digits)
    });
    digests.collect::<Vec<_>>().into()
}

/// Whether the second factor is on.
pub async fn state(context: &Context, digest: TokenDigest) -> Result<SecondFactorState, Problem> {
    let sql = "SELECT auth_totp($1)::text";
    let parameters = [digest.0.to_vec().into()];
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}

/// Begins an enrolment, in place of one that was not confirmed.
pub async fn enrol(
    context: &Context,
    digest: TokenDigest,
    enrolment: Enrolment,
) -> Result<User, Problem> {
    let parameters = [digest.0.to_vec().into(), enrolment.0.to_vec().into()];
    let sql = "SELECT auth_totp_enrol($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

/// Counts the guess, and reads what the first code must match, unless the session has to
/// wait.
pub async fn begin_confirmation(
    context: &Context,
    digest: TokenDigest,
    guess_id: GuessId,
    address: &ClientAddress,
) -> Result<(Guess, Pending), Problem> {
    let parameters = [digest.0.to_vec().into(), guess_id.as_uuid().into()];
    let sql = "SELECT auth_totp_confirm_begin($1, $2)::text";
    let pending: Pending = db::call(context, sql, &parameters, refuse).await?;
    let guess = Guess::at_code(guess_id, address, pending.subject.clone());
    Ok((guess, pending))
}

/// Puts the enrolment in force for which the code was right.
pub async fn confirm(
    context: &Context,
    digest: TokenDigest,
    enrolment: Enrolment,
    step: i64,
    recovery_digests: &[[u8; 32]],
) -> Result<(), Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        enrolment.0.to_vec().into(),
        step.into(),
        digest_array(recovery_digests),
    ];
    let sql = "SELECT auth_totp_confirm($1, $2, $3, $4)::text";
    db::call(context, sql, &parameters, refuse).await
}

/// Ends the second factor.
pub async fn disable(context: &Context, digest: TokenDigest) -> Result<TotpDisabled, Problem> {
    let sql = "SELECT auth_totp_disable($1)::text";
    let parameters = [digest.0.to_vec().into()];
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}

/// Replaces the recovery codes.
pub async fn replace_recovery_codes(
    context: &Context,
    digest: TokenDigest,
    recovery_digests: &[[u8; 32]],
) -> Result<(), Problem> {
    let parameters = [digest.0.to_vec().into(), digest_array(recovery_digests)];
    let sql = "SELECT auth_recovery_codes_replace($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}
