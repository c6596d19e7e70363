-- Sets the terms of an organization's subscription. A null time of the period is
-- the one that it has; a new subscription, a new start and another billing period
-- begin now, to the second, and last one billing period.
CREATE OR REPLACE FUNCTION organization_subscription_put(
    p_digest bytea, p_change_id uuid, p_organization_id uuid, p_plan text, p_seats integer, p_status text,
    p_billing_period text, p_currency text, p_seat_price numeric,
    p_period_started_at timestamptz, p_period_ends_at timestamptz, p_version bigint
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'subscriptions:manage');
    v_old organization_subscriptions;
    v_new organization_subscriptions;
    v_version bigint;
    v_old_mrr numeric;
    v_movement text;
    v_begins_anew boolean;
    v_is_closed boolean;
    v_now timestamptz;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- Of changes at once each waits for the one before it.
    PERFORM 1 FROM organizations WHERE id = p_organization_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    SELECT * INTO v_old FROM organization_subscriptions WHERE organization_id = p_organization_id;
    -- Sent twice, it was done by the first.
    SELECT version INTO v_version FROM subscription_changes
     WHERE change_id = p_change_id AND organization_id = p_organization_id;
    IF FOUND THEN
        RETURN json_build_object('is_first', v_version = 1, 'subscription', subscription_json(v_old));
    END IF;
    IF p_version <> coalesce(v_old.version, 0) THEN
        RETURN json_build_object('refusal', 'version_conflict', 'version', coalesce(v_old.version, 0));
    END IF;
    -- Held, so that none begins while the account is being closed.
    SELECT status = 'closed' INTO v_is_closed FROM billing_accounts
     WHERE organization_id = p_organization_id AND id = p_organization_id FOR NO KEY UPDATE;
    IF v_is_closed AND p_status <> 'canceled' THEN
        RETURN json_build_object('refusal', 'account_closed');
    END IF;
    IF v_old.currency <> p_currency THEN
        RETURN json_build_object('refusal', 'currency_fixed', 'currency', v_old.currency);
    END IF;

    v_now := clock_timestamp();
    v_begins_anew := v_old.organization_id IS NULL OR v_old.billing_period <> p_billing_period
                     OR (v_old.status = 'canceled' AND p_status <> 'canceled');
    v_new.organization_id := p_organization_id;
    v_new.plan := p_plan;
    v_new.seats := p_seats;
    v_new.status := p_status;
    v_new.billing_period := p_billing_period;
    v_new.currency := p_currency;
    v_new.seat_price := p_seat_price;
    v_new.mrr := subscription_mrr(p_seats, p_seat_price, p_billing_period, p_status);
    v_new.period_started_at := coalesce(
        p_period_started_at, CASE WHEN v_begins_anew THEN date_trunc('second', v_now) ELSE v_old.period_started_at END);
    v_new.period_ends_at := coalesce(
        p_period_ends_at,
        CASE WHEN p_period_started_at IS NULL AND NOT v_begins_anew THEN v_old.period_ends_at END,
        (v_new.period_started_at AT TIME ZONE 'UTC'
         + CASE p_billing_period WHEN 'month' THEN interval '1 month' ELSE interval '1 year' END) AT TIME ZONE 'UTC');
    IF v_new.period_ends_at <= v_new.period_started_at THEN
        RETURN json_build_object('refusal', 'ends_too_early');
    END IF;
    v_new.version := coalesce(v_old.version, 0) + 1;
    v_new.created_at := coalesce(v_old.created_at, v_now);
    v_new.updated_at := v_now;
    IF (v_old.plan, v_old.seats, v_old.status, v_old.billing_period, v_old.seat_price,
        v_old.period_started_at, v_old.period_ends_at)
       IS NOT DISTINCT FROM
       (v_new.plan, v_new.seats, v_new.status, v_new.billing_period, v_new.seat_price,
        v_new.period_started_at, v_new.period_ends_at) THEN
        RETURN json_build_object('is_first', false, 'subscription', subscription_json(v_old));
    END IF;
    IF v_old.status = 'canceled' AND p_status NOT IN ('active', 'trialing') THEN
        RETURN json_build_object('refusal', 'subscription_canceled');
    END IF;

    v_old_mrr := coalesce(v_old.mrr, 0);
    v_movement := CASE
        WHEN v_old_mrr = v_new.mrr THEN 'none'
        WHEN v_new.mrr = 0 THEN 'churned'
        WHEN v_old_mrr > v_new.mrr THEN 'contraction'
        WHEN v_old_mrr > 0 THEN 'expansion'
        WHEN EXISTS (SELECT 1 FROM subscription_changes
                      WHERE organization_id = p_organization_id AND mrr_after > 0) THEN 'reactivation'
        ELSE 'new' END;
    INSERT INTO organization_subscriptions SELECT v_new.*
    ON CONFLICT (organization_id) DO UPDATE
       SET plan = excluded.plan, seats = excluded.seats, status = excluded.status,
           billing_period = excluded.billing_period, seat_price = excluded.seat_price,
           period_started_at = excluded.period_started_at, period_ends_at = excluded.period_ends_at,
           mrr = excluded.mrr, version = excluded.version, updated_at = excluded.updated_at;
    INSERT INTO subscription_changes (
        organization_id, version, changed_at, actor_id, movement, plan_before, plan_after, seats_before, seats_after,
        status_before, status_after, currency, mrr_before, mrr_after, change_id)
    VALUES (p_organization_id, v_new.version, v_now, v_principal.user_id, v_movement, v_old.plan, v_new.plan,
            v_old.seats, v_new.seats, v_old.status, v_new.status, p_currency, v_old_mrr, v_new.mrr, p_change_id);
    PERFORM audit_append(
        p_organization_id, 'subscription.changed', v_principal.user_id, prefixed_id('org_', p_organization_id),
        jsonb_build_object(
            'version', v_new.version, 'plan', v_new.plan, 'seats', v_new.seats, 'status', v_new.status,
            'billing_period', v_new.billing_period, 'currency', p_currency, 'seat_price', v_new.seat_price::text,
            'mrr', v_new.mrr::text, 'previous_plan', v_old.plan, 'previous_seats', v_old.seats,
            'previous_status', v_old.status, 'previous_mrr', v_old.mrr::text));
    RETURN json_build_object('is_first', v_new.version = 1, 'subscription', subscription_json(v_new));
END;
$$;
