-- The 48 bytes of token_organization(), of a token that is stored.
CREATE OR REPLACE FUNCTION token_digest(p_organization_id uuid, p_hash bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN uuid_send(p_organization_id) || p_hash;
