//! Credits that are reserved for an operation under way.

use crate::credits::{Description, UsageName};
use crate::http::time::Time;
use crate::ids::CreditHoldId;
use crate::money::Money;

/// What became of a hold.
#[shared::answer(read)]
#[derive(Copy, PartialEq, Eq)]
pub enum HoldState {
    /// The credits are reserved.
    Open,
    /// Some of them were spent, and the rest given back.
    Captured,
    /// They were given back.
    Released,
    /// Nobody settled it in time, and they were given back.
    Expired,
}

impl HoldState {
    /// Its name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Captured => "captured",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }
}

/// Credits that are reserved for an operation under way.
#[shared::answer(read)]
#[derive(PartialEq, Eq)]
pub struct Hold {
    /// The hold's id.
    pub id: CreditHoldId,
    /// What became of it.
    pub state: HoldState,
    /// What was reserved.
    pub amount: Money,
    /// What was spent in the end: of the hold, and beyond it.
    pub captured: Money,
    /// The caller's description.
    pub description: Description,
    /// The service that is paid for, if the caller named one.
    pub service: Option<UsageName>,
    /// The model that is paid for, if the caller named one.
    pub model: Option<UsageName>,
    /// When it is released by itself.
    pub expires_at: Time,
    /// When it was made.
    pub created_at: Time,
    /// When it was captured, released or expired; null while it is open.
    pub settled_at: Option<Time>,
}
