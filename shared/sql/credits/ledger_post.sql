-- Moves an amount between two buckets of a locked account: the account's row,
-- and one line of the ledger. It came to pass now, or when p_occurred_at says,
-- and not before what the account has seen already. What is spent, or comes back
-- of it, is counted under its day and names; a refund has the names of what it
-- gives back.
CREATE OR REPLACE FUNCTION ledger_post(
    p_account credit_accounts, p_transfer_id uuid, p_kind text, p_debited credit_bucket, p_credited credit_bucket,
    p_amount numeric, p_description text, p_actor_id uuid,
    p_occurred_at timestamptz DEFAULT NULL, p_refunds_id uuid DEFAULT NULL,
    p_service text DEFAULT NULL, p_model text DEFAULT NULL,
    OUT account credit_accounts, OUT transfer ledger_transfers
)
LANGUAGE plpgsql AS $$
BEGIN
    IF p_refunds_id IS NOT NULL THEN
        SELECT t.service, t.model INTO p_service, p_model FROM ledger_transfers t
         WHERE t.organization_id = p_account.organization_id AND t.id = p_refunds_id;
    END IF;
    UPDATE credit_accounts SET
        issued    = issued    + p_amount * ((p_credited = 'issued')::integer - (p_debited = 'issued')::integer),
        pending   = pending   + p_amount * ((p_credited = 'pending')::integer - (p_debited = 'pending')::integer),
        available = available + p_amount * ((p_credited = 'available')::integer - (p_debited = 'available')::integer),
        held      = held      + p_amount * ((p_credited = 'held')::integer - (p_debited = 'held')::integer),
        consumed  = consumed  + p_amount * ((p_credited = 'consumed')::integer - (p_debited = 'consumed')::integer),
        expired   = expired   + p_amount * ((p_credited = 'expired')::integer - (p_debited = 'expired')::integer),
        sequence  = sequence + 1,
        last_occurred_at = greatest(last_occurred_at, coalesce(p_occurred_at, clock_timestamp()))
     WHERE organization_id = p_account.organization_id AND id = p_account.id
    RETURNING * INTO account;
    INSERT INTO ledger_transfers
        (organization_id, id, account_id, sequence, kind, debited, credited, amount, available_after, description, actor_id,
         occurred_at, refunds_id, service, model)
    VALUES (account.organization_id, p_transfer_id, account.id, account.sequence, p_kind, p_debited, p_credited,
            p_amount, account.available, p_description, p_actor_id, account.last_occurred_at, p_refunds_id,
            p_service, p_model)
    RETURNING * INTO transfer;
    IF p_credited = 'consumed' THEN
        INSERT INTO credit_usage_daily AS u (organization_id, account_id, day, service, model, spent, spends)
        VALUES (account.organization_id, account.id, utc_day(account.last_occurred_at), coalesce(p_service, ''),
                coalesce(p_model, ''), p_amount, 1)
        ON CONFLICT ON CONSTRAINT credit_usage_daily_pkey
        DO UPDATE SET spent = u.spent + EXCLUDED.spent, spends = u.spends + 1;
    ELSIF p_debited = 'consumed' THEN
        INSERT INTO credit_usage_daily AS u (organization_id, account_id, day, service, model, refunded, refunds)
        VALUES (account.organization_id, account.id, utc_day(account.last_occurred_at), coalesce(p_service, ''),
                coalesce(p_model, ''), p_amount, 1)
        ON CONFLICT ON CONSTRAINT credit_usage_daily_pkey
        DO UPDATE SET refunded = u.refunded + EXCLUDED.refunded, refunds = u.refunds + 1;
    END IF;
END;
$$;
