-- Holds the organization's row and says who asks, as of then: whoever lost a
-- permission while they waited for the row has lost it.
CREATE OR REPLACE FUNCTION organization_hold(
    p_digest bytea, p_organization_id uuid, p_permission text, OUT caller principal, OUT refusal json
)
LANGUAGE plpgsql AS $$
BEGIN
    caller := authenticate(p_digest);
    refusal := organization_refusal(caller, p_organization_id, p_permission);
    IF refusal IS NULL THEN
        PERFORM 1 FROM organizations WHERE id = p_organization_id FOR NO KEY UPDATE;
        caller := authenticate(p_digest);
        refusal := organization_refusal(caller, p_organization_id, p_permission);
    END IF;
END;
$$;
