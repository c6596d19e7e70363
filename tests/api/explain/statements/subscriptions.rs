//! Plans that accounts have.

use super::Row;

pub const ROWS: [Row; 12] = [
    Row {
        name: "subscriptions_list of an organization",
        sql: "SELECT subscriptions_list(explain_digest(5), NULL, NULL, NULL, 20, explain_id(1001))",
        answer: "plan-1",
        indexes: &["subscriptions_pkey"],
    },
    Row {
        name: "subscriptions_list of an account",
        sql: "SELECT subscriptions_list(explain_digest(5), explain_id(8), NULL, NULL, 20, NULL)",
        answer: "plan-8",
        indexes: &["subscriptions_by_account"],
    },
    Row {
        name: "subscriptions_list of all",
        sql: "CALL explain_administrator();
              SELECT subscriptions_list(explain_digest(5), NULL, NULL, NULL, 20, explain_id(50001))",
        answer: "plan-1",
        indexes: &["subscriptions_by_id"],
    },
    Row {
        name: "subscriptions_list by status",
        sql: "CALL explain_administrator();
              SELECT subscriptions_list(explain_digest(5), NULL, NULL, 'canceled', 20, explain_id(90001))",
        answer: "canceled",
        indexes: &["subscriptions_by_status"],
    },
    Row {
        name: "subscriptions_list by plan",
        sql: "CALL explain_administrator();
              SELECT subscriptions_list(explain_digest(5), NULL, 'plan-8', NULL, 20, explain_id(90001))",
        answer: "plan-8",
        indexes: &["plans_by_code", "subscriptions_by_plan"],
    },
    Row {
        name: "subscriptions_list by plan and status",
        sql: "CALL explain_administrator();
              SELECT subscriptions_list(explain_digest(5), NULL, 'plan-8', 'active', 20, explain_id(90001))",
        answer: "plan-8",
        indexes: &["plans_by_code", "subscriptions_by_plan_and_status"],
    },
    Row {
        name: "subscription_read",
        sql: "SELECT subscription_read(explain_digest(5), explain_id(7))",
        answer: "plan-8",
        indexes: &["subscriptions_by_id"],
    },
    Row {
        name: "subscription_versions_list",
        sql: "SELECT subscription_versions_list(explain_digest(5), explain_id(1), 20, 1001)",
        answer: "renewed",
        indexes: &["subscription_versions_pkey"],
    },
    Row {
        name: "subscription_adjustments_list",
        sql: "SELECT subscription_adjustments_list(explain_digest(5), explain_id(1), 20, 1001001)",
        answer: "base",
        indexes: &["subscription_adjustments_pkey"],
    },
    Row {
        name: "subscription_begin",
        sql: "CALL explain_administrator();
              SELECT subscription_begin(explain_digest(5), 'key', '', explain_id(7), NULL, NULL, NULL)",
        answer: "periods",
        indexes: &["subscriptions_by_id", "billing_accounts_by_id", "plan_versions_pkey", "subscription_adjustments_by_period"],
    },
    Row {
        name: "account_spend_read",
        sql: "SELECT account_spend_read(explain_digest(5), explain_id(2), 1000, 100000, 10000)",
        answer: "segments",
        indexes: &["subscriptions_by_account", "subscription_versions_pkey", "subscription_adjustments_by_period"],
    },
    Row {
        name: "subscriptions_due",
        sql: "CALL explain_administrator();
              SELECT subscriptions_due(explain_digest(5), 20)",
        answer: "periods",
        indexes: &["subscriptions_due"],
    },
];
