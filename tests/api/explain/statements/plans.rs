//! The catalog of plans.

use super::Row;

pub const ROWS: [Row; 5] = [
    Row {
        name: "plans_list",
        sql: "SELECT plans_list(explain_digest(5), 20, 50000)",
        answer: "Plan 49999",
        indexes: &["plans_by_sequence"],
    },
    Row {
        name: "plan_versions_list",
        sql: "SELECT plan_versions_list(explain_digest(5), 'plan-1', 20, 1500)",
        answer: "1499",
        indexes: &["plans_by_code", "plan_versions_pkey"],
    },
    Row {
        name: "plan_version_read",
        sql: "SELECT plan_version_read(explain_digest(5), 'plan-1', 2000)",
        answer: "2000",
        indexes: &["plans_by_code", "plan_versions_pkey"],
    },
    Row {
        name: "pricing_estimate_read, the newest",
        sql: "SELECT pricing_estimate_read(explain_digest(5), 'plan-1', NULL, '')",
        answer: "2000",
        indexes: &["plans_by_code", "plan_versions_pkey"],
    },
    Row {
        name: "plan_version_create",
        sql: "CALL explain_administrator();
              SELECT plan_version_create(explain_digest(5), gen_random_uuid(), 'plan-2', '{\"currency\":\"USD\",\"charges\":[]}', '{USD}', 1000)",
        answer: "is_new",
        indexes: &["plans_by_code", "plan_versions_id_key", "plan_versions_pkey"],
    },
];
