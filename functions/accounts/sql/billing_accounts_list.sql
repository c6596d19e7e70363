-- A page of accounts, and one more if there is one: of all for the platform, of the token's
-- organization for others. They come newest first; with p_q, the beginning of a name or of an
-- email, in the order of what begins so, and those with the same by their ids.
--
-- A statement for each filter that has an index, so that each has the plan of its own. What else is
-- asked for is looked at in its order.
CREATE OR REPLACE FUNCTION billing_accounts_list(
    p_digest bytea, p_status text, p_currency text, p_external_id text, p_key text, p_value text, p_q text,
    p_limit integer, p_after_text text, p_after_id uuid
) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_is_platform boolean := coalesce('accounts:read' = ANY (v_principal.permissions), false);
    v_refusal json := CASE WHEN NOT v_is_platform THEN refusal(v_principal, 'billing:read') END;
    v_before uuid := coalesce(p_after_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    v_after_id uuid := coalesce(p_after_id, '00000000-0000-0000-0000-000000000000');
    v_after_text text := coalesce(p_after_text, '');
    v_q text := left(lower(p_q), 100);
    -- No text that begins with v_q is as great as this.
    v_q_end text := v_q || chr(1114111);
    v_page billing_accounts[];
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF NOT v_is_platform THEN
        -- Most organizations have one account, and few have thousands.
        IF v_q IS NULL THEN
            v_page := ARRAY(
                SELECT a FROM billing_accounts a
                 WHERE a.organization_id = v_principal.organization_id AND a.id < v_before
                   AND (p_status IS NULL OR a.status = p_status)
                   AND (p_currency IS NULL OR a.currency = p_currency)
                   AND (p_external_id IS NULL OR a.external_id = p_external_id)
                   AND (p_key IS NULL OR a.metadata ->> p_key = p_value)
                 ORDER BY a.id DESC LIMIT p_limit + 1);
        ELSE
            v_page := ARRAY(
                SELECT a FROM billing_accounts a, LATERAL (SELECT billing_account_match(a, v_q)) m(text)
                 WHERE a.organization_id = v_principal.organization_id
                   AND (p_status IS NULL OR a.status = p_status)
                   AND (p_currency IS NULL OR a.currency = p_currency)
                   AND (p_external_id IS NULL OR a.external_id = p_external_id)
                   AND (p_key IS NULL OR a.metadata ->> p_key = p_value)
                   AND (m.text COLLATE "C", a.id) > (v_after_text, v_after_id)
                 ORDER BY m.text COLLATE "C", a.id LIMIT p_limit + 1);
        END IF;
    ELSIF p_external_id IS NOT NULL THEN
        v_page := ARRAY(
            SELECT a FROM billing_accounts a
             WHERE a.external_id = p_external_id AND a.id < v_before
               AND (p_status IS NULL OR a.status = p_status)
               AND (p_currency IS NULL OR a.currency = p_currency)
               AND (p_key IS NULL OR a.metadata ->> p_key = p_value)
               AND (v_q IS NULL OR billing_account_match(a, v_q) IS NOT NULL));
    ELSIF v_q IS NOT NULL THEN
        v_page := ARRAY(
            SELECT f.account FROM (
                (SELECT a AS account, left(lower(a.name), 100) COLLATE "C" AS text, a.id FROM billing_accounts a
                  WHERE left(lower(a.name), 100) COLLATE "C" >= v_q AND left(lower(a.name), 100) COLLATE "C" < v_q_end
                    AND (left(lower(a.name), 100) COLLATE "C", a.id) > (v_after_text, v_after_id)
                    AND (p_status IS NULL OR a.status = p_status)
                    AND (p_currency IS NULL OR a.currency = p_currency)
                    AND (p_key IS NULL OR a.metadata ->> p_key = p_value)
                  ORDER BY left(lower(a.name), 100) COLLATE "C", a.id LIMIT p_limit + 1)
                UNION ALL
                (SELECT a, left(lower(a.email), 100) COLLATE "C", a.id FROM billing_accounts a
                  WHERE a.email IS NOT NULL
                    AND left(lower(a.email), 100) COLLATE "C" >= v_q AND left(lower(a.email), 100) COLLATE "C" < v_q_end
                    AND (left(lower(a.email), 100) COLLATE "C", a.id) > (v_after_text, v_after_id)
                    AND NOT starts_with(left(lower(a.name), 100), v_q)
                    AND (p_status IS NULL OR a.status = p_status)
                    AND (p_currency IS NULL OR a.currency = p_currency)
                    AND (p_key IS NULL OR a.metadata ->> p_key = p_value)
                  ORDER BY left(lower(a.email), 100) COLLATE "C", a.id LIMIT p_limit + 1)
            ) f ORDER BY f.text, f.id LIMIT p_limit + 1);
    ELSIF p_key IS NOT NULL THEN
        v_page := ARRAY(
            SELECT a FROM billing_account_metadata d
              JOIN billing_accounts a ON a.organization_id = d.organization_id AND a.id = d.account_id
             WHERE d.key = p_key AND d.value = p_value AND d.account_id < v_before
               AND (p_status IS NULL OR a.status = p_status)
               AND (p_currency IS NULL OR a.currency = p_currency)
             ORDER BY d.account_id DESC LIMIT p_limit + 1);
    ELSIF p_currency IS NOT NULL THEN
        v_page := ARRAY(
            SELECT a FROM billing_accounts a
             WHERE a.currency = p_currency AND a.id < v_before AND (p_status IS NULL OR a.status = p_status)
             ORDER BY a.id DESC LIMIT p_limit + 1);
    ELSIF p_status IS NOT NULL THEN
        v_page := ARRAY(
            SELECT a FROM billing_accounts a WHERE a.status = p_status AND a.id < v_before
             ORDER BY a.id DESC LIMIT p_limit + 1);
    ELSE
        v_page := ARRAY(
            SELECT a FROM billing_accounts a WHERE a.id < v_before ORDER BY a.id DESC LIMIT p_limit + 1);
    END IF;
    RETURN (SELECT coalesce(json_agg(json_build_object(
                       'text', coalesce(billing_account_match(v_page[n], v_q), ''),
                       'account', billing_account_json(v_page[n])) ORDER BY n), '[]'::json)
              FROM generate_subscripts(v_page, 1) n);
END;
$$;
