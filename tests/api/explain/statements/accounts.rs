//! Who is billed.

use super::Row;

pub const ROWS: [Row; 17] = [
    Row {
        name: "billing_accounts_list of all",
        sql: "CALL explain_administrator();
              SELECT billing_accounts_list(explain_digest(5), NULL, NULL, NULL, NULL, NULL, NULL, 20, NULL, NULL)",
        answer: "Account 200000",
        indexes: &["billing_accounts_by_id"],
    },
    Row {
        name: "billing_accounts_list of all, a further page",
        sql: "CALL explain_administrator();
              SELECT billing_accounts_list(explain_digest(5), NULL, NULL, NULL, NULL, NULL, NULL, 20, '', explain_id(1001))",
        answer: "Account 1000",
        indexes: &["billing_accounts_by_id"],
    },
    Row {
        name: "billing_accounts_list by status",
        sql: "CALL explain_administrator();
              SELECT billing_accounts_list(explain_digest(5), 'closed', NULL, NULL, NULL, NULL, NULL, 20, '', explain_id(90001))",
        answer: "Account 90000",
        indexes: &["billing_accounts_by_status"],
    },
    Row {
        name: "billing_accounts_list by currency",
        sql: "CALL explain_administrator();
              SELECT billing_accounts_list(explain_digest(5), NULL, 'EUR', NULL, NULL, NULL, NULL, 20, '', explain_id(90001))",
        answer: "Account 90000",
        indexes: &["billing_accounts_by_currency"],
    },
    Row {
        name: "billing_accounts_list by external id",
        sql: "CALL explain_administrator();
              SELECT billing_accounts_list(explain_digest(5), NULL, NULL, 'crm-7', NULL, NULL, NULL, 20, NULL, NULL)",
        answer: "Account 7",
        indexes: &["billing_accounts_by_external_id"],
    },
    Row {
        name: "billing_accounts_list by metadata",
        sql: "CALL explain_administrator();
              SELECT billing_accounts_list(explain_digest(5), NULL, NULL, NULL, 'tier', '7', NULL, 20, '', explain_id(90010))",
        answer: "Account 90007",
        indexes: &["billing_account_metadata_by_value", "billing_accounts_by_id"],
    },
    Row {
        name: "billing_accounts_list by name",
        sql: "CALL explain_administrator();
              SELECT billing_accounts_list(explain_digest(5), NULL, NULL, NULL, NULL, NULL, 'ACCOUNT', 20, 'account 99', explain_id(1))",
        answer: "Account 990",
        indexes: &["billing_accounts_by_name", "billing_accounts_by_email"],
    },
    Row {
        name: "billing_accounts_list by email",
        sql: "CALL explain_administrator();
              SELECT billing_accounts_list(explain_digest(5), NULL, NULL, NULL, NULL, NULL, 'user', 20, NULL, NULL)",
        answer: "user-100000@example.com",
        indexes: &["billing_accounts_by_name", "billing_accounts_by_email"],
    },
    Row {
        name: "billing_accounts_list of an organization",
        sql: "SELECT billing_accounts_list(explain_digest(5), NULL, NULL, NULL, NULL, NULL, NULL, 20, '', explain_id(1001))",
        answer: "Account 1000",
        indexes: &["billing_accounts_pkey"],
    },
    Row {
        name: "billing_account_read",
        sql: "SELECT billing_account_read(explain_digest(5), explain_id(7))",
        answer: "Account 7",
        indexes: &["billing_accounts_by_id"],
    },
    Row {
        name: "billing_account_read of any",
        sql: "CALL explain_administrator();
              SELECT billing_account_read(explain_digest(5), explain_id(7777))",
        answer: "Account 7777",
        indexes: &["billing_accounts_by_id"],
    },
    Row {
        name: "billing_account_change",
        sql: "SELECT billing_account_change(explain_digest(5), jsonb_build_object(
                  'op', 'update', 'id', explain_id(7), 'version', 1, 'patch', '{\"name\":\"Other\"}'::jsonb))",
        answer: "Other",
        indexes: &["billing_accounts_by_id"],
    },
    Row {
        name: "billing_account_create",
        sql: "CALL explain_administrator();
              SELECT billing_account_create(explain_digest(5), jsonb_build_object(
                  'op', 'create', 'id', gen_random_uuid(), 'kind', 'person', 'is_test', false,
                  'patch', jsonb_build_object('name', 'New', 'parent_id', explain_id(190001))))",
        answer: "has_parent",
        indexes: &["billing_accounts_by_id"],
    },
    Row {
        name: "billing_accounts_write",
        sql: "CALL explain_administrator();
              SELECT billing_accounts_write(explain_digest(5), jsonb_build_array(
                  jsonb_build_object('op', 'update', 'id', explain_id(7), 'version', NULL,
                                     'patch', jsonb_build_object('name', 'Other', 'parent_id', explain_id(190001))),
                  jsonb_build_object('op', 'create', 'id', gen_random_uuid(), 'kind', 'person', 'is_test', false,
                                     'patch', '{\"name\":\"New\",\"external_id\":\"crm-7\"}'::jsonb)))",
        answer: "external_id_taken",
        indexes: &["billing_accounts_by_id"],
    },
    Row {
        name: "billing_account_close",
        sql: "CALL explain_administrator();
              SELECT billing_account_close(explain_digest(5), explain_id(150001), true)",
        answer: "closed",
        indexes: &["billing_accounts_by_id", "billing_accounts_by_parent"],
    },
    Row {
        name: "billing_accounts_export of an organization",
        sql: "SELECT billing_accounts_export(explain_digest(5), 101)",
        answer: "Account 1900",
        indexes: &["billing_accounts_pkey"],
    },
    Row {
        name: "billing_accounts_page",
        sql: "SELECT billing_accounts_page(NULL, explain_id(1001), 101)",
        answer: "Account 900",
        indexes: &["billing_accounts_by_id"],
    },
];
