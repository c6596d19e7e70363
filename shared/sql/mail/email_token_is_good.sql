-- Whether a token can be used for something now.
CREATE OR REPLACE FUNCTION email_token_is_good(p_token email_tokens) RETURNS boolean
LANGUAGE sql STABLE
RETURN (p_token).digest IS NOT NULL AND (p_token).user_id IS NOT NULL
   AND (p_token).spent_at IS NULL AND (p_token).expires_at > now();
