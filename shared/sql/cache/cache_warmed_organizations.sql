-- The next organizations of which values are read before they are asked for, in the order of their
-- ids: in the mode "full" all, for "plans" those with a subscription, for "stats" those with a pool,
-- and otherwise those in which somebody was signed in within p_days.
--
-- What an organization has is looked up for each alone, by LIMIT: a join, or a list of all that have
-- it, would read the sessions of everybody for a page of organizations. Its newest session comes
-- first, because that is the likeliest to be in use.
CREATE OR REPLACE FUNCTION cache_warmed_organizations(p_mode text, p_days integer, p_after uuid, p_limit integer)
RETURNS uuid[]
LANGUAGE sql STABLE
RETURN CASE p_mode
    WHEN 'full' THEN ARRAY(
        SELECT id FROM organizations WHERE id > p_after ORDER BY id LIMIT p_limit)
    WHEN 'plans' THEN ARRAY(
        SELECT organization_id FROM organization_subscriptions
         WHERE organization_id > p_after ORDER BY organization_id LIMIT p_limit)
    WHEN 'stats' THEN ARRAY(
        SELECT o.id FROM organizations o
         CROSS JOIN LATERAL (SELECT 1 FROM credit_accounts a
                              WHERE a.organization_id = o.id AND a.user_id IS NULL LIMIT 1) pool
         WHERE o.id > p_after ORDER BY o.id LIMIT p_limit)
    ELSE ARRAY(
        SELECT o.id FROM organizations o
         CROSS JOIN LATERAL (SELECT 1 FROM sessions s
                              WHERE s.organization_id = o.id
                                AND s.last_used_at > now() - make_interval(days => p_days)
                              ORDER BY s.id DESC LIMIT 1) used
         WHERE o.id > p_after ORDER BY o.id LIMIT p_limit) END;
