-- The earliest moment at which something of the account falls due.
CREATE OR REPLACE FUNCTION account_next_due(p_organization_id uuid, p_account_id uuid) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT least(
        (SELECT min(effective_at) FROM credit_grants
          WHERE organization_id = p_organization_id AND account_id = p_account_id AND state = 'pending'),
        (SELECT min(expires_at) FROM credit_grants
          WHERE organization_id = p_organization_id AND account_id = p_account_id AND state = 'open' AND expires_at < 'infinity'),
        (SELECT min(expires_at) FROM credit_holds
          WHERE organization_id = p_organization_id AND account_id = p_account_id AND state = 'open'),
        (SELECT min(voided_at) FROM credit_grants
          WHERE organization_id = p_organization_id AND account_id = p_account_id AND state = 'open' AND voided_at IS NOT NULL),
        'infinity')
$$;
