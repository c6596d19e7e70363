-- Whether a spend of a day may have these names: it has none, they are in use
-- that day, or there is room for more. Asked before the spend is posted, under the
-- account's lock; a capture is not refused for the names of its hold. p_before
-- are transfers that the statement will post before it.
CREATE OR REPLACE FUNCTION usage_names_fit(
    p_organization_id uuid, p_account_id uuid, p_service text, p_model text, p_day date,
    p_before ledger_transfers[] DEFAULT '{}'
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF p_service IS NULL AND p_model IS NULL THEN
        RETURN true;
    END IF;
    PERFORM 1 FROM credit_usage_daily
      WHERE organization_id = p_organization_id AND account_id = p_account_id AND day = p_day
        AND service = coalesce(p_service, '') AND model = coalesce(p_model, '');
    IF FOUND THEN
        RETURN true;
    END IF;
    PERFORM 1 FROM unnest(p_before) b
      WHERE coalesce(b.service, '') = coalesce(p_service, '') AND coalesce(b.model, '') = coalesce(p_model, '');
    RETURN FOUND OR (SELECT count(*) FROM (
        SELECT 1 FROM credit_usage_daily
         WHERE organization_id = p_organization_id AND account_id = p_account_id AND day = p_day
         LIMIT max_usage_names()) names) + (SELECT count(*) FROM (
        SELECT DISTINCT coalesce(b.service, '') AS service, coalesce(b.model, '') AS model
          FROM unnest(p_before) b) b
         WHERE NOT EXISTS (
            SELECT 1 FROM credit_usage_daily d
             WHERE d.organization_id = p_organization_id AND d.account_id = p_account_id AND d.day = p_day
               AND d.service = b.service AND d.model = b.model)) < max_usage_names();
END;
$$;
