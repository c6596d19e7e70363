-- A page of the versions of a subscription, newest first, and one more if there is one.
CREATE OR REPLACE FUNCTION subscription_versions_list(
    p_digest bytea, p_id uuid, p_limit integer, p_before bigint
) RETURNS json
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_organization_id uuid := (SELECT s.organization_id FROM subscriptions s WHERE s.id = p_id);
    v_refusal json := subscription_reader_refusal(v_principal, v_organization_id);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF v_organization_id IS NULL THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    RETURN (
        SELECT coalesce(json_agg(json_build_object(
                   'version', v.version, 'action', v.action, 'happened_at', rfc3339(v.happened_at),
                   'actor_id', prefixed_id('usr_', v.actor_id), 'subscription', v.state)
                   ORDER BY v.version DESC), '[]'::json)
          FROM (SELECT * FROM subscription_versions
                 WHERE organization_id = v_organization_id AND subscription_id = p_id AND version < p_before
                 ORDER BY version DESC LIMIT p_limit + 1) v);
END;
$$;
