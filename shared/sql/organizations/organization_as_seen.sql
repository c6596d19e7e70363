-- An organization as a member with that role sees it.
CREATE OR REPLACE FUNCTION organization_as_seen(p_organization organizations, p_role text) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object('id', prefixed_id('org_', (p_organization).id), 'name', (p_organization).name,
                         'role', p_role, 'time_zone', (p_organization).time_zone,
                         'created_at', rfc3339((p_organization).created_at));
