use shared::credits::{TransactionFilter, TransactionKind};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::time::Moment;
use shared::money::Currency;

#[shared::body(query)]
pub struct TransactionsExportQuery {
    /// The currency. All currencies when absent.
    pub currency: Option<Currency>,
    /// Only transactions of this kind.
    pub kind: Option<TransactionKind>,
    /// Only what occurred at this time (RFC 3339) or later.
    pub since: Option<Moment>,
    /// Only what occurred before this time (RFC 3339).
    pub until: Option<Moment>,
}

impl TransactionsExportQuery {
    pub const fn filter(&self) -> TransactionFilter {
        TransactionFilter {
            kind: self.kind,
            since: self.since,
            until: self.until,
        }
    }
}

pub const EXPORT: Operation = Operation::new(
    "credits-transactions-export",
    Verb::Get,
    "/api/v1/credits/transactions/export",
    Access::Permission("credits:read"),
)
.tag("credits")
.summary("Download the caller's transactions as a CSV file")
.details("RFC 4180 in UTF-8 with a header row, newest first, in all currencies or in one, as of the moment of the request. In one, the name of the file has the currency: transactions-USD.csv. A service, model or description that begins with =, +, - or @ in any width, with white space, with a character that has no width or with an apostrophe has one apostrophe more before it, so that no spreadsheet runs it: take one leading apostrophe off, and each text is as it was. Up to 1,000 rows have a Content-Length; more are sent as they are read, without one. If that fails or takes longer than 60 seconds, the body ends in an error and not with its last chunk: throw away what came, and narrow it with since and until.")
.query::<TransactionsExportQuery>()
.answers(&[Answer::of::<String>(
    "text/csv",
    200,
    "The file.",
    "id,kind,amount,currency,available_after,debited,credited,service,model,description,occurred_at,created_at\nctx_0199a2c4e2119e6fb08192a3b4c5d6e7,consume,-1.25,USD,98.75,available,consumed,chat,,\"1,250 tokens\",2026-11-21T09:30:00.123456Z,2026-11-21T09:30:00.123456Z\n",
)
.as_file("attachment; filename=\"transactions.csv\"")]);
