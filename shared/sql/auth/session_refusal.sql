-- What a caller is told where only a person who signed in may act, and a
-- program with an API key may not; or null to go on.
CREATE OR REPLACE FUNCTION session_refusal(p_principal principal) RETURNS json
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN (p_principal).user_id IS NULL THEN '{"refusal":"unauthenticated"}'::json
    WHEN (p_principal).session_id IS NULL THEN '{"refusal":"session_required"}'::json
END;
