-- Lets somebody take away what is cached of a subject: a namespace, a pattern of keys, a user or an
-- organization. The event is the platform's, because one namespace is everybody's.
CREATE OR REPLACE FUNCTION cache_removal_allow(p_digest bytea, p_subject text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'cache:manage');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    PERFORM audit_append(NULL, 'cache.removed', v_principal.user_id, p_subject);
    RETURN '{}'::json;
END;
$$;
