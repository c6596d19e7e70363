-- The newest accounts before one of them: of an organization, or of all.
CREATE OR REPLACE FUNCTION billing_accounts_page(p_organization_id uuid, p_before uuid, p_limit integer) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_page billing_accounts[];
BEGIN
    -- A statement for each, so that each has the plan of its index.
    IF p_organization_id IS NULL THEN
        v_page := ARRAY(SELECT a FROM billing_accounts a WHERE a.id < p_before ORDER BY a.id DESC LIMIT p_limit);
    ELSE
        v_page := ARRAY(SELECT a FROM billing_accounts a
                         WHERE a.organization_id = p_organization_id AND a.id < p_before
                         ORDER BY a.id DESC LIMIT p_limit);
    END IF;
    RETURN (SELECT coalesce(json_agg(billing_account_json(v_page[n]) ORDER BY n), '[]'::json)
              FROM generate_subscripts(v_page, 1) n);
END;
$$;
