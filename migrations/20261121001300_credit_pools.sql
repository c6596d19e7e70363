-- The credits that an organization holds in common, and what each of its
-- members may take of them.
--
-- A pool is an account like any other, of an organization instead of a user. So
-- its grants, their order, their expiry and its ledger are those of users'
-- credits.

INSERT INTO permissions (name, description, is_platform) VALUES
    ('billing:read', 'See the organization''s subscription, credit pool and spending', false),
    ('pool:manage',  'Say what each member may spend of the organization''s credit pool', false),
    ('pool:consume', 'Spend from the organization''s credit pool, within one''s allocation', false);
UPDATE roles SET permissions = permissions || ARRAY['billing:read', 'pool:manage', 'pool:consume']
 WHERE organization_id IS NULL AND name IN ('owner', 'admin');
UPDATE roles SET permissions = permissions || ARRAY['pool:consume']
 WHERE organization_id IS NULL AND name = 'member';

ALTER TABLE credit_accounts
    ALTER COLUMN user_id DROP NOT NULL,
    ADD COLUMN organization_id uuid REFERENCES organizations (id),
    ADD CONSTRAINT credit_accounts_one_owner CHECK (num_nonnulls(user_id, organization_id) = 1),
    -- Serves an organization's pool. A user's account is in it too, behind all
    -- others; it is unique for the pools alone, because nulls differ.
    ADD CONSTRAINT credit_accounts_by_organization UNIQUE (organization_id, currency);

-- What a member may take of the pool in a period. It is a limit, and reserves
-- nothing: together, limits can exceed the pool.
CREATE TABLE credit_pool_allocations (
    organization_id   uuid NOT NULL,
    user_id           uuid NOT NULL,
    currency          text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    spending_limit    numeric(27,9) NOT NULL CHECK (spending_limit >= 0),
    -- What was taken in the period. It exceeds the limit only where the limit
    -- was lowered since.
    used              numeric(27,9) NOT NULL DEFAULT 0 CHECK (used >= 0),
    reset             text NOT NULL CHECK (reset IN ('never', 'day', 'week', 'month')),
    period_started_at timestamptz NOT NULL,
    -- Exclusive. A period that is over stays here until the next spend or change
    -- begins another: see allocation_as_of.
    period_ends_at    timestamptz NOT NULL CHECK (period_ends_at > period_started_at),
    -- Orders the list.
    sequence          bigint GENERATED ALWAYS AS IDENTITY,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organization_id, user_id, currency),
    -- Whoever is no member has no allocation, even if a row goes by hand.
    FOREIGN KEY (organization_id, user_id) REFERENCES memberships (organization_id, user_id) ON DELETE CASCADE
) WITH (fillfactor = 80);
-- The fill factor leaves room on the page for the next version of the row, so
-- that a spend updates no index.

-- Serves the list, newest first, and the sum of what is allocated.
CREATE UNIQUE INDEX credit_pool_allocations_by_sequence
    ON credit_pool_allocations (organization_id, currency, sequence DESC);

-- One member is looked up by the primary key, and not among all of the
-- organization. Where most organizations have a single row both seem to cost the
-- same to a plan that is made for any of them, and of some organizations the
-- second reads thousands of rows. So the planner is told to expect several.
ALTER TABLE credit_pool_allocations ALTER COLUMN organization_id SET (n_distinct = -0.1);
ALTER TABLE memberships ALTER COLUMN organization_id SET (n_distinct = -0.1);

-- ---------------------------------------------------------------------------
-- Periods: UTC calendar days, ISO weeks and months.
-- ---------------------------------------------------------------------------

