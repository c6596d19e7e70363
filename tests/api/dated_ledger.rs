//! Ledgers and subscriptions with a past: what the API does now, done at chosen times.

use turnpike_tests::{TestHost, User};

use crate::metering::UPKEEP;

/// Functions that do what those of the API do, at a time that they are told. Whatever has
/// fallen due by then is posted first, as it would have been.
const FUNCTIONS: &str = "
    CREATE FUNCTION dated_user(p_name text) RETURNS uuid LANGUAGE sql AS $$
        INSERT INTO users (id, email, password_hash)
        VALUES (md5(p_name)::uuid, p_name || '@dated.example.com', 'none')
        ON CONFLICT (id) DO UPDATE SET email = excluded.email RETURNING id
    $$;
    CREATE FUNCTION dated_organization(p_name text) RETURNS uuid LANGUAGE sql AS $$
        INSERT INTO organizations (id, name) VALUES (md5(p_name)::uuid, p_name)
        ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING id
    $$;
    CREATE FUNCTION dated_account(p_owner text, p_currency text, p_at timestamptz) RETURNS credit_accounts
    LANGUAGE plpgsql AS $$
    DECLARE
        v_account credit_accounts;
        v_is_pool boolean := p_owner LIKE 'pool of %';
        v_user_id uuid := CASE WHEN NOT v_is_pool THEN dated_user(p_owner) END;
        v_organization_id uuid := dated_organization(CASE WHEN v_is_pool THEN substr(p_owner, 9) ELSE p_owner END);
    BEGIN
        INSERT INTO credit_accounts (organization_id, id, user_id, currency)
        VALUES (v_organization_id, owned_id(v_organization_id, gen_random_uuid()), v_user_id, p_currency)
        ON CONFLICT DO NOTHING;
        SELECT * INTO v_account FROM credit_accounts
         WHERE organization_id = v_organization_id AND user_id IS NOT DISTINCT FROM v_user_id
           AND currency = p_currency FOR NO KEY UPDATE;
        RETURN account_settle(v_account, p_at);
    END;
    $$;
    CREATE FUNCTION dated_grant(
        p_owner text, p_currency text, p_kind text, p_amount numeric, p_at timestamptz,
        p_expires_at timestamptz DEFAULT 'infinity'
    ) RETURNS uuid LANGUAGE plpgsql AS $$
    DECLARE
        v_account credit_accounts := dated_account(p_owner, p_currency, p_at);
        v_id uuid := owned_id(v_account.organization_id, gen_random_uuid());
    BEGIN
        v_account := (ledger_post(v_account, v_id, 'grant', 'issued', 'available', p_amount, '',
                                  coalesce(v_account.user_id, v_account.organization_id), p_at)).account;
        INSERT INTO credit_grants (organization_id, id, account_id, sequence, kind, priority, amount, remaining,
                                   effective_at, expires_at, state, description)
        VALUES (v_account.organization_id, v_id, v_account.id, v_account.sequence, p_kind, 50, p_amount, p_amount, p_at, p_expires_at, 'open', '');
        INSERT INTO credit_movements VALUES (v_account.organization_id, v_id, v_id, p_amount, 1);
        UPDATE credit_accounts SET next_due_at = least(next_due_at, p_expires_at) WHERE id = v_account.id;
        RETURN v_id;
    END;
    $$;
    CREATE FUNCTION dated_spend(p_owner text, p_currency text, p_amount numeric, p_at timestamptz) RETURNS uuid
    LANGUAGE plpgsql AS $$
    DECLARE
        v_account credit_accounts := dated_account(p_owner, p_currency, p_at);
        v_id uuid := owned_id(v_account.organization_id, gen_random_uuid());
    BEGIN
        PERFORM ledger_post(v_account, v_id, 'consume', 'available', 'consumed', p_amount, '',
                            coalesce(v_account.user_id, v_account.organization_id), p_at);
        INSERT INTO credit_movements (organization_id, transfer_id, grant_id, amount, position)
        SELECT v_account.organization_id, v_id, t.grant_id, t.amount, t.part
          FROM grants_take(v_account.organization_id, v_account.id, p_amount, false) t;
        RETURN v_id;
    END;
    $$;
    CREATE FUNCTION dated_refund(p_owner text, p_currency text, p_spend uuid, p_at timestamptz) RETURNS void
    LANGUAGE plpgsql AS $$
    DECLARE
        v_account credit_accounts := dated_account(p_owner, p_currency, p_at);
        v_id uuid := owned_id(v_account.organization_id, gen_random_uuid());
    BEGIN
        PERFORM ledger_post(v_account, v_id, 'refund', 'consumed', 'available', t.amount, '', t.actor_id, p_at, t.id)
           FROM ledger_transfers t WHERE t.id = p_spend;
        INSERT INTO credit_movements SELECT organization_id, v_id, grant_id, amount, position FROM credit_movements
         WHERE transfer_id = p_spend;
        PERFORM grant_return(organization_id, grant_id, amount, false) FROM credit_movements WHERE transfer_id = p_spend;
        PERFORM account_settle(a, p_at) FROM credit_accounts a WHERE a.id = v_account.id;
    END;
    $$;
    CREATE FUNCTION dated_void(p_owner text, p_currency text, p_grant uuid, p_at timestamptz) RETURNS void
    LANGUAGE plpgsql AS $$
    DECLARE
        v_account credit_accounts := dated_account(p_owner, p_currency, p_at);
        v_id uuid := owned_id(v_account.organization_id, gen_random_uuid());
        v_remaining numeric := (SELECT remaining FROM credit_grants WHERE id = p_grant);
    BEGIN
        PERFORM ledger_post(v_account, v_id, 'void', 'available', 'issued', v_remaining, 'void', NULL, p_at);
        INSERT INTO credit_movements VALUES (v_account.organization_id, v_id, p_grant, v_remaining, 1);
        UPDATE credit_grants SET remaining = 0, state = 'closed', voided_at = p_at WHERE id = p_grant;
    END;
    $$;
    CREATE FUNCTION dated_subscription(
        p_organization text, p_currency text, p_plan text, p_seats integer, p_status text, p_mrr numeric,
        p_movement text, p_at timestamptz
    ) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        v_id uuid := dated_organization(p_organization);
        v_old organization_subscriptions;
    BEGIN
        SELECT * INTO v_old FROM organization_subscriptions WHERE organization_id = v_id;
        INSERT INTO organization_subscriptions (
            organization_id, plan, seats, status, billing_period, currency, seat_price, period_started_at,
            period_ends_at, mrr, version, created_at, updated_at)
        VALUES (v_id, p_plan, p_seats, p_status, 'month', p_currency, 1, p_at, p_at + interval '1 month', p_mrr,
                1, p_at, p_at)
        ON CONFLICT (organization_id) DO UPDATE SET
            plan = excluded.plan, seats = excluded.seats, status = excluded.status, mrr = excluded.mrr,
            version = organization_subscriptions.version + 1, updated_at = excluded.updated_at;
        INSERT INTO subscription_changes (
            organization_id, version, changed_at, actor_id, movement, plan_before, plan_after, seats_before,
            seats_after, status_before, status_after, currency, mrr_before, mrr_after)
        VALUES (v_id, coalesce(v_old.version, 0) + 1, p_at, v_id, p_movement, v_old.plan, p_plan, v_old.seats,
                p_seats, v_old.status, p_status, p_currency, coalesce(v_old.mrr, 0), p_mrr);
    END;
    $$";

