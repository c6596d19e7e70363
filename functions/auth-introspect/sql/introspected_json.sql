-- What a credential stands for, as an introspection keeps it; null for a null one, and for a
-- session in no organization, which no caller can be in.
CREATE OR REPLACE FUNCTION introspected_json(p_subject principal) RETURNS json
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN CASE WHEN p_subject.organization_id IS NOT NULL THEN json_build_object(
        'organization_id', prefixed_id('org_', p_subject.organization_id),
        'user_id', prefixed_id('usr_', p_subject.user_id),
        'session_id', prefixed_id('ses_', p_subject.session_id),
        'api_key_id', prefixed_id('key_', p_subject.api_key_id),
        'expires_millis', CASE WHEN p_subject.expires_at < 'infinity' THEN unix_millis(p_subject.expires_at) END,
        'permissions', (SELECT coalesce(json_agg(DISTINCT p ORDER BY p), '[]'::json)
                          FROM unnest(p_subject.permissions) p)) END;
END;
$$;
