-- One round of a purge, and the successor of a signing key that is old enough. p_new_kid is the
-- successor's id, and the same in all rounds of a request: so whoever sends a round twice
-- publishes one key.
CREATE OR REPLACE FUNCTION retention_purge(p_digest bytea, p_new_kid text, p_max_rows integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'retention:purge');
    v_round json;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- Before the round, which waits for nobody: so whoever waits for one of its rows may hold the
    -- keys or the log.
    PERFORM signing_key_current(p_new_kid);
    v_round := retention_round(p_max_rows);
    RETURN json_build_object(
        'status', v_round -> 'status', 'deleted', v_round -> 'deleted', 'is_complete', v_round -> 'is_complete',
        'signing_key', (SELECT kid FROM signing_keys WHERE kid = p_new_kid));
END;
$$;
