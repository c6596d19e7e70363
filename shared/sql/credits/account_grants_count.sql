-- How many grants of an account are pending or will expire, and how many are open. A grant counts
-- too while an open hold has all that is left of it: what the hold gives back opens it again.
CREATE OR REPLACE FUNCTION account_grants_count(p_account credit_accounts, OUT due bigint, OUT opened bigint)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_held_due bigint := 0;
    v_held bigint := 0;
BEGIN
    IF p_account.held > 0 THEN
        -- From the holds: an index on what is held would be written by each of them.
        SELECT count(*) FILTER (WHERE g.expires_at < 'infinity'), count(*) INTO v_held_due, v_held
          FROM (SELECT DISTINCT o.grant_id
                  FROM credit_holds h
                 CROSS JOIN LATERAL (SELECT p.grant_id FROM credit_hold_parts p
                                      WHERE p.organization_id = p_account.organization_id AND p.hold_id = h.id
                                     OFFSET 0) o
                 WHERE h.organization_id = p_account.organization_id AND h.account_id = p_account.id
                   AND h.state = 'open') held
         CROSS JOIN LATERAL (SELECT o.state, o.expires_at FROM credit_grants o
                              WHERE o.organization_id = p_account.organization_id AND o.id = held.grant_id
                              LIMIT 1) g
         WHERE g.state = 'closed';
    END IF;
    due := v_held_due
        + (SELECT count(*) FROM credit_grants
            WHERE organization_id = p_account.organization_id AND account_id = p_account.id
              AND state = 'open' AND expires_at < 'infinity')
        + (SELECT count(*) FROM credit_grants
            WHERE organization_id = p_account.organization_id AND account_id = p_account.id
              AND state = 'pending');
    opened := v_held
        + (SELECT count(*) FROM credit_grants
            WHERE organization_id = p_account.organization_id AND account_id = p_account.id
              AND state = 'open');
END;
$$;
