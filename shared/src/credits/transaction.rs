//! The transactions of a credit ledger, and which of them a list shows.

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

use crate::credits::{Description, UsageName};
use crate::http::pagination::{Cursor, PageLimit};
use crate::http::time::{Moment, Time};
use crate::ids::CreditTransactionId;
use crate::money::{Currency, Money};

/// What a transaction did.
#[shared::body]
#[derive(Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransactionKind {
    /// Credits were given.
    Grant,
    /// A grant became effective.
    Activate,
    /// Credits were spent.
    Consume,
    /// What was left of a grant lapsed.
    Expire,
    /// What was left of a grant was taken back.
    Void,
    /// Spent credits came back.
    Refund,
    /// Credits were reserved.
    Hold,
    /// Reserved credits were spent.
    Capture,
    /// Reserved credits were given back.
    Release,
}

impl TransactionKind {
    /// Its name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Activate => "activate",
            Self::Consume => "consume",
            Self::Expire => "expire",
            Self::Void => "void",
            Self::Refund => "refund",
            Self::Hold => "hold",
            Self::Capture => "capture",
            Self::Release => "release",
        }
    }
}

/// Where credits are.
#[shared::answer(read)]
#[derive(Copy, PartialEq, Eq)]
pub enum CreditBucket {
    /// Outside of the account.
    Issued,
    /// In a grant that is not effective yet.
    Pending,
    /// Where they can be spent.
    Available,
    /// Reserved for an operation under way.
    Held,
    /// Spent.
    Consumed,
    /// Lapsed.
    Expired,
}

impl CreditBucket {
    /// Its name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Pending => "pending",
            Self::Available => "available",
            Self::Held => "held",
            Self::Consumed => "consumed",
            Self::Expired => "expired",
        }
    }
}

/// One transaction of a credit ledger.
#[shared::answer(read)]
#[derive(PartialEq, Eq)]
pub struct Transaction {
    /// The transaction's id.
    pub id: CreditTransactionId,
    /// What it did.
    pub kind: TransactionKind,
    /// The change: above zero for credits that can be spent since, or will be; below
    /// zero for credits that cannot any more, or were spent.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "crate::http::input::SignedMoney")
    )]
    pub amount: Money,
    /// What could be spent after it.
    pub available_after: Money,
    /// Where the credits were.
    pub debited: CreditBucket,
    /// Where they are since.
    pub credited: CreditBucket,
    /// The caller's description, or a word for what fell due.
    pub description: Description,
    /// The service that was paid for, if the spender named one.
    pub service: Option<UsageName>,
    /// The model that was paid for, if the spender named one.
    pub model: Option<UsageName>,
    /// When it came to pass: for what fell due, when it did. since and until ask for this.
    pub occurred_at: Time,
    /// When it was entered: for what fell due the same as occurred_at, whenever it was posted.
    pub created_at: Time,
}

/// Which transactions a list shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransactionFilter {
    /// Only of this kind.
    pub kind: Option<TransactionKind>,
    /// Only those that happened at this moment or later.
    pub since: Option<Moment>,
    /// Only those that happened before this moment.
    pub until: Option<Moment>,
}

impl TransactionFilter {
    /// The kind as the database has it.
    pub fn kind_name(&self) -> Option<String> {
        self.kind.map(|kind| kind.as_str().to_owned())
    }

    /// [`TransactionFilter::since`] in UTC.
    pub fn since_utc(&self) -> Option<NaiveDateTime> {
        self.since.map(|moment| moment.0)
    }

    /// [`TransactionFilter::until`] in UTC.
    pub fn until_utc(&self) -> Option<NaiveDateTime> {
        self.until.map(|moment| moment.0)
    }
}

/// What a page of a ledger is asked for by.
#[shared::body(query)]
pub struct TransactionsQuery {
    /// The currency; USD when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = "USD")))]
    pub currency: Option<Currency>,
    /// Only transactions of this kind.
    pub kind: Option<TransactionKind>,
    /// Only what occurred at this time (RFC 3339) or later.
    pub since: Option<Moment>,
    /// Only what occurred before this time (RFC 3339).
    pub until: Option<Moment>,
    /// Items in a page; 50 when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 50)))]
    pub limit: Option<PageLimit>,
    /// The next_cursor of an earlier page of this list; the first page when absent.
    pub cursor: Option<Cursor>,
}

impl TransactionsQuery {
    /// Which transactions it asks for.
    pub const fn filter(&self) -> TransactionFilter {
        TransactionFilter {
            kind: self.kind,
            since: self.since,
            until: self.until,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::input;

    #[test]
    fn kinds_are_read_as_they_are_written() {
        let table = [
            "grant", "activate", "consume", "expire", "void", "refund", "hold", "capture",
            "release",
        ];
        for name in table {
            let kind: TransactionKind = input::text(name).expect("it is a kind");
            assert_eq!(kind.as_str(), name);
            assert_eq!(serde_json::to_value(kind).ok(), Some(json!(name)));
            assert_eq!(serde_json::from_value(json!(name)).ok(), Some(kind));
        }
        for name in ["", "Grant", "grants"] {
            let refused = input::text::<TransactionKind>(name).map_err(|invalid| invalid.code);
            assert_eq!(refused, Err("invalid"), "{name:?}");
        }
    }

    #[test]
    fn buckets_are_written_as_they_are_read() {
        let table = [
            "issued",
            "pending",
            "available",
            "held",
            "consumed",
            "expired",
        ];
        for name in table {
            let bucket: CreditBucket = serde_json::from_value(json!(name)).expect("a bucket");
            assert_eq!(bucket.as_str(), name);
        }
    }
}
