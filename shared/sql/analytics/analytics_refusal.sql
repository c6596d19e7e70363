-- What a caller is told who may not ask; null to go on.
CREATE OR REPLACE FUNCTION analytics_refusal(p_digest bytea) RETURNS json
LANGUAGE sql STABLE
RETURN refusal(authenticate(p_digest), 'analytics:read');
