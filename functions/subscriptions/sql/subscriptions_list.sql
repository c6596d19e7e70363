-- A page of subscriptions, newest first, and one more if there is one: of the token's organization, or,
-- to whoever manages subscriptions, of all; of one account, of one plan, of one status. It begins after
-- the subscription p_before. Each list is read by the index that has it in order.
CREATE OR REPLACE FUNCTION subscriptions_list(
    p_digest bytea, p_account_id uuid, p_plan text, p_status text, p_limit integer, p_before uuid
) RETURNS json
LANGUAGE plpgsql STABLE
-- To plan a page takes longer than to read it, and the plans are alike for all limits.
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := subscription_reader_refusal(v_principal, v_principal.organization_id);
    v_before uuid := coalesce(p_before, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    v_plan_id uuid;
    v_organization_id uuid;
    v_page subscriptions[];
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF 'subscriptions:manage' <> ALL (v_principal.permissions) THEN
        v_organization_id := v_principal.organization_id;
    END IF;
    IF p_plan IS NOT NULL THEN
        SELECT id INTO v_plan_id FROM plans WHERE code = p_plan;
        IF NOT FOUND THEN
            RETURN '[]'::json;
        END IF;
    END IF;
    IF p_account_id IS NOT NULL THEN
        SELECT organization_id INTO v_organization_id FROM billing_accounts
         WHERE id = p_account_id AND organization_id = coalesce(v_organization_id, organization_id);
        v_page := ARRAY(
            SELECT s FROM subscriptions s
             WHERE s.organization_id = v_organization_id AND s.account_id = p_account_id AND s.id < v_before
               AND s.plan_id = coalesce(v_plan_id, s.plan_id) AND s.status = coalesce(p_status, s.status)
             ORDER BY s.id DESC LIMIT p_limit + 1);
    ELSIF v_organization_id IS NOT NULL THEN
        v_page := ARRAY(
            SELECT s FROM subscriptions s
             WHERE s.organization_id = v_organization_id AND s.id < v_before
               AND s.plan_id = coalesce(v_plan_id, s.plan_id) AND s.status = coalesce(p_status, s.status)
             ORDER BY s.id DESC LIMIT p_limit + 1);
    ELSIF v_plan_id IS NOT NULL AND p_status IS NOT NULL THEN
        v_page := ARRAY(
            SELECT s FROM subscriptions s
             WHERE s.plan_id = v_plan_id AND s.status = p_status AND s.id < v_before
             ORDER BY s.id DESC LIMIT p_limit + 1);
    ELSIF v_plan_id IS NOT NULL THEN
        v_page := ARRAY(
            SELECT s FROM subscriptions s WHERE s.plan_id = v_plan_id AND s.id < v_before
             ORDER BY s.id DESC LIMIT p_limit + 1);
    ELSIF p_status IS NOT NULL THEN
        -- An equality would have Postgres look through all by their ids, because it does not know how
        -- rare the status is.
        v_page := ARRAY(
            SELECT s FROM subscriptions s
             WHERE s.status >= p_status AND (s.status, s.id) < (p_status, v_before)
             ORDER BY s.status DESC, s.id DESC LIMIT p_limit + 1);
    ELSE
        v_page := ARRAY(
            SELECT s FROM subscriptions s WHERE s.id < v_before
             ORDER BY s.id DESC LIMIT p_limit + 1);
    END IF;
    RETURN (SELECT coalesce(json_agg(plan_subscription_json(s) ORDER BY s.id DESC), '[]'::json) FROM unnest(v_page) s);
END;
$$;
