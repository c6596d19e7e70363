//! The tables that the statements are explained on, and what fills them.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use turnpike_tests::database::connect_without_timeouts;
use turnpike_tests::explain::Explainer;

/// Rows of each table. A scan of so many costs the planner a thousand times what an index does,
/// so that a plan with a scan in it is one without a choice.
const ROWS: u32 = 100_000;

/// Those of the grants, and of the accounts that are billed. In a smaller table, the planner would
/// rather sort the account's own.
const MORE_ROWS: u32 = 2 * ROWS;

/// Of those, the rows of the one user, organization and account that the statements ask for.
/// Sorting so many would cost more than reading a page in order.
const OWN_ROWS: u32 = 2_000;

/// What the statements below are told: ids and hashes that are their own number, and the hashes
/// of tokens of the one organization.
const FUNCTIONS: &str = "
    CREATE FUNCTION explain_id(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
        RETURN lpad(to_hex(n), 32, '0')::uuid;
    CREATE FUNCTION explain_hash(n bigint) RETURNS bytea LANGUAGE sql IMMUTABLE
        RETURN decode(lpad(to_hex(n), 64, '0'), 'hex');
    CREATE FUNCTION explain_digest(n bigint) RETURNS bytea LANGUAGE sql IMMUTABLE
        RETURN token_digest(explain_id(1), explain_hash(n));
    CREATE FUNCTION explain_owner(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
        RETURN explain_id(CASE WHEN n <= {own} THEN 1 ELSE n END);
    -- Another currency of a person of the one organization, or of its pool.
    CREATE PROCEDURE explain_euros(p_user_id uuid) LANGUAGE sql AS $$
        SELECT set_config('session_replication_role', 'replica', true);
        INSERT INTO credit_accounts (organization_id, id, user_id, currency, sequence, last_occurred_at)
        VALUES (explain_id(1), explain_id(1000001), p_user_id, 'EUR', 400, now());
        INSERT INTO ledger_transfers (organization_id, id, account_id, sequence, kind, debited, credited, amount,
                                      available_after, description)
        SELECT explain_id(1), explain_id(1000000 + n), explain_id(1000001), n, 'expire', 'available', 'expired', 1, 1, ''
          FROM generate_series(1, 400) n;
        INSERT INTO credit_grants (organization_id, id, account_id, sequence, kind, priority, amount, remaining,
                                   effective_at, state, description)
        SELECT explain_id(1), explain_id(1000000 + n), explain_id(1000001), n, 'paid', 50, 1, 0, now(), 'closed', ''
          FROM generate_series(1, 400) n;
        SELECT set_config('session_replication_role', 'origin', true)
    $$;
    CREATE PROCEDURE explain_administrator() LANGUAGE sql AS $$
        UPDATE users SET platform_role = 'platform_admin' WHERE id = explain_id(1)
    $$;
    -- Makes the one person's account the pool of the organization.
    CREATE PROCEDURE explain_pool() LANGUAGE sql AS $$
        UPDATE credit_accounts SET user_id = NULL WHERE id = explain_id(1)
    $$;
    -- Something of the one account is due: a hold that has lapsed and a grant that has expired.
    CREATE PROCEDURE explain_due() LANGUAGE sql AS $$
        UPDATE credit_holds SET expires_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(1);
        UPDATE credit_grants SET expires_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(7);
        UPDATE credit_accounts SET next_due_at = now() WHERE organization_id = explain_id(1) AND id = explain_id(1)
    $$;
    -- The meter that everything was counted by.
    CREATE PROCEDURE explain_meter(p_slug text, p_aggregation text, p_group_by text[] DEFAULT '{}') LANGUAGE sql AS $$
        INSERT INTO meters (organization_id, id, slug, event_type, aggregation, value_property, group_by)
        VALUES (explain_id(1), explain_id(1), p_slug, 'call', p_aggregation,
                CASE WHEN p_aggregation <> 'count' THEN 'n' END, p_group_by)
    $$;
    -- An entitlement to the meter's calls, with a period that was set by a reset.
    CREATE PROCEDURE explain_entitlement(p_subject text, p_limit numeric, p_started_at timestamptz, p_ends_at timestamptz)
    LANGUAGE sql AS $$
        INSERT INTO entitlements (organization_id, id, subject, feature, type, meter_id, usage_limit, period, is_soft,
                                  reset_at, reset_period_started_at, reset_period_ends_at, used_before)
        VALUES (explain_id(1), explain_id(5000000), p_subject, 'calls', 'metered', explain_id(1), p_limit, 'year', false,
                now(), p_started_at, p_ends_at, 4);
        INSERT INTO entitlement_names (organization_id, subject, feature, entitlement_id)
        VALUES (explain_id(1), p_subject, 'calls', explain_id(5000000))
    $$";

/// The tables and what fills them from a series of numbers `n`, in groups that are filled at the
/// same time and have about as much to do.
const TABLES: [&[(&str, &str)]; 3] = [
    &[
        (
            "users (id, email, password_hash)",
            "explain_id(n), 'user-' || n || '@example.com', '-'",
        ),
        (
            "sessions (organization_id, id, user_id, created_at)",
            "explain_owner(n), explain_id(n), explain_owner(n), now() - n * interval '1 second'",
        ),
        (
            "access_tokens (organization_id, digest, session_id, expires_at)",
            "explain_owner(n), explain_hash(n), explain_id(n), now() + interval '1 day'",
        ),
        (
            "refresh_tokens (organization_id, digest, session_id, expires_at)",
            "explain_owner(n), explain_hash(n), explain_id(n), now() + interval '1 day'",
        ),
    ],
    &[
        (
            "organizations (id, name)",
            "explain_id(n), 'Organization ' || n",
        ),
        (
            "organization_sequences (organization_id, table_name, last)",
            "explain_id(1 + (n - 1) / 5),
             (ARRAY['memberships', 'credit_pool_allocations', 'usage_alerts', 'usage_alert_firings', 'entitlements'])[1 + n % 5],
             1000000",
        ),
        (
            "audit_heads (organization_id, sequence, hash)",
            "explain_id(n), 1000000, ''",
        ),
        (
            "memberships (organization_id, user_id, role, sequence)",
            "explain_owner(n), explain_id(n), 'owner', n",
        ),
        (
            "api_keys (organization_id, id, user_id, name, digest, previous_digest, previous_until, hint, scopes, created_at)",
            "explain_owner(n), explain_id(n), explain_owner(n), 'key', explain_hash(1000000 + n),
             explain_hash(2000000 + n), now() + interval '1 day', 'tpk_',
             '{credits:read,tokens:introspect}', now() - n * interval '1 second'",
        ),
        (
            "organization_subscriptions (organization_id, plan, seats, status, billing_period, currency, seat_price,
                                         period_started_at, period_ends_at, mrr, version, created_at, updated_at)",
            "explain_id(n), 'plan-' || n, 1, 'active', 'month', 'USD', 1, now(), now() + interval '1 day', n % 1000, 1,
             now(), now()",
        ),
        (
            "subscription_totals_by_plan (currency, plan, subscriptions, seats, mrr)",
            "'USD', 'plan-' || n, 1, 1, n % 1000",
        ),
        (
            "credit_pool_allocations (organization_id, user_id, currency, spending_limit, reset, period_started_at, period_ends_at, sequence)",
            // Of two currencies, so that the index of one of them reads less than that of all.
            "explain_owner(n), explain_id(n), CASE WHEN n % 3 = 0 THEN 'EUR' ELSE 'USD' END, 10, 'month', now(),
             now() + interval '1 month', n",
        ),
        (
            "login_attempts (subject, failures, last_failed, last_guess_id)",
            "guess_subject('user-' || n || '@example.com', '192.0.2.1'), 1, now(), explain_id(n)",
        ),
        (
            "hash_leases (id, host_id, address, expires_at)",
            "explain_id(n), 'host-' || n, '192.0.2.1', now() + interval '1 day'",
        ),
    ],
    &[
        (
            "audit_events (organization_id, sequence, occurred_at, event_type, subject, detail, previous_hash, hash)",
            "explain_owner(n), n, now() + n * interval '1 second', 'type-' || n % 7, '', '{}', '', ''",
        ),
        (
            "credit_accounts (organization_id, id, user_id, currency, issued, available, held, consumed, sequence,
                              last_occurred_at, next_due_at)",
            "explain_id(n), explain_id(n), explain_id(n), 'USD', -300, 100, 100, 100, {own}, now(),
             now() + n * interval '1 day'",
        ),
        (
            "credit_grants (organization_id, id, account_id, sequence, kind, priority, amount, remaining, held, effective_at, expires_at, state, description)",
            "explain_owner(n), explain_id(n), explain_owner(n), n, 'paid', n % 100, 4, 1, 2, now(), now() + n * interval '1 day', 'open', ''",
        ),
        (
            "credit_movements (organization_id, transfer_id, grant_id, amount, position)",
            "explain_owner(n), explain_id(n), explain_id(n), 1, 1",
        ),
        // Accounts of one organization with a hundred open holds each, of two parts each: so many
        // that the planner would rather join than look each of them up.
        (
            "credit_holds (organization_id, id, account_id, amount, state, expires_at, description)",
            "explain_id(1), explain_id(n), explain_id(1 + (n - 1) / 100), 1, 'open',
             now() + n * interval '1 day', ''",
        ),
        (
            "credit_hold_parts (organization_id, hold_id, grant_id, amount, position)",
            "explain_id(1), explain_id(1 + (n - 1) / 2), explain_id(n), 0.5, 1 + n % 2",
        ),
        (
            "ledger_transfers (organization_id, id, account_id, sequence, kind, debited, credited, amount, available_after, description, actor_id, refunds_id)",
            // Of each spend a part is given back, three transfers later.
            "explain_owner(n), explain_id(n), explain_owner(n), n,
             (ARRAY['activate', 'consume', 'expire', 'void', 'refund', 'hold', 'grant'])[1 + n % 7],
             CASE n % 7 WHEN 1 THEN 'available' ELSE 'issued' END::credit_bucket,
             CASE n % 7 WHEN 1 THEN 'consumed' ELSE 'available' END::credit_bucket,
             CASE n % 7 WHEN 1 THEN 10 ELSE 1 END, 1, '', explain_id(1), CASE n % 7 WHEN 4 THEN explain_id(n - 3) END",
        ),
        (
            "credit_usage_daily (organization_id, account_id, day, service, model, spent, spends)",
            "explain_owner(n), explain_owner(n), DATE '2026-01-01' + (n % 100)::integer, 'service-' || n % 7, 'model-' || n, 1, 1",
        ),
        (
            "credit_totals_daily (currency, day, shard, consumed)",
            "'USD', DATE '2026-12-31' - (n / 64)::integer, n % 64, 1",
        ),
        (
            "usage_rollups (organization_id, meter_id, slot_at, group_key, events, latest_at)",
            "explain_owner(n), explain_id(1), timestamptz '2026-01-01Z' + n * interval '15 minutes', '', 1, now()",
        ),
        (
            "usage_hour_rollups (organization_id, meter_id, hour_at, group_key, events, latest_at)",
            "explain_owner(n), explain_id(1), timestamptz '2026-01-01Z' + n * interval '1 hour', '', 4, now()",
        ),
        (
            "usage_day_totals (organization_id, meter_id, subject, day_at, events)",
            "explain_owner(n), explain_id(1), 'cus_' || n % 4, timestamptz '2026-01-01Z' + n * interval '1 day', 96",
        ),
        (
            "usage_subject_rollups (organization_id, meter_id, subject, slot_at, group_key, events, latest_at)",
            "explain_owner(n), explain_id(1), 'cus_' || n % 4, timestamptz '2026-01-01Z' + n * interval '15 minutes', '', 1, now()",
        ),
        (
            "usage_levels (organization_id, meter_id, subject, group_key, time, level, events)",
            "explain_owner(n), explain_id(1), 'cus_' || n % 4, '', timestamptz '2026-01-01Z' + n * interval '15 minutes', 1, 1",
        ),
        (
            "usage_level_series (organization_id, meter_id, subject, group_key)",
            "explain_id(1 + (n - 1) / 4), explain_id(1), 'cus_' || n % 4, ''",
        ),
        (
            "usage_closed_periods (organization_id, until)",
            "explain_id(n), timestamptz '2026-01-01Z'",
        ),
        (
            "usage_alerts (organization_id, id, name, meter_id, subject, period, thresholds, archived_at, sequence)",
            // Few are active.
            "explain_owner(n), explain_id(n), 'Alert ' || n, explain_id(1), 'cus_' || n % 4, 'month', '{1000}',
             CASE WHEN n NOT BETWEEN {own} - 40 AND {own} THEN now() END, n",
        ),
        (
            "usage_alert_totals (organization_id, meter_id, subject, period, started_at, ends_at, value, next_threshold)",
            "explain_owner(n), explain_id(1), 'cus_' || n % 4, 'month', now() - n * interval '1 hour',
             now() - (n - 1) * interval '1 hour', 1, 1000",
        ),
        (
            "usage_alert_firings (organization_id, alert_id, period_started_at, period_ends_at, threshold, value, sequence)",
            "explain_owner(n), explain_id(1 + n % 4), now() + n * interval '1 hour', now(), 1, 1, n",
        ),
        (
            "entitlements (organization_id, id, subject, feature, type, sequence)",
            "explain_owner(n), explain_id(n), 'cus_' || n % 40, 'feature-' || n / 40, 'boolean', n",
        ),
        (
            "entitlement_names (organization_id, entitlement_id, subject, feature)",
            "explain_owner(n), explain_id(n), 'cus_' || n % 40, 'feature-' || n / 40",
        ),
        (
            "usage_event_keys (organization_id, source, id)",
            "explain_owner(n), '', 'event-' || n",
        ),
        (
            // The one organization has many, and nearly all are of one status and currency.
            "billing_accounts (organization_id, id, user_id, kind, name, external_id, email, status, closed_at, currency,
                               metadata, parent_organization_id, parent_id)",
            "explain_owner(n), explain_id(n), CASE WHEN n BETWEEN 2 AND {own} THEN explain_id(n) END, 'person',
             'Account ' || n, 'crm-' || n,
             'user-' || n || '@example.com', CASE WHEN n % 100 = 0 THEN 'closed' ELSE 'active' END,
             CASE WHEN n % 100 = 0 THEN now() END, CASE WHEN n % 100 = 0 THEN 'EUR' ELSE 'USD' END,
             jsonb_build_object('tier', n % 100), explain_owner(1 + n % 1000), explain_id(1 + n % 1000)",
        ),
        (
            "billing_account_metadata (organization_id, key, value, account_id)",
            "explain_owner(n), 'tier', (n % 100)::text, explain_id(n)",
        ),
        (
            // Of plans each has many, and nearly all are active. Sixty are due.
            "subscriptions (organization_id, id, account_id, plan_id, plan_version, currency, quantity, billing_unit,
                            billing_count, alignment, anchor_at, anchor_day, time_zone, proration, status, starts_at,
                            period_index, period_started_at, period_ends_at, ended_at, version, is_test, created_at,
                            updated_at)",
            "explain_owner(n), explain_id(n), explain_id(1 + n % 1000), explain_id(1 + n % 100), 1, 'USD', 1, 'year',
             1, 'anniversary', '2020-01-01', 1, 'UTC', 'day', CASE WHEN n % 2000 = 0 THEN 'canceled' ELSE 'active' END,
             '2020-01-01', 0, '2020-01-01', now() + (n - 60) * interval '1 hour',
             CASE WHEN n % 2000 = 0 THEN now() END, 1, false, now(), now()",
        ),
        (
            "subscription_versions (organization_id, subscription_id, version, action, happened_at, state)",
            // Of one of them all but the last are of the period before.
            "explain_owner(n), explain_owner(n), n, 'renewed', now(),
             jsonb_build_object('period', jsonb_build_object('index', CASE WHEN n = {own} THEN 0 ELSE -1 END))",
        ),
        (
            "subscription_adjustments (organization_id, subscription_id, version, line, period_index, charge_code,
                                       description, currency, amount, from_date, to_date, proration, share, share_of,
                                       happened_at)",
            "explain_owner(n), explain_owner(n), n, 1, n, 'base', 'Base', 'USD', 1, now(), now(), 'day', 1, 1, now()",
        ),
        (
            "plans (id, code, name, currency, billing_period, versions)",
            "explain_id(n), 'plan-' || n, 'Plan ' || n, 'USD', 'month', CASE WHEN n = 1 THEN {own} ELSE 0 END",
        ),
        (
            "plan_versions (plan_id, version, id, terms, created_at, created_by)",
            "explain_id(1), n, explain_id(n), '{\"charges\":[]}', now(), explain_id(1)",
        ),
        (
            "email_tokens (digest, user_id, purpose, email, expires_at)",
            "explain_hash(n), explain_id(n), 'verify_email', 'user-' || n || '@example.com', now() + interval '1 day'",
        ),
        (
            "mail_quota (subject, window_started, sent)",
            "'email:verify_email:user-' || n || '@example.com', now(), 1",
        ),
        (
            "outbox_messages (organization_id, id, kind, recipient, settled_at, is_sent)",
            "explain_owner(n), explain_id(n), 'verify_email', 'user-' || n || '@example.com', now(), true",
        ),
        (
            "entitlement_resets (organization_id, entitlement_id, key, reset_at, used)",
            "explain_owner(n), explain_id(n), 'reset-' || n, now(), 1",
        ),
        (
            "idempotency_keys (organization_id, actor_id, key, request_digest, answer)",
            "explain_owner(n), explain_owner(n), 'key-' || n, explain_hash(n), '{\"transaction\":null}'",
        ),
    ],
];

