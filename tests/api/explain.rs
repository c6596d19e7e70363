//! The statements that every request or every user waits for read what they need by an index, and
//! nothing else: no scan of a large table, and no sort of rows that an index has in order.

mod tables;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use turnpike_tests::environment;
use turnpike_tests::explain::{Explainer, Node, Plan};
use turnpike_tests::host::block_on;

use tables::{fill, large_tables};

/// What authenticating an access token reads.
const BY_ACCESS_TOKEN: [&str; 3] = ["access_tokens_pkey", "sessions_pkey", "users_pkey"];

/// How many rows some statements may read by an index: those of the range that they ask for, of
/// the many that the organization has.
const ROWS_READ: [(&str, &str, u64); 33] = [
    // Of all currencies a page is read of each account, of which there are two, and to begin
    // elsewhere the one is halved: 1 + 11 of 2,000 for the moment.
    (
        "credits_transactions of all currencies",
        "ledger_transfers_by_account",
        2 * 21,
    ),
    (
        "credits_transactions of all currencies, by kind",
        "ledger_transfers_by_kind",
        2 * 21,
    ),
    (
        "credits_transactions of all currencies, a further page",
        "ledger_transfers_by_account",
        2 * 21 + 12,
    ),
    (
        "credits_transactions of all currencies, a further page",
        "credit_accounts_by_owner",
        2,
    ),
    (
        "credit_pool_transactions of all currencies",
        "ledger_transfers_by_account",
        21,
    ),
    (
        "credits_transactions_export of all currencies",
        "ledger_transfers_by_account",
        2 * 101,
    ),
    (
        "credits_grants_list of all currencies, a further page",
        "credit_grants_by_account",
        2 * 21,
    ),
    (
        "credit_pool_allocations_list of all currencies",
        "credit_pool_allocations_by_sequence",
        21,
    ),
    // What is due of an account with a lapsed hold and an expired grant: the grants that it is
    // about, and not all of the organization's.
    ("credits_balance, due", "credit_grants_pkey", 12),
    ("credits_balance, due", "credit_hold_parts_pkey", 6),
    ("credits_transactions, due", "credit_grants_pkey", 12),
    ("credits_transactions, due", "credit_hold_parts_pkey", 6),
    ("credits_grants_list, due", "credit_grants_pkey", 12),
    ("credits_grants_list, due", "credit_hold_parts_pkey", 6),
    ("credits_consume, due", "credit_grants_pkey", 24),
    ("credits_consume, due", "credit_hold_parts_pkey", 12),
    ("credits_lapsed, due", "credit_grants_pkey", 12),
    ("credits_lapsed, due", "credit_hold_parts_pkey", 6),
    ("credits_hold_settle", "credit_grants_pkey", 12),
    ("credits_hold_settle", "credit_hold_parts_pkey", 12),
    ("credits_refund", "credit_grants_pkey", 12),
    ("credits_consume, due", "credit_holds_pkey", 6),
    ("credits_due_are_too_many, due", "credit_hold_parts_pkey", 6),
    ("credits_refund", "credit_movements_pkey", 6),
    // From the fifth of January on, of every fourth quarter of an hour, and of each.
    (
        "entitlement_check",
        "usage_subject_rollups_pkey",
        (2_000 - 384) / 4,
    ),
    (
        "entitlement_check of the organization",
        "usage_rollups_pkey",
        2_000 - 383,
    ),
    ("usage_summary", "usage_rollups_pkey", 7 * 96),
    ("usage_summary by hour", "usage_rollups_pkey", 7 * 96),
    (
        "usage_summary of a subject",
        "usage_subject_rollups_pkey",
        7 * 96 / 4,
    ),
    // Of four series the levels of the range, and for each the last one before.
    (
        "usage_summary of time",
        "usage_levels_pkey",
        (7 * 96 / 4 + 1) * 4,
    ),
    ("usage_summary of time", "usage_level_series_pkey", 4),
    (
        "usage_summary of a subject's time",
        "usage_levels_pkey",
        7 * 96 / 4 + 1,
    ),
    (
        "usage_summary of a subject's time",
        "usage_level_series_pkey",
        1,
    ),
];

