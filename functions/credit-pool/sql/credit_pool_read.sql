-- The pool of the token's organization in one currency, and until when the answer may be kept.
CREATE OR REPLACE FUNCTION credit_pool_read(p_digest bytea, p_organization_id uuid, p_currency text) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'billing:read');
    v_pool json;
    v_until timestamptz;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT f.o_pool, f.o_until INTO v_pool, v_until
      FROM pool_figures(p_organization_id, p_currency, statement_timestamp()) f;
    RETURN json_build_object('token_expires_millis', unix_millis(v_principal.expires_at),
                             'pool_expires_millis', unix_millis(v_until), 'pool', v_pool);
END;
$$;
