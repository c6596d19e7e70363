use serde::Deserialize;
use shared::auth::lockout;
use shared::auth::second_factor::Enrolment;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::UserId;
use shared::store::db::{self, Parameter};
use shared::text::email::EmailAddress;
use shared::token::TokenDigest;

use crate::handler::{self, State};

/// Whose second factor it is.
pub struct User {
    pub id: UserId,
    pub email: EmailAddress,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Found(State),
    Enrolled {
        user_id: UserId,
        email: String,
    },
    Proceed {
        user_id: UserId,
        email: String,
        enrolment: Enrolment,
    },
    Enabled,
    Disabled,
    Replaced,
    Locked {
        retry_after_secs: u32,
    },
    TotpEnabled,
    TotpNotEnrolled,
    TotpNotEnabled,
    RecentLoginRequired,
    SessionRequired,
    Unauthenticated,
}

impl Answer {
    /// The problem that this answer stands for, when it is none of those that
    /// the statement gives on success.
    fn into_problem(self) -> Problem {
        match self {
            Self::Locked { retry_after_secs } => lockout::locked(retry_after_secs),
            Self::TotpEnabled => handler::totp_enabled(),
            Self::TotpNotEnrolled => handler::totp_not_enrolled(),
            Self::TotpNotEnabled => handler::totp_not_enabled(),
            Self::RecentLoginRequired => Problem::recent_login_required(),
            Self::SessionRequired => Problem::session_required(),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::Found(_)
            | Self::Enrolled { .. }
            | Self::Proceed { .. }
            | Self::Enabled
            | Self::Disabled
            | Self::Replaced => Problem::internal(),
        }
    }
}

fn user(id: UserId, email: &str) -> Result<User, Problem> {
    let email = EmailAddress::parse(email).map_err(|_| Problem::internal())?;
    Ok(User { id, email })
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
pub async fn state(context: &Context, digest: TokenDigest) -> Result<State, Problem> {
    let parameters = [digest.0.to_vec().into()];
    match db::call(context, "SELECT auth_totp($1)::text", &parameters).await? {
        Answer::Found(state) => Ok(state),
        other => Err(other.into_problem()),
    }
}

/// Begins an enrolment, in place of one that was not confirmed.
pub async fn enrol(
    context: &Context,
    digest: TokenDigest,
    enrolment: Enrolment,
) -> Result<User, Problem> {
    let parameters = [digest.0.to_vec().into(), enrolment.0.to_vec().into()];
    let sql = "SELECT auth_totp_enrol($1, $2)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Enrolled { user_id, email } => user(user_id, &email),
        other => Err(other.into_problem()),
    }
}

/// Reads what the first code must match, unless guessing is stopped.
pub async fn begin_confirmation(
    context: &Context,
    digest: TokenDigest,
    address: &str,
) -> Result<(User, Enrolment), Problem> {
    let parameters = [digest.0.to_vec().into(), address.to_owned().into()];
    let sql = "SELECT auth_totp_confirm_begin($1, $2)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Proceed {
            user_id,
            email,
            enrolment,
        } => Ok((user(user_id, &email)?, enrolment)),
        other => Err(other.into_problem()),
    }
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
    match db::call(context, sql, &parameters).await? {
        Answer::Enabled => Ok(()),
        other => Err(other.into_problem()),
    }
}

/// Ends the second factor.
pub async fn disable(context: &Context, digest: TokenDigest) -> Result<(), Problem> {
    let parameters = [digest.0.to_vec().into()];
    match db::call(context, "SELECT auth_totp_disable($1)::text", &parameters).await? {
        Answer::Disabled => Ok(()),
        other => Err(other.into_problem()),
    }
}

/// Replaces the recovery codes.
pub async fn replace_recovery_codes(
    context: &Context,
    digest: TokenDigest,
    recovery_digests: &[[u8; 32]],
) -> Result<(), Problem> {
    let parameters = [digest.0.to_vec().into(), digest_array(recovery_digests)];
    let sql = "SELECT auth_recovery_codes_replace($1, $2)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Replaced => Ok(()),
        other => Err(other.into_problem()),
    }
}
