-- Says in the audit log what the platform gave or took back, in the chain of the organization whose
-- credits they are.
CREATE OR REPLACE FUNCTION grant_audited(
    p_event_type text, p_account credit_accounts, p_grant credit_grants, p_amount numeric, p_actor_id uuid
) RETURNS void
LANGUAGE sql AS $$
    SELECT audit_append(
        (p_account).organization_id, p_event_type, p_actor_id,
        coalesce(prefixed_id('usr_', (p_account).user_id), prefixed_id('org_', (p_account).organization_id)),
        jsonb_build_object('grant_id', prefixed_id('cgr_', (p_grant).id), 'kind', (p_grant).kind,
                           'amount', p_amount::text, 'currency', (p_account).currency))
$$;
