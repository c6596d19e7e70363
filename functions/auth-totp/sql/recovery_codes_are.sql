-- Whether the user's recovery codes are these. Digests come as hexadecimal
-- digits, because the host passes no array of bytea.
CREATE OR REPLACE FUNCTION recovery_codes_are(p_user_id uuid, p_digests text[]) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM recovery_codes
                    WHERE user_id = p_user_id AND digest = decode(p_digests[1], 'hex'))
$$;