/// How many rows of large tables some statements may sort: the parts of one hold, the grants of one
/// spend, and what is due. They were read by an index, and no index has them in that order.
const ROWS_SORTED: [(&str, u64); 7] = [
    ("credits_balance, due", 4),
    ("credits_grants_list, due", 4),
    ("credits_consume, due", 4),
    ("credits_hold_settle", 4),
    ("credits_refund", 4),
    // The allocations of those who spend, so that they are locked in one order.
    ("credit_pool_consume", 1),
    ("credit_pool_consume_many", 1),
];

/// A statement, what its answer must contain so that it did what its name says, and the indexes
/// that must be read beside those of [`BY_ACCESS_TOKEN`] where the statement has an access token.
struct Row {
    name: &'static str,
    sql: &'static str,
    answer: &'static str,
    indexes: &'static [&'static str],
}

/// The access token of session 5, which is the user's with many of everything.
const STATEMENTS: [Row; 95] = [
    Row {
        name: "authenticate, access token",
        sql: "SELECT authenticate(explain_digest(5))",
        answer: "credits:read",
        indexes: &[],
    },
    Row {
        name: "authenticate, API key",
        sql: "SELECT authenticate(explain_digest(1000005))",
        answer: "credits:read",
        indexes: &["api_keys_by_digest"],
    },
    Row {
        name: "authenticate, API key before its rotation",
        sql: "SELECT authenticate(explain_digest(2000005))",
        answer: "credits:read",
        indexes: &["api_keys_by_previous_digest"],
    },
    Row {
        name: "auth_me",
        sql: "SELECT auth_me(explain_digest(5))",
        answer: "user-1@example.com",
        indexes: &["organizations_pkey"],
    },
    Row {
        name: "auth_introspect",
        sql: "SELECT auth_introspect(explain_digest(1000005), explain_digest(5))",
        answer: "\"session_id\"",
        indexes: &[],
    },
    Row {
        name: "auth_refresh",
        sql: "SELECT auth_refresh(explain_digest(5), explain_digest(3000001), explain_digest(3000002), 900, 3600)",
        answer: "session_id",
        indexes: &[
            "refresh_tokens_pkey",
            "sessions_pkey",
            "access_tokens_by_session",
        ],
    },
    Row {
        name: "auth_refresh, reuse",
        sql: "UPDATE refresh_tokens SET successor = explain_hash(9) WHERE organization_id = explain_id(1) AND digest = explain_hash(5);
              SELECT auth_refresh(explain_digest(5), explain_digest(3000001), explain_digest(3000002), 900, 3600)",
        answer: "null",
        indexes: &["refresh_tokens_pkey", "sessions_pkey", "audit_heads_pkey"],
    },
    Row {
        name: "auth_sessions",
        sql: "SELECT auth_sessions(explain_digest(5), 20)",
        answer: "is_current",
        indexes: &["sessions_live_by_user", "refresh_tokens_unspent_by_session"],
    },
    Row {
        name: "auth_sessions_revoke, one",
        sql: "SELECT auth_sessions_revoke(explain_digest(5), explain_id(6))",
        answer: "revoked",
        indexes: &[],
    },
    Row {
        name: "auth_sessions_revoke, all",
        sql: "SELECT auth_sessions_revoke(explain_digest(5), NULL)",
        answer: "1999",
        indexes: &["sessions_live_by_user"],
    },
    Row {
        name: "auth_api_keys",
        sql: "SELECT auth_api_keys(explain_digest(5), 20)",
        answer: "key_",
        indexes: &["api_keys_by_user"],
    },
    Row {
        name: "audit_log",
        sql: "SELECT audit_log(explain_digest(5), NULL, NULL, NULL, 20, 1000000, false)",
        answer: "type-",
        indexes: &["audit_events_pkey"],
    },
    Row {
        name: "audit_log by type",
        sql: "SELECT audit_log(explain_digest(5), 'type-3', NULL, NULL, 20, 1000000, false)",
        answer: "type-3",
        indexes: &["audit_events_by_type"],
    },
    Row {
        name: "audit_log by time",
        sql: "SELECT audit_log(explain_digest(5), NULL, now(), now() + interval '20 minutes', 20, 1000000, false)",
        answer: "type-",
        indexes: &["audit_events_by_time", "audit_events_pkey"],
    },
    Row {
        name: "audit_log by type and time",
        sql: "SELECT audit_log(explain_digest(5), 'type-3', now(), now() + interval '20 minutes', 20, 1000000, false)",
        answer: "type-3",
        indexes: &["audit_events_by_time", "audit_events_by_type"],
    },
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
        name: "credit_pool_transactions of all currencies",
        sql: "CALL explain_euros(NULL);
              SELECT credit_pool_transactions(explain_digest(5), explain_id(1), NULL, 20)",
        answer: "EUR",
        indexes: &["credit_accounts_by_owner", "ledger_transfers_by_account"],
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
        sql: "UPDATE credit_holds SET expires_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(1);
              UPDATE credit_grants SET expires_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(7);
              UPDATE credit_accounts SET next_due_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(1);
              SELECT credits_balance(explain_digest(5), 'USD')",
        answer: "100.000000000",
        indexes: &["credit_holds_open", "credit_hold_parts_pkey", "credit_grants_expiring", "credit_grants_pkey"],
    },
    Row {
        name: "credits_transactions, due",
        sql: "UPDATE credit_holds SET expires_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(1);
              UPDATE credit_grants SET expires_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(7);
              UPDATE credit_accounts SET next_due_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(1);
              SELECT credits_transactions(explain_digest(5), 'USD', 20)",
        answer: "hold expired",
        indexes: &["credit_holds_open", "credit_hold_parts_pkey", "credit_grants_expiring", "credit_grants_pkey"],
    },
    Row {
        name: "credits_grants_list, due",
        sql: "UPDATE credit_holds SET expires_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(1);
              UPDATE credit_grants SET expires_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(7);
              UPDATE credit_accounts SET next_due_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(1);
              SELECT credits_grants_list(explain_digest(5), 'USD', 100,
                                         (SELECT created_at FROM credit_grants WHERE organization_id = explain_id(1) AND id = explain_id(10)),
                                         'USD', explain_id(10))",
        answer: "closed",
        indexes: &["credit_holds_open", "credit_hold_parts_pkey", "credit_grants_expiring", "credit_grants_pkey", "credit_grants_by_account"],
    },
    Row {
        name: "credits_consume, due",
        sql: "UPDATE credit_holds SET expires_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(1);
              UPDATE credit_grants SET expires_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(7);
              UPDATE credit_accounts SET next_due_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(1);
              SELECT credits_consume(explain_digest(5), 'new key', explain_hash(1), gen_random_uuid(), 'USD', 1, '')",
        answer: "consumed",
        indexes: &["credit_holds_open", "credit_hold_parts_pkey", "credit_grants_expiring", "credit_grants_pkey", "credit_holds_pkey"],
    },
    Row {
        name: "credits_lapsed, due",
        sql: "UPDATE credit_holds SET expires_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(1);
              UPDATE credit_grants SET expires_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(7);
              UPDATE credit_accounts SET next_due_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(1);
              SELECT count(*) FROM credits_lapsed('USD', now())",
        answer: "1",
        indexes: &["credit_holds_open", "credit_hold_parts_pkey", "credit_grants_expiring", "credit_grants_pkey", "credit_accounts_due"],
    },
    Row {
        name: "credits_due_are_too_many, due",
        sql: "UPDATE credit_holds SET expires_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(1);
              UPDATE credit_grants SET expires_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(7);
              UPDATE credit_accounts SET next_due_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(1);
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
        sql: "UPDATE users SET platform_role = 'platform_admin' WHERE id = explain_id(1);
              SELECT credits_refund(explain_digest(5), 'new key', explain_hash(1), gen_random_uuid(), explain_id(1), 1, 'USD')",
        answer: "refund",
        indexes: &["organizations_by_slot", "ledger_transfers_pkey", "ledger_transfers_refunds", "credit_movements_pkey", "credit_grants_pkey"],
    },
    Row {
        name: "credits_owner of a transaction",
        sql: "UPDATE users SET platform_role = 'platform_admin' WHERE id = explain_id(1);
              SELECT credits_owner(explain_digest(5), NULL, explain_id(1))",
        answer: "usr_",
        indexes: &["organizations_by_slot", "ledger_transfers_pkey", "credit_accounts_pkey"],
    },
    Row {
        name: "credits_owner of a grant",
        sql: "UPDATE users SET platform_role = 'platform_admin' WHERE id = explain_id(1);
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
        name: "usage_summary",
        sql: "INSERT INTO meters (organization_id, id, slug, event_type, aggregation) VALUES (explain_id(1), explain_id(1), 'calls', 'call', 'count');
              SELECT usage_summary(explain_digest(5), 'calls', '2026-01-05', '2026-01-12', true, true, 'day', 'UTC', NULL, '{}', 800, 10000, 100000, 10000)",
        answer: "672",
        indexes: &["usage_rollups_pkey"],
    },
    Row {
        name: "usage_summary by hour",
        sql: "INSERT INTO meters (organization_id, id, slug, event_type, aggregation) VALUES (explain_id(1), explain_id(1), 'calls', 'call', 'count');
              SELECT usage_summary(explain_digest(5), 'calls', '2026-01-05', '2026-01-12', true, true, 'hour', 'UTC', NULL, '{}', 800, 10000, 100000, 10000)",
        answer: "2026-01-11T23:00:00",
        indexes: &["usage_rollups_pkey"],
    },
    Row {
        name: "usage_summary of a subject",
        sql: "INSERT INTO meters (organization_id, id, slug, event_type, aggregation) VALUES (explain_id(1), explain_id(1), 'calls', 'call', 'count');
              SELECT usage_summary(explain_digest(5), 'calls', '2026-01-05', '2026-01-12', true, true, 'day', 'UTC', 'cus_1', '{}', 800, 10000, 100000, 10000)",
        answer: "168",
        indexes: &["usage_subject_rollups_pkey"],
    },
    Row {
        name: "usage_summary of time",
        sql: "INSERT INTO meters (organization_id, id, slug, event_type, aggregation, value_property)
              VALUES (explain_id(1), explain_id(1), 'seats', 'call', 'time_weighted_sum', 'n');
              SELECT usage_summary(explain_digest(5), 'seats', '2026-01-05', '2026-01-12', true, true, 'day', 'UTC', NULL, '{}', 800, 10000, 100000, 10000)",
        // Four levels of 1 for seven days.
        answer: "2419200",
        indexes: &["usage_levels_pkey", "usage_level_series_pkey"],
    },
    Row {
        name: "usage_summary of a subject's time",
        sql: "INSERT INTO meters (organization_id, id, slug, event_type, aggregation, value_property)
              VALUES (explain_id(1), explain_id(1), 'seats', 'call', 'time_weighted_sum', 'n');
              SELECT usage_summary(explain_digest(5), 'seats', '2026-01-05', '2026-01-12', true, true, 'day', 'UTC', 'cus_1', '{}', 800, 10000, 100000, 10000)",
        answer: "604800",
        indexes: &["usage_levels_pkey", "usage_level_series_pkey"],
    },
    Row {
        name: "usage_ingest of levels",
        sql: "INSERT INTO meters (organization_id, id, slug, event_type, aggregation, value_property)
              VALUES (explain_id(1), explain_id(1), 'seats', 'call', 'time_weighted_sum', 'n');
              SELECT usage_ingest(explain_digest(5), '{1}', '{\"\"}', '{event-new}', '{cus_1}', '{call}', ARRAY[unix_millis(now()) * 1000], '{\"{\\\"n\\\":1}\"}', false)",
        answer: "\"accepted\" : [1]",
        indexes: &[],
    },
    Row {
        name: "usage_ingest",
        sql: "SELECT usage_ingest(explain_digest(5), '{1}', '{\"\"}', '{event-new}', '{cus_1}', '{call}', ARRAY[unix_millis(now()) * 1000], '{\"{}\"}', false)",
        answer: "\"accepted\" : [1]",
        indexes: &["usage_closed_periods_pkey"],
    },
    Row {
        name: "usage_closed_period_put",
        sql: "UPDATE users SET platform_role = 'platform_admin' WHERE id = explain_id(1);
              SELECT usage_closed_period_put(explain_digest(5), explain_id(1), '2026-02-01Z')",
        answer: "2026-02-01T00:00:00",
        indexes: &["usage_closed_periods_pkey", "organizations_pkey", "audit_heads_pkey"],
    },
    Row {
        name: "organizations_list",
        sql: "INSERT INTO memberships (organization_id, user_id, role, created_at)
              SELECT explain_id(n), explain_id(1), 'member', now() + n * interval '1 second' FROM generate_series(2, 200) n;
              SELECT organizations_list(explain_digest(5), 100)",
        answer: "Organization 200",
        indexes: &["memberships_by_user", "organizations_pkey"],
    },
    Row {
        name: "organization_members",
        sql: "SELECT organization_members(explain_digest(5), explain_id(1), 20, 1000000)",
        answer: "user-1990@example.com",
        indexes: &["memberships_by_sequence"],
    },
    Row {
        name: "organization_members, a further page",
        sql: "SELECT organization_members(explain_digest(5), explain_id(1), 20, 1000)",
        answer: "user-990@example.com",
        indexes: &["memberships_by_sequence"],
    },
    Row {
        name: "organization_change",
        sql: "SELECT organization_change(explain_digest(5), explain_id(1), NULL, 'Europe/Berlin')",
        answer: "Europe/Berlin",
        indexes: &["organizations_pkey", "audit_heads_pkey"],
    },
    Row {
        name: "usage_ingest with alerts",
        sql: "INSERT INTO meters (organization_id, id, slug, event_type, aggregation) VALUES (explain_id(1), explain_id(1), 'calls', 'call', 'count');
              SELECT usage_ingest(explain_digest(5), '{1}', '{\"\"}', '{event-new}', '{cus_1}', '{call}', ARRAY[unix_millis(now()) * 1000], '{\"{}\"}', false)",
        answer: "\"accepted\" : [1]",
        indexes: &["usage_alerts_active", "usage_alert_totals_pkey", "usage_subject_rollups_pkey"],
    },
    Row {
        name: "usage_alert_create",
        sql: "INSERT INTO meters (organization_id, id, slug, event_type, aggregation) VALUES (explain_id(1), explain_id(1), 'calls', 'call', 'count');
              SELECT usage_alert_create(explain_digest(5), gen_random_uuid(), 'Alert', 'calls', NULL, 'month', '{1}', NULL, 50, 5)",
        answer: "created",
        indexes: &["usage_alerts_active", "usage_rollups_pkey", "usage_alert_totals_pkey"],
    },
    Row {
        name: "usage_alerts_list",
        sql: "SELECT usage_alerts_list(explain_digest(5), 20, 100)",
        answer: "Alert",
        indexes: &["usage_alerts_by_sequence"],
    },
    Row {
        name: "usage_alert_firings_list",
        sql: "SELECT usage_alert_firings_list(explain_digest(5), NULL, 20, 100)",
        answer: "ual_",
        indexes: &["usage_alert_firings_by_sequence"],
    },
    Row {
        name: "usage_alert_firings_list of an alert",
        sql: "SELECT usage_alert_firings_list(explain_digest(5), explain_id(2), 20, 100)",
        answer: "ual_",
        indexes: &["usage_alert_firings_by_alert"],
    },
    Row {
        name: "entitlement_check",
        sql: "INSERT INTO meters (organization_id, id, slug, event_type, aggregation) VALUES (explain_id(1), explain_id(1), 'calls', 'call', 'count');
              INSERT INTO entitlements (organization_id, id, subject, feature, type, meter_id, usage_limit, period, is_soft,
                                        reset_at, reset_period_started_at, reset_period_ends_at, used_before)
              VALUES (explain_id(1), explain_id(5000000), 'cus_1', 'calls', 'metered', explain_id(1), 1000, 'year', false,
                      now(), '2026-01-05Z', 'infinity', 4);
              INSERT INTO entitlement_names (organization_id, subject, feature, entitlement_id)
              VALUES (explain_id(1), 'cus_1', 'calls', explain_id(5000000));
              SELECT entitlement_check(explain_digest(5), 'calls', 'cus_1', 5)",
        answer: "\"used\" : \"400\"",
        indexes: &["entitlement_names_pkey", "entitlements_pkey", "usage_subject_rollups_pkey"],
    },
    Row {
        name: "entitlement_check of the organization",
        sql: "INSERT INTO meters (organization_id, id, slug, event_type, aggregation) VALUES (explain_id(1), explain_id(1), 'calls', 'call', 'count');
              INSERT INTO entitlements (organization_id, id, subject, feature, type, meter_id, usage_limit, period, is_soft,
                                        reset_at, reset_period_started_at, reset_period_ends_at, used_before)
              VALUES (explain_id(1), explain_id(5000000), '', 'calls', 'metered', explain_id(1), 1000, 'year', false,
                      now(), '2026-01-05Z', 'infinity', 4);
              INSERT INTO entitlement_names (organization_id, subject, feature, entitlement_id)
              VALUES (explain_id(1), '', 'calls', explain_id(5000000));
              SELECT entitlement_check(explain_digest(5), 'calls', NULL, 5)",
        answer: "\"used\" : \"1613\"",
        indexes: &["entitlement_names_pkey", "entitlements_pkey", "usage_rollups_pkey"],
    },
    Row {
        name: "entitlements_list",
        sql: "SELECT entitlements_list(explain_digest(5), NULL, NULL, NULL, 20, 1000000)",
        answer: "ent_",
        indexes: &["entitlements_by_sequence"],
    },
    Row {
        name: "entitlements_list of a subject",
        sql: "SELECT entitlements_list(explain_digest(5), NULL, 'cus_1', NULL, 20, 1000000)",
        answer: "ent_",
        indexes: &["entitlements_by_subject"],
    },
    Row {
        name: "entitlements_list of a feature",
        sql: "SELECT entitlements_list(explain_digest(5), NULL, NULL, 'feature-7', 20, 1000000)",
        answer: "ent_",
        indexes: &["entitlements_by_feature"],
    },
    Row {
        name: "entitlements_list of a subject and a feature",
        sql: "SELECT entitlements_list(explain_digest(5), NULL, 'cus_1', 'feature-7', 20, 1000000)",
        answer: "ent_",
        indexes: &["entitlement_names_pkey", "entitlements_pkey"],
    },
    Row {
        name: "entitlement_create",
        sql: "SELECT entitlement_create(explain_digest(5), explain_id(5000000), NULL, 'cus_1', 'new', 'boolean', NULL, NULL,
                                        NULL, NULL, NULL, 100000)",
        answer: "created",
        indexes: &["entitlements_pkey", "entitlement_names_pkey"],
    },
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
        sql: "UPDATE users SET platform_role = 'platform_admin' WHERE id = explain_id(1);
              SELECT plan_version_create(explain_digest(5), gen_random_uuid(), 'plan-2', '{\"currency\":\"USD\",\"charges\":[]}', '{USD}', 1000)",
        answer: "is_new",
        indexes: &["plans_by_code", "plan_versions_id_key", "plan_versions_pkey"],
    },
    Row {
        name: "analytics_credits",
        sql: "SELECT analytics_credits('USD', '2026-11-01', '2026-12-01', now())",
        answer: "1920",
        indexes: &["credit_totals_daily_pkey", "credit_accounts_due"],
    },
    Row {
        name: "analytics_trends",
        sql: "SELECT analytics_trends('USD', 'week', '2026-11-01', '2026-12-01', now())",
        answer: "2026-11-23",
        indexes: &["credit_totals_daily_pkey", "credit_accounts_due"],
    },
    Row {
        name: "analytics_subscriptions",
        sql: "SELECT analytics_subscriptions('USD', '2026-11-01', '2026-12-01', 100)",
        answer: "plan-10999",
        indexes: &["subscription_totals_by_plan_mrr"],
    },
    Row {
        name: "credits_due_are_too_many",
        sql: "SELECT credits_due_are_too_many('USD', now())",
        answer: "f",
        indexes: &["credit_accounts_due"],
    },
    Row {
        name: "analytics_organizations",
        sql: "UPDATE users SET platform_role = 'platform_admin' WHERE id = explain_id(1);
              SELECT analytics_organizations(explain_digest(5), 'USD', 20, NULL, NULL)",
        answer: "Organization 99999",
        indexes: &["organization_subscriptions_by_mrr", "organizations_pkey", "credit_accounts_by_owner"],
    },
    Row {
        name: "analytics_organizations, a further page",
        sql: "UPDATE users SET platform_role = 'platform_admin' WHERE id = explain_id(1);
              SELECT analytics_organizations(explain_digest(5), 'USD', 20, 500, explain_id(501))",
        answer: "Organization 99499",
        indexes: &["organization_subscriptions_by_mrr", "organizations_pkey", "credit_accounts_by_owner"],
    },
    Row {
        name: "credit_pool_consume",
        sql: "UPDATE credit_accounts SET user_id = NULL WHERE id = explain_id(1);
              SELECT credit_pool_consume(explain_digest(5), 'new key', explain_hash(1), gen_random_uuid(), explain_id(1), 'USD', 1, '')",
        answer: "consumed",
        indexes: &["credit_accounts_by_owner", "credit_pool_allocations_pkey", "idempotency_keys_pkey", "credit_grants_spendable"],
    },
    Row {
        name: "credit_pool_consume_many",
        sql: "UPDATE credit_accounts SET user_id = NULL WHERE id = explain_id(1);
              SELECT credit_pool_consume_many(
                  ARRAY[explain_digest(5), explain_digest(5)], ARRAY['new key', 'other key'],
                  ARRAY[explain_hash(1), explain_hash(2)], ARRAY[gen_random_uuid(), gen_random_uuid()],
                  ARRAY[explain_id(1), explain_id(1)], ARRAY['USD', 'USD'], ARRAY[1, 1], ARRAY['', ''],
                  ARRAY[NULL, NULL]::text[], ARRAY[NULL, NULL]::text[])",
        answer: "consumed",
        indexes: &["credit_accounts_by_owner", "credit_pool_allocations_pkey", "idempotency_keys_pkey", "credit_grants_spendable"],
    },
    Row {
        name: "credit_pool_read",
        sql: "UPDATE credit_accounts SET user_id = NULL WHERE id = explain_id(1);
              SELECT credit_pool_read(explain_digest(5), explain_id(1), 'USD')",
        answer: "pool_expires_millis",
        indexes: &["credit_accounts_by_owner"],
    },
    Row {
        name: "credit_pool_transactions",
        sql: "UPDATE credit_accounts SET user_id = NULL WHERE id = explain_id(1);
              SELECT credit_pool_transactions(explain_digest(5), explain_id(1), 'USD', 20)",
        answer: "ctx_",
        indexes: &["credit_accounts_by_owner", "ledger_transfers_by_account"],
    },
    Row {
        name: "credit_pool_transactions by kind",
        sql: "UPDATE credit_accounts SET user_id = NULL WHERE id = explain_id(1);
              SELECT credit_pool_transactions(explain_digest(5), explain_id(1), 'USD', 20, 'expire')",
        answer: "expire",
        indexes: &["credit_accounts_by_owner", "ledger_transfers_by_kind"],
    },
    Row {
        name: "credit_pool_allocations_list",
        sql: "SELECT credit_pool_allocations_list(explain_digest(5), explain_id(1), 'USD', 20, 1000000)",
        answer: "usr_",
        indexes: &["credit_pool_allocations_by_currency"],
    },
    Row {
        name: "credit_pool_allocations_list of all currencies",
        sql: "SELECT credit_pool_allocations_list(explain_digest(5), explain_id(1), NULL, 20, 1000000)",
        answer: "usr_",
        indexes: &["credit_pool_allocations_by_sequence"],
    },
    Row {
        name: "credit_pool_allocation_put",
        sql: "SELECT credit_pool_allocation_put(explain_digest(5), explain_id(1), explain_id(1), 'USD', 20, 'day', 10000)",
        answer: "20.000000000",
        indexes: &["credit_pool_allocations_pkey"],
    },
    Row {
        name: "organization_billing_members",
        sql: "SELECT organization_billing_members(explain_digest(5), explain_id(1), 'USD', 20, 1000000)",
        answer: "remaining",
        indexes: &["memberships_by_sequence", "credit_pool_allocations_pkey"],
    },
    Row {
        name: "organization_billing_members in all currencies",
        sql: "SELECT organization_billing_members(explain_digest(5), explain_id(1), NULL, 20, 1000000)",
        answer: "remaining",
        indexes: &["memberships_by_sequence", "credit_pool_allocations_pkey"],
    },
    Row {
        name: "organization_subscription_read",
        sql: "SELECT organization_subscription_read(explain_digest(5), explain_id(1))",
        answer: "plan-1",
        indexes: &["organization_subscriptions_pkey"],
    },
    Row {
        name: "auth_login_begin",
        sql: "SELECT auth_login_begin('user-7@example.com', gen_random_uuid(), 'host', 64, '192.0.2.1', NULL, NULL, NULL)",
        answer: "password_hash",
        indexes: &[
            "login_attempts_pkey",
            "users_email_key",
            "hash_leases_by_host",
        ],
    },
    Row {
        name: "auth_login",
        sql: "SELECT auth_login(explain_id(1), '-', '-', gen_random_uuid(), explain_digest(3000001),
                                explain_digest(3000002), 900, 3600, '', '',
                                p_subject => guess_subject('user-7@example.com', '192.0.2.1'))",
        answer: "session_id",
        indexes: &["users_pkey", "memberships_by_user", "login_attempts_pkey"],
    },
    Row {
        name: "guess_failed",
        sql: "SELECT guess_failed(gen_random_uuid(), guess_subject('user-7@example.com', '192.0.2.1'), '192.0.2.1',
                                  'user-7@example.com', 'password')",
        answer: "",
        indexes: &[
            "login_attempts_pkey",
            "login_attempts_by_age",
            "hash_leases_pkey",
            "users_email_key",
            "audit_heads_pkey",
        ],
    },
    Row {
        name: "audit_asker, API key",
        sql: "SELECT audit_asker('192.0.2.1', explain_digest(1000005))",
        answer: "",
        indexes: &["access_tokens_pkey", "api_keys_by_digest"],
    },
];

