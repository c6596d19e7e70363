//! What the platform's jobs and monitors read, every few seconds or for page after page.

use super::Row;

pub const ROWS: [Row; 7] = [
    Row {
        name: "cache_warmed_organizations of all",
        sql: "SELECT cache_warmed_organizations('full', 7, explain_id(500), 20)",
        answer: "00000000-0000-0000-0000-0000000001f5",
        indexes: &["organizations_pkey"],
    },
    Row {
        name: "cache_warmed_organizations with a subscription",
        sql: "SELECT cache_warmed_organizations('plans', 7, explain_id(500), 20)",
        answer: "00000000-0000-0000-0000-0000000001f5",
        indexes: &["organization_subscriptions_pkey"],
    },
    Row {
        name: "cache_warmed_organizations with a pool",
        sql: "CALL explain_pool();
              SELECT cache_warmed_organizations('stats', 7, no_organization(), 1)",
        answer: "00000000-0000-0000-0000-000000000001",
        indexes: &["organizations_pkey", "credit_accounts_by_owner"],
    },
    Row {
        name: "cache_warmed_organizations in use",
        sql: "SELECT cache_warmed_organizations('profiles', 7, no_organization(), 20)",
        answer: "00000000-0000-0000-0000-0000000007d1",
        indexes: &["organizations_pkey", "sessions_pkey"],
    },
    Row {
        name: "cache_warmed_organizations, predicted",
        sql: "SELECT cache_warmed_organizations('predicted', 7, explain_id(2001), 20)",
        answer: "00000000-0000-0000-0000-0000000007d2",
        indexes: &["organizations_pkey", "sessions_pkey"],
    },
    Row {
        name: "cache_warmed_values",
        sql: "CALL explain_pool();
              SELECT cache_warmed_values('full', ARRAY[explain_id(1), explain_id(2), explain_id(3)])",
        answer: "expires_millis",
        indexes: &["organization_subscriptions_pkey", "credit_accounts_by_owner"],
    },
    Row {
        name: "stored_metrics",
        sql: "SELECT stored_metrics()",
        answer: "oldest_due_age_millis",
        indexes: &["outbox_messages_due"],
    },
];
