-- Writes the versions that steps have made of a subscription, with their lines. What somebody asked
-- for is in the audit log of the organization; what time alone does is not.
CREATE OR REPLACE FUNCTION subscription_steps_add(p_subscription subscriptions, p_steps jsonb, p_actor_id uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_step jsonb;
    v_version bigint;
    v_is_asked boolean;
BEGIN
    FOR v_step IN SELECT s FROM jsonb_array_elements(p_steps) WITH ORDINALITY steps (s, place) ORDER BY place LOOP
        v_version := (v_step #>> '{subscription,version}')::bigint;
        v_is_asked := (v_step ->> 'is_asked')::boolean;
        INSERT INTO subscription_versions (
            organization_id, subscription_id, version, action, happened_at, actor_id, state)
        VALUES (p_subscription.organization_id, p_subscription.id, v_version, v_step ->> 'action',
                (v_step ->> 'at')::timestamptz, CASE WHEN v_is_asked THEN p_actor_id END, v_step -> 'subscription');
        INSERT INTO subscription_adjustments (
            organization_id, subscription_id, version, line, period_index, charge_code, description, currency,
            amount, from_date, to_date, proration, share, share_of, happened_at)
        SELECT p_subscription.organization_id, p_subscription.id, v_version, place,
               (l ->> 'period_index')::integer, l ->> 'charge', l ->> 'description', l #>> '{amount,currency}',
               (l #>> '{amount,amount}')::numeric, (l ->> 'from')::date, (l ->> 'to')::date, l ->> 'proration',
               (l ->> 'share')::bigint, (l ->> 'share_of')::bigint, (v_step ->> 'at')::timestamptz
          FROM jsonb_array_elements(v_step -> 'lines') WITH ORDINALITY lines (l, place);
        IF v_is_asked THEN
            PERFORM audit_append(
                p_subscription.organization_id, 'subscription.' || (v_step ->> 'action'), p_actor_id,
                prefixed_id('sub_', p_subscription.id),
                jsonb_build_object('version', v_version, 'status', v_step #>> '{subscription,status}',
                                   'plan', v_step #>> '{subscription,plan}',
                                   'plan_version', v_step #> '{subscription,plan_version}',
                                   'quantity', v_step #> '{subscription,quantity}'));
        END IF;
    END LOOP;
END;
$$;
