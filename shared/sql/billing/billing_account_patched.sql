-- An account as a merge patch would have it, or why it cannot be so. Its parent is held already, if
-- the patch gives it one. Nothing is written.
CREATE OR REPLACE FUNCTION billing_account_patched(
    p_account billing_accounts, p_patch jsonb, OUT patched billing_accounts, OUT refusal text
)
LANGUAGE plpgsql AS $$
DECLARE
    v_columns jsonb := p_patch;
    v_parent billing_accounts;
    v_name text;
BEGIN
    FOREACH v_name IN ARRAY ARRAY['billing_address', 'shipping_address'] LOOP
        IF v_columns ? v_name THEN
            -- An address of nothing is none.
            v_columns := v_columns || jsonb_build_object(
                v_name, nullif(json_merge_patch(to_jsonb(p_account) -> v_name, v_columns -> v_name), '{}'));
        END IF;
    END LOOP;
    FOREACH v_name IN ARRAY ARRAY['invoice_settings', 'metadata'] LOOP
        IF v_columns ? v_name THEN
            v_columns := v_columns || jsonb_build_object(
                v_name, CASE v_columns -> v_name WHEN 'null' THEN '{}'
                        ELSE json_merge_patch(to_jsonb(p_account) -> v_name, v_columns -> v_name) END);
        END IF;
    END LOOP;
    IF v_columns ? 'invoice_settings' THEN
        -- A default is kept by keeping nothing, so that the same settings are the same row.
        v_columns := jsonb_set(v_columns, '{invoice_settings}', (
            SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}')
              FROM jsonb_each(v_columns -> 'invoice_settings') e
             WHERE (e.key, e.value) NOT IN (('grace_days', '0'), ('consolidation', '"account"'))));
    END IF;
    IF v_columns -> 'tax_ids' = 'null' THEN
        v_columns := v_columns || '{"tax_ids": []}';
    END IF;
    IF v_columns -> 'payment_terms_days' = 'null' THEN
        v_columns := v_columns || '{"payment_terms_days": 0}';
    END IF;
    IF v_columns ? 'time_zone' THEN
        v_name := time_zone_read(v_columns ->> 'time_zone');
        IF v_name IS NULL THEN
            refusal := 'time_zone_unknown';
            RETURN;
        END IF;
        v_columns := v_columns || jsonb_build_object('time_zone', v_name);
    END IF;
    patched := jsonb_populate_record(p_account, v_columns);
    IF (SELECT count(*) FROM jsonb_object_keys(patched.metadata)) > 50 THEN
        refusal := 'metadata_limit';
    ELSIF patched.currency IS DISTINCT FROM p_account.currency AND (
        billing_account_is_billed(p_account)
        -- Whoever pays for others pays in their currency.
        OR EXISTS (SELECT 1 FROM billing_accounts c
                    WHERE c.parent_organization_id = p_account.organization_id AND c.parent_id = p_account.id
                      AND c.currency <> patched.currency)) THEN
        refusal := 'currency_fixed';
    ELSIF patched.parent_id IS NULL THEN
        patched.parent_organization_id := NULL;
    ELSIF (patched.parent_id, patched.currency) IS DISTINCT FROM (p_account.parent_id, p_account.currency) THEN
        v_parent := billing_account_by_id(patched.parent_id);
        patched.parent_organization_id := v_parent.organization_id;
        refusal := CASE
            WHEN patched.parent_id = p_account.id THEN 'parent_is_itself'
            WHEN v_parent.id IS NULL OR v_parent.status = 'closed' THEN 'parent_unknown'
            WHEN v_parent.is_test <> p_account.is_test THEN 'parent_mode'
            WHEN v_parent.currency <> patched.currency THEN 'parent_currency'
            WHEN v_parent.parent_id IS NOT NULL THEN 'parent_has_parent'
            WHEN billing_account_has_children(p_account) THEN 'account_is_parent' END;
    END IF;
END;
$$;
