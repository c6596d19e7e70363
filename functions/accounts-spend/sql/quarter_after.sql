-- The first quarter of an hour of UTC that begins at a moment or after it.
CREATE OR REPLACE FUNCTION quarter_after(p_at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN date_bin('15 minutes', p_at + interval '15 minutes' - interval '1 microsecond', 'epoch');
END;
$$;
