-- What a sign-up needs before it hashes: that its address has not caused too
-- much mail, and a lease.
CREATE OR REPLACE FUNCTION auth_signup_begin(
    p_max_per_address integer, p_lease_id uuid, p_host_id text, p_max_leases integer, p_address text
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_refusal json;
BEGIN
    IF NOT hash_lease_take(p_lease_id, p_host_id, p_max_leases, p_address) THEN
        RETURN json_build_object('refusal', 'too_many_hashes');
    END IF;
    v_refusal := mail_refusal('sign_up', p_address, p_max_per_address);
    IF v_refusal IS NOT NULL THEN
        PERFORM hash_lease_release(p_lease_id);
        RETURN v_refusal;
    END IF;
    RETURN 'null'::json;
END;
$$;
