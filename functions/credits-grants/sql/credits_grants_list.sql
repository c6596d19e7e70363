-- A page of the grants of the token's user in its organization, in one currency or in all, newest
-- first, and one row more than asked for, by which the caller knows whether there is a next page.
-- It begins after the place p_after_*. The grants are as what has fallen due leaves them, posted or
-- not.
CREATE OR REPLACE FUNCTION credits_grants_list(
    p_digest bytea, p_currency text, p_limit integer,
    p_after_at timestamptz DEFAULT NULL, p_after_currency text DEFAULT NULL, p_after_id uuid DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql STABLE
-- To plan a page takes longer than to read it, and the plans are alike for all limits.
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:read');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN (
        SELECT coalesce(json_agg(json_build_object('at_micros', unix_micros((page.entry).created_at),
                                                   'grant', credit_grant_json(page.entry, page.currency))
                                 ORDER BY (page.entry).created_at DESC, page.currency COLLATE "C",
                                          (page.entry).sequence DESC), '[]'::json)
          FROM (SELECT g.*
                  FROM grants_listed(v_principal.organization_id, v_principal.user_id, p_currency,
                                     statement_timestamp(), p_limit + 1,
                                     p_after_at, p_after_currency, p_after_id) g
                 ORDER BY (g.entry).created_at DESC, g.currency COLLATE "C", (g.entry).sequence DESC
                 LIMIT p_limit + 1) page);
END;
$$;
