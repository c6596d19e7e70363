-- Whose change of the email a token undoes, before the caches of that user are told.
CREATE OR REPLACE FUNCTION auth_email_undo_begin(p_token_digest bytea) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_token email_tokens;
BEGIN
    SELECT * INTO v_token FROM email_tokens
     WHERE digest = token_hash(p_token_digest) AND purpose = 'undo_email_change';
    IF NOT email_token_is_good(v_token) THEN
        RETURN json_build_object('refusal', 'invalid_token');
    END IF;
    RETURN to_json(prefixed_id('usr_', v_token.user_id));
END;
$$;