#[test]
fn hot_statements_read_by_index() {
    block_on(async {
        let database = match environment().databases.create().await {
            Ok(database) => database,
            Err(error) => panic!("{error:#}"),
        };
        let faults = check(&database.url).await;
        if let Err(error) = database.remove().await {
            eprintln!("{error:#}; the next run drops it");
        }
        match faults {
            Ok(faults) => assert!(faults.is_empty(), "{}", faults.join("\n\n")),
            Err(error) => panic!("{error:#}"),
        }
    });
}

/// Everything that is wrong with any plan.
async fn check(url: &str) -> Result<Vec<String>> {
    fill(url).await.context("the tables cannot be filled")?;
    let mut explainer = Explainer::connect(url).await?;
    let large = large_tables(&explainer).await?;
    let mut faults = Vec::new();
    for mode in ["force_custom_plan", "force_generic_plan"] {
        let set = format!("SET plan_cache_mode = {mode}");
        explainer.client().batch_execute(&set).await?;
        for row in &STATEMENTS {
            let is_counted = ROWS_READ.iter().any(|(name, ..)| *name == row.name);
            let set = format!("SET auto_explain.log_analyze = {is_counted}");
            explainer.client().batch_execute(&set).await?;
            let (answer, plans) = explainer
                .explain(row.sql)
                .await
                .with_context(|| row.name.to_owned())?;
            faults.extend(
                faults_of(row, &answer, &plans, &large)
                    .into_iter()
                    .map(|fault| format!("{} ({mode}): {fault}", row.name)),
            );
        }
    }
    Ok(faults)
}

