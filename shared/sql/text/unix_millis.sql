-- Milliseconds since 1970, for expiries that travel inside cached values. A time
-- without an end is the largest whole number that every JSON parser reads exactly
-- (RFC 8259, section 6).
CREATE OR REPLACE FUNCTION unix_millis(p_time timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN CASE WHEN p_time < 'infinity' THEN floor(extract(epoch FROM p_time) * 1000)::bigint
                ELSE 9007199254740991 END;
END;
$$;
