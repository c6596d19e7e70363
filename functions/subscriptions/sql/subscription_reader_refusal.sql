-- What a caller is told who may not see the subscriptions of an organization; null to go on. Whoever
-- manages subscriptions sees those of all.
CREATE OR REPLACE FUNCTION subscription_reader_refusal(p_principal principal, p_organization_id uuid) RETURNS json
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF p_principal.user_id IS NOT NULL AND 'subscriptions:manage' = ANY (p_principal.permissions) THEN
        RETURN NULL;
    END IF;
    RETURN coalesce(refusal(p_principal, 'billing:read'),
                    organization_refusal(p_principal, p_organization_id, 'billing:read'));
END;
$$;
