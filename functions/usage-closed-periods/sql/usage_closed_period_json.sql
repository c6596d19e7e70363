-- Until when an organization's usage is closed, as the API shows it.
CREATE OR REPLACE FUNCTION usage_closed_period_json(p_organization_id uuid) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object('organization_id', prefixed_id('org_', o.id), 'until', rfc3339(c.until),
                             'settled_at', rfc3339(c.settled_at))
      FROM organizations o LEFT JOIN usage_closed_periods c ON c.organization_id = o.id
     WHERE o.id = p_organization_id
$$;
