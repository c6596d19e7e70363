-- The organization under which a principal's session is stored.
CREATE OR REPLACE FUNCTION session_organization(p_principal principal) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN coalesce((p_principal).organization_id, no_organization());