-- When the period that p_now is in began.
CREATE FUNCTION allocation_period_start(p_reset text, p_now timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE p_reset WHEN 'never' THEN '-infinity'
            ELSE date_trunc(p_reset, p_now AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' END;

-- When it ends, exclusive.
CREATE FUNCTION allocation_period_end(p_reset text, p_now timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE p_reset WHEN 'never' THEN 'infinity'
            ELSE (date_trunc(p_reset, p_now AT TIME ZONE 'UTC')
                  + CASE p_reset WHEN 'day' THEN interval '1 day' WHEN 'week' THEN interval '7 days'
                                 ELSE interval '1 month' END) AT TIME ZONE 'UTC' END;

-- An allocation as it is at a moment: with nothing used if its period is over.
CREATE FUNCTION allocation_as_of(p_allocation credit_pool_allocations, p_now timestamptz)
RETURNS credit_pool_allocations
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF p_now >= p_allocation.period_ends_at THEN
        p_allocation.used := 0;
        p_allocation.period_started_at := greatest(
            p_allocation.period_ends_at, allocation_period_start(p_allocation.reset, p_now));
        p_allocation.period_ends_at := allocation_period_end(p_allocation.reset, p_now);
    END IF;
    RETURN p_allocation;
END;
$$;

-- An allocation as the API shows it, as of p_now.
CREATE FUNCTION allocation_json(p_allocation credit_pool_allocations, p_now timestamptz) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT json_build_object(
        'user_id', prefixed_id('usr_', a.user_id), 'currency', a.currency,
        'limit', a.spending_limit::text, 'used', a.used::text,
        'remaining', greatest(a.spending_limit - a.used, 0)::text, 'reset', a.reset,
        'period_started_at', rfc3339(a.period_started_at),
        'period_ends_at', CASE WHEN a.period_ends_at < 'infinity' THEN rfc3339(a.period_ends_at) END,
        'sequence', a.sequence)
      FROM allocation_as_of(p_allocation, p_now) a
$$;

-- ---------------------------------------------------------------------------
-- Accounts, as before and of organizations.
-- ---------------------------------------------------------------------------

-- Locks an organization's pool in one currency and posts what has fallen due;
-- null if there is none.
CREATE FUNCTION pool_hold_row(p_organization_id uuid, p_currency text) RETURNS credit_accounts
LANGUAGE plpgsql AS $$
DECLARE
    v_account credit_accounts;
BEGIN
    SELECT * INTO v_account FROM credit_accounts
     WHERE organization_id = p_organization_id AND currency = p_currency
       FOR NO KEY UPDATE;
    IF v_account.next_due_at <= clock_timestamp() THEN
        v_account := account_settle(v_account, clock_timestamp());
    END IF;
    RETURN v_account;
END;
$$;

-- The pool of an organization in one currency as it is at this moment, not
-- locked unless something has fallen due; null if there is none.
CREATE FUNCTION pool_as_of_now(p_organization_id uuid, p_currency text) RETURNS credit_accounts
LANGUAGE plpgsql AS $$
DECLARE
    v_account credit_accounts;
BEGIN
    SELECT * INTO v_account FROM credit_accounts
     WHERE organization_id = p_organization_id AND currency = p_currency;
    IF v_account.next_due_at <= clock_timestamp() THEN
        v_account := pool_hold_row(p_organization_id, p_currency);
    END IF;
    RETURN v_account;
END;
$$;

-- Adds a grant to a locked account, once for each key of the actor; answers with
-- it, or with why it cannot be. The rules are those of every account, whoever it
-- belongs to.
CREATE FUNCTION account_grant(
    p_account credit_accounts, p_key text, p_request_digest bytea, p_transfer_id uuid, p_grant_id uuid, p_amount numeric, p_description text,
    p_kind text, p_priority integer, p_effective_at timestamptz, p_expires_at timestamptz, p_actor_id uuid
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_account credit_accounts := p_account;
    v_answer json := idempotent_answer(p_actor_id, p_key, p_request_digest);
    v_grant credit_grants;
    v_post record;
    v_now timestamptz := clock_timestamp();
    v_effective_at timestamptz := greatest(v_now, p_effective_at);
    v_is_pending boolean := v_effective_at > v_now;
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    IF p_expires_at <= v_effective_at THEN
        RETURN json_build_object('outcome', 'expires_too_early');
    END IF;
    -- numeric(27,9) holds 18 digits before the point.
    IF p_amount - v_account.issued >= 1e18 THEN
        RETURN json_build_object('outcome', 'balance_limit');
    END IF;
    IF ((v_is_pending OR p_expires_at < 'infinity')
        AND (SELECT count(*) FROM credit_grants
              WHERE account_id = v_account.id AND state = 'open' AND expires_at < 'infinity')
          + (SELECT count(*) FROM credit_grants WHERE account_id = v_account.id AND state = 'pending') >= max_due_grants())
       OR (SELECT count(*) FROM credit_grants WHERE account_id = v_account.id AND state = 'open') >= max_open_grants() THEN
        RETURN json_build_object('outcome', 'too_many_open_grants');
    END IF;
    v_post := ledger_post(v_account, p_transfer_id, 'grant', 'issued',
                          CASE WHEN v_is_pending THEN 'pending' ELSE 'available' END::credit_bucket,
                          p_amount, p_description, p_actor_id);
    v_account := v_post.account;
    INSERT INTO credit_grants (id, account_id, sequence, kind, priority, amount, remaining,
                               effective_at, expires_at, state, description)
    VALUES (p_grant_id, v_account.id, v_account.sequence, p_kind, p_priority, p_amount, p_amount,
            v_effective_at, coalesce(p_expires_at, 'infinity'),
            CASE WHEN v_is_pending THEN 'pending' ELSE 'open' END::credit_grant_state, p_description)
    RETURNING * INTO v_grant;
    INSERT INTO credit_movements VALUES (p_transfer_id, p_grant_id, p_amount, 1);
    UPDATE credit_accounts
       SET next_due_at = CASE WHEN v_is_pending THEN v_grant.effective_at ELSE v_grant.expires_at END
     WHERE id = v_account.id
       AND next_due_at > CASE WHEN v_is_pending THEN v_grant.effective_at ELSE v_grant.expires_at END;
    v_answer := json_build_object(
        'outcome', 'granted',
        'user_id', prefixed_id('usr_', v_account.user_id),
        'organization_id', prefixed_id('org_', v_account.organization_id),
        'grant', credit_grant_json(v_grant, v_account.currency),
        'transaction', transfer_json(v_post.transfer, v_account.currency));
    INSERT INTO idempotency_keys (actor_id, key, request_digest, answer)
    VALUES (p_actor_id, p_key, p_request_digest, v_answer);
    RETURN v_answer;
END;
$$;

-- As before, with the rules of every grant in account_grant.
CREATE OR REPLACE FUNCTION credits_grant(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid, p_account_id uuid, p_grant_id uuid,
    p_user_id uuid, p_currency text, p_amount numeric, p_description text,
    p_kind text DEFAULT 'paid', p_priority integer DEFAULT 50,
    p_effective_at timestamptz DEFAULT NULL, p_expires_at timestamptz DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := refusal(v_principal, 'credits:grant');
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    -- Asked again under lock, by account_grant; asked here so that a repeated key
    -- leaves no empty account behind.
    v_answer := idempotent_answer(v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    PERFORM 1 FROM users WHERE id = p_user_id;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'user_not_found');
    END IF;
    INSERT INTO credit_accounts (id, user_id, currency) VALUES (p_account_id, p_user_id, p_currency)
    ON CONFLICT ON CONSTRAINT credit_accounts_by_user DO NOTHING;
    RETURN account_grant(account_hold_row(p_user_id, p_currency), p_key, p_request_digest,
                         p_transfer_id, p_grant_id, p_amount, p_description, p_kind, p_priority,
                         p_effective_at, p_expires_at, v_principal.user_id);
END;
$$;

-- As before, and of a grant or a transaction of a pool, its organization.
CREATE OR REPLACE FUNCTION credits_owner(p_digest bytea, p_grant_id uuid, p_transfer_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:grant');
    v_account_id uuid;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF p_grant_id IS NOT NULL THEN
        SELECT account_id INTO v_account_id FROM credit_grants WHERE id = p_grant_id;
    ELSE
        SELECT account_id INTO v_account_id FROM ledger_transfers WHERE id = p_transfer_id;
    END IF;
    IF v_account_id IS NULL THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    RETURN (SELECT json_build_object('outcome', 'owned', 'user_id', prefixed_id('usr_', user_id),
                                     'organization_id', prefixed_id('org_', organization_id))
              FROM credit_accounts WHERE id = v_account_id);
END;
$$;

-- As before, of a pool's grants too.
CREATE OR REPLACE FUNCTION credits_grant_void(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid, p_grant_id uuid
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := refusal(v_principal, 'credits:grant');
    v_account credit_accounts;
    v_grant credit_grants;
    v_post record;
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    v_account := account_hold_by_id((SELECT account_id FROM credit_grants WHERE id = p_grant_id));
    v_answer := idempotent_answer(v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    SELECT * INTO v_grant FROM credit_grants WHERE id = p_grant_id;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    IF v_grant.remaining = 0 THEN
        RETURN json_build_object('outcome', 'nothing_left');
    END IF;
    v_post := ledger_post(v_account, p_transfer_id, 'void',
                          CASE v_grant.state WHEN 'pending' THEN 'pending' ELSE 'available' END::credit_bucket, 'issued',
                          v_grant.remaining, 'void', v_principal.user_id);
    INSERT INTO credit_movements VALUES (p_transfer_id, p_grant_id, v_grant.remaining, 1);
    UPDATE credit_grants SET remaining = 0, state = 'closed', voided_at = clock_timestamp()
     WHERE id = p_grant_id RETURNING * INTO v_grant;
    v_answer := json_build_object(
        'outcome', 'voided',
        'grant', credit_grant_json(v_grant, v_account.currency),
        'user_id', prefixed_id('usr_', v_account.user_id),
        'organization_id', prefixed_id('org_', v_account.organization_id),
        'transaction', transfer_json(v_post.transfer, v_account.currency));
    INSERT INTO idempotency_keys (actor_id, key, request_digest, answer)
    VALUES (v_principal.user_id, p_key, p_request_digest, v_answer);
    RETURN v_answer;
END;
$$;

-- As before, and what a member took from a pool in the current period of their
-- allocation they may take again. A period that is over is left as it was.
CREATE OR REPLACE FUNCTION credits_refund(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid, p_consumed_id uuid,
    p_amount numeric DEFAULT NULL, p_currency text DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := refusal(v_principal, 'credits:grant');
    v_account credit_accounts;
    v_consumed ledger_transfers;
    v_refundable numeric;
    v_left numeric;
    v_part record;
    v_return numeric;
    v_post record;
    v_now timestamptz;
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    v_account := account_hold_by_id((SELECT account_id FROM ledger_transfers WHERE id = p_consumed_id));
    v_answer := idempotent_answer(v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    SELECT * INTO v_consumed FROM ledger_transfers WHERE id = p_consumed_id AND credited = 'consumed';
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    IF p_currency <> v_account.currency THEN
        RETURN json_build_object('outcome', 'currency_mismatch', 'currency', v_account.currency);
    END IF;
    v_refundable := v_consumed.amount - coalesce(
        (SELECT sum(amount) FROM ledger_transfers WHERE refunds_id = p_consumed_id), 0);
    v_left := coalesce(p_amount, v_refundable);
    IF v_left > v_refundable OR v_left = 0 THEN
        RETURN json_build_object('outcome', 'exceeds_refundable', 'refundable', v_refundable::text,
                                 'currency', v_account.currency);
    END IF;
    IF v_account.organization_id IS NOT NULL THEN
        -- After the account's row, as a spend does it.
        PERFORM 1 FROM credit_pool_allocations
         WHERE organization_id = v_account.organization_id AND user_id = v_consumed.actor_id
           AND currency = v_account.currency FOR NO KEY UPDATE;
        v_now := greatest(clock_timestamp(), v_account.last_occurred_at);
        UPDATE credit_pool_allocations
           SET used = greatest(used - v_left, 0)
         WHERE organization_id = v_account.organization_id AND user_id = v_consumed.actor_id
           AND currency = v_account.currency
           AND v_consumed.occurred_at >= period_started_at AND v_now < period_ends_at;
    END IF;
    v_post := ledger_post(v_account, p_transfer_id, 'refund', 'consumed', 'available', v_left,
                          'refund', v_principal.user_id, v_now, p_consumed_id);
    v_account := v_post.account;
    FOR v_part IN
        SELECT m.grant_id, m.position, m.amount - coalesce((
                   SELECT sum(r.amount) FROM credit_movements r JOIN ledger_transfers t ON t.id = r.transfer_id
                    WHERE t.refunds_id = p_consumed_id AND r.grant_id = m.grant_id), 0) AS amount
          FROM credit_movements m WHERE m.transfer_id = p_consumed_id
         ORDER BY m.position DESC
    LOOP
        v_return := least(v_left, v_part.amount);
        CONTINUE WHEN v_return <= 0;
        PERFORM grant_return(v_part.grant_id, v_return, false);
        INSERT INTO credit_movements VALUES (p_transfer_id, v_part.grant_id, v_return, v_part.position);
        v_left := v_left - v_return;
    END LOOP;
    IF v_left > 0 THEN
        RAISE EXCEPTION 'transaction % has fewer movements than its amount', p_consumed_id USING ERRCODE = 'TP003';
    END IF;
    v_account := account_settle(v_account, clock_timestamp());
    v_answer := json_build_object(
        'outcome', 'refunded',
        'user_id', prefixed_id('usr_', v_account.user_id),
        'organization_id', prefixed_id('org_', v_account.organization_id),
        'transaction', transfer_json(v_post.transfer, v_account.currency));
    INSERT INTO idempotency_keys (actor_id, key, request_digest, answer)
    VALUES (v_principal.user_id, p_key, p_request_digest, v_answer);
    RETURN v_answer;
END;
$$;

-- As before, and what the member was allocated goes with the membership: what is
-- not spent of it is unallocated again. A spend that is under way holds the
-- allocation, and one that comes after finds none.
CREATE OR REPLACE FUNCTION organization_member_remove(
    p_digest bytea, p_organization_id uuid, p_user_id uuid
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
    v_caller principal := authenticate(p_digest);
    v_leaves boolean := v_caller.user_id = p_user_id AND v_caller.session_id IS NOT NULL;
    v_membership memberships;
BEGIN
    v_hold := organization_hold(p_digest, p_organization_id, CASE WHEN v_leaves THEN NULL ELSE 'members:manage' END);
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    SELECT * INTO v_membership FROM memberships
     WHERE organization_id = p_organization_id AND user_id = p_user_id;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    IF NOT v_leaves AND NOT role_permissions(p_organization_id, v_membership.role) <@ v_caller.permissions THEN
        RETURN json_build_object('outcome', 'role_exceeds_own');
    END IF;
    IF is_last_owner(v_membership) THEN
        RETURN json_build_object('outcome', 'last_owner');
    END IF;
    PERFORM allocations_remove(p_organization_id, p_user_id, NULL, v_caller.user_id);
    -- Before the sessions: a session that is just moving here holds this row.
    DELETE FROM memberships WHERE organization_id = p_organization_id AND user_id = p_user_id;
    UPDATE sessions SET revoked_at = now()
     WHERE user_id = p_user_id AND organization_id = p_organization_id AND revoked_at IS NULL;
    UPDATE api_keys SET revoked_at = now()
     WHERE user_id = p_user_id AND organization_id = p_organization_id AND revoked_at IS NULL;
    PERFORM audit_append(p_organization_id, 'member.removed', v_caller.user_id, prefixed_id('usr_', p_user_id),
                         jsonb_build_object('role', v_membership.role));
    RETURN json_build_object('outcome', 'removed');
END;
$$;

-- ---------------------------------------------------------------------------
-- The pool.
-- ---------------------------------------------------------------------------

-- Gives credits to an organization's pool, of whichever organization: the
-- permission is the platform's.
CREATE FUNCTION credit_pool_grant(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid, p_account_id uuid, p_grant_id uuid,
    p_organization_id uuid, p_currency text, p_amount numeric, p_description text,
    p_kind text, p_priority integer, p_effective_at timestamptz, p_expires_at timestamptz
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := refusal(v_principal, 'credits:grant');
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    -- Asked again under lock, by account_grant; asked here so that a repeated key
    -- leaves no empty account behind.
    v_answer := idempotent_answer(v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    PERFORM 1 FROM organizations WHERE id = p_organization_id;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    INSERT INTO credit_accounts (id, organization_id, currency) VALUES (p_account_id, p_organization_id, p_currency)
    ON CONFLICT ON CONSTRAINT credit_accounts_by_organization DO NOTHING;
    RETURN account_grant(pool_hold_row(p_organization_id, p_currency), p_key, p_request_digest,
                         p_transfer_id, p_grant_id, p_amount, p_description, p_kind, p_priority,
                         p_effective_at, p_expires_at, v_principal.user_id);
END;
$$;

-- Spends from the pool of the token's organization, within the caller's
-- allocation.
--
-- The pool's row is locked first and the allocation's after it; a refund does the
-- same, and what changes or removes an allocation locks no account. So nobody
-- waits in a circle. The moment at which both are held decides to which period
-- the spend belongs, and is the one at which it comes to pass.
CREATE FUNCTION credit_pool_consume(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid,
    p_organization_id uuid, p_currency text, p_amount numeric, p_description text,
    p_service text DEFAULT NULL, p_model text DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := organization_refusal(v_principal, p_organization_id, 'pool:consume');
    v_account credit_accounts;
    v_allocation credit_pool_allocations;
    v_post record;
    v_now timestamptz;
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    v_account := pool_hold_row(p_organization_id, p_currency);
    v_answer := idempotent_answer(v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    SELECT * INTO v_allocation FROM credit_pool_allocations
     WHERE organization_id = p_organization_id AND user_id = v_principal.user_id AND currency = p_currency
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'allocation_required');
    END IF;
    v_now := greatest(clock_timestamp(), v_account.last_occurred_at);
    -- What fell due while the allocation was waited for.
    IF v_account.next_due_at <= v_now THEN
        v_account := account_settle(v_account, v_now);
    END IF;
    v_allocation := allocation_as_of(v_allocation, v_now);
    IF v_allocation.spending_limit - v_allocation.used < p_amount THEN
        v_answer := json_build_object(
            'outcome', 'allocation_exceeded',
            'remaining', greatest(v_allocation.spending_limit - v_allocation.used, 0)::text,
            'currency', p_currency);
    ELSIF v_account.id IS NULL OR v_account.available < p_amount THEN
        v_answer := json_build_object(
            'outcome', 'insufficient_credits',
            'available', coalesce(v_account.available, 0)::text,
            'currency', p_currency);
    ELSIF NOT usage_names_fit(v_account.id, p_service, p_model) THEN
        RETURN json_build_object('outcome', 'too_many_usage_names');
    ELSE
        v_post := ledger_post(v_account, p_transfer_id, 'consume', 'available', 'consumed', p_amount,
                              p_description, v_principal.user_id, v_now, NULL, p_service, p_model);
        INSERT INTO credit_movements (transfer_id, grant_id, amount, position)
        SELECT p_transfer_id, t.grant_id, t.amount, t.part FROM grants_take(v_account.id, p_amount, false) t;
        UPDATE credit_pool_allocations
           SET used = v_allocation.used + p_amount,
               period_started_at = v_allocation.period_started_at,
               period_ends_at = v_allocation.period_ends_at
         WHERE organization_id = p_organization_id AND user_id = v_principal.user_id AND currency = p_currency
        RETURNING * INTO v_allocation;
        v_answer := json_build_object(
            'outcome', 'consumed', 'transaction', transfer_json(v_post.transfer, p_currency),
            'allocation', allocation_json(v_allocation, v_now));
    END IF;
    INSERT INTO idempotency_keys (actor_id, key, request_digest, answer)
    VALUES (v_principal.user_id, p_key, p_request_digest, v_answer);
    RETURN v_answer;
END;
$$;

-- The pool of the token's organization in one currency: zero before the first
-- grant. What has fallen due is posted first. The answer may be kept until the
-- next thing falls due, or a period in which something was used ends.
CREATE FUNCTION credit_pool_read(p_digest bytea, p_organization_id uuid, p_currency text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'billing:read');
    v_now timestamptz;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    PERFORM pool_as_of_now(p_organization_id, p_currency);
    v_now := clock_timestamp();
    -- One statement, so that a spend shows in both or in neither.
    RETURN (
        WITH pool AS (
            SELECT available, held, pending, next_due_at FROM credit_accounts
             WHERE organization_id = p_organization_id AND currency = p_currency
        ), allocations AS (
            SELECT sum(greatest(spending_limit - CASE WHEN v_now < period_ends_at THEN used ELSE 0 END, 0)) AS allocated,
                   min(period_ends_at) FILTER (WHERE used > 0 AND v_now < period_ends_at) AS next_end
              FROM credit_pool_allocations
             WHERE organization_id = p_organization_id AND currency = p_currency
        )
        SELECT json_build_object(
                   'outcome', 'found',
                   'token_expires_millis', unix_millis(v_principal.expires_at),
                   'pool_expires_millis', unix_millis(least(p.next_due_at, a.next_end, 'infinity')),
                   'available', coalesce(p.available, 0)::text,
                   'held', coalesce(p.held, 0)::text,
                   'pending', coalesce(p.pending, 0)::text,
                   'allocated', coalesce(a.allocated, 0)::text)
          FROM allocations a LEFT JOIN pool p ON true);
END;
$$;

-- The pool's ledger, newest first, with who asked for each transaction: one row
-- more than asked for, by which the caller knows whether there is a next page.
CREATE FUNCTION credit_pool_transactions(
    p_digest bytea, p_organization_id uuid, p_currency text, p_limit integer, p_before bigint,
    p_kind text DEFAULT NULL, p_since timestamptz DEFAULT NULL, p_until timestamptz DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'billing:read');
    v_account credit_accounts;
    v_from bigint := 0;
    v_before bigint := p_before;
    v_rows json;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_account := pool_as_of_now(p_organization_id, p_currency);
    IF p_since IS NOT NULL THEN
        v_from := ledger_sequence_at(v_account.id, v_account.sequence, p_since);
    END IF;
    IF p_until IS NOT NULL THEN
        v_before := least(p_before, ledger_sequence_at(v_account.id, v_account.sequence, p_until));
    END IF;
    -- A statement for each index.
    IF p_kind IS NULL THEN
        SELECT json_agg(json_build_object('sequence', t.sequence, 'actor_id', prefixed_id('usr_', t.actor_id),
                                          'transaction', transfer_json(t, p_currency))
                        ORDER BY t.sequence DESC) INTO v_rows
          FROM (SELECT * FROM ledger_transfers
                 WHERE account_id = v_account.id AND sequence >= v_from AND sequence < v_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) t;
    ELSE
        SELECT json_agg(json_build_object('sequence', t.sequence, 'actor_id', prefixed_id('usr_', t.actor_id),
                                          'transaction', transfer_json(t, p_currency))
                        ORDER BY t.sequence DESC) INTO v_rows
          FROM (SELECT * FROM ledger_transfers
                 WHERE account_id = v_account.id AND kind = p_kind AND sequence >= v_from AND sequence < v_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) t;
    END IF;
    RETURN json_build_object('outcome', 'found', 'rows', coalesce(v_rows, '[]'::json));
END;
$$;

-- ---------------------------------------------------------------------------
-- Allocations.
-- ---------------------------------------------------------------------------

-- The allocations in one currency, newest first: one more than the page holds
-- if there is one.
CREATE FUNCTION credit_pool_allocations_list(
    p_digest bytea, p_organization_id uuid, p_currency text, p_limit integer, p_before bigint
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'pool:manage');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('outcome', 'listed', 'allocations', (
        SELECT coalesce(json_agg(allocation_json(a, clock_timestamp()) ORDER BY a.sequence DESC), '[]'::json)
          FROM (SELECT * FROM credit_pool_allocations
                 WHERE organization_id = p_organization_id AND currency = p_currency AND sequence < p_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) a));
END;
$$;

-- Says what a member may take. Another limit keeps what was used; another reset
-- begins a new period. Of changes at once each waits for the organization's row,
-- and for the spend that is under way.
CREATE FUNCTION credit_pool_allocation_put(
    p_digest bytea, p_organization_id uuid, p_user_id uuid, p_currency text, p_limit numeric, p_reset text,
    p_max_allocations integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
    v_caller principal;
    v_old credit_pool_allocations;
    v_allocation credit_pool_allocations;
    v_now timestamptz;
BEGIN
    v_hold := organization_hold(p_digest, p_organization_id, 'pool:manage');
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    PERFORM 1 FROM memberships WHERE organization_id = p_organization_id AND user_id = p_user_id;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    SELECT * INTO v_old FROM credit_pool_allocations
     WHERE organization_id = p_organization_id AND user_id = p_user_id AND currency = p_currency
       FOR NO KEY UPDATE;
    v_now := clock_timestamp();
    IF v_old.user_id IS NULL
       AND (SELECT count(*) FROM credit_pool_allocations
             WHERE organization_id = p_organization_id AND currency = p_currency) >= p_max_allocations THEN
        RETURN json_build_object('outcome', 'allocation_limit');
    END IF;
    IF (v_old.spending_limit, v_old.reset) IS NOT DISTINCT FROM (p_limit, p_reset) THEN
        RETURN json_build_object('outcome', 'saved', 'allocation', allocation_json(v_old, v_now));
    END IF;
    IF v_old.reset = p_reset THEN
        v_allocation := allocation_as_of(v_old, v_now);
    ELSE
        v_allocation.used := 0;
        v_allocation.period_started_at := v_now;
        v_allocation.period_ends_at := allocation_period_end(p_reset, v_now);
    END IF;
    INSERT INTO credit_pool_allocations (organization_id, user_id, currency, spending_limit, used, reset,
                                         period_started_at, period_ends_at)
    VALUES (p_organization_id, p_user_id, p_currency, p_limit, v_allocation.used, p_reset,
            v_allocation.period_started_at, v_allocation.period_ends_at)
    ON CONFLICT (organization_id, user_id, currency) DO UPDATE
       SET spending_limit = excluded.spending_limit, used = excluded.used, reset = excluded.reset,
           period_started_at = excluded.period_started_at, period_ends_at = excluded.period_ends_at
    RETURNING * INTO v_allocation;
    PERFORM audit_append(p_organization_id, 'allocation.changed', v_caller.user_id, prefixed_id('usr_', p_user_id),
                         jsonb_build_object('currency', p_currency, 'limit', v_allocation.spending_limit::text,
                                            'reset', p_reset,
                                            'previous_limit', v_old.spending_limit::text,
                                            'previous_reset', v_old.reset));
    RETURN json_build_object('outcome', 'saved', 'allocation', allocation_json(v_allocation, v_now));
END;
$$;

-- Takes a member's allocations away, in one currency or in all, and says how
-- many there were. The caller holds the organization's row.
CREATE FUNCTION allocations_remove(
    p_organization_id uuid, p_user_id uuid, p_currency text, p_actor_id uuid
) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_removed credit_pool_allocations;
    v_count integer := 0;
BEGIN
    FOR v_removed IN
        DELETE FROM credit_pool_allocations
         WHERE organization_id = p_organization_id AND user_id = p_user_id
           AND (p_currency IS NULL OR currency = p_currency)
        RETURNING *
    LOOP
        v_count := v_count + 1;
        PERFORM audit_append(p_organization_id, 'allocation.removed', p_actor_id, prefixed_id('usr_', p_user_id),
                             jsonb_build_object('currency', v_removed.currency,
                                                'previous_limit', v_removed.spending_limit::text,
                                                'previous_reset', v_removed.reset));
    END LOOP;
    RETURN v_count;
END;
$$;

CREATE FUNCTION credit_pool_allocation_delete(
    p_digest bytea, p_organization_id uuid, p_user_id uuid, p_currency text
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
    v_caller principal;
BEGIN
    v_hold := organization_hold(p_digest, p_organization_id, 'pool:manage');
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    IF allocations_remove(p_organization_id, p_user_id, p_currency, v_caller.user_id) = 0 THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    RETURN json_build_object('outcome', 'removed');
END;
$$;

-- The members with what they may take and have taken, newest first: one more
-- than the page holds if there is one.
CREATE FUNCTION organization_billing_members(
    p_digest bytea, p_organization_id uuid, p_currency text, p_limit integer, p_before bigint
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'billing:read');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('outcome', 'listed', 'members', (
        SELECT coalesce(json_agg(json_build_object(
                   'user_id', prefixed_id('usr_', m.user_id), 'email', u.email, 'role', m.role,
                   'allocation', CASE WHEN a.user_id IS NOT NULL THEN allocation_json(a, clock_timestamp()) END,
                   'sequence', m.sequence) ORDER BY m.sequence DESC), '[]'::json)
          FROM (SELECT * FROM memberships
                 WHERE organization_id = p_organization_id AND sequence < p_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) m
          JOIN users u ON u.id = m.user_id
          LEFT JOIN credit_pool_allocations a
            ON a.organization_id = p_organization_id AND a.user_id = m.user_id AND a.currency = p_currency));
END;
$$;

-- Every allocation that says otherwise than the pool's ledger what was used of
-- it in its period; none is right. An allocation lives shorter than its account,
-- and its period begins no earlier than itself.
CREATE FUNCTION allocation_violations() RETURNS TABLE (organization_id uuid, user_id uuid, violation text)
LANGUAGE sql STABLE AS $$
    SELECT a.organization_id, a.user_id,
           'used is ' || a.used || ' and the ledger has ' || l.used
      FROM credit_pool_allocations a
      CROSS JOIN LATERAL (
          SELECT coalesce(sum(t.amount - coalesce((
                     SELECT sum(r.amount) FROM ledger_transfers r
                      WHERE r.refunds_id = t.id AND r.occurred_at < a.period_ends_at), 0)), 0) AS used
            FROM credit_accounts c
            JOIN ledger_transfers t ON t.account_id = c.id
           WHERE c.organization_id = a.organization_id AND c.currency = a.currency
             AND t.kind = 'consume' AND t.actor_id = a.user_id
             AND t.occurred_at >= a.period_started_at AND t.occurred_at < a.period_ends_at) l
     WHERE a.used <> l.used
$$;
