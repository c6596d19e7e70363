-- An account as the API shows it.
CREATE OR REPLACE FUNCTION billing_account_json(p_account billing_accounts) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', prefixed_id('acc_', (p_account).id),
    'organization_id', prefixed_id('org_', (p_account).organization_id),
    'user_id', prefixed_id('usr_', (p_account).user_id),
    'kind', (p_account).kind, 'name', (p_account).name, 'external_id', (p_account).external_id,
    'email', (p_account).email, 'phone', (p_account).phone,
    'billing_address', (p_account).billing_address, 'shipping_address', (p_account).shipping_address,
    'tax_ids', (p_account).tax_ids, 'currency', (p_account).currency, 'time_zone', (p_account).time_zone,
    'locale', (p_account).locale, 'payment_terms_days', (p_account).payment_terms_days,
    'invoice_settings', '{"grace_days": 0, "consolidation": "account", "footer": null}'::jsonb
                        || (p_account).invoice_settings,
    'metadata', (p_account).metadata, 'parent_id', prefixed_id('acc_', (p_account).parent_id),
    'status', (p_account).status, 'is_test', (p_account).is_test,
    'test_clock_at', rfc3339((p_account).test_clock_at), 'version', (p_account).version,
    'created_at', rfc3339((p_account).created_at), 'updated_at', rfc3339((p_account).updated_at),
    'closed_at', rfc3339((p_account).closed_at));
