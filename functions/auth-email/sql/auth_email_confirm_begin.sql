-- Whose email a token proves, before the caches of that user are told.
CREATE OR REPLACE FUNCTION auth_email_confirm_begin(p_token_digest bytea) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_token email_tokens;
BEGIN
    SELECT * INTO v_token FROM email_tokens
     WHERE digest = token_hash(p_token_digest) AND purpose IN ('verify_email', 'change_email');
    IF NOT email_token_is_good(v_token) THEN
        RETURN json_build_object('refusal', 'invalid_token');
    END IF;
    RETURN to_json(prefixed_id('usr_', v_token.user_id));
END;
$$;