/// Figures that can be added up by hand. Of ada's grants the one that expires is spent first, so
/// that 20 - 5 - 7 + 5 = 13 of it lapse on 10 February, and 60 - 10 = 50 of the pool's on 31 March;
/// nobody has looked since, so neither is posted. What grace is given back after her grant has
/// expired expires at once. Solo begins as a trial, which brings nothing.
const PAST: &str = "
    DO $$
    DECLARE
        v_spend uuid;
        v_grant uuid;
    BEGIN
        PERFORM dated_grant('ada', 'USD', 'paid', 100, '2026-01-30T12:00:00Z');
        PERFORM dated_grant('ada', 'USD', 'promotional', 20, '2026-01-30T12:00:01Z', '2026-02-10T06:00:00Z');
        v_spend := dated_spend('ada', 'USD', 5, '2026-01-31T23:59:59.999999Z');
        PERFORM dated_spend('ada', 'USD', 7, '2026-02-01T00:00:00Z');
        PERFORM dated_refund('ada', 'USD', v_spend, '2026-02-02T10:00:00Z');
        v_grant := dated_grant('ben', 'USD', 'paid', 50, '2026-01-31T00:00:00Z');
        PERFORM dated_spend('ben', 'USD', 8, '2026-02-02T00:00:00Z');
        PERFORM dated_void('ben', 'USD', v_grant, '2026-02-03T00:00:00Z');
        PERFORM dated_grant('grace', 'USD', 'promotional', 4, '2026-02-01T00:00:00Z', '2026-02-05T00:00:00Z');
        v_spend := dated_spend('grace', 'USD', 3, '2026-02-04T00:00:00Z');
        PERFORM dated_refund('grace', 'USD', v_spend, '2026-02-28T23:00:00Z');
        PERFORM dated_grant('ada', 'EUR', 'paid', 1000, '2026-01-31T12:00:00Z');
        PERFORM dated_grant('pool of Engines', 'USD', 'paid', 500, '2026-03-01T00:00:00Z');
        PERFORM dated_grant('pool of Engines', 'USD', 'promotional', 60, '2026-03-01T00:00:01Z',
                            '2026-03-31T23:59:59Z');
        PERFORM dated_spend('pool of Engines', 'USD', 10, '2026-03-02T00:00:00Z');
        PERFORM dated_subscription('Solo', 'USD', 'solo', 1, 'trialing', 0, 'none', '2026-01-10T10:00:00Z');
        PERFORM dated_subscription('Engines', 'USD', 'team', 10, 'active', 100, 'new', '2026-01-15T10:00:00Z');
        PERFORM dated_subscription('Engines', 'USD', 'team', 15, 'active', 150, 'expansion', '2026-01-20T10:00:00Z');
        PERFORM dated_subscription('Euro', 'EUR', 'team', 3, 'active', 33, 'new', '2026-02-01T10:00:00Z');
        PERFORM dated_subscription('Solo', 'USD', 'solo', 1, 'active', 30, 'new', '2026-02-05T10:00:00Z');
        PERFORM dated_subscription('Engines', 'USD', 'team', 13, 'past_due', 130, 'contraction', '2026-02-06T10:00:00Z');
        PERFORM dated_subscription('Solo', 'USD', 'solo', 1, 'canceled', 0, 'churned', '2026-02-20T10:00:00Z');
        PERFORM dated_subscription('Solo', 'USD', 'duo', 2, 'active', 40, 'reactivation', '2026-03-02T10:00:00Z');
    END $$";

/// Writes the functions.
pub async fn write_functions(host: &TestHost) {
    host.execute(FUNCTIONS).await;
}

/// Writes the functions, and [`PAST`].
pub async fn write_past(host: &TestHost) {
    write_functions(host).await;
    host.execute(PAST).await;
}

/// Posts all that is due, as the platform's upkeep does it, and says of how many accounts. The upkeep
/// takes a second for it, in which a busy machine does not get through, and says when nothing is left.
pub async fn settle(host: &TestHost, admin: &User) -> i64 {
    let mut settled = 0;
    loop {
        let run = host.post(UPKEEP).bearer(&admin.token);
        let done = run.settle().await.expect(200);
        match done.json()["settled_accounts"].as_i64() {
            Some(0) => return settled,
            Some(accounts) => settled += accounts,
            None => done.fail("the upkeep says how many accounts it settled"),
        }
    }
}

/// How many accounts have something due that is not posted.
pub async fn count_due(host: &TestHost) -> i64 {
    let rows = host
        .query("SELECT count(*) FROM credit_accounts WHERE next_due_at <= clock_timestamp()")
        .await;
    rows[0].get(0)
}
