//! Organizations, their pools and what the platform sees of them.

use super::Row;

pub const ROWS: [Row; 21] = [
    Row {
        name: "credit_pool_transactions of all currencies",
        sql: "CALL explain_euros(NULL);
              SELECT credit_pool_transactions(explain_digest(5), explain_id(1), NULL, 20)",
        answer: "EUR",
        indexes: &["credit_accounts_by_owner", "ledger_transfers_by_account"],
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
        name: "analytics_organizations",
        sql: "CALL explain_administrator();
              SELECT analytics_organizations(explain_digest(5), 'USD', 20, NULL, NULL)",
        answer: "Organization 99999",
        indexes: &["organization_subscriptions_by_mrr", "organizations_pkey", "credit_accounts_by_owner"],
    },
    Row {
        name: "analytics_organizations, a further page",
        sql: "CALL explain_administrator();
              SELECT analytics_organizations(explain_digest(5), 'USD', 20, 500, explain_id(501))",
        answer: "Organization 99499",
        indexes: &["organization_subscriptions_by_mrr", "organizations_pkey", "credit_accounts_by_owner"],
    },
    Row {
        name: "credit_pool_consume",
        sql: "CALL explain_pool();
              SELECT credit_pool_consume(explain_digest(5), 'new key', explain_hash(1), gen_random_uuid(), explain_id(1), 'USD', 1, '')",
        answer: "consumed",
        indexes: &["credit_accounts_by_owner", "credit_pool_allocations_pkey", "idempotency_keys_pkey", "credit_grants_spendable"],
    },
    Row {
        name: "credit_pool_consume_many",
        sql: "CALL explain_pool();
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
        sql: "CALL explain_pool();
              SELECT credit_pool_read(explain_digest(5), explain_id(1), 'USD')",
        answer: "pool_expires_millis",
        indexes: &["credit_accounts_by_owner"],
    },
    Row {
        name: "credit_pool_transactions",
        sql: "CALL explain_pool();
              SELECT credit_pool_transactions(explain_digest(5), explain_id(1), 'USD', 20)",
        answer: "ctx_",
        indexes: &["credit_accounts_by_owner", "ledger_transfers_by_account"],
    },
    Row {
        name: "credit_pool_transactions by kind",
        sql: "CALL explain_pool();
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
];
