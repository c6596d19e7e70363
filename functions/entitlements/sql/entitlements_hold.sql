-- Holds the organization's row, so that changes of its entitlements come one after
-- the other, and says who asks as of then. Without an organization named it is the
-- caller's.
CREATE OR REPLACE FUNCTION entitlements_hold(
    p_digest bytea, p_organization_id uuid, OUT caller principal, OUT refusal json, OUT organization_id uuid
)
LANGUAGE plpgsql AS $$
BEGIN
    caller := authenticate(p_digest);
    organization_id := coalesce(p_organization_id, caller.organization_id);
    refusal := entitlements_refusal(caller, organization_id, 'entitlements:manage');
    IF refusal IS NULL THEN
        PERFORM 1 FROM organizations o WHERE o.id = entitlements_hold.organization_id FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            refusal := json_build_object('refusal', 'organization_unknown');
            RETURN;
        END IF;
        caller := authenticate(p_digest);
        refusal := entitlements_refusal(caller, organization_id, 'entitlements:manage');
    END IF;
END;
$$;
