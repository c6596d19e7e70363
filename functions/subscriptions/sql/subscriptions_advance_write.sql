-- Writes what time has done to subscriptions: a list of objects with id, version and steps. One that
-- has another version by now, or that somebody else holds, is left to the next call. Says of how many
-- it wrote something. One that could not be advanced is passed over for an hour, so that it stands in
-- no other's way.
CREATE OR REPLACE FUNCTION subscriptions_advance_write(p_digest bytea, p_advances text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'subscriptions:manage');
    v_advance jsonb;
    v_subscription subscriptions;
    v_count integer := 0;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    FOR v_advance IN SELECT a FROM jsonb_array_elements(p_advances::jsonb) a LOOP
        SELECT * INTO v_subscription FROM subscriptions
         WHERE id = substr(v_advance ->> 'id', 5)::uuid AND version = (v_advance ->> 'version')::bigint
           FOR NO KEY UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        IF (v_advance ->> 'has_failed')::boolean THEN
            UPDATE subscriptions SET set_aside_until = clock_timestamp() + interval '1 hour'
             WHERE organization_id = v_subscription.organization_id AND id = v_subscription.id;
        ELSE
            PERFORM subscription_update(v_subscription, v_advance -> 'steps', NULL);
            v_count := v_count + 1;
        END IF;
    END LOOP;
    RETURN json_build_object('advanced', v_count);
END;
$$;
