-- Holds the organization's entitlements as entitlements_hold does, and looks for the one
-- that is to be changed. What the organization itself was given is not its own to change.
CREATE OR REPLACE FUNCTION entitlement_hold(
    p_digest bytea, p_organization_id uuid, p_id uuid,
    OUT caller principal, OUT refusal json, OUT entitlement entitlements
)
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
BEGIN
    v_hold := entitlements_hold(p_digest, p_organization_id);
    caller := v_hold.caller;
    refusal := v_hold.refusal;
    IF refusal IS NOT NULL THEN
        -- Nothing is in an organization that there is not.
        IF refusal ->> 'refusal' = 'organization_unknown' THEN
            refusal := json_build_object('refusal', 'not_found');
        END IF;
        RETURN;
    END IF;
    SELECT * INTO entitlement FROM entitlements e WHERE e.organization_id = v_hold.organization_id AND e.id = p_id;
    IF NOT FOUND THEN
        refusal := json_build_object('refusal', 'not_found');
    ELSIF entitlement.subject = '' AND 'entitlements:grant' <> ALL (caller.permissions) THEN
        refusal := json_build_object('refusal', 'forbidden', 'permission', 'entitlements:grant');
    END IF;
END;
$$;
