-- Posts everything that has fallen due on a locked account by p_now: the transfers that
-- transfers_due says, and what they make of the grants, the holds and the account.
CREATE OR REPLACE FUNCTION account_settle(p_account credit_accounts, p_now timestamptz) RETURNS credit_accounts
LANGUAGE plpgsql AS $$
DECLARE
    v_account credit_accounts := p_account;
BEGIN
    -- What has changed since the row was read can have made something fall due earlier.
    v_account.next_due_at := '-infinity';
    v_account := account_as_of(v_account, p_now);
    -- One statement, so that all of it is worked out before any of it is written.
    WITH due AS MATERIALIZED (
        SELECT d.transfer, d.grant_id, d.hold_id FROM transfers_due(p_account, p_now) d
    ), changed AS MATERIALIZED (
        SELECT * FROM grants_due(p_account, p_now)
    ), posted AS (
        INSERT INTO ledger_transfers SELECT (d.transfer).* FROM due d ORDER BY (d.transfer).sequence
    ), moved AS (
        INSERT INTO credit_movements (organization_id, transfer_id, grant_id, amount, position)
        SELECT v_account.organization_id, (d.transfer).id, d.grant_id, (d.transfer).amount, 1
          FROM due d WHERE d.grant_id IS NOT NULL
        UNION ALL
        SELECT v_account.organization_id, (d.transfer).id, p.grant_id, p.amount, p.position
          FROM due d
          JOIN credit_hold_parts p ON p.organization_id = v_account.organization_id AND p.hold_id = d.hold_id
    ), granted AS (
        UPDATE credit_grants g SET remaining = c.remaining, held = c.held, state = c.state
          FROM changed c WHERE g.organization_id = v_account.organization_id AND g.id = c.id
    ), lapsed AS (
        UPDATE credit_holds h SET state = 'expired', settled_at = h.expires_at
          FROM due d WHERE h.organization_id = v_account.organization_id AND h.id = d.hold_id
    )
    UPDATE credit_accounts a
       SET issued = v_account.issued, pending = v_account.pending, available = v_account.available,
           held = v_account.held, expired = v_account.expired, sequence = v_account.sequence,
           next_due_at = v_account.next_due_at, last_occurred_at = v_account.last_occurred_at
     WHERE a.organization_id = v_account.organization_id AND a.id = v_account.id;
    RETURN v_account;
END;
$$;
