-- Adds to the totals of an account's shard.
--
-- There is no deadlock over these rows. A transaction changes one account, whose row it
-- has locked first, and so one currency and one shard. The shard's row of
-- credit_liabilities is the first that it takes here, and it keeps it to its end: whoever
-- waits for a row of the shard's days would have waited for that one before, and holds
-- nothing here.
CREATE OR REPLACE FUNCTION credit_totals_add(
    p_organization_id uuid, p_account_id uuid, p_occurred_at timestamptz, p_liability numeric,
    p_sold numeric, p_promotional numeric, p_consumed numeric, p_refunded numeric, p_expired numeric,
    p_voided numeric, p_spends bigint
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_shard smallint := credit_shard(p_account_id);
    v_currency text;
BEGIN
    INSERT INTO credit_liabilities AS l (currency, shard, amount)
    SELECT currency, v_shard, p_liability FROM credit_accounts
     WHERE organization_id = p_organization_id AND id = p_account_id
    ON CONFLICT (currency, shard) DO UPDATE SET amount = l.amount + excluded.amount
    RETURNING currency INTO v_currency;
    INSERT INTO credit_totals_daily AS t
        (currency, day, shard, sold, promotional, consumed, refunded, expired, voided, spends)
    VALUES (v_currency, utc_day(p_occurred_at), v_shard,
            p_sold, p_promotional, p_consumed, p_refunded, p_expired, p_voided, p_spends)
    ON CONFLICT (currency, day, shard) DO UPDATE SET
        sold        = t.sold        + excluded.sold,
        promotional = t.promotional + excluded.promotional,
        consumed    = t.consumed    + excluded.consumed,
        refunded    = t.refunded    + excluded.refunded,
        expired     = t.expired     + excluded.expired,
        voided      = t.voided      + excluded.voided,
        spends      = t.spends      + excluded.spends;
END;
$$;
