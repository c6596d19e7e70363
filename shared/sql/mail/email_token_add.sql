-- Writes a token in place of the user's earlier ones of the same purpose. Whoever is signed in
-- holds their row (principal_hold()), and names their sign-in.
CREATE OR REPLACE FUNCTION email_token_add(
    p_digest bytea, p_user_id uuid, p_purpose text, p_email text, p_ttl_secs integer,
    p_sign_in_id uuid DEFAULT NULL, p_created_at timestamptz DEFAULT now()
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE email_tokens SET spent_at = now()
     WHERE user_id = p_user_id AND purpose = p_purpose AND spent_at IS NULL AND digest <> token_hash(p_digest);
    INSERT INTO email_tokens (digest, user_id, purpose, email, sign_in_id, created_at, expires_at)
    VALUES (token_hash(p_digest), p_user_id, p_purpose, p_email, p_sign_in_id,
            p_created_at, now() + make_interval(secs => p_ttl_secs))
    ON CONFLICT DO NOTHING;
    -- Each new one sweeps up to ten that have lapsed, so that strangers who ask for links do not
    -- make the table grow.
    DELETE FROM email_tokens WHERE digest IN (
        SELECT digest FROM email_tokens WHERE expires_at < now() - retention_interval('email_tokens')
         ORDER BY expires_at LIMIT 10 FOR UPDATE SKIP LOCKED);
END;
$$;
