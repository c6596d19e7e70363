-- An account, as billing_account_seen() finds it. It says whose accounts the token may read, so that
-- this can be cached.
CREATE OR REPLACE FUNCTION billing_account_read(p_digest bytea, p_id uuid) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_seen record := billing_account_seen(v_principal, p_id);
BEGIN
    IF v_seen.refusal IS NOT NULL THEN
        RETURN v_seen.refusal;
    END IF;
    RETURN json_build_object(
        'token_expires_millis', unix_millis(v_principal.expires_at),
        'reader', json_build_object('organization_id', CASE WHEN NOT v_seen.is_platform THEN
                                                           prefixed_id('org_', v_principal.organization_id) END),
        'account', billing_account_json(v_seen.account));
END;
$$;