/// The tables that were filled, as the planner knows them.
pub(super) async fn large_tables(explainer: &Explainer) -> Result<BTreeSet<String>> {
    let rows = explainer
        .client()
        .query(
            "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND reltuples >= $1::integer",
            &[&i32::try_from(ROWS / 2)?],
        )
        .await?;
    let tables: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    for (table, _) in TABLES.iter().copied().flatten() {
        let name = table.split(' ').next().unwrap_or_default();
        anyhow::ensure!(tables.contains(name), "{name} has not {ROWS} rows");
    }
    Ok(tables)
}

/// Fills the tables of the database at `url`, and has the planner look at them.
pub(super) async fn fill(url: &str) -> Result<()> {
    let own = OWN_ROWS.to_string();
    let client = connect_without_timeouts(url).await?;
    client
        .batch_execute(&FUNCTIONS.replace("{own}", &own))
        .await?;
    let own = own.as_str();
    try_join_all(TABLES.map(async |tables| {
        let client = connect_without_timeouts(url).await?;
        // Nothing has to be checked row by row that one expression has made.
        client
            .batch_execute("SET session_replication_role = replica; SET synchronous_commit = off")
            .await?;
        for (table, values) in tables {
            let values = values.replace("{own}", own);
            let is_larger = [
                "credit_grants ",
                "billing_accounts ",
                "billing_account_metadata ",
            ];
            let rows = if is_larger.iter().any(|name| table.starts_with(name)) {
                MORE_ROWS
            } else {
                ROWS
            };
            let name = table.split(' ').next().unwrap_or_default();
            // To sort an index once takes a fraction of what it takes to add row after row to it.
            for statement in [
                format!(
                    "UPDATE pg_index SET indisready = false, indisvalid = false WHERE indrelid = '{name}'::regclass"
                ),
                format!("INSERT INTO {table} SELECT {values} FROM generate_series(1, {rows}) AS n"),
                format!("REINDEX TABLE {name}"),
            ] {
                client
                    .batch_execute(&statement)
                    .await
                    .with_context(|| (*table).to_owned())?;
            }
        }
        anyhow::Ok(())
    }))
    .await?;
    client.batch_execute("ANALYZE").await?;
    Ok(())
}
