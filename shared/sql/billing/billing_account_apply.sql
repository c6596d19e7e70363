-- Makes or changes one account as an item says, or says why not. What is to be in the audit log is
-- handed back, because whoever applies several appends their events in one order.
--
-- An item has an op. "create" has the id, kind and is_test of the new account, and the organization
-- and the user of a person's. "update" has the id, and the version that the account must have, or
-- null. Both have a patch. A change that is there already is none, whatever version was asked for:
-- an answer that was lost is given again.
CREATE OR REPLACE FUNCTION billing_account_apply(
    p_principal principal, p_item jsonb, p_is_platform boolean,
    OUT account billing_accounts, OUT refusal json, OUT event text, OUT detail jsonb
)
LANGUAGE plpgsql AS $$
DECLARE
    v_patch jsonb := p_item -> 'patch';
    v_id uuid := (p_item ->> 'id')::uuid;
    v_organization_id uuid := coalesce(p_item ->> 'organization_id', p_item ->> 'id')::uuid;
    v_user_id uuid := (p_item ->> 'user_id')::uuid;
    v_old billing_accounts;
    v_result record;
    v_now timestamptz := clock_timestamp();
BEGIN
    IF p_item ->> 'op' = 'create' THEN
        SELECT * INTO account FROM billing_accounts WHERE organization_id = v_organization_id AND id = v_id;
        IF FOUND THEN
            -- Sent twice, it was made by the first.
            RETURN;
        END IF;
        IF v_user_id IS NOT NULL AND NOT membership_hold(v_organization_id, v_user_id) THEN
            refusal := json_build_object('refusal', 'user_unknown');
            RETURN;
        END IF;
        IF v_patch ->> 'parent_id' IS NOT NULL THEN
            PERFORM 1 FROM billing_accounts WHERE id = (v_patch ->> 'parent_id')::uuid FOR NO KEY UPDATE;
        END IF;
        v_old.organization_id := v_organization_id;
        v_old.id := v_id;
        v_old.user_id := v_user_id;
        v_old.kind := p_item ->> 'kind';
        v_old.tax_ids := '[]';
        v_old.time_zone := 'UTC';
        v_old.payment_terms_days := 0;
        v_old.invoice_settings := '{}';
        v_old.metadata := '{}';
        v_old.status := 'active';
        v_old.version := 1;
        v_old.is_test := (p_item ->> 'is_test')::boolean;
        v_old.created_at := v_now;
        v_old.updated_at := v_now;
        v_result := billing_account_patched(v_old, v_patch);
        IF v_result.refusal IS NOT NULL THEN
            refusal := json_build_object('refusal', v_result.refusal);
            RETURN;
        END IF;
        account := v_result.patched;
        -- Of those with one external id, or of one person, at once the first is made.
        INSERT INTO billing_accounts SELECT account.* ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            refusal := json_build_object('refusal', CASE
                WHEN EXISTS (SELECT 1 FROM billing_accounts
                              WHERE organization_id = v_organization_id AND user_id = v_user_id)
                THEN 'account_exists' ELSE 'external_id_taken' END);
            RETURN;
        END IF;
        IF v_user_id IS NULL THEN
            INSERT INTO organizations (id, name, time_zone) VALUES (v_id, account.name, account.time_zone);
        END IF;
        event := 'account.created';
        detail := jsonb_strip_nulls(jsonb_build_object(
            'kind', account.kind, 'user_id', prefixed_id('usr_', v_user_id), 'is_test', account.is_test));
        RETURN;
    END IF;

    v_old := billing_account_hold(p_principal, v_id, p_is_platform, (v_patch ->> 'parent_id')::uuid);
    IF v_old.id IS NULL THEN
        refusal := json_build_object('refusal', 'not_found');
        RETURN;
    END IF;
    account := v_old;
    v_result := billing_account_patched(v_old, v_patch);
    IF v_result.refusal IS NOT NULL THEN
        refusal := json_build_object('refusal', v_result.refusal);
        RETURN;
    END IF;
    IF v_result.patched IS NOT DISTINCT FROM v_old THEN
        RETURN;
    END IF;
    IF (p_item ->> 'version')::bigint <> v_old.version THEN
        refusal := json_build_object('refusal', 'version_conflict', 'version', v_old.version);
        RETURN;
    END IF;
    account := v_result.patched;
    account.version := v_old.version + 1;
    account.updated_at := v_now;
    -- By itself, because what can be refused costs a subtransaction.
    IF account.external_id IS DISTINCT FROM v_old.external_id THEN
        BEGIN
            UPDATE billing_accounts a SET external_id = account.external_id
             WHERE a.organization_id = v_old.organization_id AND a.id = v_old.id;
        EXCEPTION WHEN unique_violation THEN
            refusal := json_build_object('refusal', 'external_id_taken');
            RETURN;
        END;
    END IF;
    UPDATE billing_accounts a
       SET name = account.name, email = account.email, phone = account.phone,
           billing_address = account.billing_address, shipping_address = account.shipping_address,
           tax_ids = account.tax_ids, currency = account.currency, time_zone = account.time_zone,
           locale = account.locale, payment_terms_days = account.payment_terms_days,
           invoice_settings = account.invoice_settings, metadata = account.metadata,
           parent_organization_id = account.parent_organization_id, parent_id = account.parent_id,
           version = account.version, updated_at = account.updated_at
     WHERE a.organization_id = v_old.organization_id AND a.id = v_old.id;
    event := 'account.changed';
    -- The fields, and not their values: the log is not where addresses are kept.
    detail := jsonb_build_object('version', account.version, 'fields', (
        SELECT jsonb_agg(k ORDER BY k)
          FROM (SELECT to_jsonb(account) AS now, to_jsonb(v_old) AS before) d, jsonb_object_keys(v_patch) k
         WHERE d.now -> k IS DISTINCT FROM d.before -> k));
END;
$$;
