-- The organization that a token leads to. A token reaches SQL as 48 bytes: the organization's UUID,
-- and then the token's SHA-256. So whatever sends a statement to the database of its organization
-- needs to read nothing but the parameter.
CREATE OR REPLACE FUNCTION token_organization(p_digest bytea) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN encode(substr(p_digest, 1, 16), 'hex')::uuid;
