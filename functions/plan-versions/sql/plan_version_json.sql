-- A version without its terms. Who made it is the platform's affair, and null to
-- whoever does not manage plans.
CREATE OR REPLACE FUNCTION plan_version_json(p_version plan_versions, p_principal principal) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'version', (p_version).version,
    'charge_count', jsonb_array_length((p_version).terms -> 'charges'),
    'created_at', rfc3339((p_version).created_at),
    'created_by', CASE WHEN 'plans:manage' = ANY ((p_principal).permissions)
                       THEN prefixed_id('usr_', (p_version).created_by) END);
