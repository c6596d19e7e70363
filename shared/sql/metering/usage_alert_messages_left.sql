-- How many messages of an alert may be written now; null for any number.
CREATE OR REPLACE FUNCTION usage_alert_messages_left(p_organization_id uuid, p_alert_id uuid, p_email text) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT usage_alert_messages_per_day() - (
               SELECT count(*)
                 FROM (SELECT f.fired_at FROM usage_alert_firings f
                        WHERE f.organization_id = p_organization_id AND f.alert_id = p_alert_id
                        ORDER BY f.sequence DESC LIMIT usage_alert_messages_per_day()) f
                WHERE f.fired_at > now() - interval '1 day')
     WHERE NOT EXISTS (SELECT 1 FROM users u JOIN memberships m ON m.user_id = u.id
                        WHERE u.email = p_email AND u.email_verified_at IS NOT NULL
                          AND m.organization_id = p_organization_id)
$$;
