-- Posts everything that has fallen due on a locked account by p_now: the transfers that
-- transfers_due says, and what they make of the grants, the holds and the account. All of it is
-- worked out, once, before any of it is written.
CREATE OR REPLACE FUNCTION account_settle(p_account credit_accounts, p_now timestamptz) RETURNS credit_accounts
LANGUAGE plpgsql AS $$
DECLARE
    v_due credit_due[] := ARRAY(SELECT d FROM account_due(p_account, p_now) d);
    v_changed credit_grants[] := ARRAY(SELECT g FROM grants_due(p_account, v_due) g);
    v_account credit_accounts := account_after(p_account, p_now, v_due, v_changed);
    v_grant credit_grants;
BEGIN
    IF cardinality(v_due) > 0 THEN
        WITH due AS MATERIALIZED (
            SELECT d.transfer, d.grant_id, d.hold_id FROM transfers_due(p_account, v_due) d
        ), posted AS (
            INSERT INTO ledger_transfers SELECT (d.transfer).* FROM due d ORDER BY (d.transfer).sequence
        )
        INSERT INTO credit_movements (organization_id, transfer_id, grant_id, amount, position)
        SELECT v_account.organization_id, (d.transfer).id, d.grant_id, (d.transfer).amount, 1
          FROM due d WHERE d.grant_id IS NOT NULL
        UNION ALL
        SELECT v_account.organization_id, (d.transfer).id, p.grant_id, p.amount, p.position
          FROM due d
         CROSS JOIN LATERAL (SELECT o.grant_id, o.amount, o.position FROM credit_hold_parts o
                              WHERE o.organization_id = v_account.organization_id AND o.hold_id = d.hold_id
                             OFFSET 0) p
         WHERE d.hold_id IS NOT NULL;
        -- One by one, by the primary key: a join could read all grants of the organization.
        FOREACH v_grant IN ARRAY v_changed LOOP
            UPDATE credit_grants SET remaining = v_grant.remaining, held = v_grant.held, state = v_grant.state
             WHERE organization_id = v_account.organization_id AND id = v_grant.id;
        END LOOP;
        UPDATE credit_holds SET state = 'expired', settled_at = expires_at
         WHERE organization_id = v_account.organization_id
           AND id = ANY (ARRAY(SELECT d.hold_id FROM unnest(v_due) d WHERE d.hold_id IS NOT NULL));
    END IF;
    UPDATE credit_accounts
       SET issued = v_account.issued, pending = v_account.pending, available = v_account.available,
           held = v_account.held, expired = v_account.expired, sequence = v_account.sequence,
           next_due_at = v_account.next_due_at, last_occurred_at = v_account.last_occurred_at
     WHERE organization_id = v_account.organization_id AND id = v_account.id;
    RETURN v_account;
END;
$$;
