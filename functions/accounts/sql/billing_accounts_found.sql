-- The accounts of a page, and one more if there is one: of an organization, or of all. They come
-- newest first; with p_q, the beginning of a name or of an email in lower case, in the order of what
-- begins so, and those with the same by their ids.
--
-- A statement for each filter that has an index. What else is asked for is looked at in its order.
-- Each is planned for what is asked: a plan for any currency or status would read all accounts in
-- their order, and of a currency that few have it would read them to the last.
CREATE OR REPLACE FUNCTION billing_accounts_found(
    p_organization_id uuid, p_status text, p_currency text, p_external_id text, p_key text, p_value text, p_q text,
    p_limit integer, p_after_text text, p_after_id uuid
) RETURNS billing_accounts[]
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    v_before uuid := coalesce(p_after_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    v_after_id uuid := coalesce(p_after_id, '00000000-0000-0000-0000-000000000000');
    -- Where the page begins in the index: one lower bound, because Postgres would begin at either of two.
    v_after_text text := coalesce(p_after_text, p_q);
    -- No text that begins with p_q is as great as this.
    v_q_end text := p_q || chr(1114111);
BEGIN
    IF p_organization_id IS NOT NULL THEN
        -- Most organizations have one account, and few have thousands.
        IF p_q IS NULL THEN
            RETURN ARRAY(
                SELECT a FROM billing_accounts a
                 WHERE a.organization_id = p_organization_id AND a.id < v_before
                   AND (p_status IS NULL OR a.status = p_status)
                   AND (p_currency IS NULL OR a.currency = p_currency)
                   AND (p_external_id IS NULL OR a.external_id = p_external_id)
                   AND (p_key IS NULL OR a.metadata ->> p_key = p_value)
                 ORDER BY a.id DESC LIMIT p_limit + 1);
        ELSE
            RETURN ARRAY(
                SELECT a FROM billing_accounts a, LATERAL (SELECT billing_account_match(a, p_q)) m(text)
                 WHERE a.organization_id = p_organization_id
                   AND (p_status IS NULL OR a.status = p_status)
                   AND (p_currency IS NULL OR a.currency = p_currency)
                   AND (p_external_id IS NULL OR a.external_id = p_external_id)
                   AND (p_key IS NULL OR a.metadata ->> p_key = p_value)
                   AND (m.text COLLATE "C", a.id) > (v_after_text, v_after_id)
                 ORDER BY m.text COLLATE "C", a.id LIMIT p_limit + 1);
        END IF;
    ELSIF p_external_id IS NOT NULL THEN
        RETURN ARRAY(
            SELECT a FROM billing_accounts a
             WHERE a.external_id = p_external_id AND a.id < v_before
               AND (p_status IS NULL OR a.status = p_status)
               AND (p_currency IS NULL OR a.currency = p_currency)
               AND (p_key IS NULL OR a.metadata ->> p_key = p_value)
               AND (p_q IS NULL OR billing_account_match(a, p_q) IS NOT NULL));
    ELSIF p_q IS NOT NULL THEN
        RETURN ARRAY(
            SELECT f.account FROM (
                (SELECT a AS account, left(lower(a.name), 100) COLLATE "C" AS text, a.id FROM billing_accounts a
                  WHERE left(lower(a.name), 100) COLLATE "C" < v_q_end
                    AND (left(lower(a.name), 100) COLLATE "C", a.id) > (v_after_text, v_after_id)
                    AND (p_status IS NULL OR a.status = p_status)
                    AND (p_currency IS NULL OR a.currency = p_currency)
                    AND (p_key IS NULL OR a.metadata ->> p_key = p_value)
                  ORDER BY left(lower(a.name), 100) COLLATE "C", a.id LIMIT p_limit + 1)
                UNION ALL
                (SELECT a, left(lower(a.email), 100) COLLATE "C", a.id FROM billing_accounts a
                  WHERE a.email IS NOT NULL
                    AND left(lower(a.email), 100) COLLATE "C" < v_q_end
                    AND (left(lower(a.email), 100) COLLATE "C", a.id) > (v_after_text, v_after_id)
                    AND NOT starts_with(left(lower(a.name), 100), p_q)
                    AND (p_status IS NULL OR a.status = p_status)
                    AND (p_currency IS NULL OR a.currency = p_currency)
                    AND (p_key IS NULL OR a.metadata ->> p_key = p_value)
                  ORDER BY left(lower(a.email), 100) COLLATE "C", a.id LIMIT p_limit + 1)
            ) f ORDER BY f.text, f.id LIMIT p_limit + 1);
    ELSIF p_key IS NOT NULL THEN
        RETURN ARRAY(
            SELECT a FROM billing_account_metadata d
              JOIN billing_accounts a ON a.organization_id = d.organization_id AND a.id = d.account_id
             WHERE d.key = p_key AND d.value = p_value AND d.account_id < v_before
               AND (p_status IS NULL OR a.status = p_status)
               AND (p_currency IS NULL OR a.currency = p_currency)
             ORDER BY d.account_id DESC LIMIT p_limit + 1);
    ELSIF p_currency IS NOT NULL THEN
        RETURN ARRAY(
            SELECT a FROM billing_accounts a
             WHERE a.currency = p_currency AND a.id < v_before AND (p_status IS NULL OR a.status = p_status)
             ORDER BY a.id DESC LIMIT p_limit + 1);
    ELSIF p_status IS NOT NULL THEN
        RETURN ARRAY(
            SELECT a FROM billing_accounts a WHERE a.status = p_status AND a.id < v_before
             ORDER BY a.id DESC LIMIT p_limit + 1);
    ELSE
        RETURN ARRAY(
            SELECT a FROM billing_accounts a WHERE a.id < v_before ORDER BY a.id DESC LIMIT p_limit + 1);
    END IF;
END;
$$;
