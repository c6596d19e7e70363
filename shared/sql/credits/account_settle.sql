-- Posts everything that has fallen due on a locked account, in the order in
-- which it did. What a lapsed hold gives back to a grant that has lapsed too
-- expires with it, in the next turn of the loop; what comes back to a voided
-- grant is voided.
CREATE OR REPLACE FUNCTION account_settle(p_account credit_accounts, p_now timestamptz) RETURNS credit_accounts
LANGUAGE plpgsql AS $$
DECLARE
    v_account credit_accounts := p_account;
    v_due record;
    v_post record;
    v_id uuid;
BEGIN
    LOOP
        -- Each branch reads one row of its index, however much is due.
        SELECT * INTO v_due FROM (
            (SELECT 'activate' AS kind, 'effective' AS description, id, effective_at AS due_at, remaining AS amount, 1 AS rank
               FROM credit_grants
              WHERE organization_id = v_account.organization_id AND account_id = v_account.id AND state = 'pending' AND effective_at <= p_now
              ORDER BY effective_at LIMIT 1)
            UNION ALL
            (SELECT 'release', 'hold expired', id, expires_at, amount, 2
               FROM credit_holds
              WHERE organization_id = v_account.organization_id AND account_id = v_account.id AND state = 'open' AND expires_at <= p_now
              ORDER BY expires_at LIMIT 1)
            UNION ALL
            (SELECT 'void', 'void', id, voided_at, remaining, 3
               FROM credit_grants
              WHERE organization_id = v_account.organization_id AND account_id = v_account.id AND state = 'open' AND voided_at IS NOT NULL
              LIMIT 1)
            UNION ALL
            (SELECT 'expire', 'expired', id, expires_at, remaining, 4
               FROM credit_grants
              WHERE organization_id = v_account.organization_id AND account_id = v_account.id AND state = 'open' AND expires_at < 'infinity' AND expires_at <= p_now
              ORDER BY expires_at LIMIT 1)
        ) due ORDER BY due_at, rank LIMIT 1;
        EXIT WHEN NOT FOUND;
        v_id := time_ordered_id(v_account.organization_id);
        v_post := ledger_post(
            v_account, v_id, v_due.kind,
            CASE v_due.kind WHEN 'activate' THEN 'pending' WHEN 'release' THEN 'held' ELSE 'available' END::credit_bucket,
            CASE v_due.kind WHEN 'void' THEN 'issued' WHEN 'expire' THEN 'expired' ELSE 'available' END::credit_bucket,
            v_due.amount, v_due.description, NULL, v_due.due_at);
        v_account := v_post.account;
        IF v_due.kind = 'release' THEN
            UPDATE credit_holds SET state = 'expired', settled_at = v_due.due_at
             WHERE organization_id = v_account.organization_id AND id = v_due.id;
            PERFORM hold_parts_return(v_account.organization_id, v_due.id, v_id, v_due.amount);
        ELSE
            UPDATE credit_grants
               SET state = CASE v_due.kind WHEN 'activate' THEN 'open' ELSE 'closed' END::credit_grant_state,
                   remaining = CASE v_due.kind WHEN 'activate' THEN remaining ELSE 0 END
             WHERE organization_id = v_account.organization_id AND id = v_due.id;
            INSERT INTO credit_movements VALUES (v_account.organization_id, v_id, v_due.id, v_due.amount, 1);
        END IF;
    END LOOP;
    UPDATE credit_accounts SET next_due_at = account_next_due(organization_id, id)
     WHERE organization_id = v_account.organization_id AND id = v_account.id
    RETURNING * INTO v_account;
    RETURN v_account;
END;
$$;