fn faults_of(row: &Row, answer: &str, plans: &[Plan], large: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    if !answer.contains(row.answer) {
        faults.push(format!(
            "answered {answer}, which has no {:?} in it",
            row.answer
        ));
    }
    let is_large = |node: &Node<'_>| large.contains(node.table());
    let mut read = BTreeSet::new();
    for plan in plans {
        for node in plan.nodes() {
            read.insert(node.index());
            if node.kind() == "Seq Scan" && is_large(&node) {
                faults.push(format!("scans {}:\n{}", node.table(), plan.text));
            }
            let may_be_sorted = ROWS_SORTED.iter().any(|(name, most)| {
                let mut read = node.with_children().into_iter().map(Node::rows_read);
                *name == row.name && read.all(|rows| rows <= *most)
            });
            if node.kind().ends_with("Sort")
                && !may_be_sorted
                && node.with_children().iter().any(is_large)
            {
                faults.push(format!("sorts:\n{}", plan.text));
            }
        }
    }
    for (_, index, most) in ROWS_READ.iter().filter(|(name, ..)| *name == row.name) {
        let nodes = plans.iter().flat_map(Plan::nodes);
        let read: u64 = nodes
            .filter(|node| node.index() == *index)
            .map(Node::rows_read)
            .sum();
        // None at all is a plan that was not counted.
        if !(1..=*most).contains(&read) {
            faults.push(format!("reads {read} rows of {index}, and not 1 to {most}"));
        }
    }
    let by_token: &[&str] = if row.sql.contains("explain_digest(5)") && !row.sql.contains("refresh")
    {
        &BY_ACCESS_TOKEN
    } else {
        &[]
    };
    for index in row.indexes.iter().chain(by_token) {
        if !read.contains(index) {
            faults.push(format!("does not read {index}, but {read:?}"));
        }
    }
    faults
}
