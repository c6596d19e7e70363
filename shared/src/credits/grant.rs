//! Credits that were granted at once.

use serde::{Deserialize, Serialize};

use crate::credits::Description;
use crate::http::problem::Problem;
use crate::http::time::Time;
use crate::ids::CreditGrantId;
use crate::money::Money;

/// For the granter's books; it changes nothing about the spending.
#[shared::body]
#[derive(Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// Credits that were paid for.
    #[default]
    Paid,
    /// Credits that were given away.
    Promotional,
}

impl GrantKind {
    /// Its name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Promotional => "promotional",
        }
    }
}

/// What a grant is good for.
#[shared::answer(read)]
#[derive(Copy, PartialEq, Eq)]
pub enum GrantState {
    /// It is not effective yet.
    Pending,
    /// Something is left.
    Open,
    /// It was spent, is held, has expired or was voided.
    Closed,
}

/// Credits that were granted at once.
#[shared::answer(read)]
#[derive(PartialEq, Eq)]
pub struct Grant {
    /// The grant's id.
    pub id: CreditGrantId,
    /// For the granter's books; it changes nothing about the spending.
    pub kind: GrantKind,
    /// 0 to 100. Of two grants the one with the lower priority is spent first, then the one
    /// that expires earlier, then the older.
    pub priority: u32,
    /// What it is good for.
    pub state: GrantState,
    /// What was granted.
    pub amount: Money,
    /// The part that is left and not held.
    pub remaining: Money,
    /// The part that is held.
    pub held: Money,
    /// The granter's description.
    pub description: Description,
    /// From when on it can be spent.
    pub effective_at: Time,
    /// Until when, exclusive. Null: it does not expire.
    pub expires_at: Option<Time>,
    /// When the rest of it was taken back. Null: it was not voided.
    pub voided_at: Option<Time>,
    /// When it was granted.
    pub created_at: Time,
}

crate::refusals! {
    /// The account has as many grants as it can have.
    TOO_MANY_OPEN_GRANTS = 409 "too_many_open_grants", "The account has too many open grants",
        "the account has 150 grants that are pending or will expire, or 5,000 open ones.";
}

/// 409: the account has as many grants as it can have.
pub fn too_many_open_grants() -> Problem {
    TOO_MANY_OPEN_GRANTS
        .because("Nothing was granted. Void a grant, or wait until one is spent or expires.")
}

/// 422: the grant would end before it begins, or has ended already.
pub fn expires_too_early() -> Problem {
    Problem::invalid_field(
        "expires_at",
        "too_early",
        "must be later than now and than effective_at",
    )
}

/// 422: the balance would exceed the largest one.
pub fn balance_limit() -> Problem {
    Problem::invalid_field(
        "amount",
        "balance_limit",
        "would raise the account above the largest balance",
    )
}

/// Why an account, of a user or a pool, does not take a grant, by the code of
/// `account_grant` in the database.
pub fn refused(code: &str) -> Option<Problem> {
    Some(match code {
        "expires_too_early" => expires_too_early(),
        "too_many_open_grants" => too_many_open_grants(),
        "balance_limit" => balance_limit(),
        _ => return None,
    })
}
