-- What a client is told whose address has caused too much mail of a purpose, or null.
CREATE OR REPLACE FUNCTION mail_refusal(p_purpose text, p_address text, p_max_per_address integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_wait interval := mail_quota_take('address:' || p_purpose || ':' || p_address, p_max_per_address);
BEGIN
    IF v_wait IS NOT NULL THEN
        RETURN json_build_object('refusal', 'too_many_requests',
                                 'retry_after_secs', greatest(1, ceil(extract(epoch FROM v_wait)))::integer);
    END IF;
    RETURN NULL;
END;
$$;
