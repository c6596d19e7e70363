//! How the types of the rooms below `http` are read.

use crate::http::input::{FromText, Invalid};
use crate::http::pagination::{Cursor, NOT_OF_THIS_LIST};
use crate::ids;
use crate::money::{Currency, Rounding};
use crate::text::email::EmailAddress;

/// Reads types from a text by their own [`std::str::FromStr`], whose words are shown.
macro_rules! from_str {
    ($($name:ty),* $(,)?) => {
        $(impl FromText for $name {
            fn from_text(text: &str) -> Result<Self, Invalid> {
                text.parse().map_err(|error| Invalid::new("invalid", format!("{error}")))
            }
        })*
    };
}

from_str!(
    Currency,
    ids::ApiKeyId,
    ids::BillingAccountId,
    ids::CreditAccountId,
    ids::CreditGrantId,
    ids::CreditHoldId,
    ids::CreditTransactionId,
    ids::DeviceId,
    ids::EntitlementId,
    ids::GuessId,
    ids::HashLeaseId,
    ids::InvitationId,
    ids::MeterId,
    ids::OrganizationId,
    ids::OutboxMessageId,
    ids::PlanId,
    ids::PlanVersionId,
    ids::SessionId,
    ids::SubscriptionId,
    ids::UsageAlertId,
    ids::UserId,
);

impl FromText for Rounding {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|policy| policy.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Invalid::new("invalid", format!("must be one of {names}"))
        })
    }
}

impl FromText for EmailAddress {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        Self::parse(text).map_err(|_| Invalid::new("invalid_email", "must be an email address"))
    }
}

impl FromText for Cursor {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        Self::decode(text).ok_or_else(|| Invalid::new("invalid", NOT_OF_THIS_LIST))
    }
}
