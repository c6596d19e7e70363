-- Replaces the user's recovery codes.
CREATE OR REPLACE FUNCTION recovery_codes_replace(p_user_id uuid, p_digests text[], p_sign_in_id uuid) RETURNS void
LANGUAGE sql AS $$
    DELETE FROM recovery_codes WHERE user_id = p_user_id;
    -- Two of the codes may be the same one, which is then good once.
    INSERT INTO recovery_codes (user_id, digest, sign_in_id)
    SELECT DISTINCT p_user_id, decode(d, 'hex'), p_sign_in_id FROM unnest(p_digests) d
$$;
