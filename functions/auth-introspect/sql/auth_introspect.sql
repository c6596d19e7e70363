-- What a token of the caller's organization stands for (RFC 7662). Unknown,
-- expired, revoked and foreign tokens are all just not active.
CREATE OR REPLACE FUNCTION auth_introspect(p_caller bytea, p_subject bytea) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_caller principal := authenticate(p_caller);
    v_refusal json := refusal(v_caller, 'tokens:introspect');
    v_subject principal;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_subject := authenticate(p_subject);
    RETURN json_build_object(
        'caller', json_build_object('organization_id', prefixed_id('org_', v_caller.organization_id)),
        'caller_expires_millis', CASE WHEN v_caller.expires_at < 'infinity' THEN unix_millis(v_caller.expires_at) END,
        'subject', introspected_json(v_subject));
END;
$$;
