//! A person's credits.

use super::Row;

pub const ROWS: [Row; 30] = [
    Row {
        name: "credits_balance",
        sql: "SELECT credits_balance(explain_digest(5), 'USD')",
        answer: "100.000000000",
        indexes: &["credit_accounts_by_owner"],
    },
    Row {
        name: "credits_transactions",
        sql: "SELECT credits_transactions(explain_digest(5), 'USD', 20)",
        answer: "ctx_",
        indexes: &["credit_accounts_by_owner", "ledger_transfers_by_account"],
    },
    Row {
        name: "credits_transactions by kind",
        sql: "SELECT credits_transactions(explain_digest(5), 'USD', 20, 'expire')",
        answer: "expire",
        indexes: &["credit_accounts_by_owner", "ledger_transfers_by_kind"],
    },
    Row {
        name: "credits_transactions by time",
        sql: "SELECT credits_transactions(explain_digest(5), 'USD', 20, NULL, now() - interval '1 day', now() + interval '1 day')",
        answer: "ctx_",
        indexes: &["credit_accounts_by_owner", "ledger_transfers_by_account"],
    },
    Row {
        name: "credits_transactions_export",
        sql: "SELECT credits_transactions_export(explain_digest(5), 'USD', 1001)",
        answer: "ctx_",
        indexes: &["credit_accounts_by_owner", "ledger_transfers_by_account"],
    },
    Row {
        name: "credits_transactions_export, a further page of one kind",
        sql: "SELECT transfers_page(explain_id(1), explain_id(1), '[{\"currency\":\"USD\",\"first\":0,\"before\":1000}]', 'expire', 100)",
        answer: "expire",
        indexes: &["ledger_transfers_by_kind"],
    },
    Row {
        name: "credits_transactions of all currencies",
        sql: "CALL explain_euros(explain_id(1));
              SELECT credits_transactions(explain_digest(5), NULL, 20)",
        answer: "EUR",
        indexes: &["credit_accounts_by_owner", "ledger_transfers_by_account"],
    },
    Row {
        name: "credits_transactions of all currencies, by kind",
        sql: "CALL explain_euros(explain_id(1));
              SELECT credits_transactions(explain_digest(5), NULL, 20, 'expire')",
        answer: "EUR",
        indexes: &["credit_accounts_by_owner", "ledger_transfers_by_kind"],
    },
    Row {
        name: "credits_transactions of all currencies, a further page",
        sql: "CALL explain_euros(explain_id(1));
              SELECT credits_transactions(explain_digest(5), NULL, 20, NULL, NULL, NULL, t.created_at, 'EUR', t.id)
                FROM ledger_transfers t WHERE organization_id = explain_id(1) AND id = explain_id(1000100)",
        answer: "EUR",
        indexes: &["credit_accounts_by_owner", "ledger_transfers_by_account", "ledger_transfers_pkey"],
    },
    Row {
        name: "credits_transactions_export of all currencies",
        sql: "CALL explain_euros(explain_id(1));
              SELECT credits_transactions_export(explain_digest(5), NULL, 101)",
        answer: "EUR",
        indexes: &["credit_accounts_by_owner", "ledger_transfers_by_account"],
    },
    Row {
        name: "credits_grants_list of all currencies, a further page",
        sql: "CALL explain_euros(explain_id(1));
              SELECT credits_grants_list(explain_digest(5), NULL, 20, g.created_at, 'EUR', g.id)
                FROM credit_grants g WHERE organization_id = explain_id(1) AND id = explain_id(1000100)",
        answer: "EUR",
        indexes: &["credit_accounts_by_owner", "credit_grants_by_account"],
    },
    Row {
        name: "credits_usage_summary by day",
        sql: "SELECT credits_usage_summary(explain_digest(5), 'USD', '2026-01-01', '2027-01-01', true, false, false, 50)",
        answer: "2026-01-31",
        indexes: &["credit_accounts_by_owner", "credit_usage_daily_pkey"],
    },
    Row {
        name: "credits_usage_summary by all, a further page",
        sql: "SELECT credits_usage_summary(explain_digest(5), 'USD', '2026-01-01', '2027-01-01', true, true, true, 50,
                                           '2026-01-20', 'service-3', 'model-7')",
        answer: "service-4",
        indexes: &["credit_accounts_by_owner", "credit_usage_daily_pkey"],
    },
    Row {
        name: "credits_consume, with names",
        sql: "SELECT credits_consume(explain_digest(5), 'new key', explain_hash(1), gen_random_uuid(), 'USD', 1, '',
                                     'chat', 'small')",
        answer: "small",
        indexes: &["credit_accounts_by_owner", "credit_usage_daily_pkey"],
    },
    Row {
        name: "credits_grants_list",
        sql: "SELECT credits_grants_list(explain_digest(5), 'USD', 20)",
        answer: "cgr_",
        indexes: &["credit_accounts_by_owner", "credit_grants_by_account"],
    },
    Row {
        name: "credits_hold",
        sql: "SELECT credits_hold(explain_digest(5), 'new key', explain_hash(1), gen_random_uuid(), gen_random_uuid(), 'USD', 1, '', 900)",
        answer: "held",
        indexes: &["credit_accounts_by_owner", "credit_grants_spendable"],
    },
    Row {
        name: "credits_consume",
        sql: "SELECT credits_consume(explain_digest(5), 'new key', explain_hash(1), gen_random_uuid(), 'USD', 1, '')",
        answer: "consumed",
        indexes: &[
            "credit_accounts_by_owner",
            "idempotency_keys_pkey",
            "credit_grants_spendable",
        ],
    },
    Row {
        name: "credits_consume_many",
        sql: "SELECT credits_consume_many(
                  ARRAY[explain_digest(5), explain_digest(5)], ARRAY['new key', 'other key'],
                  ARRAY[explain_hash(1), explain_hash(2)], ARRAY[gen_random_uuid(), gen_random_uuid()],
                  ARRAY['USD', 'USD'], ARRAY[1, 1], ARRAY['', ''], ARRAY['chat', NULL], ARRAY['small', NULL])",
        answer: "small",
        indexes: &[
            "credit_accounts_by_owner",
            "idempotency_keys_pkey",
            "credit_grants_spendable",
            "credit_usage_daily_pkey",
        ],
    },
    Row {
        name: "credits_balance, due",
        sql: "CALL explain_due();
              SELECT credits_balance(explain_digest(5), 'USD')",
        answer: "100.000000000",
        indexes: &["credit_holds_open", "credit_hold_parts_pkey", "credit_grants_expiring", "credit_grants_pkey"],
    },
    Row {
        name: "credits_transactions, due",
        sql: "CALL explain_due();
              SELECT credits_transactions(explain_digest(5), 'USD', 20)",
        answer: "hold expired",
        indexes: &["credit_holds_open", "credit_hold_parts_pkey", "credit_grants_expiring", "credit_grants_pkey"],
    },
    Row {
        name: "credits_grants_list, due",
        sql: "CALL explain_due();
              SELECT credits_grants_list(explain_digest(5), 'USD', 100,
                                         (SELECT created_at FROM credit_grants WHERE organization_id = explain_id(1) AND id = explain_id(10)),
                                         'USD', explain_id(10))",
        answer: "closed",
        indexes: &["credit_holds_open", "credit_hold_parts_pkey", "credit_grants_expiring", "credit_grants_pkey", "credit_grants_by_account"],
    },
    Row {
        name: "credits_consume, due",
        sql: "CALL explain_due();
              SELECT credits_consume(explain_digest(5), 'new key', explain_hash(1), gen_random_uuid(), 'USD', 1, '')",
        answer: "consumed",
        indexes: &["credit_holds_open", "credit_hold_parts_pkey", "credit_grants_expiring", "credit_grants_pkey", "credit_holds_pkey"],
    },
    Row {
        name: "credits_lapsed, due",
        sql: "CALL explain_due();
              SELECT count(*) FROM credits_lapsed('USD', now())",
        answer: "1",
        indexes: &["credit_holds_open", "credit_hold_parts_pkey", "credit_grants_expiring", "credit_grants_pkey", "credit_accounts_due"],
    },
    Row {
        name: "credits_due_are_too_many, due",
        sql: "CALL explain_due();
              SELECT credits_due_are_too_many('USD', now())",
        answer: "f",
        indexes: &["credit_accounts_due", "credit_holds_open", "credit_hold_parts_pkey", "credit_grants_expiring"],
    },
    Row {
        name: "credits_hold_settle",
        sql: "SELECT credits_hold_settle(explain_digest(5), 'new key', explain_hash(1), explain_id(1), 0.75, 'USD',
                                         gen_random_uuid(), gen_random_uuid(), gen_random_uuid())",
        answer: "captured",
        indexes: &["credit_holds_pkey", "credit_hold_parts_pkey", "credit_grants_pkey"],
    },
    Row {
        name: "credits_refund",
        sql: "CALL explain_administrator();
              SELECT credits_refund(explain_digest(5), 'new key', explain_hash(1), gen_random_uuid(), explain_id(1), 1, 'USD')",
        answer: "refund",
        indexes: &["organizations_by_slot", "ledger_transfers_pkey", "ledger_transfers_refunds", "credit_movements_pkey", "credit_grants_pkey"],
    },
    Row {
        name: "credits_owner of a transaction",
        sql: "CALL explain_administrator();
              SELECT credits_owner(explain_digest(5), NULL, explain_id(1))",
        answer: "usr_",
        indexes: &["organizations_by_slot", "ledger_transfers_pkey", "credit_accounts_pkey"],
    },
    Row {
        name: "credits_owner of a grant",
        sql: "CALL explain_administrator();
              SELECT credits_owner(explain_digest(5), explain_id(1), NULL)",
        answer: "usr_",
        indexes: &["organizations_by_slot", "credit_grants_pkey", "credit_accounts_pkey"],
    },
    Row {
        name: "credits_consume, repeated",
        sql: "SELECT credits_consume(explain_digest(5), 'key-7', explain_hash(7), gen_random_uuid(), 'USD', 1, '')",
        answer: "\"replayed\": true",
        indexes: &["credit_accounts_by_owner", "idempotency_keys_pkey"],
    },
    Row {
        name: "credits_due_are_too_many",
        sql: "SELECT credits_due_are_too_many('USD', now())",
        answer: "f",
        indexes: &["credit_accounts_due"],
    },
];
