-- The next organizations of which values are read before they are asked for, in the order of their
-- ids: in the mode "full" all, for "plans" those with a subscription, for "stats" those with a pool,
-- and otherwise those in which somebody was signed in within p_days.
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
        SELECT DISTINCT organization_id FROM credit_accounts
         WHERE organization_id > p_after AND user_id IS NULL ORDER BY organization_id LIMIT p_limit)
    ELSE ARRAY(
        SELECT DISTINCT organization_id FROM sessions
         WHERE organization_id > p_after AND organization_id <> no_organization()
           AND last_used_at > now() - make_interval(days => p_days)
         ORDER BY organization_id LIMIT p_limit) END;
