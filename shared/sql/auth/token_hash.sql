-- The SHA-256 by which a token is stored in its organization: the end of the 48 bytes of
-- token_organization().
CREATE OR REPLACE FUNCTION token_hash(p_digest bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN substr(p_digest, 17);
