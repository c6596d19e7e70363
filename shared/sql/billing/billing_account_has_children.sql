-- Whether the account pays for others. One that is closed is one of them, because it can be reopened.
CREATE OR REPLACE FUNCTION billing_account_has_children(p_account billing_accounts) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM billing_accounts
                    WHERE parent_organization_id = p_account.organization_id AND parent_id = p_account.id);
END;
$$;
